/**
 * Copy, cut and paste through the system's clipboard, so that objects travel between tabs, windows and browsers, their words
 * into other programs, and other programs' words onto the canvas.
 */

import { newId, type App } from "./app";
import { count, deleteSelection, insert } from "./edit";
import { round1 } from "./geometry";
import { isPlain, own } from "./presence";
import { finite, MAX_TEXT } from "./scene";
import { pasteImages } from "./pictures-in";
import { measureText } from "./text";
import type { Wire } from "./types";

/** Where a browser keeps types of its own; others keep HTML, which has the same in an attribute. */
const TYPE = "application/x-scumble+json";
const ATTRIBUTE = "data-scumble";
/** More than this no canvas takes. */
const MAX_OBJECTS = 10_000;
const SHIFT = 20;

/** The same again goes further, so that copies don't hide one another. */
let pasted = { text: "", times: 0 };

export function startClipboard(app: App): void {
  document.addEventListener("copy", (event) => isOurs(event) && copy(app, event, "copied"));
  document.addEventListener("cut", (event) => {
    if (isOurs(event) && copy(app, event, "cut")) deleteSelection(app);
  });
  document.addEventListener("paste", (event) => isOurs(event) && paste(app, event));
}

/** Not what is selected in a field or in the chat. */
function isOurs(event: ClipboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return false;
  if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target?.isContentEditable) return false;
  return event.type === "paste" || (getSelection()?.toString() ?? "") === "";
}

function copy(app: App, event: ClipboardEvent, done: string): boolean {
  const ids = app.scene.ids().filter((id) => app.selection.has(id));
  const objects = ids.map((id) => app.room.objects.get(id)).filter((object) => object !== undefined);
  if (objects.length === 0 || !event.clipboardData) return false;
  event.preventDefault();
  const json = JSON.stringify({ scumble: 1, objects });
  const words = objects.map((object) => object.text).filter((text) => typeof text === "string" && text !== "").join("\n");
  const html = document.createElement("div");
  html.setAttribute(ATTRIBUTE, json);
  html.textContent = words;
  event.clipboardData.setData(TYPE, json);
  event.clipboardData.setData("text/html", html.outerHTML);
  // Objects without words are told as what they are: to programs that know text only, and to browsers that keep nothing else.
  event.clipboardData.setData("text/plain", words || json);
  pasted = { text: "", times: 0 };
  app.toast(`${count(objects.length, "object")} ${done}`);
  return true;
}

function paste(app: App, event: ClipboardEvent): void {
  const { clipboardData } = event;
  if (!clipboardData) return;
  if (pasteImages(app, clipboardData)) return event.preventDefault();
  const plain = clipboardData.getData("text/plain");
  const json = clipboardData.getData(TYPE) || inHtml(clipboardData.getData("text/html")) || plain;
  const objects = objectsIn(json);
  if (objects.length === 0 && plain.trim() === "") return;
  event.preventDefault();
  if (!app.mayWrite()) return;
  if (objects.length === 0) return pasteWords(app, plain);
  pasted = pasted.text === json ? { text: json, times: pasted.times + 1 } : { text: json, times: 1 };
  const by = SHIFT * pasted.times;
  insert(app, "Paste", placed(app, objects).map((object) => ({ ...object, x: round1(finite(object.x, 0) + by), y: round1(finite(object.y, 0) + by) })));
}

function inHtml(html: string): string {
  if (!html.includes(ATTRIBUTE)) return "";
  // A document that nothing is loaded for and no script runs in.
  const page = new DOMParser().parseFromString(html, "text/html");
  return page.querySelector(`[${ATTRIBUTE}]`)?.getAttribute(ATTRIBUTE) ?? "";
}

/** The objects in what was pasted. The clipboard may hold anything. */
export function objectsIn(json: string): Wire[] {
  if (!json.startsWith("{")) return [];
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch {
    return [];
  }
  const list = isPlain(raw) && own(raw, "scumble") === 1 ? own(raw, "objects") : undefined;
  if (!Array.isArray(list)) return [];
  const sound = (object: unknown): object is Wire =>
    isPlain(object) && typeof own(object, "id") === "string" && typeof own(object, "kind") === "string";
  return list.filter(sound).slice(0, MAX_OBJECTS);
}

/** Objects from elsewhere come into view; those one sees stay beside the originals. */
function placed(app: App, objects: readonly Wire[]): Wire[] {
  const view = app.camera.view();
  const seen = ({ x, y }: Wire): boolean => {
    const [px, py] = [finite(x, 0), finite(y, 0)];
    return px >= view.x && py >= view.y && px <= view.x + view.w && py <= view.y + view.h;
  };
  if (objects.some(seen)) return [...objects];
  const left = Math.min(...objects.map(({ x }) => finite(x, 0)));
  const top = Math.min(...objects.map(({ y }) => finite(y, 0)));
  const [dx, dy] = [view.x + view.w / 4 - left, view.y + view.h / 4 - top];
  return objects.map((object) => ({ ...object, x: finite(object.x, 0) + dx, y: finite(object.y, 0) + dy }));
}

/** Words of another program: a text in the middle of the view. */
function pasteWords(app: App, plain: string): void {
  const text = plain.replace(/\r\n?/g, "\n").trimEnd().slice(0, MAX_TEXT);
  if (text.length < plain.trimEnd().length && plain.trimEnd().length > MAX_TEXT) app.toast(`A text has at most ${MAX_TEXT.toLocaleString("en")} characters: the rest was left out`);
  const view = app.camera.view();
  const size = 22;
  const box = measureText(text, size);
  const middle = { x: round1(view.x + view.w / 2 - box.w / 2), y: round1(view.y + view.h / 2 - Math.min(box.h, view.h) / 2) };
  const wire: Wire = { id: newId(), kind: "text", ...middle, ...box, color: app.style.color, size, text, z: app.scene.topZ() + 1 };
  if (box.w >= 640) wire.wrap = true;
  app.history.group("Paste", () => app.history.create(wire));
  app.selection.set([wire.id]);
  app.announce("Text added");
}
