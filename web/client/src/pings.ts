/** `room.ping()`: round trips that somebody waits for. */

import { ScumbleError } from "./types.js";

/**
 * Nobody waits longer for the answer to a single question. It is long, since on a slow line much may stand before the
 * answer; whether the line is alive is looked at elsewhere.
 */
const ANSWER_WITHIN_MS = 300_000;

export class Pings {
  /** By the time they were sent at. */
  private readonly waiting = new Map<number, { answer: (error?: Error) => void }>();

  constructor(
    private readonly now: () => number,
    private readonly send: (text: string) => boolean,
    private readonly after: (ms: number, task: () => void) => () => void,
  ) {}

  ping(): Promise<number> {
    return new Promise((resolve, reject) => {
      const sentAt = this.now();
      // Two in one tick of the clock still are two; the connection's own pings are whole numbers.
      let ts = Math.floor(sentAt) + 0.5;
      while (this.waiting.has(ts)) ts += 0.0625;
      if (!this.send(JSON.stringify({ type: "ping", ts }))) return reject(new ScumbleError("closed", "there is no connection"));
      const cancel = this.after(ANSWER_WITHIN_MS, () => this.answered(ts, new ScumbleError("unreachable", `no answer within ${ANSWER_WITHIN_MS / 1000} s`)));
      const answer = (error?: Error): void => (cancel(), error ? reject(error) : resolve(this.now() - sentAt));
      this.waiting.set(ts, { answer });
    });
  }

  ponged(ts: number | null): void {
    this.answered(ts ?? -1);
  }

  private answered(ts: number, error?: Error): void {
    const waiting = this.waiting.get(ts);
    this.waiting.delete(ts);
    waiting?.answer(error);
  }

  lost(): void {
    for (const ts of [...this.waiting.keys()]) this.answered(ts, new ScumbleError("closed", "the connection was lost"));
  }
}
