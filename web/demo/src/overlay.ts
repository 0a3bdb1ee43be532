/** The layer above the scene: selection frames, handles, others' selections, the marquee. Small, so painted whole. */

import type { Camera } from "./camera";
import { boundsOf, grow } from "./geometry";
import type { Gesture, Handle } from "./gestures";
import type { Scene } from "./scene";
import type { Selection } from "./selection";
import { isLine, type Box, type Point } from "./types";

export interface Outline {
  ids: readonly string[];
  color: string;
  name: string;
}

const BOX_HANDLES: Handle[] = [
  { sx: -1, sy: -1 }, { sx: 1, sy: -1 }, { sx: 1, sy: 1 }, { sx: -1, sy: 1 },
  { sx: 0, sy: -1 }, { sx: 1, sy: 0 }, { sx: 0, sy: 1 }, { sx: -1, sy: 0 },
];
/** CSS pixels between an object and its frame. */
const GAP = 5;
/** Sides shorter than this on the screen have corner handles only. */
const MIN_SIDE = 56;

export class Overlay {
  outlines: readonly Outline[] = [];
  gesture: Gesture | undefined;
  accent = "#0d7d70";
  surface = "#ffffff";
  /** False while text is edited or a tool other than select is in hand. */
  showHandles = true;
  private readonly ctx: CanvasRenderingContext2D;
  private dpr = 1;
  /** What was painted last. */
  private painted: string | undefined;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly scene: Scene,
    private readonly camera: Camera,
    private readonly selection: Selection,
  ) {
    this.ctx = canvas.getContext("2d")!;
  }

  /** All that a picture of this layer depends on, as text. */
  private signature(): string {
    const { camera, selection, gesture } = this;
    const boxes = (ids: Iterable<string>): unknown[] => [...ids].map((id) => {
      const shape = this.scene.get(id);
      return shape && [shape.kind, shape.x, shape.y, shape.w, shape.h];
    });
    const marked = gesture?.holder === undefined ? [] : boxes([gesture.holder]);
    const outlines = this.outlines.map(({ ids, color, name }) => [color, name, boxes(ids)]);
    return JSON.stringify([camera.x, camera.y, camera.zoom, this.accent, this.surface, this.showHandles, gesture?.marquee, marked, outlines, boxes(selection.ids)]);
  }

  resize(): void {
    this.painted = undefined;
    this.dpr = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.camera.width * this.dpr);
    this.canvas.height = Math.round(this.camera.height * this.dpr);
  }

  frame(): void {
    const { ctx } = this;
    // While only cursors move, nothing here changes: a canvas of the whole window painted anew costs more than they do.
    const now = this.signature();
    if (now === this.painted) return;
    this.painted = now;
    ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    ctx.clearRect(0, 0, this.camera.width, this.camera.height);
    for (const outline of this.outlines) this.paintOutline(outline);
    this.paintSelection();
    this.paintHolder(this.gesture?.holder);
    const marquee = this.gesture?.marquee;
    if (marquee) this.paintMarquee(marquee);
  }

  /** What an arrow's end will be attached to. */
  private paintHolder(id: string | undefined): void {
    const shape = id === undefined ? undefined : this.scene.get(id);
    if (!shape) return;
    const { ctx } = this;
    const box = this.toScreen(boundsOf(shape), GAP);
    ctx.strokeStyle = this.accent;
    ctx.lineWidth = 3;
    ctx.globalAlpha = 0.6;
    ctx.beginPath();
    ctx.roundRect(box.x, box.y, box.w, box.h, 6);
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  private toScreen(box: Box, gap: number): Box {
    const { zoom } = this.camera;
    const at = this.camera.toScreen(box);
    return grow({ x: at.x, y: at.y, w: box.w * zoom, h: box.h * zoom }, gap);
  }

  private paintOutline(outline: Outline): void {
    const { ctx } = this;
    ctx.strokeStyle = outline.color;
    ctx.lineWidth = 1.5;
    let labelled = false;
    for (const id of outline.ids) {
      const shape = this.scene.get(id);
      if (!shape) continue;
      const box = this.toScreen(boundsOf(shape), GAP - 1);
      ctx.beginPath();
      ctx.roundRect(box.x, box.y, box.w, box.h, 3);
      ctx.stroke();
      if (!labelled) this.paintLabel(outline, box);
      labelled = true;
    }
  }

  private paintLabel(outline: Outline, box: Box): void {
    const { ctx } = this;
    ctx.font = "600 11px ui-sans-serif, system-ui, sans-serif";
    const w = ctx.measureText(outline.name).width + 12;
    ctx.fillStyle = outline.color;
    ctx.beginPath();
    ctx.roundRect(box.x - 0.75, box.y - 18, w, 16, 4);
    ctx.fill();
    ctx.fillStyle = "#fff";
    ctx.textBaseline = "middle";
    ctx.fillText(outline.name, box.x + 5.25, box.y - 9.5);
  }

  private paintSelection(): void {
    const { ctx, selection, scene } = this;
    if (selection.size === 0) return;
    ctx.strokeStyle = this.accent;
    ctx.lineWidth = 1.5;
    if (selection.size > 1) {
      ctx.globalAlpha = 0.55;
      for (const id of selection.ids) {
        const shape = scene.get(id);
        if (!shape) continue;
        const box = this.toScreen(boundsOf(shape), 2);
        ctx.strokeRect(box.x, box.y, box.w, box.h);
      }
      ctx.globalAlpha = 1;
    }
    const frame = this.frameBox();
    if (frame && !this.singleLine()) ctx.strokeRect(frame.x, frame.y, frame.w, frame.h);
    if (!this.showHandles) return;
    for (const { at } of this.handles()) this.paintHandle(at);
  }

  private paintHandle(at: Point): void {
    const { ctx } = this;
    ctx.fillStyle = this.surface;
    ctx.strokeStyle = this.accent;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.roundRect(at.x - 4.5, at.y - 4.5, 9, 9, 2.5);
    ctx.fill();
    ctx.stroke();
  }

  private paintMarquee(marquee: Box): void {
    const { ctx } = this;
    const box = this.toScreen(marquee, 0);
    ctx.fillStyle = this.accent;
    ctx.globalAlpha = 0.08;
    ctx.fillRect(box.x, box.y, box.w, box.h);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = this.accent;
    ctx.lineWidth = 1;
    ctx.strokeRect(box.x + 0.5, box.y + 0.5, box.w, box.h);
  }

  private singleLine(): ReturnType<Scene["get"]> {
    if (this.selection.size !== 1) return undefined;
    const shape = this.scene.get([...this.selection.ids][0]!);
    return shape && isLine(shape.kind) ? shape : undefined;
  }

  private frameBox(): Box | undefined {
    const box = this.scene.bounds(this.selection.ids);
    return box && this.toScreen(box, GAP);
  }

  private handles(): { handle: Handle; at: Point }[] {
    const line = this.singleLine();
    if (line) {
      return [
        { handle: { sx: 0, sy: 0, end: 0 }, at: this.camera.toScreen(line) },
        { handle: { sx: 0, sy: 0, end: 1 }, at: this.camera.toScreen({ x: line.x + line.w, y: line.y + line.h }) },
      ];
    }
    const frame = this.frameBox();
    if (!frame) return [];
    const texts = [...this.selection.ids].filter((id) => this.scene.get(id)?.kind === "text").length;
    const wanted = BOX_HANDLES.filter(({ sx, sy }) => {
      if (sx !== 0 && sy !== 0) return true;
      // A text alone is made narrower or wider by its sides: its lines break there.
      if (texts > 0) return sy === 0 && this.selection.size === 1;
      return (sx === 0 ? frame.w : frame.h) >= MIN_SIDE;
    });
    return wanted.map((handle) => ({
      handle,
      at: { x: frame.x + (frame.w * (handle.sx + 1)) / 2, y: frame.y + (frame.h * (handle.sy + 1)) / 2 },
    }));
  }

  /** The handle under a screen point; fingers get 22 px around it. */
  handleAt(p: Point, touch: boolean): Handle | undefined {
    if (!this.showHandles) return undefined;
    const reach = touch ? 22 : 10;
    let best: { handle: Handle; d: number } | undefined;
    for (const { handle, at } of this.handles()) {
      const d = Math.hypot(p.x - at.x, p.y - at.y);
      if (d <= reach && (!best || d < best.d)) best = { handle, d };
    }
    return best?.handle;
  }
}

export function cursorFor(handle: Handle): string {
  if (handle.end !== undefined) return "move";
  if (handle.sx === 0) return "ns-resize";
  if (handle.sy === 0) return "ew-resize";
  return handle.sx === handle.sy ? "nwse-resize" : "nesw-resize";
}
