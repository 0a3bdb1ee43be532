/** What back ends are told: each hook, what waits for it, and what became of each attempt. */

import { ask as request, get, part, Refused } from "./api";
import { ask, type Child, el, pill, table } from "./dom";
import { ago, count, ms, NONE, when } from "./format";
import type { Context, Page } from "./page";

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

interface Attempt {
  n: number;
  id: string;
  canvas: string;
  type: string;
  events: number;
  attempt: number;
  at: number;
  took_ms: number;
  status: number | null;
  error: string | null;
  outcome: string;
  next_at: number | null;
  dead_letter: string | null;
}

interface Dead {
  id: string;
  transactionId: string;
  errorMessage: string;
  attempts: number;
  failedAt: string;
}

/** Deliveries that are shown of one hook, of each kind. */
const MOST = 20;

export class Hooks implements Page {
  readonly title = "Hooks";
  readonly every = 5_000;
  readonly element: HTMLElement;
  private readonly list = el("div", { testid: "hooks" });

  constructor(private readonly context: Context) {
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
    const cards = await Promise.all(said.hooks.map((hook) => this.card(hook)));
    const dropped = said.dropped > 0 ? el("p", { class: "banner warn" }, `${count(said.dropped)} events had no room in their hook's backlog; a gap stands for them.`) : undefined;
    const none = el("p", { class: "hint" }, "No hooks. --hooks FILE, or PUT /api/v1/hooks, tells back ends what happens on canvases.");
    // Whoever is about to press something still is.
    const focus = this.list.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.press : undefined;
    this.list.replaceChildren(...(dropped ? [dropped] : []), ...(cards.length > 0 ? cards : [none]));
    if (focus) this.list.querySelector<HTMLElement>(`[data-press="${CSS.escape(focus)}"]`)?.focus();
  }

  private async card(hook: Hook): Promise<HTMLElement> {
    const queue = hook.queue ?? `scumble.hook.${hook.name}`;
    const [waiting, dead, { deliveries }] = await Promise.all([
      get<{ messages: Waiting[] }>(`messages?queue=${part(queue)}&limit=${MOST}&status=pending`).catch(() => ({ messages: [] })),
      get<{ messages: Dead[]; total: number }>(`dlq?queue=${part(queue)}&limit=${MOST}`).catch(() => ({ messages: [], total: 0 })),
      hook.url ? get<{ deliveries: Attempt[] }>(`hooks/${part(hook.name)}/deliveries?limit=${MOST}`) : { deliveries: [] },
    ]);
    const failing = waiting.messages.some((message) => tries(message) > 0);
    const state = hook.off !== null ? pill("off", "bad") : dead.total > 0 || failing ? pill("failing", "warn") : pill("well", "good");
    const { writes } = this.context.session;
    const again = (where: string, letter: string, id: string): HTMLElement =>
      el("button", { testid: "send-again", attrs: { "data-press": `${where}-${letter}`, "aria-label": `Send ${id} again` }, onclick: () => void this.sendAgain(hook, letter, id) }, "Send again");
    const mendable = writes && deliveries.some((one) => one.dead_letter !== null);
    const attempts = deliveries.map((one) => [
      el("time", { title: new Date(one.at).toLocaleString(), attrs: { datetime: new Date(one.at).toISOString() } }, when(one.at)),
      one.canvas, one.events > 1 ? `${count(one.events)} events` : one.type, el("code", { class: "cut", title: one.id }, one.id), count(one.attempt), result(one), one.took_ms < 1_000 ? `${one.took_ms} ms` : ms(one.took_ms),
      ...(mendable ? [one.dead_letter === null ? undefined : again("tried", one.dead_letter, one.id)] : []),
    ]);
    const rows = waiting.messages.map((message) => [
      el("code", {}, message.transactionId), message.partition, count(tries(message)),
      el("span", { class: "cut" }, message.consumerGroups.find(({ errorMessage }) => errorMessage)?.errorMessage ?? NONE), ago(message.createdAt),
    ]);
    const letters = dead.messages.map((letter) => [
      el("code", {}, letter.transactionId), count(letter.attempts), el("span", { class: "cut", title: letter.errorMessage }, letter.errorMessage), ago(letter.failedAt),
      ...(writes ? [again("dead", letter.id, letter.transactionId)] : []),
    ]);
    const todo = writes ? ["What to do"] : [];
    const block = (title: string, caption: string, heads: string[], body: Child[][], testid: string): Child[] =>
      body.length > 0 ? [el("h3", {}, title), table(caption, heads, body, "", testid)] : [];
    return el("section", { class: "card hook", attrs: { "aria-label": `Hook ${hook.name}` } },
      el("div", { class: "head" }, el("h2", {}, hook.name, " ", state), el("span", { class: "hint" }, hook.url ? `posts to ${hook.url}` : `into the queue ${queue}`)),
      hook.off !== null && el("p", { class: "banner bad" }, `It is off: ${hook.off}. Store the hooks anew to turn it on.`),
      el("p", {}, "On ", ...hook.canvases.flatMap((name, i) => [i > 0 ? ", " : "", el("code", {}, name)]), " it tells of ", hook.events.join(", "), "."),
      ...block("Latest attempts", `Attempts of ${hook.name}`, ["Time", "Canvas", "Event", "Delivery", "Attempt", "Result", "Took", ...(mendable ? todo : [])], attempts, "attempts"),
      ...block("Waiting", `Waiting deliveries of ${hook.name}`, ["Delivery", "Canvas", "Attempts so far", "Last error", "Since"], rows, "waiting"),
      ...block(`Given up: ${count(dead.total)}`, `Dead deliveries of ${hook.name}`, ["Delivery", "Attempts", "Last error", "Given up", ...todo], letters, "given-up"),
      rows.length + letters.length === 0 && el("p", { class: "hint" }, "Nothing waits, and nothing was given up."));
  }

  private async sendAgain(hook: Hook, letter: string, id: string): Promise<void> {
    const text = `${id} goes to ${hook.url ?? "its queue"} once more, after what waits on its canvas, with all its attempts before it.`;
    if (!(await ask("Send this delivery again?", text, "Send again"))) return;
    await this.context.act("It could not be sent again", "It waits for its receiver again", () => request("POST", `dlq/${part(letter)}/replay`, {}));
  }
}

/** What became of an attempt: the status, and in words why and what comes next. */
function result({ status, error, outcome, next_at }: Attempt): HTMLElement {
  const kind = outcome === "delivered" ? "good" : outcome === "retry" || outcome === "late" ? "warn" : "bad";
  const words: Record<string, string> = {
    delivered: "delivered",
    retry: next_at === null ? "comes again" : next_at > Date.now() ? `again at ${when(next_at)}` : "was due again",
    dead: "given up", off: "turned the hook off", late: "too late, comes again",
  };
  return el("span", { class: "result" }, status !== null && el("code", {}, status), " ", pill(words[outcome] ?? outcome, kind),
    error !== null && el("span", { class: "hint" }, error));
}

const tries = ({ consumerGroups }: Waiting): number => Math.max(0, ...consumerGroups.map(({ retryCount }) => retryCount));
