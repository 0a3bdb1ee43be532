/** One canvas: who is on it, what it looks like, what is said on it now. */

import { ask as request, get, part, Refused } from "./api";
import { ask, el, fact, pill, table } from "./dom";
import { bytes, clock, count } from "./format";
import type { Context, Page } from "./page";
import { pictureOf } from "./picture";

interface Summary {
  canvas: string;
  epoch: string;
  head: number;
  members: number;
  objects: number;
}

interface Member {
  client: string;
  user: { name?: string; color?: string; vouched?: string[] };
  away: boolean;
  state?: unknown;
}

type Message = Record<string, unknown> & { type: string; seq?: number; from?: string; client?: string };

/** Lines of the tail that are kept, and characters of one. */
const TAIL_LINES = 200;
const LINE_CHARS = 400;
/** Beyond this the picture is drawn on demand only. */
const EAGER_OBJECTS = 2_000;

export class Canvas implements Page {
  readonly every = 2_000;
  readonly title: string;
  readonly element: HTMLElement;
  private readonly path: string;
  private readonly facts = el("dl", { class: "facts", testid: "canvas-facts" });
  private readonly people = el("div");
  private readonly picture = el("div", { class: "card picture", testid: "picture" });
  private readonly tail = el("ol", { class: "tail", testid: "tail", attrs: { tabindex: "0", role: "log", "aria-label": "Messages as they come", "aria-live": "off" } });
  private readonly pause = el("button", { attrs: { "aria-pressed": "false" }, testid: "pause" }, "Pause");
  private readonly remove = el("button", { class: "danger", testid: "delete" }, "Empty this canvas");
  private seen: { epoch: string; seq: number } | undefined;
  private drawnAt = "";
  private size: number | undefined;

  constructor(private readonly name: string, private readonly context: Context) {
    this.title = `Canvas ${name}`;
    this.path = `canvases/${part(name)}`;
    this.pause.onclick = () => {
      const paused = this.pause.getAttribute("aria-pressed") === "true";
      this.pause.setAttribute("aria-pressed", String(!paused));
      this.pause.textContent = paused ? "Pause" : "Go on";
    };
    this.remove.onclick = () => void this.empty();
    const save = el("button", { testid: "export", onclick: () => void this.save() }, "Export as JSON");
    if (!context.session.writes) this.remove.hidden = true;
    this.element = el("div", {},
      el("p", {}, el("a", { attrs: { href: "#/canvases" } }, "← All canvases")),
      el("div", { class: "head" }, el("h1", {}, name), el("div", { class: "row" }, save, this.remove)), this.facts,
      el("div", { class: "halves" },
        el("section", { attrs: { "aria-label": "Picture" } }, el("div", { class: "head" }, el("h2", {}, "Objects")), this.picture),
        el("section", { attrs: { "aria-label": "Live tail" } }, el("div", { class: "head" }, el("h2", {}, "Messages as they come"), this.pause), this.tail)),
      el("section", { attrs: { "aria-label": "People" } }, el("div", { class: "head" }, el("h2", {}, "People")), this.people));
  }

  async refresh(): Promise<void> {
    const [found, { members }] = await Promise.all([get<Summary>(this.path), get<{ members: Member[] }>(`${this.path}/members`)]);
    this.showPeople(members);
    if (this.pause.getAttribute("aria-pressed") === "false") await this.follow(found);
    if (`${found.epoch}.${found.head}` !== this.drawnAt && found.objects <= EAGER_OBJECTS) await this.draw();
    else if (this.drawnAt === "") {
      const show = el("button", { onclick: () => void this.draw() }, `Draw ${count(found.objects)} objects`);
      this.picture.replaceChildren(show);
    }
    this.facts.replaceChildren(fact("People", count(found.members)), fact("Objects", count(found.objects)),
      fact("Size of the objects", bytes(this.size)), fact("Messages so far", count(found.head)), fact("Epoch", el("code", {}, found.epoch)));
  }

  private showPeople(members: readonly Member[]): void {
    const { writes } = this.context.session;
    const focused = this.people.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.client : undefined;
    const rows = members.map(({ client, user, away, state }) => [
      user.name ?? "(no name)", el("code", {}, client), away ? pill("away", "warn", "The connection was lost; it may come back") : pill("here", "good"),
      el("code", { class: "cut" }, state === undefined ? "–" : JSON.stringify(state)),
      ...(writes ? [away ? undefined : el("button", { class: "danger", attrs: { "data-client": client, "aria-label": `Disconnect ${user.name ?? client}` }, onclick: () => void this.disconnect(client, user.name) }, "Disconnect")] : []),
    ]);
    const heads = ["Name", "Client", "Here", "State", ...(writes ? ["What to do"] : [])];
    this.people.replaceChildren(table("People on this canvas", heads, rows, "Nobody is on this canvas.", "people"));
    if (focused) this.people.querySelector<HTMLElement>(`[data-client="${CSS.escape(focused)}"]`)?.focus();
  }

