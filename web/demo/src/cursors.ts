/** Others' cursors: one DOM element each, moved by a transform on every frame while anything moves. */

import type { Camera } from "./camera";
import { el, icon } from "./dom";
import { nameOf, colorOf, paintPerson } from "./people";
import type { Room } from "./room";

/** The library interpolates for at most 300 ms after a point; after that nothing moves until the next one. */
const SETTLED_AFTER_MS = 400;
const FAR = 1e7;

interface Shown {
  root: HTMLElement;
  label: HTMLElement;
  transform: string;
  name: string;
  color: string;
}

export class CursorLayer {
  private readonly shown = new Map<string, Shown>();
  private lastEvent = 0;

  constructor(private readonly room: Room, private readonly camera: Camera, private readonly layer: HTMLElement, invalidate: () => void) {
    room.on("cursors", () => {
      this.lastEvent = performance.now();
      invalidate();
    });
    room.on("others", () => this.names());
    // Dimming and hiding happen while nothing else does.
    setInterval(invalidate, 1000);
  }

  get count(): number {
    return this.shown.size;
  }

  /** Moves every cursor to where it is now; true while another frame is wanted. */
  frame(now: number): boolean {
    const present = new Set<string>();
    for (const cursor of this.room.cursors.sample(now)) {
      // What lies this far out is on nobody's screen, and no number that CSS takes.
      if (!(Math.abs(cursor.x) < FAR && Math.abs(cursor.y) < FAR)) continue;
      present.add(cursor.client);
      const shown = this.shown.get(cursor.client) ?? this.add(cursor.client);
      const at = this.camera.toScreen(cursor);
      const transform = `translate(${at.x.toFixed(1)}px, ${at.y.toFixed(1)}px)`;
      if (transform !== shown.transform) shown.root.style.transform = shown.transform = transform;
      shown.root.classList.toggle("dim", cursor.dim);
    }
    for (const [client, shown] of this.shown) {
      if (present.has(client)) continue;
      shown.root.remove();
      this.shown.delete(client);
    }
    return this.shown.size > 0 && now - this.lastEvent < SETTLED_AFTER_MS;
  }

  private add(client: string): Shown {
    const label = el("span", { class: "cursor-label" });
    const root = el("div", { class: "cursor", testid: "cursor", attrs: { "data-client": client } }, icon("cursor"), label);
    const shown: Shown = { root, label, transform: "", name: "", color: "" };
    this.shown.set(client, shown);
    this.layer.append(root);
    this.name(client, shown);
    return shown;
  }

  private names(): void {
    for (const [client, shown] of this.shown) this.name(client, shown);
  }

  private name(client: string, shown: Shown): void {
    const other = this.room.others.find((candidate) => candidate.client === client);
    const name = other ? nameOf(other) : "Guest";
    const color = colorOf(other ?? { client, user: {} });
    if (shown.name !== name) shown.label.textContent = shown.name = name;
    if (shown.color !== color) {
      shown.color = color;
      paintPerson(shown.root, color);
    }
  }
}
