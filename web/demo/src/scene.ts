/**
 * The scene: what is to be painted, in painting order. It holds the room's objects, lays previews over them (an object
 * being dragged, here or by somebody else) and adds ghosts (an object being drawn that does not exist yet).
 */

import { boundsOf, clamp, extentOf, grow, union, type Geometry } from "./geometry";
import { attached, canHold } from "./arrows";
import { holdsText, layoutOf, type Layout } from "./text";
import { isLine, type Box, type Fill, type Kind, type Shape } from "./types";

const KINDS: readonly string[] = ["rect", "ellipse", "line", "arrow", "draw", "note", "text", "image"];
const FILLS: readonly string[] = ["none", "tint", "solid"];
/** Beyond this nothing is reachable by panning, and float coordinates begin to tremble. */
export const FAR = 1e6;

export interface Item {
  shape: Shape;
  /** World box of everything painted, stroke width and shadow included. */
  painted: Box;
  /** Painter's cache; dropped whenever the shape changes. */
  path?: Path2D | undefined;
  layout?: Layout | undefined;
  /** Lines of its text above those that are seen. */
  scrolled?: number;
}

export function finite(value: unknown, fallback: number, far = FAR): number {
  return typeof value === "number" && Number.isFinite(value) ? clamp(value, -far, far) : fallback;
}

/** Letters of a text that are shown; nobody reads more on a canvas. */
export const MAX_TEXT = 8_000;

const idOf = (value: unknown): string | undefined => (typeof value === "string" && value.length <= 64 ? value : undefined);

const ASSET = /^asset:[0-9a-f]{64}$/;

const DEFAULT_SIZE: Record<Kind, [number, number]> = {
  rect: [120, 80], ellipse: [120, 80], line: [120, 0], arrow: [120, 0], draw: [0, 0], note: [180, 180], text: [120, 28], image: [160, 120],
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
    w: isLine(kind) ? finite(raw.w, w) : Math.abs(finite(raw.w, w)),
    h: isLine(kind) ? finite(raw.h, h) : Math.abs(finite(raw.h, h)),
    color: typeof raw.color === "string" ? raw.color : kind === "note" ? "yellow" : "ink",
    fill: (FILLS.includes(raw.fill as string) ? raw.fill : filled) as Fill,
    stroke: clamp(finite(raw.stroke, 2), 1, 40),
    points,
    text: typeof raw.text === "string" ? raw.text.slice(0, MAX_TEXT) : "",
    size: clamp(finite(raw.size, 22), 6, 400),
    wrap: raw.wrap === true,
    from: kind === "arrow" ? idOf(raw.from) : undefined,
    to: kind === "arrow" ? idOf(raw.to) : undefined,
    // Further than places, so that there is room above whatever somebody puts on top.
    z: finite(raw.z, 0, 1e12),
    src: kind === "image" && typeof raw.src === "string" && ASSET.test(raw.src) ? raw.src : "",
  };
}

function itemOf(shape: Shape): Item {
  const head = shape.kind === "arrow" ? 6 + 2 * shape.stroke : 0;
  const margin = shape.kind === "note" ? 10 : shape.kind === "text" ? 4 : shape.stroke / 2 + 2 + head;
  return { shape, painted: grow(boundsOf(shape), margin) };
}

const inOrder = (a: Item, b: Item): number => a.shape.z - b.shape.z || (a.shape.id < b.shape.id ? -1 : 1);

export class Scene {
  private readonly base = new Map<string, Shape>();
  private readonly previews = new Map<string, Geometry>();
  private readonly ghosts = new Map<string, Item>();
  private readonly items = new Map<string, Item>();
  /** Arrows by what they are attached to: they go along. */
  private readonly arrows = new Map<string, Set<string>>();
  private readonly scrolls = new Map<string, number>();
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
    const before = this.base.get(id);
    const now = raw && toShape(raw);
    for (const end of [before?.from, before?.to]) if (end) this.arrows.get(end)?.delete(id);
    for (const end of [now?.from, now?.to]) if (end) this.arrows.set(end, (this.arrows.get(end) ?? new Set()).add(id));
    if (now) this.base.set(id, now);
    else {
      this.base.delete(id);
      this.previews.delete(id);
      this.scrolls.delete(id);
    }
    this.refresh(id);
  }

  /** The arrows that hold on to an object. */
  arrowsOf(id: string): readonly string[] {
    return [...(this.arrows.get(id) ?? [])];
  }

  /** Whether an object has more words than it shows. */
  hidesText(id: string): boolean {
    const item = this.items.get(id);
    if (!item || !item.shape.text || !holdsText(item.shape.kind)) return false;
    const { lines, total } = layoutOf(item);
    return total > lines.length;
  }

  /** Moves a long text by lines within its object. False when there is nothing more that way. */
  scrollText(id: string, by: number): boolean {
    const item = this.items.get(id);
    if (!item || !this.hidesText(id)) return false;
    const { from, lines, total } = layoutOf(item);
    const to = clamp(from + by, 0, total - lines.length);
    if (to === from) return false;
    this.scrolls.set(id, to);
    this.refresh(id);
    return true;
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
      return this.refreshArrows(id);
    }
    const change = this.previews.get(id);
    const shown = change ? { ...base, ...change } : base;
    // An end that is being pulled is where the pointer is.
    const item = itemOf(change ? shown : attached(shown, (end) => this.items.get(end)?.shape));
    const scrolled = this.scrolls.get(id);
    if (scrolled !== undefined) item.scrolled = scrolled;
    this.items.set(id, item);
    if (!before || before.shape.z !== item.shape.z || this.unsorted) this.unsorted = true;
    else this.replaceSorted(before, item);
    this.dirty(item.painted);
    this.refreshArrows(id);
  }

  private refreshArrows(id: string): void {
    const holder = this.base.get(id);
    // An arrow holds nothing, whatever it says, so this goes no further.
    if (holder && !canHold(holder)) return;
    for (const arrow of this.arrows.get(id) ?? []) if (arrow !== id) this.refresh(arrow);
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
    for (const item of this.items.values()) item.path = item.layout = undefined;
  }
}
