/** The page's side of the bots: a worker that keeps as many connections as the slider says. */

import type { Box } from "./types";

export interface BotOrder {
  count: number;
  url: string;
  token: string | undefined;
  /** World box the bots wander in. */
  area: Box;
}

export interface BotReport {
  connected: number;
  wanted: number;
  /** Why the latest connection was refused, if one was. */
  trouble: string;
}

export class Bots {
  onReport: (report: BotReport) => void = () => {};
  private worker: Worker | undefined;

  constructor(private readonly url: string, private readonly token: string | undefined) {}

  set(count: number, area: Box): void {
    if (count === 0 && !this.worker) return;
    this.worker ??= this.start();
    const order: BotOrder = { count, url: this.url, token: this.token, area };
    this.worker.postMessage(order);
  }

  /** The worker is this same file: main.ts sees that it has no document and runs the bots instead of the page. */
  private start(): Worker {
    const worker = new Worker(import.meta.url, { type: "module", name: "bots" });
    worker.addEventListener("message", (event: MessageEvent<BotReport>) => this.onReport(event.data));
    return worker;
  }
}
