/** What is done to the selection as a whole: each a single step of undo. */

import { newId, type App } from "./app";
import { round1, type Geometry } from "./geometry";
import type { Patch, Shape, Style, Wire } from "./types";

const NAMES: Record<string, string> = {
  rect: "Rectangle", ellipse: "Ellipse", line: "Line", draw: "Stroke", note: "Sticky note", text: "Text",
};

/** A name for screen readers: kind, colour, and the beginning of the text. */
export function describe(shape: Shape): string {
  const text = shape.text.trim().slice(0, 60);
  const base = `${NAMES[shape.kind] ?? shape.kind}, ${shape.color.startsWith("#") ? "own colour" : shape.color}`;
  return text ? `${base}, “${text}”` : base;
}

export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

export function deleteSelection(app: App): void {
  const ids = [...app.selection.ids];
  if (ids.length === 0) return;
  app.history.group("Delete", () => ids.forEach((id) => app.history.remove(id)));
  app.selection.clear();
  app.announce(`${count(ids.length, "object")} deleted`);
}

export function nudge(app: App, dx: number, dy: number): void {
  const ids = [...app.selection.ids];
  app.history.group("Move", () => {
    for (const id of ids) {
      const shape = app.scene.settled(id);
      if (shape) app.history.update(id, { ...(dx && { x: round1(shape.x + dx) }), ...(dy && { y: round1(shape.y + dy) }) });
    }
  }, `nudge ${ids.join(" ")}`);
}

/** Writes what a gesture changed of objects, and nothing else of them: the rest may be somebody else's work by now. */
export function commitGeometry(app: App, label: string, changes: ReadonlyMap<string, Geometry>): void {
  app.history.group(label, () => {
    for (const [id, change] of changes) {
      const now = app.scene.settled(id);
      if (!now) continue;
      const patch: Patch = Object.fromEntries(Object.entries(change).filter(([key, value]) => now[key as keyof Geometry] !== value));
      if (Object.keys(patch).length > 0) app.history.update(id, patch);
    }
  });
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

let clipboard: Wire[] = [];

export function copySelection(app: App): void {
  const raw = app.scene.ids().filter((id) => app.selection.has(id)).map((id) => app.room.objects.get(id));
  clipboard = raw.filter((object) => object !== undefined).map((object) => structuredClone(object) as Wire);
  if (clipboard.length > 0) app.toast(`${count(clipboard.length, "object")} copied`);
}

export function paste(app: App): void {
  if (clipboard.length === 0) return;
  // Pasting again goes further, so that copies don't hide one another.
  clipboard = clipboard.map((object) => ({ ...object, x: (object.x ?? 0) + 20, y: (object.y ?? 0) + 20 }));
  insert(app, "Paste", clipboard);
}

export function duplicate(app: App): void {
  const raw = app.scene.ids().filter((id) => app.selection.has(id)).map((id) => app.room.objects.get(id) as Wire | undefined);
  const copies = raw.filter((object) => object !== undefined);
  insert(app, "Duplicate", copies.map((object) => ({ ...object, x: (object.x ?? 0) + 20, y: (object.y ?? 0) + 20 })));
}

function insert(app: App, label: string, objects: readonly Wire[]): void {
  if (objects.length === 0) return;
  const z = app.scene.topZ() + 1;
  const copies = objects.map((object, i) => ({ ...structuredClone(object), id: newId(), z: z + i }));
  app.history.group(label, () => copies.forEach((object) => app.history.create(object)));
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
  app.selection.set([id]);
  const box = app.scene.bounds([id])!;
  const view = app.camera.view();
  const visible = box.x >= view.x && box.y >= view.y && box.x + box.w <= view.x + view.w && box.y + box.h <= view.y + view.h;
  if (!visible) app.camera.fit(box, 120, app.camera.zoom);
  app.announce(`${describe(app.scene.get(id)!)}, ${next + 1} of ${ids.length}`);
}
