/** Lines over time, as small as they can be: one SVG, read with the pointer or with the arrow keys. */

import { el, svg } from "./dom";
import { clock } from "./format";

export interface Series {
  name: string;
  values: readonly (number | null)[];
}

export interface Drawing {
  at: readonly number[];
  series: readonly Series[];
  format: (n: number) => string;
  /** Of bytes: the axis ends at a round number of KiB, MiB. */
  binary?: boolean;
}

const [WIDTH, HEIGHT] = [600, 150];
const [LEFT, RIGHT, TOP, BOTTOM] = [4, 4, 8, 4];

export class Chart {
  readonly element: HTMLElement;
  private readonly plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  private readonly readout = el("p", { class: "readout" });
  private readonly top = el("span", { class: "axis axis-top" });
  private readonly from = el("span");
  private readonly to = el("span");
  private readonly box: HTMLElement;
  private drawing: Drawing | undefined;
  /** The point that is read; the last one unless somebody points elsewhere. */
  private at: number | undefined;

  constructor(title: string, testid: string) {
    const cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.plot.append(cursor);
    this.box = el("div", { class: "plot", attrs: { tabindex: "0", role: "slider", "aria-label": title, "aria-valuemin": "0", "aria-orientation": "horizontal" } }, this.plot, this.top);
    this.element = el("figure", { class: "card chart", testid }, el("figcaption", {}, el("h3", {}, title), this.readout), this.box,
      el("div", { class: "axis-x", attrs: { "aria-hidden": "true" } }, this.from, this.to));
    this.box.addEventListener("pointermove", (event) => {
      const { left, width } = this.box.getBoundingClientRect();
      this.read(Math.round(((event.clientX - left) / width) * (this.count - 1)));
    });
    for (const end of ["pointerleave", "blur"]) this.box.addEventListener(end, () => this.read(undefined));
    this.box.addEventListener("keydown", (event) => {
      const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
      const step = steps[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.read((this.at ?? this.count - 1) + step);
    });
  }

  private get count(): number {
    return this.drawing?.at.length ?? 0;
  }

  draw(drawing: Drawing): void {
    this.drawing = drawing;
    const highest = Math.max(0, ...drawing.series.flatMap(({ values }) => values.map((n) => n ?? 0)));
    const most = drawing.binary ? niceBinary(highest) : niceAbove(highest);
    const paths = drawing.series.flatMap(({ values }, i) => line(values, most, i));
    const grid = [0.5, 1].map((part) => svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(most * part, most), y2: y(most * part, most) }));
    const cursor = this.plot.querySelector(".cursor")!;
    this.plot.replaceChildren(...grid, ...paths, cursor);
    this.top.textContent = drawing.format(most);
    const days = (drawing.at.at(-1) ?? 0) - (drawing.at[0] ?? 0) > 12 * 3_600_000;
    this.from.textContent = clock(drawing.at[0] ?? 0, false) + (days ? " yesterday" : "");
    this.to.textContent = "now";
    this.box.setAttribute("aria-valuemax", String(this.count - 1));
    this.read(this.at);
  }

  private read(wanted: number | undefined): void {
    const { drawing, count } = this;
    if (!drawing || count === 0) return;
    const at = wanted === undefined ? undefined : Math.min(count - 1, Math.max(0, wanted));
    this.at = at;
    const point = at ?? count - 1;
    const parts = drawing.series.map(({ name, values }) => ({ name, value: format(values[point], drawing.format) }));
    this.readout.replaceChildren(...parts.map(({ name, value }, i) => el("span", { class: `key key-${i}` }, `${name} `, el("b", {}, value))),
      ...(at === undefined ? [] : [el("span", { class: "when" }, clock(drawing.at[point] ?? 0))]));
    this.box.setAttribute("aria-valuenow", String(point));
    this.box.setAttribute("aria-valuetext", `${clock(drawing.at[point] ?? 0)}: ${parts.map(({ name, value }) => `${name} ${value}`).join(", ")}`);
    const cursor = this.plot.querySelector(".cursor")!;
    cursor.setAttribute("visibility", at === undefined ? "hidden" : "visible");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, String(x(point, count)));
  }
}

const format = (n: number | null | undefined, how: (n: number) => string): string => (n === null || n === undefined ? "–" : how(n));

const x = (i: number, count: number): number => LEFT + (i / Math.max(1, count - 1)) * (WIDTH - LEFT - RIGHT);
const y = (n: number, most: number): number => HEIGHT - BOTTOM - (n / most) * (HEIGHT - TOP - BOTTOM);
const round = (n: number): number => Math.round(n * 10) / 10;

/** The next of 1, 2, 5, 10, 20, … */
function niceAbove(n: number): number {
  if (n <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return power * ([1, 2, 5, 10].find((step) => step * power >= n) ?? 10);
}

/** The same of whatever 1024 makes. */
function niceBinary(n: number): number {
  const unit = n < 1024 ? 1 : 1024 ** Math.floor(Math.log2(n) / 10);
  return niceAbove(n / unit) * unit;
}

/** A line with holes where nothing is known; the first of a chart has an area below it. */
function line(values: readonly (number | null)[], most: number, i: number): Node[] {
  const runs: [number, number][][] = [];
  let run: [number, number][] | undefined;
  values.forEach((n, at) => {
    if (n === null) run = undefined;
    else {
      if (!run) runs.push((run = []));
      run.push([round(x(at, values.length)), round(y(n, most))]);
    }
  });
  const paths = runs.map((points) => `M${points.map(([px, py]) => `${px} ${py}`).join("L")}${points.length === 1 ? "h1" : ""}`);
  const area = i > 0 ? [] : runs.map((points) => `M${points[0]![0]} ${HEIGHT - BOTTOM}L${points.map(([px, py]) => `${px} ${py}`).join("L")}L${points.at(-1)![0]} ${HEIGHT - BOTTOM}Z`);
  return [
    ...(area.length > 0 ? [svg("path", { class: "area", d: area.join("") })] : []),
    svg("path", { class: `line line-${i}`, d: paths.join("") || "M0 0" }),
  ];
}
