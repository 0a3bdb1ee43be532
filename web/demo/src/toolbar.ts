/** The tool bar, and the style bar above it for the selection or the next object. */

import type { App } from "./app";
import { byId, el, icon } from "./dom";
import { deleteSelection, duplicate, reorder, restyle } from "./edit";
import { COLORS, inkOf } from "./palette";
import type { Fill, ToolName } from "./types";

export const TOOLS: { name: ToolName; label: string; key: string }[] = [
  { name: "select", label: "Select", key: "V" },
  { name: "hand", label: "Hand: move the view", key: "H" },
  { name: "rect", label: "Rectangle", key: "R" },
  { name: "ellipse", label: "Ellipse", key: "O" },
  { name: "line", label: "Line", key: "L" },
  { name: "arrow", label: "Arrow: stays attached", key: "A" },
  { name: "draw", label: "Pencil", key: "P" },
  { name: "note", label: "Sticky note", key: "N" },
  { name: "text", label: "Text", key: "T" },
];

const FILLS: { value: Fill; label: string }[] = [
  { value: "none", label: "No fill" }, { value: "tint", label: "Light fill" }, { value: "solid", label: "Solid fill" },
];
const STROKES = [
  { value: 2, label: "Thin" }, { value: 4, label: "Medium" }, { value: 8, label: "Thick" },
];

export function buildToolbar(app: App): void {
  const bar = byId("toolbar");
  for (const { name, label, key } of TOOLS) {
    bar.append(el("button", {
      class: "tool",
      title: `${label} (${key})`,
      testid: `tool-${name}`,
      attrs: { "data-tool": name, "aria-label": label, "aria-keyshortcuts": key, "aria-pressed": "false" },
      onclick: () => app.setTool(name),
    }, icon(name)));
  }
  arrowKeys(bar);
}

/** Left and right go along a tool bar, as its role promises; Tab works as well. */
function arrowKeys(bar: HTMLElement): void {
  bar.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const buttons = [...bar.querySelectorAll<HTMLElement>("button")].filter((button) => button.offsetParent !== null);
    const at = buttons.indexOf(event.target as HTMLElement);
    if (step === 0 || at < 0) return;
    event.preventDefault();
    buttons[(at + step + buttons.length) % buttons.length]?.focus();
  });
}

export function showTool(tool: ToolName): void {
  for (const button of byId("toolbar").querySelectorAll<HTMLElement>("[data-tool]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  }
}

export class StyleBar {
  private readonly bar = byId("stylebar");
  private readonly swatches: HTMLButtonElement[];
  private readonly fills: HTMLButtonElement[];
  private readonly strokes: HTMLButtonElement[];

  constructor(private readonly app: App) {
    this.swatches = COLORS.map((color) => this.choice("swatch", color, color, () => restyle(app, { color })));
    this.fills = FILLS.map(({ value, label }) => this.choice("fill", value, label, () => restyle(app, { fill: value }), icon(`fill-${value}`)));
    this.strokes = STROKES.map(({ value, label }) =>
      this.choice("stroke", String(value), label, () => restyle(app, { stroke: value }), el("span", { class: "weight" })));
    byId("style-colors").append(...this.swatches);
    byId("style-fills").append(...this.fills);
    byId("style-strokes").append(...this.strokes);
    byId("style-actions").append(
      this.action("front", "Bring to front (])", () => reorder(app, "front")),
      this.action("back", "Send to back ([)", () => reorder(app, "back")),
      this.action("copy", "Duplicate (Ctrl+D)", () => duplicate(app)),
      this.action("trash", "Delete (Del)", () => deleteSelection(app)),
    );
    this.recolor();
    arrowKeys(this.bar);
  }

  /** Swatches show colours as the theme paints them. */
  recolor(): void {
    for (const swatch of this.swatches) swatch.style.setProperty("--swatch", inkOf(swatch.dataset.value!).line);
  }

  update(): void {
    const { app } = this;
    const shapes = [...app.selection.ids].map((id) => app.scene.get(id)).filter((shape) => shape !== undefined);
    const kinds = new Set<string>(shapes.length > 0 ? shapes.map((shape) => shape.kind) : [app.tool]);
    const drawing = app.tool !== "select" && app.tool !== "hand";
    this.bar.hidden = shapes.length === 0 && !drawing;
    const any = (...names: string[]): boolean => names.some((name) => kinds.has(name));
    byId("style-colors").hidden = kinds.size === 1 && any("image");
    byId("style-fills").hidden = !any("rect", "ellipse");
    byId("style-strokes").hidden = !any("rect", "ellipse", "line", "arrow", "draw");
    byId("style-actions").hidden = shapes.length === 0;
    const first = shapes[0];
    this.press(this.swatches, first ? first.color : app.style.color);
    this.press(this.fills, first ? first.fill : app.style.fill);
    this.press(this.strokes, String(first ? first.stroke : app.style.stroke));
  }

  private press(buttons: HTMLButtonElement[], value: string): void {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.value === value));
  }

  private choice(group: string, value: string, label: string, run: () => void, child?: Node): HTMLButtonElement {
    return el("button", {
      class: `choice ${group}`,
      title: label[0]!.toUpperCase() + label.slice(1),
      testid: `${group}-${value}`,
      attrs: { "data-value": value, "aria-label": label, "aria-pressed": "false" },
      onclick: () => {
        run();
        this.update();
      },
    }, child);
  }

  private action(name: string, label: string, run: () => void): HTMLButtonElement {
    return el("button", { class: "choice", title: label, testid: `action-${name}`, attrs: { "aria-label": label }, onclick: run }, icon(name));
  }
}
