/** What back ends are told: each hook, what waits for it, and what its receiver refused. */

import { get, part, Refused } from "./api";
import { el, pill, table } from "./dom";
import { ago, count } from "./format";
import type { Page } from "./page";

interface Hook {
  name: string;
  canvases: string[];
  events: string[];
  queue?: string;
  url?: string;
  batch?: number;
  off: string | null;
}

interface Waiting {
  transactionId: string;
  partition: string;
  status: string;
  createdAt: string;
  consumerGroups: { name: string; retryCount: number; errorMessage: string | null; leaseExpiresAt: string | null }[];
  data: unknown;
}

interface Dead {
  transactionId: string;
  errorMessage: string;
  attempts: number;
  failedAt: string;
}

/** Deliveries that are shown of one hook. */
const MOST = 20;

export class Hooks implements Page {
  readonly title = "Hooks";
  readonly every = 5_000;
  readonly element: HTMLElement;
  private readonly list = el("div", { testid: "hooks" });

  constructor() {
    this.element = el("div", {}, el("div", { class: "head" }, el("h1", {}, "Hooks")), this.list);
  }

  async refresh(): Promise<void> {
    let said: { hooks: Hook[]; dropped: number };
    try {
      said = await get("hooks");
    } catch (error) {
      if (!(error instanceof Refused && error.status === 501)) throw error;
      return this.list.replaceChildren(el("p", { class: "hint" }, error.message));
    }
    const cards = await Promise.all(said.hooks.map((hook) => card(hook)));
    const dropped = said.dropped > 0 ? el("p", { class: "banner warn" }, `${count(said.dropped)} events had no room in their hook's backlog; a gap stands for them.`) : undefined;
    const none = el("p", { class: "hint" }, "No hooks. --hooks FILE, or PUT /api/v1/hooks, tells back ends what happens on canvases.");
    this.list.replaceChildren(...(dropped ? [dropped] : []), ...(cards.length > 0 ? cards : [none]));
  }
}

async function card(hook: Hook): Promise<HTMLElement> {
  const queue = hook.queue ?? `scumble.hook.${hook.name}`;
  const [waiting, dead] = await Promise.all([
    get<{ messages: Waiting[] }>(`messages?queue=${part(queue)}&limit=${MOST}&status=pending`).catch(() => ({ messages: [] })),
    get<{ messages: Dead[]; total: number }>(`dlq?queue=${part(queue)}&limit=${MOST}`).catch(() => ({ messages: [], total: 0 })),
  ]);
  const failing = waiting.messages.filter((message) => tries(message) > 0);
  const state = hook.off !== null ? pill("off", "bad") : dead.total > 0 || failing.length > 0 ? pill("failing", "warn") : pill("well", "good");
  const rows = waiting.messages.map((message) => [
    el("code", {}, message.transactionId), message.partition, count(tries(message)),
    el("span", { class: "cut" }, message.consumerGroups.find(({ errorMessage }) => errorMessage)?.errorMessage ?? "–"), ago(message.createdAt),
  ]);
  const letters = dead.messages.map((letter) => [el("code", {}, letter.transactionId), count(letter.attempts), el("span", { class: "cut" }, letter.errorMessage), ago(letter.failedAt)]);
  return el("section", { class: "card hook", attrs: { "aria-label": `Hook ${hook.name}` } },
    el("div", { class: "head" }, el("h2", {}, hook.name, " ", state), el("span", { class: "hint" }, hook.url ? `posts to ${hook.url}` : `into the queue ${queue}`)),
    hook.off !== null && el("p", { class: "banner bad" }, `It is off: ${hook.off}. Store the hooks anew to turn it on.`),
    el("p", {}, "On ", ...hook.canvases.flatMap((name, i) => [i > 0 ? ", " : "", el("code", {}, name)]), " it tells of ", hook.events.join(", "), "."),
    rows.length > 0 && el("h3", {}, "Waiting"), rows.length > 0 && table(`Waiting deliveries of ${hook.name}`, ["Delivery", "Canvas", "Attempts so far", "Last error", "Since"], rows, ""),
    letters.length > 0 && el("h3", {}, `Given up: ${count(dead.total)}`), letters.length > 0 && table(`Dead deliveries of ${hook.name}`, ["Delivery", "Attempts", "Last error", "Given up"], letters, ""),
    rows.length + letters.length === 0 && el("p", { class: "hint" }, "Nothing waits, and nothing was given up."));
}

const tries = ({ consumerGroups }: Waiting): number => Math.max(0, ...consumerGroups.map(({ retryCount }) => retryCount));
