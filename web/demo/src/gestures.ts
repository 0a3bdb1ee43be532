/** Gestures: what happens between pointer down and pointer up. Tools begin one; the stage feeds it. */

import { newId, type App } from "./app";
import { commitGeometry, describe } from "./edit";
import { holderAt } from "./arrows";
import { boxOf, round1, type Change, type Geometry, type Mapping } from "./geometry";
import { hitBox } from "./hit";
import { measureText } from "./text";
import { isLine, type Box, type Point, type Shape, type Wire } from "./types";

export interface Pointer {
  screen: Point;
  world: Point;
  shift: boolean;
  alt: boolean;
  toggle: boolean;
  touch: boolean;
  /** The positions between this event and the last one, in world units; the last is `world`. */
  trail: Point[];
}

export interface Gesture {
  move(p: Pointer): void;
  end(p: Pointer): void;
  /** Taken away (Escape, a second finger): nothing of it stays. */
  cancel(): void;
  /** A rectangle the overlay shows while the gesture lasts. */
  marquee?: Box | undefined;
  /** What an arrow's end will be attached to. */
  holder?: string | undefined;
}

/** Pixels a pointer may tremble before a click is a drag. */
const slop = (p: Pointer): number => (p.touch ? 8 : 3);

export function panGesture(app: App, start: Pointer): Gesture {
  let last = start.screen;
  return {
    move(p) {
      app.camera.panBy(p.screen.x - last.x, p.screen.y - last.y);
      last = p.screen;
    },
    end() {},
    cancel() {},
  };
}

export function marqueeGesture(app: App, start: Pointer): Gesture {
  const kept = start.shift || start.toggle ? [...app.selection.ids] : [];
  if (kept.length === 0) app.selection.clear();
  const gesture: Gesture = {
    marquee: undefined,
    move(p) {
      gesture.marquee = boxOf(start.world, p.world);
      app.selection.set([...kept, ...hitBox(app.scene, gesture.marquee)], "pointer");
      app.invalidate();
    },
    end() {
      gesture.marquee = undefined;
      if (app.selection.size > 0) app.announce(`${app.selection.size} selected`);
      app.invalidate();
    },
    cancel() {
      gesture.marquee = undefined;
      app.selection.set(kept);
      app.invalidate();
    },
  };
  return gesture;
}

/** The selected objects as they are shown when a gesture takes hold of them, others' previews included. */
function taken(app: App): Shape[] {
  return [...app.selection.ids].map((id) => app.scene.get(id)).filter((shape) => shape !== undefined);
}

export function moveGesture(app: App, start: Pointer, pressed: string | undefined): Gesture {
  const starts = taken(app);
  const from = app.scene.bounds(app.selection.ids) ?? { ...start.world, w: 0, h: 0 };
  let changes: ReadonlyMap<string, Geometry> | undefined;
  return {
    move(p) {
      if (!changes && Math.hypot(p.screen.x - start.screen.x, p.screen.y - start.screen.y) < slop(p)) return;
      let dx = p.world.x - start.world.x;
      let dy = p.world.y - start.world.y;
      if (p.shift) Math.abs(dx) > Math.abs(dy) ? (dy = 0) : (dx = 0);
      changes = app.drafts.map(starts, { from, to: { ...from, x: from.x + dx, y: from.y + dy } });
    },
    end(p) {
      if (changes) commitGeometry(app, "Move", withLooseEnds(app, changes));
      else if (pressed && !p.shift && !p.toggle) app.selection.set([pressed], "pointer");
      if (changes) app.drafts.end();
    },
    cancel() {
      if (changes) app.drafts.end();
    },
  };
}

/** An arrow that is moved without what it is attached to lets go of it. */
export function withLooseEnds(app: App, changes: ReadonlyMap<string, Geometry>): ReadonlyMap<string, Change> {
  return new Map([...changes].map(([id, change]) => {
    const shape = app.scene.settled(id);
    const loose = (end: string | undefined): boolean => end !== undefined && !changes.has(end);
    return [id, { ...change, ...(loose(shape?.from) && { from: null }), ...(loose(shape?.to) && { to: null }) }];
  }));
}

/** Which sides a handle moves: -1 left/top, 1 right/bottom, 0 neither. */
export interface Handle {
  sx: -1 | 0 | 1;
  sy: -1 | 0 | 1;
  /** For a single line: which end. */
  end?: 0 | 1;
}

