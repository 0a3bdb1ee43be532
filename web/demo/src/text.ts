/** Text layout shared by the painter and the editor: the same font, line height and wrapping in both. */

import type { Item } from "./scene";
import { clamp } from "./geometry";

export const FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
export const LINE_HEIGHT = 1.3;
export const NOTE_PADDING = 16;

let context: CanvasRenderingContext2D | undefined;
/** Made on first use: the bots' worker loads this file too and has no document. */
const ruler = (): CanvasRenderingContext2D => (context ??= document.createElement("canvas").getContext("2d")!);

export const fontOf = (size: number): string => `${size}px ${FONT}`;

/** The box a text object needs: unwrapped, as many lines as it has newlines. */
export function measureText(text: string, size: number): { w: number; h: number } {
  const pen = ruler();
  pen.font = fontOf(size);
  const lines = text.split("\n");
  const widest = Math.max(...lines.map((line) => pen.measureText(line).width));
  return { w: Math.ceil(Math.max(widest, size * 0.5)) + 2, h: Math.ceil(lines.length * size * LINE_HEIGHT) };
}

/** Breaks at spaces, and inside a word only when the word alone is too wide. */
export function wrap(text: string, size: number, width: number): string[] {
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
      while (line.length > 1 && pen.measureText(line.trimEnd()).width > width) {
        const cut = fitting(line, width);
        out.push(line.slice(0, cut));
        line = line.slice(cut);
      }
    }
    out.push(line.trimEnd());
  }
  return out;
}

function fitting(line: string, width: number): number {
  let low = 1;
  let high = line.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ruler().measureText(line.slice(0, middle)).width <= width) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The largest of a few sizes at which a note's text fits; a long text is cut at the smallest. */
export function noteFontSize(text: string, w: number, h: number): number {
  const inner = w - 2 * NOTE_PADDING;
  const ceiling = clamp(Math.round(w / 8), 10, 64);
  for (let size = ceiling; size > 8; size = Math.floor(size * 0.88)) {
    if (wrap(text, size, inner).length * size * LINE_HEIGHT <= h - 2 * NOTE_PADDING) return size;
  }
  return 8;
}

export function layoutNote(item: Item): { lines: string[]; size: number } {
  const { text, w, h } = item.shape;
  const inner = w - 2 * NOTE_PADDING;
  const size = (item.fontSize ??= noteFontSize(text, w, h));
  const room = Math.max(1, Math.floor((h - NOTE_PADDING) / (size * LINE_HEIGHT)));
  item.lines ??= cutLines(wrap(text, size, inner), room, (line) => ruler().measureText(line).width <= inner);
  return { lines: item.lines, size };
}

/** The lines there is room for. Where some are left out the last one ends in an ellipsis, so that nobody takes it for all. */
export function cutLines(lines: string[], room: number, fits: (line: string) => boolean): string[] {
  if (lines.length <= room) return lines;
  const last = [...lines[room - 1]!];
  while (last.length > 0 && !fits(`${last.join("")}…`)) last.pop();
  return [...lines.slice(0, room - 1), `${last.join("").trimEnd()}…`];
}
