/**
 * The bots themselves, in a worker so that a hundred connections do not disturb the page's frames. Each is a connection
 * of its own that speaks the bare protocol: it needs no objects and no outbox, so the library would be wasted on it.
 */

import type { BotOrder, BotReport } from "./bots";
import { probeFor } from "./latency";
import { PEOPLE } from "./palette";
import type { Box, Point } from "./types";

/** Each bot moves at 15 Hz; receivers interpolate. */
const STEP_MS = 66;
/** One more every 40 ms: a hundred in four seconds, without a burst of handshakes. */
const JOIN_EVERY_MS = 40;
const RETRY_MS = { first: 500, most: 10_000 };
/** Close codes that say: not like this. */
const FINAL = new Set([1009, 4400, 4401, 4403, 4409]);

class Bot {
  readonly client = `bot-${crypto.randomUUID()}`;
  connected = false;
  private socket: WebSocket | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private delay = RETRY_MS.first;
  private instance = "";
  private at: Point;
  private from: Point;
  private to: Point;
  private progress = 1;
  private stepBy = 0.02;
  private pause = 0;

  constructor(private readonly number: number, private order: () => BotOrder, private readonly report: (trouble?: string) => void) {
    this.at = this.from = this.to = somewhere(order().area);
    this.open();
  }

  leave(): void {
    clearTimeout(this.retry);
    const { socket } = this;
    this.socket = undefined;
    this.connected = false;
    if (socket?.readyState === WebSocket.OPEN) socket.send('{"type":"bye"}');
    socket?.close(1000);
  }

  /** Eases from one point to the next, rests a little, goes on: the way a hand moves. */
  step(): void {
    if (!this.connected || this.pause-- > 0) return;
    if (this.progress >= 1) {
      this.from = this.at;
      this.to = somewhere(this.order().area);
      this.progress = 0;
      this.stepBy = 0.02 + Math.random() * 0.04;
      this.pause = Math.random() < 0.4 ? Math.floor(Math.random() * 14) : 0;
    }
    this.progress = Math.min(1, this.progress + this.stepBy);
    const t = this.progress < 0.5 ? 2 * this.progress ** 2 : 1 - (2 - 2 * this.progress) ** 2 / 2;
    const bend = Math.sin(t * Math.PI) * 0.15;
    const [dx, dy] = [this.to.x - this.from.x, this.to.y - this.from.y];
    this.at = { x: this.from.x + dx * t - dy * bend, y: this.from.y + dy * t + dx * bend };
    if (this.socket && this.socket.bufferedAmount < 4096) {
      this.send({ type: "cursor", x: Math.round(this.at.x), y: Math.round(this.at.y) });
    }
  }

  private open(): void {
    const { url, token } = this.order();
    const socket = new WebSocket(url, "scumble.v1");
    this.socket = socket;
    socket.onopen = () => {
      const user = { name: `Bot ${this.number}`, color: PEOPLE[this.number % PEOPLE.length] };
      this.send({ type: "hello", v: 1, client: this.client, user, ...(token ? { token } : {}) });
    };
    socket.onmessage = (event) => this.receive(String(event.data));
    socket.onclose = (event) => this.closed(socket, event.code);
  }

  /** Nearly all a bot hears is others' cursors; reading only the beginning spares a hundred bots the parsing. */
  private receive(text: string): void {
    const head = text.slice(0, 40);
    if (head.includes('"welcome"')) {
      this.instance = String((JSON.parse(text) as { instance?: unknown }).instance ?? "");
      this.connected = true;
      this.delay = RETRY_MS.first;
      this.send({ type: "presence", state: { bot: true, instance: this.instance } });
      this.report("");
    } else if (head.includes('"signal"') && text.includes('"probe"')) {
      const signal = JSON.parse(text) as { client?: string; event?: string; data?: unknown };
      if (signal.event !== "probe" || !probeFor(this.client, signal.data)) return;
      const { n, t } = signal.data;
      this.send({ type: "signal", event: "echo", data: { n, t, to: signal.client, i: this.instance } });
    }
  }

  private closed(socket: WebSocket, code: number): void {
    if (this.socket !== socket) return;
    this.socket = undefined;
    this.connected = false;
    this.report(FINAL.has(code) || code === 4413 ? `refused (${code})` : undefined);
    if (FINAL.has(code)) return;
    this.retry = setTimeout(() => this.open(), Math.random() * this.delay);
    this.delay = Math.min(RETRY_MS.most, this.delay * 2);
  }

  private send(message: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

const somewhere = (area: Box): Point => ({ x: area.x + Math.random() * area.w, y: area.y + Math.random() * area.h });

export function runBots(scope: { postMessage(report: BotReport): void; onmessage: unknown }): void {
  const bots: Bot[] = [];
  let order: BotOrder | undefined;
  let trouble = "";
  const report = (text?: string): void => {
    trouble = text ?? trouble;
    scope.postMessage({ connected: bots.filter((bot) => bot.connected).length, wanted: order?.count ?? 0, trouble });
  };
  setInterval(() => {
    if (!order) return;
    if (bots.length < order.count) bots.push(new Bot(bots.length + 1, () => order!, report));
    else if (bots.length > order.count) {
      while (bots.length > order.count) bots.pop()!.leave();
      report("");
    }
  }, JOIN_EVERY_MS);
  setInterval(() => bots.forEach((bot) => bot.step()), STEP_MS);
  scope.onmessage = (event: MessageEvent<BotOrder>) => {
    order = event.data;
    report("");
  };
}
