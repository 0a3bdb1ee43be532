/** A drawing as an SVG file. Everything of other people's making is escaped, and colours are the page's own or hex. */

import { arrowHead } from "./arrows";
import { extentOf, round1 } from "./geometry";
import { inkOf } from "./palette";
import { textColor } from "./paint";
import type { Item } from "./scene";
import { FONT, holdsText, layoutOf, LINE_HEIGHT } from "./text";
import { isLine, type Box, type Shape } from "./types";

/** What XML has no letter for, halves of letters included, is left out. */
const UNWRITABLE = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

export const escaped = (text: string): string =>
  text.replace(UNWRITABLE, "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const n = (value: number): string => String(round1(value));

type Attributes = Record<string, string | number>;

const tag = (name: string, attributes: Attributes, inner?: string): string => {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(typeof value === "number" ? n(value) : value)}"`).join("");
  return inner === undefined ? `<${name}${list}/>` : `<${name}${list}>${inner}</${name}>`;
};

/** `pictures`: by their assets, the addresses of what images show. What has none is left out. */
export function svgOf(items: readonly Item[], box: Box, background: string, pictures: ReadonlyMap<string, string> = new Map()): string {
  const size = { width: Math.ceil(box.w), height: Math.ceil(box.h), viewBox: [box.x, box.y, box.w, box.h].map(n).join(" ") };
  const paper = tag("rect", { x: box.x, y: box.y, width: box.w, height: box.h, fill: background });
  const drawn = items.map((item) => {
    const { x, y } = item.shape;
    return tag("g", { transform: `translate(${n(x)} ${n(y)})` }, figure(item.shape, pictures) + words(item));
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n${tag("svg", { xmlns: "http://www.w3.org/2000/svg", ...size }, `\n${paper}\n${drawn.join("\n")}\n`)}\n`;
}

function figure(shape: Shape, pictures: ReadonlyMap<string, string>): string {
  const { kind, w, h, stroke } = shape;
  const ink = inkOf(shape.color);
  const line = { stroke: ink.line, "stroke-width": stroke, "stroke-linecap": "round", "stroke-linejoin": "round" };
  const closed = { ...line, fill: shape.fill === "none" ? "none" : shape.fill === "solid" ? ink.line : ink.tint };
  if (kind === "image") {
    const href = pictures.get(shape.src);
    return href === undefined ? "" : tag("image", { width: w, height: h, preserveAspectRatio: "none", href });
  }
  if (kind === "rect") return tag("rect", { width: w, height: h, rx: Math.min(8, w / 4, h / 4), ...closed });
  if (kind === "ellipse") return tag("ellipse", { cx: w / 2, cy: h / 2, rx: w / 2, ry: h / 2, ...closed });
  if (kind === "note") return tag("rect", { width: w, height: h, rx: 4, fill: ink.paper });
  if (kind === "draw") return tag("path", { d: strokePath(shape), fill: "none", ...line });
  if (!isLine(kind)) return "";
  const head = kind === "arrow" ? arrowHead(shape).map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${n(x)} ${n(y)}`).join("") : "";
  return tag("path", { d: `M0 0L${n(w)} ${n(h)}${head}`, fill: "none", ...line });
}

/** The same curves as on the screen: through the midpoints. */
function strokePath(shape: Shape): string {
  const { points } = shape;
  const extent = extentOf(points);
  const [sx, sy] = [extent.w > 0 ? shape.w / extent.w : 1, extent.h > 0 ? shape.h / extent.h : 1];
  const at = (i: number): [number, number] => [(points[2 * i] ?? 0) * sx, (points[2 * i + 1] ?? 0) * sy];
  const count = points.length >> 1;
  const say = (...values: number[]): string => values.map(n).join(" ");
  let d = `M${say(...at(0))}`;
  if (count < 2) return `${d}l0.1 0`;
  for (let i = 1; i < count - 1; i++) {
    const [[x, y], [nx, ny]] = [at(i), at(i + 1)];
    d += `Q${say(x, y, (x + nx) / 2, (y + ny) / 2)}`;
  }
  return `${d}L${say(...at(count - 1))}`;
}

function words(item: Item): string {
  const { shape } = item;
  if (!shape.text || !holdsText(shape.kind)) return "";
  const { box, lines, size, top, centred } = layoutOf(item);
  const x = centred ? box.x + box.w / 2 : box.x;
  const spans = lines.map((line, i) => tag("tspan", { x, y: top + i * size * LINE_HEIGHT + size }, escaped(line)));
  const style: Attributes = { "font-family": FONT, "font-size": size, fill: textColor(shape), "xml:space": "preserve" };
  return tag("text", centred ? { ...style, "text-anchor": "middle" } : style, spans.join(""));
}
