/** What is done to the selection as a whole: each a single step of undo. */

import { newId, type App } from "./app";
import { freeArea } from "./free-area";
import { changedGeometry, contains, mapShape, round1, type Change, type Geometry } from "./geometry";
import { withLooseEnds } from "./gestures";
import { measureText } from "./text";
import { isLine, type Patch, type Shape, type Style, type Wire } from "./types";

const NAMES: Record<string, string> = {
  rect: "Rectangle", ellipse: "Ellipse", line: "Line", arrow: "Arrow", draw: "Stroke", note: "Sticky note", text: "Text", image: "Image",
};

/** A name for screen readers: kind, colour, and the beginning of the text. */
export function describe(shape: Shape): string {
  const text = shape.text.trim().slice(0, 60);
  if (shape.kind === "image") return text ? `Image, “${text}”` : "Image";
  const base = `${NAMES[shape.kind] ?? shape.kind}, ${shape.color.startsWith("#") ? "own colour" : shape.color}`;
  return text ? `${base}, “${text}”` : base;
}

export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

export function deleteSelection(app: App): void {
  const ids = [...app.selection.ids];
  if (ids.length === 0) return;
  app.history.group("Delete", () => {
    for (const id of new Set(ids.flatMap((one) => app.scene.arrowsOf(one)))) if (!app.selection.has(id)) letGo(app, id);
    ids.forEach((id) => app.history.remove(id));
  });
  app.selection.clear();
  app.announce(`${count(ids.length, "object")} deleted`);
}

/** An arrow stays where it is when what it is attached to goes. */
function letGo(app: App, id: string): void {
  const arrow = app.scene.get(id);
  if (!arrow) return;
  const gone = (end: string | undefined): boolean => end !== undefined && app.selection.has(end);
  const place = { x: round1(arrow.x), y: round1(arrow.y), w: round1(arrow.w), h: round1(arrow.h) };
  app.history.update(id, { ...place, ...(gone(arrow.from) && { from: null }), ...(gone(arrow.to) && { to: null }) });
}

export function nudge(app: App, dx: number, dy: number): void {
  const ids = [...app.selection.ids];
  const changes = new Map<string, Geometry>();
  for (const id of ids) {
    const shown = app.scene.get(id);
    if (shown) changes.set(id, { ...(dx && { x: round1(shown.x + dx) }), ...(dy && { y: round1(shown.y + dy) }) });
  }
  commitGeometry(app, "Move", withLooseEnds(app, changes), `nudge ${ids.join(" ")}`);
}

/** Makes the selection larger or smaller from its lower right corner: the keyboard's way of pulling a handle. */
export function resizeBy(app: App, dw: number, dh: number): void {
  const ids = [...app.selection.ids];
  const shapes = ids.map((id) => app.scene.get(id)).filter((shape) => shape !== undefined);
  const from = app.scene.bounds(ids);
  if (!from) return;
  const [only] = shapes;
  const changes = new Map<string, Change>();
  if (shapes.length === 1 && only && isLine(only.kind)) {
    changes.set(only.id, { w: round1(only.w + dw), h: round1(only.h + dh), ...(only.to && { to: null }) });
  } else if (shapes.length === 1 && only?.kind === "text") {
    const w = Math.max(2 * only.size, only.w + dw + dh);
    changes.set(only.id, { ...measureText(only.text, only.size, w), wrap: true });
  } else {
    // Never to nothing, from where there is no way back.
    const to = { ...from, w: from.w === 0 ? 0 : Math.max(4, from.w + dw), h: from.h === 0 ? 0 : Math.max(4, from.h + dh) };
    for (const shape of shapes) changes.set(shape.id, changedGeometry(shape, mapShape(shape, { from, to })));
  }
  commitGeometry(app, "Resize", changes, `resize ${ids.join(" ")}`);
}

const rounded = (value: number): number => Math.round(value);