export function resizeGesture(app: App, start: Pointer, handle: Handle): Gesture {
  const starts = taken(app);
  const from = app.scene.bounds(app.selection.ids)!;
  const fixed = starts.some((shape) => shape.kind === "text" || shape.kind === "image");
  const [only] = starts;
  if (only?.kind === "text" && starts.length === 1 && handle.sy === 0) return widthGesture(app, start, only, handle);
  let changes: ReadonlyMap<string, Geometry> = new Map();
  return {
    move(p) {
      const dx = p.world.x - start.world.x;
      const dy = p.world.y - start.world.y;
      // Text has no free proportions: its box follows from its size. A picture would be distorted.
      changes = app.drafts.map(starts, resizeMapping(from, handle, dx, dy, p.shift || fixed, p.alt));
    },
    end() {
      commitGeometry(app, "Resize", changes);
      app.drafts.end();
    },
    cancel: () => app.drafts.end(),
  };
}

/** Pulls a side of a text: its lines break at the new width. */
function widthGesture(app: App, start: Pointer, text: Shape, handle: Handle): Gesture {
  const raw = app.room.objects.get(text.id) as Wire;
  let change: Geometry | undefined;
  return {
    move(p) {
      const w = round1(Math.max(2 * text.size, text.w + handle.sx * (p.world.x - start.world.x)));
      const x = round1(handle.sx < 0 ? text.x + text.w - w : text.x);
      change = app.drafts.reshape(text, { ...raw, x, w, h: measureText(text.text, text.size, w).h, wrap: true });
    },
    end() {
      if (change) commitGeometry(app, "Change width", new Map([[text.id, { ...change, wrap: true }]]));
      app.drafts.end();
    },
    cancel: () => app.drafts.end(),
  };
}

function resizeMapping(from: Box, handle: Handle, dx: number, dy: number, keep: boolean, centred: boolean): Mapping {
  const k = centred ? 2 : 1;
  let w = from.w + handle.sx * dx * k;
  let h = from.h + handle.sy * dy * k;
  if (keep && from.w > 0 && from.h > 0) {
    const fx = handle.sx === 0 ? 0 : w / from.w;
    const fy = handle.sy === 0 ? 0 : h / from.h;
    const factor = Math.abs(fx) > Math.abs(fy) ? fx : fy;
    w = from.w * factor;
    h = from.h * factor;
  }
  // Never to nothing: a scale of zero could not be undone by pulling on.
  if (Math.abs(w) < 1) w = from.w === 0 ? 0 : 1;
  if (Math.abs(h) < 1) h = from.h === 0 ? 0 : 1;
  const x = centred || handle.sx === 0 ? from.x + (from.w - w) / 2 : handle.sx > 0 ? from.x : from.x + from.w - w;
  const y = centred || handle.sy === 0 ? from.y + (from.h - h) / 2 : handle.sy > 0 ? from.y : from.y + from.h - h;
  return { from, to: { x, y, w, h } };
}

/** Moves one end of a line. An arrow's end is attached to what it is put on. */
export function lineEndGesture(app: App, line: Shape, end: 0 | 1): Gesture {
  const raw = app.room.objects.get(line.id) as Wire;
  let change: Geometry | undefined;
  const gesture: Gesture = {
    move(p) {
      const fixed = end === 0 ? { x: line.x + line.w, y: line.y + line.h } : { x: line.x, y: line.y };
      const free = p.shift ? snapped(fixed, p.world) : p.world;
      const [a, b] = end === 0 ? [free, fixed] : [fixed, free];
      const ends = { x: round1(a.x), y: round1(a.y), w: round1(b.x - a.x), h: round1(b.y - a.y) };
      change = app.drafts.reshape(line, { ...raw, ...ends });
      if (line.kind === "arrow") gesture.holder = holderAt(app.scene, p.world)?.id;
    },
    end() {
      const attach = line.kind === "arrow" ? { [end === 0 ? "from" : "to"]: gesture.holder ?? null } : {};
      if (change) commitGeometry(app, "Move line end", new Map([[line.id, { ...change, ...attach }]]));
      app.drafts.end();
    },
    cancel: () => app.drafts.end(),
  };
  return gesture;
}

/** The point nearest to `p` in a direction of 45° steps from `origin`. */
function snapped(origin: Point, p: Point): Point {
  const step = Math.PI / 4;
  const angle = Math.round(Math.atan2(p.y - origin.y, p.x - origin.x) / step) * step;
  const length = Math.hypot(p.x - origin.x, p.y - origin.y);
  return { x: origin.x + Math.cos(angle) * length, y: origin.y + Math.sin(angle) * length };
}

