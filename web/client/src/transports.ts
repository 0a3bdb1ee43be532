/**
 * Which way to the server is taken: a WebSocket, or a stream of events where none gets through. Pure but for asking whether
 * the server answers at all: while it does not, no WebSocket gets through either, and that says nothing.
 */

import type { Transport, TransportOption } from "./types.js";

/** How long a way on which no WebSocket got through is taken for such a one. */
export const BLOCKED_FOR_MS = 300_000;

export class Transports {
  /** The one of the attempt at hand. */
  current: Transport = "websocket";
  /** When a WebSocket was last tried where none gets through. */
  private blockedAt: number | undefined;
  /** Of the attempts in a row that failed: the server has answered since the last one began. */
  private reachable = false;
  private asking = false;

  constructor(
    private readonly wanted: TransportOption,
    /** Asks whether there is a server that has streams. */
    private readonly ask: ((answer: (yes: boolean) => void) => void) | undefined,
  ) {}

  private get chooses(): boolean {
    return this.wanted === "auto" && this.ask !== undefined;
  }

  /** An attempt begins. */
  next(now: number): Transport {
    const blocked = this.blockedAt !== undefined && now - this.blockedAt < BLOCKED_FOR_MS;
    return (this.current = this.wanted === "sse" || (this.chooses && blocked) ? "sse" : "websocket");
  }

  /** A line is open. */
  opened(): void {
    this.reachable = false;
    if (this.current === "websocket") this.blockedAt = undefined;
  }

  /** An attempt failed before its line was open. */
  failed(now: number): void {
    if (!this.chooses) return;
    if (this.current === "sse") {
      // It is not the WebSockets alone.
      this.blockedAt = undefined;
      this.reachable = false;
    } else if (this.reachable || this.blockedAt !== undefined) {
      this.blockedAt = now;
      this.reachable = false;
    } else this.look();
  }

  private look(): void {
    if (this.asking) return;
    this.asking = true;
    this.ask?.((yes) => {
      this.asking = false;
      this.reachable = yes;
    });
  }

  /** While a stream is used: when to see whether a WebSocket gets through now. */
  get triesAgainInMs(): number | undefined {
    return this.chooses && this.current === "sse" ? BLOCKED_FOR_MS : undefined;
  }

  /** One did, or did not. */
  tried(passes: boolean, now: number): void {
    this.blockedAt = passes ? undefined : now;
  }
}
