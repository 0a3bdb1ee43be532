/** Hit testing in world units. `slack` is how far beside a thin line still counts: larger for fingers and far zooms. */

import { boundsOf, contains, extentOf, grow, inside, intersects, segmentDistance } from "./geometry";
import type { Scene } from "./scene";
import { isLine, type Box, type Point, type Shape } from "./types";

export function hitsShape(shape: Shape, p: Point, slack: number): boolean {
  const reach = slack + shape.stroke / 2;
  const box = boundsOf(shape);
  if (!inside(grow(box, reach), p)) return false;
  switch (shape.kind) {
    case "note":
    case "text":
    case "image":
      return true;
    case "line":
    case "arrow":
      return segmentDistance(p, shape.x, shape.y, shape.x + shape.w, shape.y + shape.h) <= reach;
    case "draw":
      return hitsStroke(shape, p, reach);
    case "rect":
      // An unfilled shape is taken by its edge, so that things inside it stay reachable.
      return shape.fill !== "none" || !inside(grow(box, -reach), p) || box.w < 2 * reach || box.h < 2 * reach;
    case "ellipse":
      return hitsEllipse(box, p, reach, shape.fill !== "none");
  }
}

function hitsEllipse(box: Box, p: Point, reach: number, filled: boolean): boolean {
  const rx = box.w / 2;
  const ry = box.h / 2;
  const dx = p.x - box.x - rx;
  const dy = p.y - box.y - ry;
  const within = (by: number): boolean => (dx / Math.max(rx + by, 0.1)) ** 2 + (dy / Math.max(ry + by, 0.1)) ** 2 <= 1;
  return within(reach) && (filled || rx <= reach || ry <= reach || !within(-reach));
}

function hitsStroke(shape: Shape, p: Point, reach: number): boolean {
  const extent = extentOf(shape.points);
  const sx = extent.w > 0 ? shape.w / extent.w : 1;
  const sy = extent.h > 0 ? shape.h / extent.h : 1;
  const at = { x: p.x - shape.x, y: p.y - shape.y };
  const { points } = shape;
  if (points.length === 2) return Math.hypot(at.x, at.y) <= reach;
  for (let i = 0; i + 3 < points.length; i += 2) {
    const d = segmentDistance(at, points[i]! * sx, points[i + 1]! * sy, points[i + 2]! * sx, points[i + 3]! * sy);
    if (d <= reach) return true;
  }
  return false;
}

/** The topmost object under `p`; where there is none, the smallest shape without a filling that lies around it. */
export function hitTop(scene: Scene, p: Point, slack: number): Shape | undefined {
  const order = scene.order();
  let around: Shape | undefined;
  for (let i = order.length - 1; i >= 0; i--) {
    const { shape } = order[i]!;
    if (!scene.settled(shape.id)) continue;
    if (hitsShape(shape, p, slack)) return shape;
    if (shape.fill !== "none" || !hitsShape({ ...shape, fill: "tint" }, p, 0)) continue;
    if (!around || shape.w * shape.h < around.w * around.h) around = shape;
  }
  return around;
}

/** What a marquee takes: whatever it touches, but a shape that surrounds the marquee whole is not meant. */
export function hitBox(scene: Scene, box: Box): string[] {
  const ids: string[] = [];
  for (const { shape } of scene.order()) {
    if (!scene.settled(shape.id)) continue;
    const bounds = boundsOf(shape);
    if (!intersects(bounds, box)) continue;
    const around = !isLine(shape.kind) && contains(bounds, box) && !contains(box, bounds);
    if (!around) ids.push(shape.id);
  }
  return ids;
}
