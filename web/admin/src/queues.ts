/** The work queues: how deep, how fast, who reads them; and what nobody could process. */

import { ask as request, get, part } from "./api";
import { ask, el, pill, table } from "./dom";
import { ago, bytes, count, ms, NONE, rate, span } from "./format";
import type { Context, Page } from "./page";

interface Times {
  averageMs: number | null;
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
}

interface Queue {
  name: string;
  depth: number;
  pending: number;
  inFlight: number;
  dead: number;
  bytes: number;
  partitions: number;
  pushed: number;
  completed: number;
  oldestAgeSeconds: number | null;
  waitTime: Times;
  processingTime: Times;
}

interface Group {
  name: string;
  queueName: string;
  waiting: number;
  inFlight: number;
  completed: number;
  delivered: number;
  maxTimeLag: number;
  state: string;
  lastSeenAt: string;
}

interface Dead {
  id: string;
  queue: string;
  partition: string;
  consumerGroup: string;
  transactionId: string;
  errorMessage: string;
  attempts: number;
  failedAt: string;
  createdAt: string;
  reviewed: boolean;
  data: unknown;
}

const AT_ONCE = 20;

const speed = (n: number | undefined): string => (n === undefined ? NONE : `${rate(n)}/s`);

/** Counters of a moment ago, for rates. */
interface Before {
  at: number;
  pushed: number;
  completed: number;
}

export class Queues implements Page {
  readonly title = "Queues";
  readonly every = 5_000;
  readonly element: HTMLElement;
  private readonly queues = el("div");
  private readonly groups = el("div");
  private readonly dead = el("div");
  private readonly pager = el("div", { class: "row pager" });
  private readonly which = el("select", { testid: "dead-which", attrs: { "aria-label": "Which of the dead letters" } },
    el("option", { attrs: { value: "false" } }, "Not reviewed"), el("option", { attrs: { value: "true" } }, "Reviewed"), el("option", { attrs: { value: "" } }, "All"));
  private readonly of = el("select", { testid: "dead-of", attrs: { "aria-label": "Of which queue" } }, el("option", { attrs: { value: "" } }, "All queues"));
  private offset = 0;
  private readonly before = new Map<string, Before>();

  constructor(private readonly context: Context) {
    for (const choice of [this.which, this.of]) {
      choice.onchange = () => {
        this.offset = 0;
        void this.refresh().catch(() => {});
      };
    }
    const section = (title: string, ...children: Node[]): HTMLElement => el("section", { attrs: { "aria-label": title } }, ...children);
    const head = (title: string, ...more: Node[]): HTMLElement => el("div", { class: "head" }, el("h2", {}, title), ...more);
    this.element = el("div", {}, el("div", { class: "head" }, el("h1", {}, "Queues")),
      section("Queues", this.queues), section("Consumer groups", head("Consumer groups"), this.groups),
      section("Dead letters", head("Dead letters", el("div", { class: "row tools" }, this.of, this.which)), this.dead, this.pager));
  }

  async refresh(): Promise<void> {
    const query = `dlq?limit=${AT_ONCE}&offset=${this.offset}${this.which.value ? `&reviewed=${this.which.value}` : ""}${this.of.value ? `&queue=${part(this.of.value)}` : ""}`;
    const [{ queues }, groups, dead] = await Promise.all([
      get<{ queues: Queue[] }>("queues"), get<Group[]>("consumer-groups"), get<{ messages: Dead[]; total: number }>(query),
    ]);
    this.showQueues(queues);
    this.showGroups(groups);
    this.showDead(dead.messages, dead.total);
  }

  private rates({ name, pushed, completed }: Queue): [number | undefined, number | undefined] {
    const [at, was] = [Date.now(), this.before.get(name)];
    // A glance in between would divide by next to nothing.
    if (was && at - was.at < 2_000) return [undefined, undefined];
    this.before.set(name, { at, pushed, completed });
    if (!was) return [undefined, undefined];
    const seconds = (at - was.at) / 1000;
    return [Math.max(0, pushed - was.pushed) / seconds, Math.max(0, completed - was.completed) / seconds];
  }

