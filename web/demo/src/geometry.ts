/** Pure geometry: boxes, mapping between boxes, simplification of strokes. */

import { isLine, type Box, type Point, type Shape } from "./types";

/** One decimal is below a device pixel up to 10× zoom, and keeps numbers short on the wire. */
export const round1 = (value: number): number => Math.round(value * 10) / 10;

export const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

export function boxOf(a: Point, b: Point): Box {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), w: Math.abs(a.x - b.x), h: Math.abs(a.y - b.y) };
}

/** The box of a shape without its stroke width. */
export function boundsOf(shape: Shape): Box {
  return {
    x: shape.w < 0 ? shape.x + shape.w : shape.x,
    y: shape.h < 0 ? shape.y + shape.h : shape.y,
    w: Math.abs(shape.w),
    h: Math.abs(shape.h),
  };
}

export function grow(box: Box, by: number): Box {
  return { x: box.x - by, y: box.y - by, w: box.w + 2 * by, h: box.h + 2 * by };
}

export function union(a: Box, b: Box): Box {
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}

export function unionAll(boxes: Iterable<Box>): Box | undefined {
  let all: Box | undefined;
  for (const box of boxes) all = all ? union(all, box) : box;
  return all;
}

export const intersects = (a: Box, b: Box): boolean =>
  a.x <= b.x + b.w && b.x <= a.x + a.w && a.y <= b.y + b.h && b.y <= a.y + a.h;

export const contains = (outer: Box, inner: Box): boolean =>
  outer.x <= inner.x && outer.y <= inner.y && outer.x + outer.w >= inner.x + inner.w && outer.y + outer.h >= inner.y + inner.h;

export const inside = (box: Box, p: Point): boolean =>
  p.x >= box.x && p.x <= box.x + box.w && p.y >= box.y && p.y <= box.y + box.h;

/** Distance from `p` to the segment `a`–`b`. */
export function segmentDistance(p: Point, ax: number, ay: number, bx: number, by: number): number {
  const dx = bx - ax;
  const dy = by - ay;
  const length2 = dx * dx + dy * dy;
  const t = length2 === 0 ? 0 : clamp(((p.x - ax) * dx + (p.y - ay) * dy) / length2, 0, 1);
  return Math.hypot(p.x - ax - t * dx, p.y - ay - t * dy);
}

/** How far the points of a stroke reach in their own units; the stretch is `w / extent.w`. */
export function extentOf(points: readonly number[]): { w: number; h: number } {
  let w = 0;
  let h = 0;
  for (let i = 0; i + 1 < points.length; i += 2) {
    w = Math.max(w, points[i] ?? 0);
    h = Math.max(h, points[i + 1] ?? 0);
  }
  return { w, h };
}

/** A resize or move written as "what filled `from` now fills `to`". A flat axis keeps its scale. */
export interface Mapping {
  from: Box;
  to: { x: number; y: number; w: number; h: number };
}

/** The geometry of `shape` after `mapping`. `to` may have negative sizes (dragged through the opposite edge). */
export function mapShape(shape: Shape, mapping: Mapping): Shape {
  const { from, to } = mapping;
  const sx = from.w === 0 ? 1 : to.w / from.w;
  const sy = from.h === 0 ? 1 : to.h / from.h;
  let x = to.x + (shape.x - from.x) * sx;
  let y = to.y + (shape.y - from.y) * sy;
  let w = shape.w * sx;
  let h = shape.h * sy;
  if (!isLine(shape.kind)) {
    // Only a line has a direction; the others are turned the right way round again.
    if (w < 0) [x, w] = [x + w, -w];
    if (h < 0) [y, h] = [y + h, -h];
  }
  const size = shape.kind === "text" && sy !== 1 ? round1(Math.max(6, shape.size * Math.abs(sy))) : shape.size;
  return { ...shape, x: round1(x), y: round1(y), w: round1(w), h: round1(h), size };
}

/** What a gesture may change of an object. */
export type Geometry = Partial<Pick<Shape, "x" | "y" | "w" | "h" | "size">>;
/** What else it may write of them: which objects an arrow is attached to (null for none), and that a text keeps its width. */
export interface Change extends Geometry {
  from?: string | null;
  to?: string | null;
  wrap?: boolean;
}

const GEOMETRY = ["x", "y", "w", "h", "size"] as const;

/**
 * Where `after` differs from `before`. What a gesture did not change is not its own to write: somebody else may be
 * changing just that. `mapShape` rounds, and rounding alone is no change.
 */
export function changedGeometry(before: Shape, after: Shape): Geometry {
  return Object.fromEntries(GEOMETRY.filter((key) => Math.abs(after[key] - before[key]) > 0.051).map((key) => [key, after[key]]));
}

/**
 * Ramer–Douglas–Peucker on a flat list, without recursion: a stroke of 10,000 points must not overflow the stack.
 * `tolerance` is in the units of the points.
 */
export function simplify(points: readonly number[], tolerance: number): number[] {
  const count = points.length >> 1;
  if (count <= 2) return points.slice();
  const keep = new Uint8Array(count);
  keep[0] = keep[count - 1] = 1;
  const stack: [number, number][] = [[0, count - 1]];
  for (let span = stack.pop(); span; span = stack.pop()) {
    const [first, last] = span;
    let worst = 0;
    let at = -1;
    for (let i = first + 1; i < last; i++) {
      const p = { x: points[2 * i]!, y: points[2 * i + 1]! };
      const d = segmentDistance(p, points[2 * first]!, points[2 * first + 1]!, points[2 * last]!, points[2 * last + 1]!);
      if (d > worst) [worst, at] = [d, i];
    }
    if (worst > tolerance) {
      keep[at] = 1;
      stack.push([first, at], [at, last]);
    }
  }
  const out: number[] = [];
  for (let i = 0; i < count; i++) if (keep[i]) out.push(points[2 * i]!, points[2 * i + 1]!);
  return out;
}