  /** What was said since the last look. It begins a little before the head. */
  private async follow({ epoch, head }: Summary): Promise<void> {
    if (this.seen?.epoch !== epoch) this.seen = { epoch, seq: Math.max(0, head - 20) };
    let from = Math.max(this.seen.seq, head - TAIL_LINES);
    for (;;) {
      try {
        const { messages, next } = await get<{ messages: Message[]; next: number }>(`${this.path}/messages?since=${from}&epoch=${epoch}&limit=${TAIL_LINES}`);
        this.seen.seq = next;
        const atEnd = this.tail.scrollTop + this.tail.clientHeight > this.tail.scrollHeight - 40;
        this.tail.append(...messages.map(line));
        while (this.tail.childElementCount > TAIL_LINES) this.tail.firstElementChild!.remove();
        if (atEnd) this.tail.scrollTop = this.tail.scrollHeight;
        break;
      } catch (error) {
        // What is not retained any more can't be shown; what came later may be there.
        if (!(error instanceof Refused && error.status === 410)) throw error;
        if (from >= head) break;
        from = Math.ceil((from + head) / 2);
      }
    }
    if (this.tail.childElementCount === 0) this.tail.append(el("li", { class: "hint none" }, "Nothing was said lately."));
    else if (this.tail.childElementCount > 1) this.tail.querySelector(".none")?.remove();
  }

  private async draw(): Promise<void> {
    const { objects, epoch, seq } = await get<{ objects: Record<string, unknown>[]; epoch: string; seq: number }>(`${this.path}/objects`);
    this.drawnAt = `${epoch}.${seq}`;
    this.size = new Blob([JSON.stringify(objects)]).size;
    const picture = pictureOf(objects);
    if (!picture) return this.picture.replaceChildren(el("p", { class: "hint" }, "There is nothing on it."));
    const kinds = new Map<string, number>();
    for (const { kind } of objects) kinds.set(String(kind), (kinds.get(String(kind)) ?? 0) + 1);
    const words = [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([kind, n]) => `${count(n)} ${kind}`).join(", ");
    const left = objects.length - picture.drawn;
    this.picture.replaceChildren(el("img", { attrs: { src: picture.src, alt: `The canvas: ${words}` } }),
      el("p", { class: "hint" }, words, left > 0 ? `; ${count(left)} more are not drawn` : ""));
  }

  private async save(): Promise<void> {
    await this.context.act("The export failed", `Saved ${this.name}.json`, async () => {
      const { objects, epoch, seq } = await get<{ objects: unknown[]; epoch: string; seq: number }>(`${this.path}/objects`);
      const text = JSON.stringify({ canvas: this.name, epoch, seq, objects }, undefined, 1);
      const link = el("a", { attrs: { download: `${this.name.replaceAll(":", "_")}.json` } });
      link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  }

  private async empty(): Promise<void> {
    const text = `All objects and all chat of ${this.name} are deleted, for everybody and for good. People stay on it. Export it first if in doubt.`;
    if (!(await ask(`Empty ${this.name}?`, text, "Empty it"))) return;
    await this.context.act("The canvas could not be emptied", `${this.name} is empty`, () => request("DELETE", this.path));
  }

  private async disconnect(client: string, name: string | undefined): Promise<void> {
    const who = name ?? client;
    const text = "Their connection is closed with code 4403: the client library does not come back by itself, but nothing keeps them from joining again.";
    if (!(await ask(`Disconnect ${who}?`, text, "Disconnect"))) return;
    await this.context.act(`${who} could not be disconnected`, `${who} is disconnected`, () => request("POST", `${this.path}/clients/${part(client)}/disconnect`));
  }
}

function line(message: Message): HTMLElement {
  const { type, seq, from, client, at, op: _, ...rest } = message;
  const text = JSON.stringify(rest);
  const whole = text.length > LINE_CHARS ? `${text.slice(0, LINE_CHARS)}…` : text;
  return el("li", {}, el("span", { class: "seq" }, seq ?? ""), typeof at === "number" && el("span", { class: "seq" }, clock(at)), el("b", {}, type), el("span", { class: "who" }, String(from ?? client ?? "")), el("code", {}, whole));
}
