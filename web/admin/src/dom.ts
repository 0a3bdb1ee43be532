/** Small helpers for making and finding elements. All text goes in as text, never as markup. */

export type Child = Node | string | number | undefined | null | false;

interface Props {
  class?: string;
  testid?: string;
  title?: string;
  attrs?: Record<string, string>;
  onclick?: () => void;
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as T;
}

export function el<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.testid) element.dataset.testid = props.testid;
  if (props.title) element.title = props.title;
  for (const [name, value] of Object.entries(props.attrs ?? {})) element.setAttribute(name, value);
  if (props.onclick) element.addEventListener("click", props.onclick);
  if (element instanceof HTMLButtonElement && !element.hasAttribute("type")) element.type = "button";
  for (const child of children) if (child !== undefined && child !== null && child !== false) element.append(typeof child === "number" ? String(child) : child);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag: string, attrs: Record<string, string | number> = {}, ...children: Node[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attrs)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Says something to those who listen. */
export function say(text: string): void {
  byId("live").textContent = text;
}

/** Asks before something that can't be undone; Escape and "Cancel" are no. */
export function ask(title: string, text: string, yes: string): Promise<boolean> {
  const dialog = byId<HTMLDialogElement>("ask");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  const button = byId<HTMLButtonElement>("ask-yes");
  button.textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  byId("ask-no").focus();
  return new Promise((resolve) => {
    button.onclick = () => dialog.close("yes");
    byId("ask-no").onclick = () => dialog.close("");
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

/** A table that is a list of cards on a phone: each cell knows its heading. */
export function table(caption: string, heads: readonly string[], rows: readonly Child[][], empty: string, testid?: string): HTMLElement {
  if (rows.length === 0) return el("p", { class: "hint", ...(testid ? { testid } : {}) }, empty);
  const head = el("tr", {}, ...heads.map((name) => el("th", { attrs: { scope: "col" } }, name)));
  const body = rows.map((cells) =>
    el("tr", {}, ...cells.map((cell, i) => el(i === 0 ? "th" : "td", { attrs: { "data-label": heads[i] ?? "", ...(i === 0 ? { scope: "row" } : {}) } }, cell ?? "–"))));
  return el("div", { class: "scroll" },
    el("table", testid ? { testid } : {}, el("caption", { class: "sr" }, caption), el("thead", {}, head), el("tbody", {}, ...body)));
}

export const pill = (text: string, kind: "good" | "warn" | "bad" | "plain", title?: string): HTMLElement =>
  el("span", { class: `pill ${kind}`, ...(title ? { title } : {}) }, text);

/** A name and a value, in a list of facts. */
export const fact = (name: string, ...value: Child[]): HTMLElement => el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