  private showQueues(queues: readonly Queue[]): void {
    const rows = queues.map((queue) => {
      const [inward, outward] = this.rates(queue);
      return [
        queue.name, count(queue.pending), count(queue.inFlight), queue.dead > 0 ? pill(count(queue.dead), "bad") : "0",
        span(queue.oldestAgeSeconds === null ? null : queue.oldestAgeSeconds * 1000), speed(inward), speed(outward),
        ms(queue.waitTime.p50Ms), ms(queue.waitTime.p99Ms), ms(queue.processingTime.p50Ms), count(queue.partitions), bytes(queue.bytes),
      ];
    });
    const heads = ["Queue", "Waiting", "In flight", "Dead", "Oldest", "Pushed", "Completed", "Wait, median", "Wait p99", "Work, median", "Partitions", "Size"];
    this.queues.replaceChildren(table("Queues", heads, rows, "There are no queues. POST /api/v1/push makes one.", "queues"));
    const names = queues.map(({ name }) => name);
    if ([...this.of.options].slice(1).map(({ value }) => value).join("\n") !== names.join("\n")) {
      const chosen = this.of.value;
      this.of.replaceChildren(this.of.options[0]!, ...names.map((name) => el("option", { attrs: { value: name } }, name)));
      this.of.value = names.includes(chosen) ? chosen : "";
    }
  }

  private showGroups(groups: readonly Group[]): void {
    const rows = groups.map((group) => [
      group.name, group.queueName, pill(group.state.toLowerCase(), group.state === "Stable" ? "good" : "warn"), count(group.waiting),
      span(group.maxTimeLag * 1000), count(group.inFlight), count(group.completed), ago(group.lastSeenAt),
    ]);
    this.groups.replaceChildren(table("Consumer groups", ["Group", "Queue", "State", "Lag", "Lag in time", "In flight", "Completed", "Last seen"], rows, "Nobody has read a queue yet.", "groups"));
  }

  private showDead(letters: readonly Dead[], total: number): void {
    const { writes } = this.context.session;
    // What somebody reads or is about to press stays.
    const open = new Set([...this.dead.querySelectorAll<HTMLDetailsElement>("details[open]")].map(({ dataset }) => dataset.id));
    const focus = this.dead.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.press : undefined;
    const cards = letters.map((letter) => {
      const details = el("details", { attrs: { "data-id": letter.id, ...(open.has(letter.id) ? { open: "" } : {}) } },
        el("summary", { attrs: { "data-press": `open-${letter.id}` } }, "Message"), el("pre", { attrs: { tabindex: "0" } }, JSON.stringify(letter.data, undefined, 2)));
      const press = (name: string, what: string, run: () => void): HTMLElement =>
        el("button", { attrs: { "data-press": `${what}-${letter.id}`, "aria-label": `${name} ${letter.transactionId}` }, testid: what, onclick: run }, name);
      return el("li", { class: "card letter", testid: "letter" },
        el("div", { class: "head" },
          el("div", {}, el("strong", {}, letter.errorMessage || "It failed without a word"),
            el("p", { class: "hint" }, `${letter.queue} / ${letter.partition}, group ${letter.consumerGroup}: ${count(letter.attempts)} ${letter.attempts === 1 ? "attempt" : "attempts"}, died ${ago(letter.failedAt)}, pushed ${ago(letter.createdAt)}`)),
          el("div", { class: "row" }, letter.reviewed && pill("reviewed", "plain"),
            writes && !letter.reviewed && press("Mark as reviewed", "review", () => void this.review(letter)), writes && press("Replay", "replay", () => void this.replay(letter)))),
        el("code", { class: "hint" }, letter.transactionId), details);
    });
    this.dead.replaceChildren(cards.length > 0 ? el("ul", { class: "letters" }, ...cards) : el("p", { class: "hint", testid: "no-letters" }, "No dead letters here."));
    if (focus) this.dead.querySelector<HTMLElement>(`[data-press="${CSS.escape(focus)}"]`)?.focus();
    const turn = (by: number) => (): void => {
      this.offset = Math.max(0, this.offset + by);
      void this.refresh().catch(() => {});
    };
    const end = this.offset + letters.length;
    this.pager.replaceChildren(...(total > AT_ONCE ? [el("span", { class: "hint" }, `${count(letters.length > 0 ? this.offset + 1 : 0)} to ${count(end)} of ${count(total)}`)] : []),
      ...(this.offset > 0 ? [el("button", { onclick: turn(-AT_ONCE) }, "Back")] : []), ...(end < total ? [el("button", { onclick: turn(AT_ONCE) }, "More")] : []));
  }

  private review(letter: Dead): Promise<boolean> {
    return this.context.act("It could not be marked", "Marked as reviewed", () => request("POST", `dlq/${part(letter.id)}/reviewed`, {}));
  }

  private async replay(letter: Dead): Promise<void> {
    const text = `It goes back into ${letter.queue} for the group ${letter.consumerGroup}, with all its attempts before it.`;
    if (!(await ask("Replay this message?", text, "Replay"))) return;
    await this.context.act("It could not be replayed", "It is in its queue again", () => request("POST", `dlq/${part(letter.id)}/replay`, {}));
  }
}
