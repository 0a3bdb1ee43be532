/**
 * The scene layer: one canvas that keeps its bitmap and repaints only what changed.
 *
 * Measured in headless Chromium without a GPU, 1280×800, 2,000 mixed objects, all in view (frame p50 / p95, ms):
 *   canvas, one object moving, dirty boxes only   16.7 / 16.7   (script 0.1)
 *   canvas, pan by shifting the bitmap            16.7 / 16.7   (script 0.3)
 *   canvas, every object painted anew (zoom)      33   / 33     (script 2 to 4)
 *   SVG, one object moving                        16.7 / 16.7
 *   SVG, pan or zoom of the whole group           33   / 50
 *   canvas, zoom by stretching the last bitmap    16.7 / 16.7   (script 0.1)
 *   50 cursors as DOM layers                      16.7 / 16.7   (script 0.06)
 *   50 cursors painted on a canvas                16.7 / 16.7   (script 0.3)
 * So the scene is a canvas (pan is what people do most, and SVG repaints all of it), and cursors are DOM elements moved
 * by transforms: cheaper, sharp, and the compositor's work. A zoom of a full scene stretches the last sharp bitmap while it
 * lasts and paints anew four times a second and at the end.
 */

import type { Camera } from "./camera";
import { grow, intersects, union } from "./geometry";
import { paint } from "./paint";
import type { Scene } from "./scene";
import type { Box } from "./types";

/** More separate boxes than this are painted as one: each box costs a pass over all objects. */
const MAX_BOXES = 12;
/** Scenes smaller than this are painted sharp on every frame of a zoom. */
const HEAVY = 600;
/** During a zoom of a heavy scene a sharp picture comes this often, */
const SHARP_EVERY_MS = 250;
/** and this long after its last step. */
const SHARP_AFTER_MS = 120;

interface View {
  x: number;
  y: number;
  zoom: number;
}

export class Renderer {
  /** The object whose text is being edited: the editor shows it instead. */
  editing: string | undefined;
  private readonly ctx: CanvasRenderingContext2D;
  private dpr = 1;
  private painted: View | undefined;
  private sharpAt = 0;
  /** The last sharp bitmap and what it shows, while a stretched one is on the screen. */
  private stretched: View | undefined;
  private readonly copy = document.createElement("canvas");
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly scene: Scene,
    private readonly camera: Camera,
    private readonly invalidate: () => void,
  ) {
    this.ctx = canvas.getContext("2d")!;
  }

  resize(): void {
    // Above 2 the eye sees no difference and the bitmap grows with the square.
    this.dpr = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(this.camera.width * this.dpr);
    this.canvas.height = Math.round(this.camera.height * this.dpr);
    this.painted = this.stretched = undefined;
  }

  repaintAll(): void {
    this.painted = this.stretched = undefined;
  }

  frame(now: number): void {
    const { scene, camera, canvas } = this;
    const dirty = scene.takeDirty();
    const scale = camera.zoom * this.dpr;
    // Painting from whole device pixels lets a pan shift the bitmap without blurring it.
    const at = { x: Math.round(camera.x * scale) / scale, y: Math.round(camera.y * scale) / scale, zoom: camera.zoom };
    const before = this.painted;
    this.painted = at;
    if (before && (this.stretched || before.zoom !== at.zoom) && scene.size > HEAVY && now - this.sharpAt < SHARP_EVERY_MS) {
      return this.stretch(before, at);
    }
    if (!before || this.stretched || before.zoom !== at.zoom) return this.paintSharp(at, now);
    const dx = Math.round((before.x - at.x) * scale);
    const dy = Math.round((before.y - at.y) * scale);
    if (Math.abs(dx) >= canvas.width || Math.abs(dy) >= canvas.height) return this.paintBox(at, this.viewOf(at));
    if (dx !== 0 || dy !== 0) this.shift(at, dx, dy);
    for (const box of merged(dirty, this.viewOf(at))) this.paintBox(at, box);
  }

  private viewOf(at: View): Box {
    const scale = at.zoom * this.dpr;
    return { x: at.x, y: at.y, w: this.canvas.width / scale, h: this.canvas.height / scale };
  }

  private paintSharp(at: View, now: number): void {
    clearTimeout(this.timer);
    this.stretched = undefined;
    this.sharpAt = now;
    this.paintBox(at, this.viewOf(at));
  }

  private stretch(before: View, at: View): void {
    const { ctx, canvas, copy } = this;
    if (!this.stretched) {
      this.stretched = before;
      copy.width = canvas.width;
      copy.height = canvas.height;
      copy.getContext("2d")!.drawImage(canvas, 0, 0);
    }
    const scale = at.zoom * this.dpr;
    const factor = at.zoom / this.stretched.zoom;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    const [x, y] = [(this.stretched.x - at.x) * scale, (this.stretched.y - at.y) * scale];
    ctx.drawImage(copy, x, y, canvas.width * factor, canvas.height * factor);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.sharpAt = 0;
      this.invalidate();
    }, SHARP_AFTER_MS);
  }

  /** Moves the bitmap by whole device pixels and paints the strips that came into view. */
  private shift(at: View, dx: number, dy: number): void {
    const { ctx, canvas } = this;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.globalCompositeOperation = "copy";
    ctx.drawImage(canvas, dx, dy);
    ctx.globalCompositeOperation = "source-over";
    const view = this.viewOf(at);
    const scale = at.zoom * this.dpr;
    const w = Math.abs(dx) / scale;
    const h = Math.abs(dy) / scale;
    if (dx !== 0) this.paintBox(at, { ...view, x: dx > 0 ? view.x : view.x + view.w - w, w });
    if (dy !== 0) this.paintBox(at, { ...view, y: dy > 0 ? view.y : view.y + view.h - h, h });
  }

  private paintBox(at: View, box: Box): void {
    const { ctx } = this;
    const scale = at.zoom * this.dpr;
    // The clip is widened to whole pixels: half-covered edges would leave seams.
    const left = Math.floor((box.x - at.x) * scale);
    const top = Math.floor((box.y - at.y) * scale);
    const right = Math.ceil((box.x + box.w - at.x) * scale);
    const bottom = Math.ceil((box.y + box.h - at.y) * scale);
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, right - left, bottom - top);
    ctx.clip();
    ctx.clearRect(left, top, right - left, bottom - top);
    ctx.setTransform(scale, 0, 0, scale, -at.x * scale, -at.y * scale);
    const reach = grow(box, 1 / scale);
    for (const item of this.scene.order()) {
      if (intersects(item.painted, reach)) paint(ctx, item, at.zoom, item.shape.id === this.editing);
    }
    ctx.restore();
  }
}

/** Visible dirty boxes, overlapping ones joined. */
function merged(boxes: Box[], view: Box): Box[] {
  const out: Box[] = [];
  for (const box of boxes) {
    if (!intersects(box, view)) continue;
    const near = out.findIndex((other) => intersects(other, box));
    if (near >= 0) out[near] = union(out[near]!, box);
    else out.push(box);
    if (out.length > MAX_BOXES) out.splice(0, out.length, out.reduce(union));
  }
  return out;
}
