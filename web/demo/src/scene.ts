/**
 * The scene: what is to be painted, in painting order. It holds the room's objects, lays previews over them (an object
 * being dragged, here or by somebody else) and adds ghosts (an object being drawn that does not exist yet).
 */

import { boundsOf, clamp, extentOf, grow, union, type Geometry } from "./geometry";
import type { Box, Fill, Kind, Shape } from "./types";

const KINDS: readonly string[] = ["rect", "ellipse", "line", "draw", "note", "text"];
const FILLS: readonly string[] = ["none", "tint", "solid"];
/** Beyond this nothing is reachable by panning, and float coordinates begin to tremble. */
const FAR = 1e6;

export interface Item {
  shape: Shape;
  /** World box of everything painted, stroke width and shadow included. */
  painted: Box;
  /** Painter's cache; dropped whenever the shape changes. */
  path?: Path2D | undefined;
  lines?: string[] | undefined;
  fontSize?: number | undefined;
}

function finite(value: unknown, fallback: number): number {
  return typeof value === "number" && Number.isFinite(value) ? clamp(value, -FAR, FAR) : fallback;
}

const DEFAULT_SIZE: Record<Kind, [number, number]> = {
  rect: [120, 80], ellipse: [120, 80], line: [120, 0], draw: [0, 0], note: [180, 180], text: [120, 28],
};

/** Anything may be in a room: other applications share the relay. Unknown kinds are shown as rectangles. */
export function toShape(raw: Readonly<Record<string, unknown>>): Shape {
  const kind = (KINDS.includes(raw.kind as string) ? raw.kind : "rect") as Kind;
  const points = Array.isArray(raw.points) ? raw.points.map((p) => finite(p, 0)) : [];
  const [w, h] = kind === "draw" ? [extentOf(points).w, extentOf(points).h] : DEFAULT_SIZE[kind];
  const filled = kind === "rect" || kind === "ellipse" ? "tint" : "none";
  return {
    id: String(raw.id),
    kind,
    x: finite(raw.x, 0),
    y: finite(raw.y, 0),
    w: kind === "line" ? finite(raw.w, w) : Math.abs(finite(raw.w, w)),
    h: kind === "line" ? finite(raw.h, h) : Math.abs(finite(raw.h, h)),
    color: typeof raw.color === "string" ? raw.color : kind === "note" ? "yellow" : "ink",
    fill: (FILLS.includes(raw.fill as string) ? raw.fill : filled) as Fill,
    stroke: clamp(finite(raw.stroke, 2), 1, 40),
    points,
    text: typeof raw.text === "string" ? raw.text.slice(0, 8000) : "",
    size: clamp(finite(raw.size, 22), 6, 400),
    z: finite(raw.z, 0),
  };
}

function itemOf(shape: Shape): Item {
  const margin = shape.kind === "note" ? 10 : shape.kind === "text" ? 4 : shape.stroke / 2 + 2;
  return { shape, painted: grow(boundsOf(shape), margin) };
}

const inOrder = (a: Item, b: Item): number => a.shape.z - b.shape.z || (a.shape.id < b.shape.id ? -1 : 1);

export class Scene {
  private readonly base = new Map<string, Shape>();
  private readonly previews = new Map<string, Geometry>();
  private readonly ghosts = new Map<string, Item>();
  private readonly items = new Map<string, Item>();
  private sorted: Item[] = [];
  private unsorted = false;
  private dirtyBoxes: Box[] = [];
  /** Called when something has to be painted anew. */
  onDirty: () => void = () => {};

  get size(): number {
    return this.base.size;
  }

  /** The shape as shown, previews included. */
  get(id: string): Shape | undefined {
    return this.items.get(id)?.shape;
  }

  ids(): string[] {
    return this.order().filter((item) => this.base.has(item.shape.id)).map((item) => item.shape.id);
  }

  /** Painting order, bottom first; ghosts on top. */
  order(): readonly Item[] {
    if (this.unsorted) {
      this.sorted = [...this.items.values()].sort(inOrder);
      this.unsorted = false;
    }
    return this.ghosts.size === 0 ? this.sorted : [...this.sorted, ...this.ghosts.values()];
  }

  topZ(): number {
    const order = this.order();
    for (let i = order.length - 1; i >= 0; i--) if (this.base.has(order[i]!.shape.id)) return order[i]!.shape.z;
    return 0;
  }

  bottomZ(): number {
    return this.order()[0]?.shape.z ?? 0;
  }

  bounds(ids: Iterable<string>): Box | undefined {
    let all: Box | undefined;
    for (const id of ids) {
      const shape = this.get(id);
      if (shape) all = all ? union(all, boundsOf(shape)) : boundsOf(shape);
    }
    return all;
  }

  /** Takes over what the room shows for `id`; undefined when it is gone. */
  set(id: string, raw: Readonly<Record<string, unknown>> | undefined): void {
    if (raw) this.base.set(id, toShape(raw));
    else {
      this.base.delete(id);
      this.previews.delete(id);
    }
    this.refresh(id);
  }

  /** Lays `change` over the object until the preview is cleared. What others change of the rest shows through. */
  preview(id: string, change: Geometry | undefined): void {
    if (change) this.previews.set(id, change);
    else if (!this.previews.delete(id)) return;
    this.refresh(id);
  }

  /** The object without preview: as the room has it. */
  settled(id: string): Shape | undefined {
    return this.base.get(id);
  }

  ghost(key: string, shape: Shape | undefined): void {
    const before = this.ghosts.get(key);
    if (before) this.dirty(before.painted);
    if (!shape) {
      this.ghosts.delete(key);
      return;
    }
    const item = itemOf(shape);
    this.ghosts.set(key, item);
    this.dirty(item.painted);
  }

  private refresh(id: string): void {
    const before = this.items.get(id);
    if (before) this.dirty(before.painted);
    const base = this.base.get(id);
    if (!base) {
      if (this.items.delete(id)) this.unsorted = true;
      return;
    }
    const change = this.previews.get(id);
    const item = itemOf(change ? { ...base, ...change } : base);
    this.items.set(id, item);
    if (!before || before.shape.z !== item.shape.z || this.unsorted) this.unsorted = true;
    else this.replaceSorted(before, item);
    this.dirty(item.painted);
  }

  /** A moved object keeps its place in the order; searching for it by halves is cheaper than sorting 2,000 again. */
  private replaceSorted(before: Item, item: Item): void {
    let low = 0;
    let high = this.sorted.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const at = this.sorted[middle]!;
      if (at === before) {
        this.sorted[middle] = item;
        return;
      }
      if (inOrder(at, before) < 0) low = middle + 1;
      else high = middle - 1;
    }
    this.unsorted = true;
  }

  private dirty(box: Box): void {
    this.dirtyBoxes.push(box);
    this.onDirty();
  }

  takeDirty(): Box[] {
    const boxes = this.dirtyBoxes;
    this.dirtyBoxes = [];
    return boxes;
  }

  /** Forgets the painter's caches: theme or fonts changed. */
  dropCaches(): void {
    for (const item of this.items.values()) item.path = item.lines = item.fontSize = undefined;
  }
}
