/** Two fingers: pan and pinch. One finger is an ordinary pointer and never comes here alone. */

import type { Camera } from "./camera";
import type { Point } from "./types";

export class PinchTracker {
  private readonly fingers = new Map<number, Point>();
  /** True from the second finger down until the last is up, so that the finger that stays does not draw. */
  private pinching = false;

  constructor(private readonly camera: Camera, private readonly onBegin: () => void) {}

  /** True when this finger makes it a pinch. */
  down(id: number, at: Point): boolean {
    this.fingers.set(id, at);
    if (this.fingers.size < 2) return this.pinching;
    if (!this.pinching) this.onBegin();
    this.pinching = true;
    return true;
  }

  /** True while pinching: the move is not for a tool. */
  move(id: number, at: Point): boolean {
    const before = this.fingers.get(id);
    if (!this.pinching || !before) {
      if (before) this.fingers.set(id, at);
      return this.pinching;
    }
    const other = [...this.fingers].find(([key]) => key !== id)?.[1];
    this.fingers.set(id, at);
    if (!other) return true;
    const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
    // Each finger reports alone, so each of its moves shifts the middle by half.
    this.camera.panBy((at.x - before.x) / 2, (at.y - before.y) / 2);
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    const is = Math.hypot(at.x - other.x, at.y - other.y);
    if (was > 8 && is > 8) this.camera.zoomAt(middle, this.camera.zoom * (is / was));
    return true;
  }

  up(id: number): void {
    this.fingers.delete(id);
    if (this.fingers.size === 0) this.pinching = false;
  }
}
