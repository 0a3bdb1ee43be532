/** Keys. One table serves the keyboard and the help overlay, so that the help cannot lie. */

import type { App } from "./app";
import { byId, el, isComposing } from "./dom";
import { deleteSelection, duplicate, nudge, reorder, resizeBy, selectNeighbour } from "./edit";
import { placeText, shapeGesture, type Pointer } from "./gestures";
import { holdsText } from "./text";
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

const plain = (key: string) => (event: KeyboardEvent, mod: boolean): boolean => !mod && !event.altKey && keyOf(event) === key;
const withMod = (key: string, shift = false) => (event: KeyboardEvent, mod: boolean): boolean =>
  mod && !event.altKey && event.shiftKey === shift && keyOf(event) === key;

function shortcutsOf(app: App, page: PageActions): Shortcut[] {
  const { camera } = app;
  const arrow = (event: KeyboardEvent, mod: boolean): boolean => !mod && !event.altKey && event.key.startsWith("Arrow");
  const arrowWith = (event: KeyboardEvent, mod: boolean): boolean => (mod || event.altKey) && event.key.startsWith("Arrow");
  const never = (): boolean => false;
  /** The browser tells of these by events of the clipboard, which leads outside only so. */
  const byEvent = { match: never, run: (): void => {} };
  return [
    ...TOOLS.map(({ name, label, key }): Shortcut => ({
      group: "Tools", label, keys: [key], match: plain(key.toLowerCase()), run: () => app.setTool(name),
    })),
    { group: "Tools", label: "Insert in the middle, or edit text", keys: ["Enter"], match: plain("enter"), run: () => insertOrEdit(app) },
    { group: "Edit", label: "Undo", keys: [MOD, "Z"], match: withMod("z"), run: page.undo },
    { group: "Edit", label: "Redo", keys: [MOD, "Shift", "Z"], match: (e, m) => withMod("z", true)(e, m) || withMod("y")(e, m), run: page.redo },
    { group: "Edit", label: "Delete", keys: ["Del"], match: (e, m) => plain("delete")(e, m) || plain("backspace")(e, m), run: () => deleteSelection(app) },
    { group: "Edit", label: "Duplicate", keys: [MOD, "D"], match: withMod("d"), run: () => duplicate(app) },
    { group: "Edit", label: "Copy", keys: [MOD, "C"], ...byEvent },
    { group: "Edit", label: "Cut", keys: [MOD, "X"], ...byEvent },
    { group: "Edit", label: "Paste", keys: [MOD, "V"], ...byEvent },
    { group: "Edit", label: "Select all", keys: [MOD, "A"], match: withMod("a"), run: () => app.selection.set(app.scene.ids(), "keyboard") },
    { group: "Edit", label: "Next or previous object", keys: [".", ","], match: (e, m) => plain(".")(e, m) || plain(",")(e, m), run: (e) => selectNeighbour(app, keyOf(e) === "." ? 1 : -1) },
    { group: "Edit", label: "Move selection (Shift: 10)", keys: ["←", "↑", "↓", "→"], match: arrow, run: (e) => arrows(app, e) },
    { group: "Edit", label: "Resize selection (Shift: 10)", keys: ["Alt", "←", "→"], match: arrowWith, run: (e) => resize(app, e) },
    { group: "Edit", label: "Bring to front, send to back", keys: ["]", "["], match: (e, m) => plain("]")(e, m) || plain("[")(e, m), run: (e) => reorder(app, keyOf(e) === "]" ? "front" : "back") },
    { group: "View", label: "Move the view", keys: ["Space", "drag"], ...byEvent },
    { group: "View", label: "Zoom", keys: [MOD, "wheel"], ...byEvent },
    { group: "View", label: "Zoom in, out", keys: ["+", "-"], match: (e) => ["+", "=", "-"].includes(keyOf(e)), run: (e) => page.zoomTo(camera.zoom * (e.key === "-" ? 0.8 : 1.25)) },
    { group: "View", label: "Zoom to 100%", keys: ["0"], match: (e) => keyOf(e) === "0", run: () => page.zoomTo(1) },
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
  const typing = new Typing(app);
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.defaultPrevented || isWriting(target) || document.querySelector("dialog[open]")) return;
    // An input method begins: the words go where words can go.
    if (isComposing(event)) return void typing.compose();
    // On a button Space and Enter mean the button; in a toolbar the rest still means the canvas.
    const onControl = target.closest("button, a, input, [popover]") !== null;
    if (onControl && [" ", "Enter"].includes(event.key)) return;
    if (event.key === " ") {
      event.preventDefault();
      return onSpace(true);
    }
    const mod = isMac ? event.metaKey : event.ctrlKey;
    const hit = shortcuts.find((shortcut) => shortcut.match(event, mod));
    if (!typing.take(event, mod, hit)) {
      if (!hit) return;
      hit.run(event);
    }
    event.preventDefault();
    app.invalidate();
  });
  document.addEventListener("pointerdown", () => typing.forget(), true);
  document.addEventListener("keydown", (event) => event.key === "Tab" && document.documentElement.toggleAttribute("data-tabbing", true), true);
  document.addEventListener("pointerdown", () => document.documentElement.removeAttribute("data-tabbing"), true);
  document.addEventListener("keyup", (event) => event.key === " " && onSpace(false));
  window.addEventListener("blur", () => onSpace(false));
}

