/** Input on the canvas: pointers, wheel and pinch become gestures and camera moves. */

import type { App } from "./app";
import { hitTop } from "./hit";
import {
  insideSelection, lineEndGesture, marqueeGesture, moveGesture, panGesture, placeText, resizeGesture, shapeGesture,
  type Gesture, type Pointer,
} from "./gestures";
import { strokeGesture } from "./stroke";
import { cursorFor, type Overlay } from "./overlay";
import { holdsText, LINE_HEIGHT } from "./text";
import { PinchTracker } from "./touch";
import type { Point } from "./types";

const DOUBLE_CLICK_MS = 350;

export class Stage {
  spaceHeld = false;
  /** Told whenever the person moves the camera by hand: following somebody ends. */
  onManualCamera: () => void = () => {};
  private gesture: Gesture | undefined;
  private pointerId: number | undefined;
  private readonly pinch: PinchTracker;
  /** Of the wheel, less than a line. */
  private scrolled = 0;
  private lastTap = { at: -Infinity, p: { x: 0, y: 0 } };

  constructor(private readonly app: App, private readonly element: HTMLElement, private readonly overlay: Overlay) {
    this.pinch = new PinchTracker(app.camera, () => this.onManualCamera());
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", (event) => this.lost(event));
    element.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !this.gesture) app.room.cursor.clear();
    });
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    // Two clicks with a key between them are two clicks: Escape, then a click, only selects.
    element.ownerDocument.addEventListener("keydown", () => (this.lastTap.at = -Infinity), true);
    element.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  get active(): boolean {
    return this.gesture !== undefined;
  }

  /** Escape, or a tool change in the middle of something. */
  cancel(): boolean {
    if (!this.gesture) return false;
    this.gesture.cancel();
    this.finish();
    return true;
  }

  updateCursor(hover?: Pointer): void {
    const { tool } = this.app;
    let cursor = "default";
    if (this.spaceHeld || tool === "hand") cursor = this.gesture ? "grabbing" : "grab";
    else if (tool === "text") cursor = "text";
    else if (tool !== "select") cursor = "crosshair";
    else if (hover) {
      const handle = this.overlay.handleAt(hover.screen, hover.touch);
      const movable = hitTop(this.app.scene, hover.world, this.slack(hover)) ?? insideSelection(this.app, hover.world);
      cursor = handle ? cursorFor(handle) : movable ? "move" : "default";
    }
    this.element.style.cursor = cursor;
  }

  private pointer(event: PointerEvent): Pointer {
    const rect = this.element.getBoundingClientRect();
    const at = (e: PointerEvent): Point => ({ x: e.clientX - rect.left, y: e.clientY - rect.top });
    const screen = at(event);
    const coalesced = event.getCoalescedEvents?.() ?? [];
    return {
      screen,
      world: this.app.camera.toWorld(screen),
      shift: event.shiftKey,
      alt: event.altKey,
      toggle: event.ctrlKey || event.metaKey,
      touch: event.pointerType === "touch",
      trail: (coalesced.length > 0 ? coalesced : [event]).map((e) => this.app.camera.toWorld(at(e))),
    };
  }

  private slack(p: Pointer): number {
    return (p.touch ? 14 : 6) / this.app.camera.zoom;
  }

  private down(event: PointerEvent): void {
    this.element.focus({ preventScroll: true });
    this.app.editor.close();
    const p = this.pointer(event);
    if (p.touch && this.pinch.down(event.pointerId, p.screen)) {
      // A second finger means the view is to be moved, so what the first began is taken back.
      this.cancel();
      return;
    }
    if (this.gesture || (event.button !== 0 && event.button !== 1)) return;
    event.preventDefault();
    this.element.setPointerCapture(event.pointerId);
    this.pointerId = event.pointerId;
    this.app.room.cursor.set({ x: p.world.x, y: p.world.y });
    const pan = event.button === 1 || this.spaceHeld;
    // Presses that move the view are no clicks, whatever their rhythm.
    if (pan) this.lastTap.at = -Infinity;
    else if (this.doubleTap(p)) return;
    this.gesture = this.begin(p, pan);
    this.overlay.gesture = this.gesture;
    this.updateCursor();
    this.app.invalidate();
  }

  private begin(p: Pointer, pan: boolean): Gesture | undefined {
    const { app } = this;
    if (pan || app.tool === "hand") {
      this.onManualCamera();
      return panGesture(app, p);
    }
    // Whoever may not draw is told before the stroke, not after it.
    if (app.tool !== "select" && !app.mayWrite()) return undefined;
    switch (app.tool) {
      case "rect":
      case "ellipse":
      case "line":
      case "arrow":
        return shapeGesture(app, p, app.tool);
      case "draw":
        return strokeGesture(app, p);
      case "note":
      case "text":
        placeText(app, p.world, app.tool);
        return undefined;
      default:
        return this.beginSelect(p);
    }
  }

  private beginSelect(p: Pointer): Gesture {
    const { app } = this;
    const handle = this.overlay.handleAt(p.screen, p.touch);
    if (handle) {
      const line = handle.end === undefined ? undefined : app.scene.get([...app.selection.ids][0]!);
      if (line && handle.end !== undefined) return lineEndGesture(app, line, handle.end);
      return resizeGesture(app, p, handle);
    }
    const hit = hitTop(app.scene, p.world, this.slack(p));
    if (hit) {
      if (p.shift || p.toggle) app.selection.toggle(hit.id);
      else app.selection.set(app.selection.has(hit.id) ? app.selection.ids : [hit.id], "pointer");
      return moveGesture(app, p, hit.id);
    }
    if (insideSelection(app, p.world) && !p.shift) return moveGesture(app, p, undefined);
    return marqueeGesture(app, p);
  }

  /** A double click edits the text under it, or begins one where there is nothing. */
  private doubleTap(p: Pointer): boolean {
    const now = performance.now();
    const near = Math.hypot(p.screen.x - this.lastTap.p.x, p.screen.y - this.lastTap.p.y) < (p.touch ? 24 : 6);
    const double = near && now - this.lastTap.at < DOUBLE_CLICK_MS;
    this.lastTap = { at: double ? -Infinity : now, p: p.screen };
    if (!double || this.app.tool !== "select" || p.shift || p.toggle) return false;
    const hit = hitTop(this.app.scene, p.world, this.slack(p));
    if (hit && holdsText(hit.kind)) this.app.editor.open(hit.id, false);
    else if (!hit) placeText(this.app, p.world, "text");
    else return false;
    return true;
  }

  private move(event: PointerEvent): void {
    const p = this.pointer(event);
    if (p.touch && this.pinch.move(event.pointerId, p.screen)) return;
    this.app.room.cursor.set({ x: p.world.x, y: p.world.y });
    if (!this.gesture) return this.updateCursor(p);
    if (event.pointerId !== this.pointerId) return;
    this.gesture.move(p);
    this.app.invalidate();
  }

  private up(event: PointerEvent): void {
    this.pinch.up(event.pointerId);
    if (!this.gesture || event.pointerId !== this.pointerId) return;
    const p = this.pointer(event);
    const { gesture } = this;
    this.finish();
    gesture.end(p);
    this.updateCursor(p);
    this.app.invalidate();
  }

  private lost(event: PointerEvent): void {
    this.pinch.up(event.pointerId);
    if (event.pointerId === this.pointerId) this.cancel();
  }

  private finish(): void {
    this.gesture = undefined;
    this.overlay.gesture = undefined;
    this.pointerId = undefined;
    this.updateCursor();
    this.app.invalidate();
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const { camera } = this.app;
    // Browsers report wheels in pixels, lines or pages; a line is about 16 px.
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? camera.height : 1;
    if (event.ctrlKey || event.metaKey) {
      this.onManualCamera();
      const rect = this.element.getBoundingClientRect();
      // A touchpad's pinch arrives as a wheel with ctrl and small deltas; a mouse's notch is capped to the same pace.
      const delta = Math.max(-60, Math.min(60, event.deltaY * unit));
      camera.zoomAt({ x: event.clientX - rect.left, y: event.clientY - rect.top }, camera.zoom * Math.exp(-delta / 180));
      return;
    }
    if (this.scrollsText(event, event.deltaY * unit)) return;
    this.onManualCamera();
    if (event.shiftKey && event.deltaX === 0) camera.panBy(-event.deltaY * unit, 0);
    else camera.panBy(-event.deltaX * unit, -event.deltaY * unit);
  }

  /** Over a selected object with more words than it shows, the wheel moves those. */
  private scrollsText(event: WheelEvent, by: number): boolean {
    const rect = this.element.getBoundingClientRect();
    const { scene, selection, camera } = this.app;
    const hit = hitTop(scene, camera.toWorld({ x: event.clientX - rect.left, y: event.clientY - rect.top }), 0);
    if (!hit || !selection.has(hit.id) || !scene.hidesText(hit.id)) return false;
    this.scrolled += by;
    const step = 14 * LINE_HEIGHT * camera.zoom;
    const lines = Math.trunc(this.scrolled / step);
    this.scrolled -= lines * step;
    if (lines !== 0) scene.scrollText(hit.id, lines);
    return true;
  }
}
