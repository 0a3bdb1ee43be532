/** All canvases: found by a part of their name, with what is on them and who. */

import { get, part } from "./api";
import { el, table } from "./dom";
import { bytes, count } from "./format";
import type { Page } from "./page";

interface Row {
  canvas: string;
  head: number;
  objects: number;
  members: number;
  object_bytes: number;
}

interface Answer {
  canvases: Row[];
  next: string | null;
}

const AT_ONCE = 50;

export class Canvases implements Page {
  readonly title = "Canvases";
  readonly every = 5_000;
  readonly element: HTMLElement;
  private readonly list = el("div");
  private readonly more = el("div", { class: "row pager" });
  private readonly search = el("input", { testid: "search", attrs: { type: "search", id: "search", placeholder: "A part of the name", autocomplete: "off", spellcheck: "false" } });
  private readonly people = el("input", { testid: "with-people", attrs: { type: "checkbox", id: "with-people" } });
  /** Where the pages before this one began. */
  private before: string[] = [];

  constructor() {
    let waits: ReturnType<typeof setTimeout> | undefined;
    const again = (): void => {
      this.before = [];
      clearTimeout(waits);
      waits = setTimeout(() => void this.refresh().catch(() => {}), 200);
    };
    this.search.oninput = again;
    this.people.onchange = again;
    this.element = el("div", {}, el("div", { class: "head" }, el("h1", {}, "Canvases"),
      el("div", { class: "row tools" },
        el("label", { class: "check" }, this.people, " with people only"),
        el("label", { class: "sr", attrs: { for: "search" } }, "Find canvases"), this.search)), this.list, this.more);
  }

  async refresh(): Promise<void> {
    const [wanted, people, after] = [this.search.value.trim(), this.people.checked, this.before.at(-1) ?? ""];
    const { canvases, next } = await get<Answer>(`all-canvases?limit=${AT_ONCE}&search=${part(wanted)}&after=${part(after)}&people=${people}`);
    if (wanted !== this.search.value.trim() || people !== this.people.checked || after !== (this.before.at(-1) ?? "")) return;
    const rows = canvases.map((row) => [
      el("a", { attrs: { href: `#/canvas/${part(row.canvas)}` } }, row.canvas), count(row.members), count(row.objects), bytes(row.object_bytes), count(row.head),
    ]);
    const empty = wanted ? `No canvas has “${wanted}” in its name.` : people ? "Nobody is on any canvas." : "There are no canvases yet.";
    // What somebody is about to press stays.
    const focused = this.list.contains(document.activeElement) ? document.activeElement?.textContent : undefined;
    this.list.replaceChildren(table("Canvases", ["Canvas", "People", "Objects", "Size", "Messages so far"], rows, empty, "canvases"));
    if (focused) [...this.list.querySelectorAll("a")].find((link) => link.textContent === focused)?.focus();
    const back = el("button", { onclick: () => void (this.before.pop(), this.refresh()) }, "Back");
    const on = el("button", { onclick: () => void (next && this.before.push(next), this.refresh()) }, "More");
    this.more.replaceChildren(...(this.before.length > 0 ? [back] : []), ...(next ? [on] : []));
  }
}
