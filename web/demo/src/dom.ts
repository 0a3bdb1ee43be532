/** Small helpers for making and finding elements. */

type Child = Node | string | undefined | false;

/** An element by id; the page is ours, so a missing one is a mistake worth a clear message. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as T;
}

/**
 * Whether a key belongs to an input method. Safari ends a composition before it tells of the key that ended it: that one
 * has the code 229 and nothing else to be known by.
 */
export const isComposing = (event: KeyboardEvent): boolean => event.isComposing || event.keyCode === 229;

interface Props {
  class?: string;
  text?: string;
  title?: string;
  testid?: string;
  attrs?: Record<string, string>;
  onclick?: (event: MouseEvent) => void;
}

export function el<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.text !== undefined) element.textContent = props.text;
  if (props.title) element.title = props.title;
  if (props.testid) element.dataset.testid = props.testid;
  for (const [name, value] of Object.entries(props.attrs ?? {})) element.setAttribute(name, value);
  if (props.onclick) element.addEventListener("click", props.onclick as (event: Event) => void);
  if (element instanceof HTMLButtonElement) element.type = "button";
  for (const child of children) if (child) element.append(child);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** An icon of the sprite in index.html. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Storage may be switched off (private windows, policies); the page works without remembering then. */
export const remembered = {
  get(key: string): string | undefined {
    try {
      return localStorage.getItem(`scumble.${key}`) ?? undefined;
    } catch {
      return undefined;
    }
  },
  set(key: string, value: string | undefined): void {
    try {
      if (value === undefined) localStorage.removeItem(`scumble.${key}`);
      else localStorage.setItem(`scumble.${key}`, value);
    } catch {
      // Nothing to do: it is only a convenience.
    }
  },
};
