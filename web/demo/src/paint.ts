/** Paints one item. Paths are cached in the item, in the object's own coordinates, so that a pan costs no geometry. */

import { extentOf } from "./geometry";
import { inkOf, readableOn } from "./palette";
import { pictures } from "./pictures";
import type { Item } from "./scene";
import { arrowHead } from "./arrows";
import { fontOf, holdsText, layoutOf, LINE_HEIGHT } from "./text";
import { isLine, type Shape } from "./types";

/** Text below this many device-independent pixels is a grey bar: unreadable anyway, and glyphs are dear. */
const READABLE_PX = 4;

export function paint(ctx: CanvasRenderingContext2D, item: Item, zoom: number, hideText: boolean): void {
  const { shape } = item;
  ctx.translate(shape.x, shape.y);
  if (shape.kind === "note") paintNote(ctx, shape);
  else if (shape.kind === "image") paintImage(ctx, shape, zoom);
  else if (shape.kind !== "text") paintPath(ctx, item);
  if (shape.text && !hideText && shape.kind !== "image") paintText(ctx, item, zoom);
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

/** The picture, or its frame while it is on its way; along its lower edge how much of it is uploaded. */
function paintImage(ctx: CanvasRenderingContext2D, shape: Shape, zoom: number): void {
  const { w, h, src } = shape;
  const picture = pictures.get(src);
  const { line, tint } = inkOf("ink");
  if (picture) ctx.drawImage(picture, 0, 0, w, h);
  else {
    ctx.fillStyle = tint;
    ctx.fillRect(0, 0, w, h);
    ctx.strokeStyle = line;
    ctx.lineWidth = 1 / zoom;
    ctx.strokeRect(0, 0, w, h);
  }
  const progress = pictures.progress(src);
  if (progress === undefined) return;
  const height = Math.min(h, 6 / zoom);
  ctx.fillStyle = "rgba(255, 255, 255, 0.7)";
  ctx.fillRect(0, h - height, w, height);
  ctx.fillStyle = line;
  ctx.fillRect(0, h - height, w * progress, height);
}

function paintNote(ctx: CanvasRenderingContext2D, shape: Shape): void {
  // Two flat rectangles stand in for a blurred shadow, which costs ten times as much to paint.
  ctx.fillStyle = "rgba(20, 18, 12, 0.05)";
  roundRect(ctx, -1, 1, shape.w + 2, shape.h + 5, 5);
  ctx.fillStyle = "rgba(20, 18, 12, 0.10)";
  roundRect(ctx, 0, 1, shape.w, shape.h + 1.5, 4);
  ctx.fillStyle = inkOf(shape.color).paper;
  roundRect(ctx, 0, 0, shape.w, shape.h, 4);
}

/** What an object's words are written in: on paper and fillings what can be read there. */
export function textColor(shape: Shape): string {
  const ink = inkOf(shape.color);
  if (shape.kind === "note") return ink.onPaper;
  return shape.fill === "solid" && shape.kind !== "text" ? readableOn(ink.line) : ink.line;
}

function paintText(ctx: CanvasRenderingContext2D, item: Item, zoom: number): void {
  const { shape } = item;
  if (!holdsText(shape.kind)) return;
  const { box, lines, size, top, centred, from, total } = layoutOf(item);
  const step = size * LINE_HEIGHT;
  ctx.fillStyle = textColor(shape);
  if (size * zoom < READABLE_PX) return paintBars(ctx, lines.length, step, box.x, top, box.w);
  ctx.font = fontOf(size);
  ctx.textBaseline = "alphabetic";
  ctx.textAlign = centred ? "center" : "left";
  const x = centred ? box.x + box.w / 2 : box.x;
  lines.forEach((line, i) => ctx.fillText(line, x, top + i * step + size));
  ctx.textAlign = "left";
  if (total > lines.length) paintThumb(ctx, item, from / total, lines.length / total);
}

/** Where in a long text one is. */
function paintThumb(ctx: CanvasRenderingContext2D, { shape }: Item, from: number, share: number): void {
  const height = shape.h - 12;
  ctx.globalAlpha = 0.4;
  roundRect(ctx, shape.w - 7, 6 + from * height, 3, Math.max(8, share * height), 1.5);
  ctx.globalAlpha = 1;
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
  if (isLine(shape.kind)) {
    path.moveTo(0, 0);
    path.lineTo(w, h);
    const head = shape.kind === "arrow" ? arrowHead(shape) : [];
    head.forEach(({ x, y }, i) => (i === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
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
