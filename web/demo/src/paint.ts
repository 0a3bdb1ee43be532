/** Paints one item. Paths are cached in the item, in the object's own coordinates, so that a pan costs no geometry. */

import { extentOf } from "./geometry";
import { inkOf } from "./palette";
import type { Item } from "./scene";
import { fontOf, layoutNote, LINE_HEIGHT, NOTE_PADDING } from "./text";
import type { Shape } from "./types";

/** Text below this many device-independent pixels is a grey bar: unreadable anyway, and glyphs are dear. */
const READABLE_PX = 4;

export function paint(ctx: CanvasRenderingContext2D, item: Item, zoom: number, hideText: boolean): void {
  const { shape } = item;
  ctx.translate(shape.x, shape.y);
  if (shape.kind === "note") paintNote(ctx, item, zoom, hideText);
  else if (shape.kind === "text") {
    if (!hideText) paintText(ctx, item, zoom);
  } else paintPath(ctx, item);
  ctx.translate(-shape.x, -shape.y);
}

function paintPath(ctx: CanvasRenderingContext2D, item: Item): void {
  const { shape } = item;
  const path = (item.path ??= pathOf(shape));
  const ink = inkOf(shape.color);
  const closed = shape.kind === "rect" || shape.kind === "ellipse";
  if (closed && shape.fill !== "none") {
    ctx.fillStyle = shape.fill === "solid" ? ink.line : ink.tint;
    ctx.fill(path);
  }
  ctx.strokeStyle = ink.line;
  ctx.lineWidth = shape.stroke;
  ctx.lineJoin = "round";
  ctx.lineCap = "round";
  ctx.stroke(path);
}

function paintNote(ctx: CanvasRenderingContext2D, item: Item, zoom: number, hideText: boolean): void {
  const { shape } = item;
  const ink = inkOf(shape.color);
  // Two flat rectangles stand in for a blurred shadow, which costs ten times as much to paint.
  ctx.fillStyle = "rgba(20, 18, 12, 0.05)";
  roundRect(ctx, -1, 1, shape.w + 2, shape.h + 5, 5);
  ctx.fillStyle = "rgba(20, 18, 12, 0.10)";
  roundRect(ctx, 0, 1, shape.w, shape.h + 1.5, 4);
  ctx.fillStyle = ink.paper;
  roundRect(ctx, 0, 0, shape.w, shape.h, 4);
  if (hideText || !shape.text) return;
  const { lines, size } = layoutNote(item);
  const step = size * LINE_HEIGHT;
  ctx.fillStyle = ink.onPaper;
  const top = NOTE_PADDING;
  if (size * zoom < READABLE_PX) return paintBars(ctx, lines.length, step, NOTE_PADDING, top, shape.w - 2 * NOTE_PADDING);
  ctx.font = fontOf(size);
  ctx.textBaseline = "alphabetic";
  lines.forEach((line, i) => ctx.fillText(line, NOTE_PADDING, top + i * step + size));
}

function paintText(ctx: CanvasRenderingContext2D, item: Item, zoom: number): void {
  const { shape } = item;
  const lines = (item.lines ??= shape.text.split("\n"));
  const step = shape.size * LINE_HEIGHT;
  ctx.fillStyle = inkOf(shape.color).line;
  if (shape.size * zoom < READABLE_PX) return paintBars(ctx, lines.length, step, 0, 0, shape.w);
  ctx.font = fontOf(shape.size);
  ctx.textBaseline = "alphabetic";
  lines.forEach((line, i) => ctx.fillText(line, 1, i * step + shape.size * 1.02));
}

function paintBars(ctx: CanvasRenderingContext2D, n: number, step: number, x: number, y: number, w: number): void {
  ctx.globalAlpha = 0.35;
  for (let i = 0; i < n; i++) ctx.fillRect(x, y + i * step + step * 0.35, w, step * 0.35);
  ctx.globalAlpha = 1;
}

function roundRect(ctx: CanvasRenderingContext2D, x: number, y: number, w: number, h: number, r: number): void {
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, Math.min(r, w / 2, h / 2));
  ctx.fill();
}

function pathOf(shape: Shape): Path2D {
  const path = new Path2D();
  const { w, h } = shape;
  if (shape.kind === "line") {
    path.moveTo(0, 0);
    path.lineTo(w, h);
  } else if (shape.kind === "ellipse") path.ellipse(w / 2, h / 2, w / 2, h / 2, 0, 0, 2 * Math.PI);
  else if (shape.kind === "draw") tracePoints(path, shape);
  else path.roundRect(0, 0, w, h, Math.min(8, w / 4, h / 4));
  return path;
}

/** Quadratic curves through the midpoints: smooth without sending more points than the hand needs. */
function tracePoints(path: Path2D, shape: Shape): void {
  const { points } = shape;
  const extent = extentOf(points);
  const sx = extent.w > 0 ? shape.w / extent.w : 1;
  const sy = extent.h > 0 ? shape.h / extent.h : 1;
  const x = (i: number): number => (points[2 * i] ?? 0) * sx;
  const y = (i: number): number => (points[2 * i + 1] ?? 0) * sy;
  const count = points.length >> 1;
  path.moveTo(x(0), y(0));
  // A tap is a dot: a line of no length with round caps.
  if (count < 2) path.lineTo(x(0) + 0.01, y(0));
  for (let i = 1; i < count - 1; i++) {
    path.quadraticCurveTo(x(i), y(i), (x(i) + x(i + 1)) / 2, (y(i) + y(i + 1)) / 2);
  }
  if (count >= 2) path.lineTo(x(count - 1), y(count - 1));
}
