/** Where the window looks: `screen = (world - origin) * zoom`, in CSS pixels. */

import { clamp } from "./geometry";
import type { Box, Point } from "./types";

export const MIN_ZOOM = 0.08;
/** Showing everything, or what somebody else sees, goes further: on a phone with an open panel there is little room. */
const MIN_FIT_ZOOM = 0.005;
export const MAX_ZOOM = 8;

export class Camera {
  x = 0;
  y = 0;
  zoom = 1;
  width = 1;
  height = 1;
  private readonly listeners = new Set<() => void>();

  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  resize(width: number, height: number): void {
    // The centre of what one looks at stays put when the window changes.
    this.x += (this.width - width) / 2 / this.zoom;
    this.y += (this.height - height) / 2 / this.zoom;
    this.width = width;
    this.height = height;
    this.changed();
  }

  toWorld(screen: Point): Point {
    return { x: screen.x / this.zoom + this.x, y: screen.y / this.zoom + this.y };
  }

  toScreen(world: Point): Point {
    return { x: (world.x - this.x) * this.zoom, y: (world.y - this.y) * this.zoom };
  }

  view(): Box {
    return { x: this.x, y: this.y, w: this.width / this.zoom, h: this.height / this.zoom };
  }

  boxToWorld(screen: Box): Box {
    return { ...this.toWorld(screen), w: screen.w / this.zoom, h: screen.h / this.zoom };
  }

  panBy(dxScreen: number, dyScreen: number): void {
    this.x -= dxScreen / this.zoom;
    this.y -= dyScreen / this.zoom;
    this.changed();
  }

  /** Zooms so that the world point under `screen` stays under it. */
  zoomAt(screen: Point, zoom: number): void {
    const before = this.toWorld(screen);
    // Where everything is shown smaller than that, zooming out stays there, and zooming in begins there.
    this.zoom = clamp(zoom, Math.min(MIN_ZOOM, this.zoom), MAX_ZOOM);
    this.x = before.x - screen.x / this.zoom;
    this.y = before.y - screen.y / this.zoom;
    this.changed();
  }

  zoomAtCentre(zoom: number): void {
    this.zoomAt({ x: this.width / 2, y: this.height / 2 }, zoom);
  }

  /** Puts `centre` (world) in the middle. */
  moveTo(centre: Point, zoom: number): void {
    this.zoom = clamp(zoom, MIN_FIT_ZOOM, MAX_ZOOM);
    this.x = centre.x - this.width / 2 / this.zoom;
    this.y = centre.y - this.height / 2 / this.zoom;
    this.changed();
  }

  /** Shows `box` whole within `free`, a part of the window in CSS pixels, at most at `maxZoom`. */
  fit(box: Box, free: Box = { x: 0, y: 0, w: this.width, h: this.height }, maxZoom = 1): void {
    const zoom = Math.min(free.w / Math.max(box.w, 1), free.h / Math.max(box.h, 1), maxZoom);
    this.zoom = clamp(zoom, MIN_FIT_ZOOM, MAX_ZOOM);
    this.x = box.x + box.w / 2 - (free.x + free.w / 2) / this.zoom;
    this.y = box.y + box.h / 2 - (free.y + free.h / 2) / this.zoom;
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
