/** Keys. One table serves the keyboard and the help overlay, so that the help cannot lie. */

import type { App } from "./app";
import { byId, el } from "./dom";
import { copySelection, deleteSelection, duplicate, nudge, paste, reorder, selectNeighbour } from "./edit";
import { placeText, shapeGesture, type Pointer } from "./gestures";
import { TOOLS } from "./toolbar";

export interface PageActions {
  undo(): void;
  redo(): void;
  zoomTo(zoom: number): void;
  fitAll(): void;
  toggleChat(): void;
  toggleDrawer(): void;
  toggleTheme(): void;
  help(): void;
  escape(): void;
}

interface Shortcut {
  group: "Tools" | "Edit" | "View" | "Page";
  label: string;
  /** How the help writes it. */
  keys: string[];
  match(event: KeyboardEvent, mod: boolean): boolean;
  run(event: KeyboardEvent): void;
}

const isMac = typeof navigator !== "undefined" && /Mac|iP/.test(navigator.platform);
const MOD = isMac ? "⌘" : "Ctrl";

const plain = (key: string) => (event: KeyboardEvent, mod: boolean): boolean => !mod && !event.altKey && event.key.toLowerCase() === key;
const withMod = (key: string, shift = false) => (event: KeyboardEvent, mod: boolean): boolean =>
  mod && event.shiftKey === shift && event.key.toLowerCase() === key;

function shortcutsOf(app: App, page: PageActions): Shortcut[] {
  const { camera } = app;
  const arrow = (event: KeyboardEvent, mod: boolean): boolean => !mod && event.key.startsWith("Arrow");
  return [
    ...TOOLS.map(({ name, label, key }): Shortcut => ({
      group: "Tools", label, keys: [key], match: plain(key.toLowerCase()), run: () => app.setTool(name),
    })),
    { group: "Tools", label: "Insert in the middle, or edit text", keys: ["Enter"], match: plain("enter"), run: () => insertOrEdit(app) },
    { group: "Edit", label: "Undo", keys: [MOD, "Z"], match: withMod("z"), run: page.undo },
    { group: "Edit", label: "Redo", keys: [MOD, "Shift", "Z"], match: (e, m) => withMod("z", true)(e, m) || withMod("y")(e, m), run: page.redo },
    { group: "Edit", label: "Delete", keys: ["Del"], match: (e, m) => plain("delete")(e, m) || plain("backspace")(e, m), run: () => deleteSelection(app) },
    { group: "Edit", label: "Duplicate", keys: [MOD, "D"], match: withMod("d"), run: () => duplicate(app) },
    { group: "Edit", label: "Copy", keys: [MOD, "C"], match: withMod("c"), run: () => copySelection(app) },
    { group: "Edit", label: "Paste", keys: [MOD, "V"], match: withMod("v"), run: () => paste(app) },
    { group: "Edit", label: "Select all", keys: [MOD, "A"], match: withMod("a"), run: () => app.selection.set(app.scene.ids()) },
    { group: "Edit", label: "Next or previous object", keys: [".", ","], match: (e, m) => plain(".")(e, m) || plain(",")(e, m), run: (e) => selectNeighbour(app, e.key === "." ? 1 : -1) },
    { group: "Edit", label: "Move selection (Shift: 10)", keys: ["←", "↑", "↓", "→"], match: arrow, run: (e) => arrows(app, e) },
    { group: "Edit", label: "Bring to front, send to back", keys: ["]", "["], match: (e, m) => plain("]")(e, m) || plain("[")(e, m), run: (e) => reorder(app, e.key === "]" ? "front" : "back") },
    { group: "View", label: "Move the view", keys: ["Space", "drag"], match: () => false, run: () => {} },
    { group: "View", label: "Zoom", keys: [MOD, "wheel"], match: () => false, run: () => {} },
    { group: "View", label: "Zoom in, out", keys: ["+", "-"], match: (e) => ["+", "=", "-"].includes(e.key), run: (e) => camera.zoomAtCentre(camera.zoom * (e.key === "-" ? 0.8 : 1.25)) },
    { group: "View", label: "Zoom to 100%", keys: ["0"], match: (e) => e.key === "0", run: () => page.zoomTo(1) },
    { group: "View", label: "Show everything", keys: ["1"], match: plain("1"), run: page.fitAll },
    { group: "Page", label: "Chat", keys: ["C"], match: plain("c"), run: page.toggleChat },
    { group: "Page", label: "Under the hood", keys: ["U"], match: plain("u"), run: page.toggleDrawer },
    { group: "Page", label: "Dark or light", keys: ["D"], match: plain("d"), run: page.toggleTheme },
    { group: "Page", label: "Shortcuts", keys: ["?"], match: (e) => e.key === "?", run: page.help },
    { group: "Page", label: "Cancel, deselect, stop following", keys: ["Esc"], match: plain("escape"), run: page.escape },
  ];
}

