/** The first screen: is all well, what is going on, and what to do if it is not. */

import { type Analytics, get, type Instance } from "./api";
import { Chart, type Series } from "./chart";
import { el, fact, pill, table } from "./dom";
import { bytes, count, ms, rate, span } from "./format";
import type { Page } from "./page";

const RANGES = [["15m", "15 minutes"], ["3h", "3 hours"], ["24h", "24 hours"]] as const;

const GOOD = ["healthy"];
const WARN = ["draining", "late", "behind", "warning"];
const kindOf = (state: string): "good" | "warn" | "bad" => (GOOD.includes(state) ? "good" : WARN.includes(state) ? "warn" : "bad");

export class Overview implements Page {
  readonly title = "Overview";
  readonly every = 5_000;
  readonly element: HTMLElement;
  private range: string = RANGES[0][0];
  private readonly health = el("section", { class: "health", testid: "health", attrs: { "aria-live": "polite" } });
  private readonly tiles = el("dl", { class: "tiles", testid: "tiles" });
  private readonly instances = el("div");
  private readonly queue = el("dl", { class: "facts" });
  private readonly charts = {
    messages: new Chart("Messages a second", "chart-messages"),
    connections: new Chart("Connections", "chart-connections"),
    bytes: new Chart("Traffic a second", "chart-bytes"),
    delivery: new Chart("Delivery: from commit to members", "chart-delivery"),
    commit: new Chart("Commit: from arrival to disk", "chart-commit"),
    loop: new Chart("Event loop lag, of the worst process", "chart-loop"),
  };

  constructor() {
    const ranges = RANGES.map(([word, name]) => {
      const button = el("button", { attrs: { "aria-pressed": String(word === this.range) }, testid: `range-${word}` }, name);
      button.onclick = () => {
        this.range = word;
        for (const other of ranges) other.setAttribute("aria-pressed", String(other === button));
        void this.refresh().catch(() => {});
      };
      return button;
    });
    this.element = el("div", {},
      el("h1", { class: "sr" }, "Overview"), this.health, this.tiles,
      el("section", { attrs: { "aria-labelledby": "h-lines" } },
        el("div", { class: "head" }, el("h2", { attrs: { id: "h-lines" } }, "Over time"), el("div", { class: "choice", attrs: { role: "group", "aria-label": "How far back" } }, ...ranges)),
        el("div", { class: "charts" }, ...Object.values(this.charts).map(({ element }) => element))),
      el("section", { attrs: { "aria-labelledby": "h-instances" } }, el("div", { class: "head" }, el("h2", { attrs: { id: "h-instances" } }, "Processes")), this.instances),
      el("section", { attrs: { "aria-labelledby": "h-queue" } }, el("div", { class: "head" }, el("h2", { attrs: { id: "h-queue" } }, "Store")), this.queue));
  }

  async refresh(): Promise<void> {
    const asked = this.range;
    const said = await get<Analytics>(`analytics?range=${asked}`);
    // Another range may have been chosen meanwhile.
    if (asked !== this.range) return;
    this.showHealth(said);
    this.showTiles(said);
    this.showCharts(said);
    this.instances.replaceChildren(processes(said.instances, said.instance_id));
    const { queue } = said;
    this.queue.replaceChildren(
      fact("Rows in the log", count(queue.rows)), fact("Not yet processed everywhere", count(queue.size)),
      fact("Oldest of them", span(queue.oldest_unprocessed_ms)), fact("Database", bytes(queue.db_bytes)),
      fact("Write-ahead log", bytes(queue.wal_bytes)), fact("Spilled messages", count(queue.spilled)));
  }

