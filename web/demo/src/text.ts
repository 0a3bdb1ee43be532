/** Text layout shared by the painter and the editor: the same font, line height and wrapping in both. */

import type { Item } from "./scene";
import { clamp } from "./geometry";
import type { Box, Shape } from "./types";

export const FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
export const LINE_HEIGHT = 1.3;
export const NOTE_PADDING = 16;
/** A text that grows by itself begins a new line at this width. */
export const MAX_TEXT_WIDTH = 640;
/** Letters smaller than this nobody reads at a zoom of 100%: rather than shrink further, a text is scrolled. */
const LEAST_SIZE = 12;

let context: CanvasRenderingContext2D | undefined;
/** Made on first use: the bots' worker loads this file too and has no document. */
const ruler = (): CanvasRenderingContext2D => (context ??= document.createElement("canvas").getContext("2d")!);

export const fontOf = (size: number): string => `${size}px ${FONT}`;

/** Whether an object of this kind has room for words. */
export const holdsText = (kind: string): boolean => kind === "note" || kind === "text" || kind === "rect" || kind === "ellipse";

/** The box a text object needs. With a width of its own it keeps that. */
export function measureText(text: string, size: number, width?: number): { w: number; h: number } {
  const lines = wrap(text, size, width ?? MAX_TEXT_WIDTH);
  const widest = Math.max(...lines.map((line) => ruler().measureText(line).width));
  return { w: width ?? Math.ceil(Math.max(widest, size * 0.5)) + 2, h: Math.ceil(lines.length * size * LINE_HEIGHT) };
}

/** Breaks at spaces, and inside a word only when the word alone is too wide. No more than `most` lines are looked for. */
export function wrap(text: string, size: number, width: number, most = Infinity): string[] {
  const pen = ruler();
  pen.font = fontOf(size);
  const out: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(/(?<=\s)/)) {
      if (line && pen.measureText((line + word).trimEnd()).width > width) {
        out.push(line.trimEnd());
        line = "";
      }
      line += word;
      for (let cut = fitting(line, size, width); cut < line.trimEnd().length && out.length < most; cut = fitting(line, size, width)) {
        out.push(line.slice(0, cut));
        line = line.slice(cut);
      }
      if (out.length >= most) return out;
    }
    out.push(line.trimEnd());
    if (out.length >= most) return out;
  }
  return out;
}

/** How many letters of a line fit, at least one. Only about as much of it is measured as can fit. */
function fitting(line: string, size: number, width: number): number {
  const pen = ruler();
  let high = Math.min(line.length, 8 + Math.ceil((4 * Math.max(0, width)) / size));
  if (pen.measureText(line.slice(0, high).trimEnd()).width <= width) {
    if (high === line.length || pen.measureText(line.trimEnd()).width <= width) return line.length;
    high = line.length;
  }
  let low = 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(line.slice(0, middle)).width <= width) low = middle;
    else high = middle - 1;
  }
  // No letter of two halves is cut in two.
  const half = line.charCodeAt(low - 1);
  return half >= 0xd800 && half <= 0xdbff ? (low > 1 ? low - 1 : low + 1) : low;
}

/** Where an object's words go, in its own coordinates. */
export function textBox(shape: Shape): Box {
  const { w, h } = shape;
  if (shape.kind === "text") return { x: 1, y: 0, w: Math.max(1, w), h };
  if (shape.kind === "note") return { x: NOTE_PADDING, y: NOTE_PADDING, w: Math.max(1, w - 2 * NOTE_PADDING), h: Math.max(1, h - 2 * NOTE_PADDING) };
  // The largest rectangle in an ellipse has 0.707 of its sides.
  const [mx, my] = shape.kind === "ellipse" ? [w * 0.147, h * 0.147] : [8, 6];
  const by = shape.stroke / 2;
  return { x: mx + by, y: my + by, w: Math.max(1, w - 2 * (mx + by)), h: Math.max(1, h - 2 * (my + by)) };
}

/** The largest of a few sizes at which a text fits its box; a longer one is as large as the smallest, and scrolled. */
export function fittingSize(shape: Shape, text: string): number {
  if (shape.kind === "text") return shape.size;
  const { w, h } = textBox(shape);
  const ceiling = shape.kind === "note" ? clamp(Math.round(shape.w / 8), 10, 64) : shape.size;
  const least = Math.min(ceiling, LEAST_SIZE, Math.max(6, shape.w / 12));
  for (let size = ceiling; size > least; size = Math.floor(size * 0.88)) {
    const room = Math.floor(h / (size * LINE_HEIGHT));
    if (wrap(text, size, w, room + 1).length <= room) return size;
  }
  return least;
}

export interface Layout {
  readonly box: Box;
  readonly size: number;
  /** Those that are seen. */
  readonly lines: readonly string[];
  /** Of the first line, in the object's coordinates. */
  readonly top: number;
  readonly centred: boolean;
  /** Lines above those that are seen, and all there are. Equal to what is seen where nothing is hidden. */
  readonly from: number;
  readonly total: number;
}

/** An object's words as they are painted. Cached with the item, which is made anew whenever the object changes. */
export function layoutOf(item: Item): Layout {
  return (item.layout ??= layout(item));
}

function layout({ shape, scrolled = 0 }: Item): Layout {
  const box = textBox(shape);
  const size = fittingSize(shape, shape.text);
  const step = size * LINE_HEIGHT;
  // A text object made on a machine with other letters is a little wider there, and still no line of it is broken.
  const width = shape.kind !== "text" ? box.w : shape.wrap ? shape.w + 1 : Math.max(shape.w * 1.08 + 8, size * 2);
  const all = wrap(shape.text, size, width);
  if (shape.kind === "text") return { box, size, lines: all, top: 0, centred: false, from: 0, total: all.length };
  const centred = shape.kind !== "note";
  const room = Math.max(1, Math.floor((box.h + (shape.kind === "note" ? NOTE_PADDING / 2 : 1)) / step));
  const from = clamp(scrolled, 0, Math.max(0, all.length - room));
  const lines = cutLines(all.slice(from), room, (line) => ruler().measureText(line).width <= width);
  const top = centred ? box.y + Math.max(0, (box.h - lines.length * step) / 2) : box.y;
  return { box, size, lines, top, centred, from, total: all.length };
}

/** The lines there is room for. Where some are left out the last one ends in an ellipsis, so that nobody takes it for all. */
export function cutLines(lines: string[], room: number, fits: (line: string) => boolean): string[] {
  if (lines.length <= room) return lines;
  const last = [...lines[room - 1]!];
  while (last.length > 0 && !fits(`${last.join("")}…`)) last.pop();
  return [...lines.slice(0, room - 1), `${last.join("").trimEnd()}…`];
}
