/** "Under the hood": what this relay does, seen from this tab. */

import type { Bots } from "./bots";
import { fromBase } from "./base";
import { byId, el } from "./dom";
import type { Latency, Summary } from "./latency";
import { shortName, stateOf } from "./presence";
import type { Op, Room } from "./room";
import type { Box } from "./types";

const REFRESH_MS = 500;
/** Outbox rows shown; the rest is a number. */
const ROWS = 40;
/** Samples in the small chart; three units of its view box each. */
const BARS = 48;

export class Drawer {
  private timer: ReturnType<typeof setInterval> | undefined;
  private asked = false;
  private roundTrip = NaN;

  constructor(
    private readonly room: Room,
    private readonly latency: Latency,
    private readonly bots: Bots,
    private readonly botArea: () => Box,
    private readonly toast: (text: string) => void,
  ) {
    byId("cut").addEventListener("click", () => {
      room.cut();
      toast("Connection cut. It comes back by itself.");
    });
    byId("kill").addEventListener("click", () => void this.kill());
    const slider = byId<HTMLInputElement>("bots");
    slider.addEventListener("input", () => this.setBots(Number(slider.value)));
    bots.onReport = ({ connected, wanted, trouble }) => {
      byId("bots-state").textContent = wanted === 0 ? "" : trouble || `${connected} of ${wanted} connected`;
    };
    room.on("outbox", () => this.isOpen && this.renderOutbox());
    room.on("status", () => this.isOpen && this.render());
  }

  private get isOpen(): boolean {
    return this.timer !== undefined;
  }

  opened(): void {
    this.timer ??= setInterval(() => this.render(), REFRESH_MS);
    this.latency.start();
    this.render();
    this.renderOutbox();
    if (!this.asked) void this.askForControls();
    this.asked = true;
  }

  closed(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.latency.stop();
  }

  /** What the badge speaks of stands at the end of the drawer. */
  showOutbox(): void {
    byId("outbox").closest("section")!.scrollIntoView({ block: "nearest" });
  }

  private setBots(count: number): void {
    byId("bots-count").textContent = String(count);
    byId("bots").style.setProperty("--filled", `${count}%`);
    this.bots.set(count, this.botArea());
  }

  private render(): void {
    const { room } = this;
    set("hood-instance", shortName(room.instance) || "–");
    byId("hood-instance").title = room.instance;
    set("kill", room.instance ? `Kill ${shortName(room.instance)}` : "Kill this instance");
    set("hood-seq", room.seq.toLocaleString("en"));
    set("hood-epoch", room.epoch || "–");
    set("hood-status", room.status === "connected" && room.sync !== "synchronized" ? "catching up" : room.status);
    set("hood-client", room.client);
    set("hood-objects", room.objects.size.toLocaleString("en"));
    this.renderInstances();
    const { same, cross } = this.latency.summaries();
    renderLatency("same", same);
    renderLatency("cross", cross);
    set("hood-ping", Number.isNaN(this.roundTrip) ? "–" : ms(this.roundTrip));
    if (room.status === "connected") {
      room.ping().then((value) => (this.roundTrip = value), () => (this.roundTrip = NaN));
    } else this.roundTrip = NaN;
  }

