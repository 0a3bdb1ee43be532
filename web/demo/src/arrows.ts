/** Arrows: their heads, and ends that stay at the border of the objects they are attached to. Pure. */

import { boundsOf, inside, grow } from "./geometry";
import type { Scene } from "./scene";
import type { Box, Point, Shape } from "./types";

/** Between the tip and what it points at. */
const GAP = 6;

/** The two barbs, as one line through the tip, in the arrow's own coordinates. */
export function arrowHead({ w, h, stroke }: Pick<Shape, "w" | "h" | "stroke">): Point[] {
  const length = Math.hypot(w, h);
  if (length < 1) return [];
  const size = Math.min(10 + 3 * stroke, length * 0.6);
  const angle = Math.atan2(h, w);
  const barb = (turn: number): Point => ({ x: w - size * Math.cos(angle + turn), y: h - size * Math.sin(angle + turn) });
  return [barb(0.45), { x: w, y: h }, barb(-0.45)];
}

const centre = (box: Box): Point => ({ x: box.x + box.w / 2, y: box.y + box.h / 2 });

/** Where the way from the middle of `shape` towards `to` leaves it. */
function border(shape: Shape, to: Point): Point {
  const box = grow(boundsOf(shape), GAP + shape.stroke / 2);
  const from = centre(box);
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  if (dx === 0 && dy === 0) return from;
  const share = shape.kind === "ellipse"
    ? 1 / Math.hypot(dx / (box.w / 2), dy / (box.h / 2))
    : Math.min(box.w / 2 / Math.abs(dx), box.h / 2 / Math.abs(dy));
  // Two that lie within one another: the arrow goes from middle to middle.
  return share >= 1 ? from : { x: from.x + dx * share, y: from.y + dy * share };
}

/** The arrow as it is shown: where what it is attached to has gone, its ends have gone too. */
export function attached(arrow: Shape, get: (id: string) => Shape | undefined): Shape {
  const at = (id: string | undefined): Shape | undefined => {
    const shape = id === undefined ? undefined : get(id);
    // An arrow at an arrow, or at itself, would have no end.
    return shape && canHold(shape) ? shape : undefined;
  };
  const [from, to] = [at(arrow.from), at(arrow.to)];
  if (!from && !to) return arrow;
  const [start, end] = [{ x: arrow.x, y: arrow.y }, { x: arrow.x + arrow.w, y: arrow.y + arrow.h }];
  const a = from ? border(from, to ? centre(boundsOf(to)) : end) : start;
  const b = to ? border(to, from ? centre(boundsOf(from)) : start) : end;
  return { ...arrow, x: a.x, y: a.y, w: b.x - a.x, h: b.y - a.y };
}

export const canHold = (shape: Shape): boolean => shape.kind !== "line" && shape.kind !== "arrow" && shape.kind !== "draw";

/** What an arrow's end at `p` would be attached to: the topmost object there, filled or not. */
export function holderAt(scene: Scene, p: Point): Shape | undefined {
  const order = scene.order();
  for (let i = order.length - 1; i >= 0; i--) {
    const { shape } = order[i]!;
    if (scene.settled(shape.id) && canHold(shape) && inside(boundsOf(shape), p)) return shape;
  }
  return undefined;
}