export function startShortcuts(app: App, page: PageActions, onSpace: (held: boolean) => void): void {
  const shortcuts = shortcutsOf(app, page);
  fillHelp(shortcuts);
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.defaultPrevented || event.isComposing || isWriting(target) || document.querySelector("dialog[open]")) return;
    // On a button Space and Enter mean the button; in a toolbar the rest still means the canvas.
    const onControl = target.closest("button, a, input, [popover]") !== null;
    if (onControl && [" ", "Enter"].includes(event.key)) return;
    if (event.key === " ") {
      event.preventDefault();
      return onSpace(true);
    }
    const mod = isMac ? event.metaKey : event.ctrlKey;
    const hit = shortcuts.find((shortcut) => shortcut.match(event, mod));
    if (!hit) return;
    event.preventDefault();
    hit.run(event);
    app.invalidate();
  });
  document.addEventListener("keydown", (event) => event.key === "Tab" && document.documentElement.toggleAttribute("data-tabbing", true), true);
  document.addEventListener("pointerdown", () => document.documentElement.removeAttribute("data-tabbing"), true);
  document.addEventListener("keyup", (event) => event.key === " " && onSpace(false));
  window.addEventListener("blur", () => onSpace(false));
}

function isWriting(target: HTMLElement): boolean {
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
}

function arrows(app: App, event: KeyboardEvent): void {
  const by = event.shiftKey ? 10 : 1;
  const dx = event.key === "ArrowLeft" ? -by : event.key === "ArrowRight" ? by : 0;
  const dy = event.key === "ArrowUp" ? -by : event.key === "ArrowDown" ? by : 0;
  if (app.selection.size > 0) nudge(app, dx, dy);
  else app.camera.panBy(-dx * (event.shiftKey ? 12 : 40), -dy * (event.shiftKey ? 12 : 40));
}

/** The keyboard's way of using a tool: Enter puts one in the middle of the view. */
function insertOrEdit(app: App): void {
  const screen = { x: app.camera.width / 2, y: app.camera.height / 2 };
  const world = app.camera.toWorld(screen);
  const at: Pointer = { screen, world, shift: false, alt: false, toggle: false, touch: false, trail: [world] };
  switch (app.tool) {
    case "rect":
    case "ellipse":
    case "line":
      return shapeGesture(app, at, app.tool).end(at);
    case "note":
    case "text":
      return placeText(app, world, app.tool);
    default: {
      const id = app.selection.size === 1 ? [...app.selection.ids][0]! : undefined;
      const kind = id && app.scene.settled(id)?.kind;
      if (id && (kind === "note" || kind === "text")) app.editor.open(id, false);
    }
  }
}

function fillHelp(shortcuts: readonly Shortcut[]): void {
  const groups = [...new Set(shortcuts.map(({ group }) => group))];
  byId("help-list").replaceChildren(...groups.map((group) => {
    const rows = shortcuts.filter((shortcut) => shortcut.group === group).map(({ label, keys }) =>
      el("div", { class: "help-row" }, el("dt", { text: label }), el("dd", {}, ...keys.map((key) => el("kbd", { text: key })))));
    return el("section", {}, el("h3", { text: group }), el("dl", {}, ...rows));
  }));
}