/** Says where things are now, for those who don't see it. */
function tellPlace(app: App, ids: readonly string[], done: string): void {
  const box = app.scene.bounds(ids);
  if (!box) return;
  const what = ids.length === 1 ? describe(app.scene.get(ids[0]!)!) : count(ids.length, "object");
  const where = done === "Resize" ? `${rounded(box.w)} by ${rounded(box.h)}` : `${rounded(box.x)}, ${rounded(box.y)}`;
  app.announce(`${what}: ${done === "Resize" ? "now" : "moved to"} ${where}`);
}

/** Writes what a gesture changed of objects, and nothing else of them: the rest may be somebody else's work by now. */
export function commitGeometry(app: App, label: string, changes: ReadonlyMap<string, Change>, mergeKey?: string): void {
  app.history.group(label, () => {
    for (const [id, change] of changes) {
      const now = app.scene.settled(id);
      if (!now) continue;
      const patch: Patch = Object.fromEntries(Object.entries(change).filter(([key, value]) => (now[key as keyof Geometry] ?? null) !== value));
      if (Object.keys(patch).length > 0) app.history.update(id, patch);
    }
  }, mergeKey);
  tellPlace(app, [...changes.keys()], label.startsWith("Resize") ? "Resize" : "Moved");
}

export function restyle(app: App, change: Partial<Style>): void {
  Object.assign(app.style, change);
  const ids = [...app.selection.ids].filter((id) => app.scene.settled(id));
  if (ids.length === 0) return;
  app.history.group("Change style", () => ids.forEach((id) => app.history.update(id, { ...change })));
}

export function reorder(app: App, to: "front" | "back"): void {
  const ids = app.scene.ids().filter((id) => app.selection.has(id));
  if (ids.length === 0) return;
  const start = to === "front" ? app.scene.topZ() + 1 : app.scene.bottomZ() - ids.length;
  app.history.group(to === "front" ? "Bring to front" : "Send to back", () => {
    ids.forEach((id, i) => app.history.update(id, { z: start + i }));
  });
}

export function duplicate(app: App): void {
  const raw = app.scene.ids().filter((id) => app.selection.has(id)).map((id) => app.room.objects.get(id) as Wire | undefined);
  const copies = raw.filter((object) => object !== undefined);
  insert(app, "Duplicate", copies.map((object) => ({ ...object, x: (object.x ?? 0) + 20, y: (object.y ?? 0) + 20 })));
}

/** Puts copies of objects on top and selects them. What held on to one another does so again. */
export function insert(app: App, label: string, objects: readonly Wire[]): void {
  if (objects.length === 0 || !app.mayWrite()) return;
  const z = app.scene.topZ() + 1;
  const names = new Map(objects.map((object) => [object.id, newId()]));
  const copies = objects.map((object, i) => {
    const { rev: _rev, from, to, ...rest } = structuredClone(object) as Wire;
    const ends = { ...(from && names.has(from) && { from: names.get(from)! }), ...(to && names.has(to) && { to: names.get(to)! }) };
    return { ...rest, ...ends, id: names.get(object.id)!, z: z + i };
  });
  app.history.createAll(label, copies);
  app.selection.set(copies.map((object) => object.id));
  app.announce(`${count(copies.length, "object")} added`);
}

/** Selects the next (or previous) object in painting order and brings it into view: the keyboard's way around. */
export function selectNeighbour(app: App, step: 1 | -1): void {
  const ids = app.scene.ids();
  if (ids.length === 0) return app.announce("The canvas is empty");
  const current = ids.findIndex((id) => app.selection.has(id));
  const next = current < 0 ? (step > 0 ? 0 : ids.length - 1) : (current + step + ids.length) % ids.length;
  const id = ids[next]!;
  app.selection.set([id], "keyboard");
  const box = app.scene.bounds([id])!;
  const visible = contains(app.camera.boxToWorld(freeArea()), box);
  if (!visible) app.camera.fit(box, freeArea(), app.camera.zoom);
  app.announce(`${describe(app.scene.get(id)!)}, ${next + 1} of ${ids.length}`);
}