const CLICK_SIZE = { rect: [160, 100], ellipse: [140, 140], line: [160, 0], arrow: [160, 0] } as const;

export type DraggedKind = keyof typeof CLICK_SIZE;

export function shapeGesture(app: App, start: Pointer, kind: DraggedKind): Gesture {
  const wire: Wire = { id: newId(), kind, color: app.style.color, stroke: app.style.stroke, z: app.scene.topZ() + 1 };
  if (!isLine(kind)) wire.fill = app.style.fill;
  const from = kind === "arrow" ? holderAt(app.scene, start.world) : undefined;
  let dragged = false;
  const gesture: Gesture = {
    holder: from?.id,
    move(p) {
      dragged ||= Math.hypot(p.screen.x - start.screen.x, p.screen.y - start.screen.y) >= slop(p);
      if (!dragged) return;
      Object.assign(wire, pulled(kind, start.world, p));
      if (kind === "arrow") gesture.holder = holderAt(app.scene, p.world)?.id;
      app.drafts.shape({ ...wire });
    },
    end(p) {
      if (dragged) Object.assign(wire, pulled(kind, start.world, p));
      else {
        const [w, h] = CLICK_SIZE[kind];
        Object.assign(wire, { x: round1(start.world.x - w / 2), y: round1(start.world.y - h / 2), w, h });
      }
      const to = kind === "arrow" && dragged ? holderAt(app.scene, p.world) : undefined;
      // Within one object an arrow is a drawing, not a connection.
      if (dragged && from?.id !== to?.id) Object.assign(wire, from && { from: from.id }, to && { to: to.id });
      finishCreation(app, wire);
    },
    cancel: () => app.drafts.end(),
  };
  return gesture;
}

function pulled(kind: string, a: Point, p: Pointer): Partial<Wire> {
  if (isLine(kind)) {
    const b = p.shift ? snapped(a, p.world) : p.world;
    return { x: round1(a.x), y: round1(a.y), w: round1(b.x - a.x), h: round1(b.y - a.y) };
  }
  let b = p.world;
  if (p.shift) {
    const side = Math.max(Math.abs(b.x - a.x), Math.abs(b.y - a.y));
    b = { x: a.x + Math.sign(b.x - a.x || 1) * side, y: a.y + Math.sign(b.y - a.y || 1) * side };
  }
  const box = boxOf(a, b);
  return { x: round1(box.x), y: round1(box.y), w: round1(Math.max(box.w, 1)), h: round1(Math.max(box.h, 1)) };
}

function finishCreation(app: App, wire: Wire): void {
  app.history.group("Draw", () => app.history.create(wire));
  app.drafts.end();
  app.setTool("select");
  const shape = app.scene.settled(wire.id);
  if (!shape) return;
  app.selection.set([wire.id]);
  app.announce(`${describe(shape)} added`);
}

/** Puts a note or a text where one clicked, and opens it for writing. */
export function placeText(app: App, at: Point, kind: "note" | "text"): void {
  const z = app.scene.topZ() + 1;
  const id = newId();
  const note: Wire = { id, kind, x: round1(at.x - 90), y: round1(at.y - 90), w: 180, h: 180, color: noteColor(app), text: "", z };
  const text: Wire = { id, kind, x: round1(at.x), y: round1(at.y - 14), w: 12, h: 29, color: app.style.color, size: 22, text: "", z };
  app.history.begin(kind === "note" ? "Add note" : "Add text");
  app.history.create(kind === "note" ? note : text);
  app.setTool("select");
  app.selection.set([id]);
  app.editor.open(id, true);
  app.announce(kind === "note" ? "Sticky note added: write on it, Escape ends" : "Text begun: write, Escape ends");
}

/** A sheet of black paper is nobody's first choice; ink means "the usual", which for notes is yellow. */
const noteColor = (app: App): string => (app.style.color === "ink" ? "yellow" : app.style.color);

/** Whether a point lies on the selection's frame, so that a press there drags all of it. */
export function insideSelection(app: App, p: Point): boolean {
  if (app.selection.size < 2) return false;
  const box = app.scene.bounds(app.selection.ids);
  return box !== undefined && p.x >= box.x && p.x <= box.x + box.w && p.y >= box.y && p.y <= box.y + box.h;
}

