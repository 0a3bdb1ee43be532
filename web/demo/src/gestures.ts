/** Gestures: what happens between pointer down and pointer up. Tools begin one; the stage feeds it. */

import { newId, type App } from "./app";
import { commitGeometry, describe } from "./edit";
import { boxOf, round1, simplify, type Geometry, type Mapping } from "./geometry";
import { hitBox } from "./hit";
import { relative } from "./drafts";
import type { Box, Point, Shape, Wire } from "./types";

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
      app.selection.set([...kept, ...hitBox(app.scene, gesture.marquee)]);
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
      if (changes) commitGeometry(app, "Move", changes);
      else if (pressed && !p.shift && !p.toggle) app.selection.set([pressed]);
      if (changes) app.drafts.end();
    },
    cancel() {
      if (changes) app.drafts.end();
    },
  };
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
  const texts = starts.some((shape) => shape.kind === "text");
  let changes: ReadonlyMap<string, Geometry> = new Map();
  return {
    move(p) {
      const dx = p.world.x - start.world.x;
      const dy = p.world.y - start.world.y;
      // Text has no free proportions: its box follows from its size.
      changes = app.drafts.map(starts, resizeMapping(from, handle, dx, dy, p.shift || texts, p.alt));
    },
    end() {
      commitGeometry(app, "Resize", changes);
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

/** Moves one end of a line. */
export function lineEndGesture(app: App, line: Shape, end: 0 | 1): Gesture {
  const raw = app.room.objects.get(line.id) as Wire;
  let change: Geometry | undefined;
  return {
    move(p) {
      const fixed = end === 0 ? { x: line.x + line.w, y: line.y + line.h } : { x: line.x, y: line.y };
      const free = p.shift ? snapped(fixed, p.world) : p.world;
      const [a, b] = end === 0 ? [free, fixed] : [fixed, free];
      const ends = { x: round1(a.x), y: round1(a.y), w: round1(b.x - a.x), h: round1(b.y - a.y) };
      change = app.drafts.reshape(line, { ...raw, ...ends });
    },
    end() {
      if (change) commitGeometry(app, "Move line end", new Map([[line.id, change]]));
      app.drafts.end();
    },
    cancel: () => app.drafts.end(),
  };
}

/** The point nearest to `p` in a direction of 45° steps from `origin`. */
function snapped(origin: Point, p: Point): Point {
  const step = Math.PI / 4;
  const angle = Math.round(Math.atan2(p.y - origin.y, p.x - origin.x) / step) * step;
  const length = Math.hypot(p.x - origin.x, p.y - origin.y);
  return { x: origin.x + Math.cos(angle) * length, y: origin.y + Math.sin(angle) * length };
}

const CLICK_SIZE = { rect: [160, 100], ellipse: [140, 140], line: [160, 0] } as const;

export function shapeGesture(app: App, start: Pointer, kind: "rect" | "ellipse" | "line"): Gesture {
  const wire: Wire = { id: newId(), kind, color: app.style.color, stroke: app.style.stroke, z: app.scene.topZ() + 1 };
  if (kind !== "line") wire.fill = app.style.fill;
  let dragged = false;
  return {
    move(p) {
      dragged ||= Math.hypot(p.screen.x - start.screen.x, p.screen.y - start.screen.y) >= slop(p);
      if (!dragged) return;
      Object.assign(wire, pulled(kind, start.world, p));
      app.drafts.shape({ ...wire });
    },
    end(p) {
      if (dragged) Object.assign(wire, pulled(kind, start.world, p));
      else {
        const [w, h] = CLICK_SIZE[kind];
        Object.assign(wire, { x: round1(start.world.x - w / 2), y: round1(start.world.y - h / 2), w, h });
      }
      finishCreation(app, wire);
    },
    cancel: () => app.drafts.end(),
  };
}

function pulled(kind: string, a: Point, p: Pointer): Partial<Wire> {
  if (kind === "line") {
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

/** Numbers of one stroke object at most; with one decimal each this is below 40 KiB, well under the 64 KiB message. */
const MAX_NUMBERS = 4000;
/** A stroke this long (raw points) is finished and the next piece begun, while the hand draws on. */
const SPLIT_AT = 24_000;

export function strokeGesture(app: App, start: Pointer): Gesture {
  let points: number[] = [];
  let wire: Wire;
  const pieces: Wire[] = [];
  const begin = (at: Point): void => {
    wire = { id: newId(), kind: "draw", color: app.style.color, stroke: app.style.stroke, z: app.scene.topZ() + 1 };
    points = [round1(at.x), round1(at.y)];
  };
  const add = (at: Point): void => {
    const [x, y] = [points.at(-2)!, points.at(-1)!];
    if (Math.hypot(at.x - x, at.y - y) * app.camera.zoom < 1) return;
    points.push(round1(at.x), round1(at.y));
  };
  const finished = (): Wire => ({ ...wire, ...relative(fitted(points, 0.6 / app.camera.zoom)) });
  begin(start.world);
  return {
    move(p) {
      for (const at of p.trail) add(at);
      if (points.length > SPLIT_AT) {
        pieces.push(finished());
        app.history.group("Draw", () => app.history.create(pieces.at(-1)!));
        app.drafts.end();
        begin(p.world);
      }
      app.drafts.stroke(wire, points);
    },
    end() {
      app.history.group("Draw", () => app.history.create(finished()));
      app.drafts.end();
    },
    cancel: () => app.drafts.end(),
  };
}

/** Simplified until it fits: the tolerance doubles for strokes with more detail than a message may carry. */
function fitted(points: readonly number[], tolerance: number): number[] {
  let out = simplify(points, tolerance);
  for (let t = tolerance * 2; out.length > MAX_NUMBERS; t *= 2) out = simplify(points, t);
  return out;
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
}

/** A sheet of black paper is nobody's first choice; ink means "the usual", which for notes is yellow. */
const noteColor = (app: App): string => (app.style.color === "ink" ? "yellow" : app.style.color);

/** Whether a point lies on the selection's frame, so that a press there drags all of it. */
export function insideSelection(app: App, p: Point): boolean {
  if (app.selection.size < 2) return false;
  const box = app.scene.bounds(app.selection.ids);
  return box !== undefined && p.x >= box.x && p.x <= box.x + box.w && p.y >= box.y && p.y <= box.y + box.h;
}