  private showHealth({ health, instances, scope, note }: Analytics): void {
    const ill = instances.filter(({ todo }) => todo);
    const state = health.state !== "healthy" ? health.state : !health.ready ? "not ready" : ill.length > 0 ? "warning" : "healthy";
    const words: Record<string, string> = {
      healthy: `All is well: ${count(instances.length)} ${instances.length === 1 ? "process" : "processes"}, nothing falls behind`,
      warning: health.state === "warning" ? "The queue falls behind" : "A process needs a look",
      critical: "The relay is in trouble",
    };
    const lines = new Set([health.reason, health.cause, ...ill.map(({ instance_id, state: is }) => `${instance_id} is ${is}`)].filter(Boolean) as string[]);
    const todo = new Set([health.todo, ...ill.map((one) => one.todo)].filter(Boolean) as string[]);
    const kind = kindOf(state);
    const next = el("div", { class: `banner ${kind}` }, el("strong", {}, words[state] ?? "This process takes no clients now"),
      ...[...lines].map((line) => el("p", {}, line)), ...[...todo].map((line) => el("p", { class: "todo" }, `What to do: ${line}`)),
      scope === "process" && note ? el("p", { testid: "note" }, note) : undefined);
    // Whoever listens hears it again only if it is another.
    if (this.health.textContent !== next.textContent) this.health.replaceChildren(next);
  }

  private showTiles({ live, connections, instances }: Analytics): void {
    const tile = (name: string, value: string, more: string, testid: string): HTMLElement =>
      el("div", { class: "card tile", testid }, el("dt", {}, name), el("dd", {}, el("b", {}, value), el("small", {}, more)));
    this.tiles.replaceChildren(
      tile("Connections", count(connections), `on ${count(instances.length)} ${instances.length === 1 ? "process" : "processes"}`, "tile-connections"),
      tile("Messages", `${rate(live.messages_per_second)}/s`, `${rate(live.deliveries_per_second)}/s delivered`, "tile-messages"),
      tile("Traffic", `${bytes(live.sent_bytes_per_second)}/s`, `${bytes(live.received_bytes_per_second)}/s received`, "tile-bytes"),
      tile("Delivery p99", ms(live.delivery.p99_ms), `median ${ms(live.delivery.p50_ms)}`, "tile-delivery"),
      tile("Commit p99", ms(live.commit.p99_ms), `median ${ms(live.commit.p50_ms)}`, "tile-commit"),
      tile("Refused", count(live.refusals), `${count(live.joins)} joined, last minute`, "tile-refused"));
  }

  private showCharts({ history }: Analytics): void {
    const { at_ms: at, step_ms } = history;
    const each = (values: readonly number[]): number[] => values.map((n) => (n * 1000) / step_ms);
    const draw = (chart: Chart, format: (n: number) => string, ...series: [string, Series["values"]][]): void =>
      chart.draw({ at, format, binary: chart === this.charts.bytes, series: series.map(([name, values]) => ({ name, values })) });
    draw(this.charts.messages, rate, ["delivered", each(history.deliveries)], ["committed", each(history.messages)]);
    draw(this.charts.connections, count, ["connections", history.connections]);
    draw(this.charts.bytes, (n) => `${bytes(n)}/s`, ["sent", each(history.bytes_out)], ["received", each(history.bytes_in)]);
    draw(this.charts.delivery, ms, ["p99", history.delivery_p99_ms], ["median", history.delivery_p50_ms]);
    draw(this.charts.commit, ms, ["p99", history.commit_p99_ms], ["median", history.commit_p50_ms]);
    draw(this.charts.loop, ms, ["lag", history.event_loop_lag_ms]);
  }
}

function processes(all: readonly Instance[], own: string): HTMLElement {
  const heads = ["Process", "State", "Connections", "Canvases", "Messages/s", "Lag", "Event loop", "Writer", "Commit p99", "Heartbeat", "Up for", "Pid", "Version"];
  const rows = all.map((one) => [
    el("span", {}, one.instance_id, one.instance_id === own ? el("small", { class: "hint", title: "This page is from that process" }, " this one") : undefined),
    pill(one.state, kindOf(one.state), one.trouble ?? one.todo ?? undefined),
    count(one.connections), count(one.rooms), rate(one.messages_per_second), `${count(one.lag)} rows`,
    ms(one.event_loop_lag_ms), count(one.writer_depth), ms(one.commit_p99_ms), `${span(one.heartbeat_age_ms)} ago`,
    span(one.uptime_ms), String(one.pid), one.version,
  ]);
  return table("Processes of this relay", heads, rows, "No process has registered yet.", "processes");
}