  /** How the people (and bots) spread over the processes. */
  private renderInstances(): void {
    const counts = new Map<string, number>();
    if (this.room.instance) counts.set(this.room.instance, 1);
    for (const other of this.room.others) {
      const { instance } = stateOf(other);
      if (instance) counts.set(instance, (counts.get(instance) ?? 0) + 1);
    }
    const most = Math.max(1, ...counts.values());
    const rows = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([instance, n]) => {
      const here = instance === this.room.instance;
      const bar = el("span", { class: "bar-fill" });
      bar.style.width = `${Math.max(2, (n / most) * 100)}%`;
      return el("li", { class: here ? "here" : "", testid: "hood-instance-row", attrs: { "data-instance": instance } },
        el("code", { text: shortName(instance), title: instance }), el("span", { class: "bar-track" }, bar), el("span", { class: "num", text: String(n) }));
    });
    byId("hood-instances").replaceChildren(...rows);
  }

  private renderOutbox(): void {
    const ops = this.room.outbox;
    set("outbox-count", String(ops.length));
    const rows = ops.slice(0, ROWS).map((op) => outboxRow(op));
    if (ops.length > ROWS) rows.push(el("li", { class: "hint", text: `and ${ops.length - ROWS} more` }));
    byId("outbox").replaceChildren(...rows);
  }

  /**
   * The controls exist only on a server started for demonstrations; elsewhere the answer is 404 and nothing is shown.
   * Browsers write that into the console, so it is asked only where there can be such a server.
   */
  private async askForControls(): Promise<void> {
    if (!isLoopback(location.hostname)) return;
    try {
      const answer = await fetch(fromBase("api/v1/demo"), { headers: { accept: "application/json" }, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      const body = answer.ok ? ((await answer.json()) as { controls?: unknown; kill?: unknown }) : {};
      byId("kill").hidden = body.controls !== true && body.kill !== true;
    } catch {
      // Offline just now: the next opening asks again.
      this.asked = false;
    }
  }

  /** Behind a load balancer the request may reach another process than the socket did: so it says which one is meant. */
  private async kill(): Promise<void> {
    const here = this.room.instance;
    const name = shortName(here);
    const online = this.room.status === "connected";
    try {
      const answer = await fetch(fromBase(`api/v1/demo/kill?instance=${encodeURIComponent(here)}`), { method: "POST", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      if (answer.ok) return this.toast(`${name} is gone. Keep drawing.`);
      const { message } = (await answer.json()) as { message?: unknown };
      this.toast(`${name} was not killed: ${typeof message === "string" ? message : "the server refused"}`);
    } catch {
      // It may die before it answers, or the line may be dead: the socket tells what became of it.
      await new Promise((resolve) => setTimeout(resolve, SEEN_WITHIN_MS));
      const stays = this.room.status === "connected" && this.room.instance === here;
      this.toast(stays || !online ? `${name} was not killed: nothing answers` : `${name} is going. Keep drawing.`);
    }
  }
}

/** For answers of the server to the drawer. */
const ANSWER_WITHIN_MS = 5_000;
/** Until a page sees that the process is gone which its socket led to. */
const SEEN_WITHIN_MS = 500;

/** `--demo-controls` is refused by a server that listens beyond loopback. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

function outboxRow(op: Op): HTMLElement {
  const what = op.objectId ? `${op.type} ${op.objectId}` : op.type;
  const row = el("li", { class: "op", testid: "outbox-op", attrs: { "data-state": op.state } },
    el("code", { text: what, title: what }), el("span", { class: "op-state", text: op.state }));
  if (op.state === "failed") {
    row.title = op.error?.message ?? "";
    row.append(
      el("button", { class: "link", text: "Retry", testid: "outbox-retry", onclick: () => op.retry() }),
      el("button", { class: "link", text: "Discard", testid: "outbox-discard", onclick: () => void op.discard() }),
    );
  }
  return row;
}

const ms = (value: number): string => (Number.isFinite(value) ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : "–");

function set(id: string, text: string): void {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** Numbers and a small chart: one bar per sample, the newest on the right. */
function renderLatency(kind: "same" | "cross", summary: Summary): void {
  set(`latency-${kind}-p50`, ms(summary.p50));
  set(`latency-${kind}-p95`, ms(summary.p95));
  set(`latency-${kind}-n`, summary.n === 0 ? "no one to ask" : `${summary.n} samples`);
  const recent = summary.samples.slice(-BARS);
  const top = Math.max(4, ...recent);
  const d = recent.map((value, i) => `M${(BARS - recent.length + i) * 3 + 1} 24V${(24 - Math.max(1, (value / top) * 22)).toFixed(1)}`).join("");
  byId(`latency-${kind}-chart`).firstElementChild!.setAttribute("d", d || "M0 24");
}
