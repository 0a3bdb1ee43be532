/** Where the window looks: `screen = (world - origin) * zoom`, in CSS pixels. */

import { clamp } from "./geometry";
import type { Box, Point } from "./types";

export const MIN_ZOOM = 0.08;
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

  panBy(dxScreen: number, dyScreen: number): void {
    this.x -= dxScreen / this.zoom;
    this.y -= dyScreen / this.zoom;
    this.changed();
  }

  /** Zooms so that the world point under `screen` stays under it. */
  zoomAt(screen: Point, zoom: number): void {
    const before = this.toWorld(screen);
    this.zoom = clamp(zoom, MIN_ZOOM, MAX_ZOOM);
    this.x = before.x - screen.x / this.zoom;
    this.y = before.y - screen.y / this.zoom;
    this.changed();
  }

  zoomAtCentre(zoom: number): void {
    this.zoomAt({ x: this.width / 2, y: this.height / 2 }, zoom);
  }

  /** Puts `centre` (world) in the middle. */
  moveTo(centre: Point, zoom: number): void {
    this.zoom = clamp(zoom, MIN_ZOOM, MAX_ZOOM);
    this.x = centre.x - this.width / 2 / this.zoom;
    this.y = centre.y - this.height / 2 / this.zoom;
    this.changed();
  }

  /** Shows `box` whole, with `margin` CSS pixels around it, at most at `maxZoom`. */
  fit(box: Box, margin = 64, maxZoom = 1): void {
    const zx = (this.width - 2 * margin) / Math.max(box.w, 1);
    const zy = (this.height - 2 * margin) / Math.max(box.h, 1);
    this.zoom = clamp(Math.min(zx, zy, maxZoom), MIN_ZOOM, MAX_ZOOM);
    this.x = box.x + box.w / 2 - this.width / 2 / this.zoom;
    this.y = box.y + box.h / 2 - this.height / 2 / this.zoom;
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