/** Of a just made object the first letter may be a tool's; a second one within this time was a word. */
const BURST_MS = 900;

/** Letters over a selected object that holds words: they are for it, not for the tools. */
class Typing {
  /** A letter that was taken for a shortcut, over an object that was just made. */
  private first: { id: string; letter: string; at: number } | undefined;

  constructor(private readonly app: App) {}

  private get target(): string | undefined {
    const { selection, scene, tool } = this.app;
    const [id] = selection.ids;
    const kind = id !== undefined && selection.size === 1 && tool === "select" ? scene.settled(id)?.kind : undefined;
    return kind && holdsText(kind) ? id : undefined;
  }

  /** True when the key was a letter for an object. */
  take(event: KeyboardEvent, mod: boolean, shortcut: Shortcut | undefined): boolean {
    const { app, first } = this;
    this.first = undefined;
    const letter = letterOf(event, mod);
    if (letter === undefined) return false;
    const { target: id } = this;
    const { origin } = app.selection;
    if (first && event.timeStamp - first.at < BURST_MS && (id === undefined || id === first.id)) {
      app.setTool("select");
      app.editor.open(first.id, false, "end", first.letter + letter);
      return true;
    }
    if (id === undefined) return false;
    // Going through the objects by keys goes on; what was just made is not chosen to be written on.
    if (shortcut && origin === "keyboard" && shortcut.group !== "Tools") return false;
    if (shortcut && origin === "made") {
      if (shortcut.group === "Tools") this.first = { id, letter, at: event.timeStamp };
      return false;
    }
    app.editor.open(id, false, "end", letter);
    return true;
  }

  compose(): void {
    const { target: id } = this;
    if (id !== undefined && this.app.selection.origin !== "made") this.app.editor.open(id, false, "end");
  }

  forget(): void {
    this.first = undefined;
  }
}

/** The letter a key writes, if it writes one. */
function letterOf(event: KeyboardEvent, mod: boolean): string | undefined {
  const special = event.getModifierState("AltGraph") ? false : mod || event.altKey || event.ctrlKey || event.metaKey;
  return !special && [...event.key].length === 1 && event.key !== " " ? event.key : undefined;
}

/**
 * The key as the shortcuts name it. Where the layout writes no Latin letters, it is the one at that place of a Latin
 * keyboard: Ctrl+Я is Ctrl+Z.
 */
export function keyOf({ key, code }: Pick<KeyboardEvent, "key" | "code">): string {
  const latin = key.toLowerCase();
  // Names such as "Enter", and all that ASCII has, are what they say.
  if (key.length !== 1 || latin.charCodeAt(0) < 128) return latin;
  const letter = /^Key([A-Z])$/.exec(code)?.[1] ?? /^Digit(\d)$/.exec(code)?.[1];
  return letter?.toLowerCase() ?? PLACES[code] ?? latin;
}

const PLACES: Record<string, string> = { Period: ".", Comma: ",", BracketLeft: "[", BracketRight: "]", Equal: "=", Minus: "-" };

function isWriting(target: HTMLElement): boolean {
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
}

function wayOf(event: KeyboardEvent): [number, number] {
  const by = event.shiftKey ? 10 : 1;
  const dx = event.key === "ArrowLeft" ? -by : event.key === "ArrowRight" ? by : 0;
  const dy = event.key === "ArrowUp" ? -by : event.key === "ArrowDown" ? by : 0;
  return [dx, dy];
}

function resize(app: App, event: KeyboardEvent): void {
  if (app.selection.size > 0) resizeBy(app, ...wayOf(event));
}

function arrows(app: App, event: KeyboardEvent): void {
  const [dx, dy] = wayOf(event);
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
    case "arrow":
      return shapeGesture(app, at, app.tool).end(at);
    case "note":
    case "text":
      return placeText(app, world, app.tool);
    default: {
      const id = app.selection.size === 1 ? [...app.selection.ids][0]! : undefined;
      const kind = id && app.scene.settled(id)?.kind;
      if (id && kind && holdsText(kind)) app.editor.open(id, false);
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
