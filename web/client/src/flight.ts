/**
 * The window: ops that were sent on this connection and are not answered. Pure.
 *
 * It follows what line and server can take: it grows while answers come about as soon as they ever did, and shrinks when
 * they take longer, since what waits in the line can't be merged any more. So many objects may be moved at once, far away
 * as well, and a slow line is never filled with what is out of date before it arrives.
 */

/** Ops in flight. With 1,024 of them unanswered the server stops reading. */
export const MAX_OPS = 1_000;
/** Characters in flight at the beginning, at least, and at most; one op may always fly. */
export const START_CHARS = 32 * 1024;
const MIN_CHARS = 8 * 1024;
export const MAX_CHARS = 1024 * 1024;
/** An answer this much later than the soonest, or than twice its time, means that nothing waits on the way. */
const SOON_MS = 50;
/** One this much later, or than three times the soonest, means that too much does. */
const LATE_MS = 200;
/** How much is left of a window that was too large. */
const SHRINK = 0.7;
/** The soonest answer is forgotten after this time: routes change. */
const SOONEST_FOR_MS = 30_000;

export class Flight {
  /** In the order in which they were sent. */
  private readonly ops = new Map<number, { chars: number; sentAt: number; limited: boolean }>();
  private chars = 0;
  private window = START_CHARS;
  private landedAt = 0;
  private shrunkAt = -Infinity;
  private soonest = Infinity;
  private soonestAt = -Infinity;

  get size(): number {
    return this.ops.size;
  }

  get bytes(): number {
    return this.chars;
  }

  /** Whether the next op has to wait. */
  get full(): boolean {
    return this.ops.size >= MAX_OPS || (this.ops.size > 0 && this.chars >= this.window);
  }

  /** When the oldest of them was sent, or one was answered since: on a slow line the last of many waits for all others. */
  get since(): number | undefined {
    for (const { sentAt } of this.ops.values()) return Math.max(sentAt, this.landedAt);
    return undefined;
  }

  has(op: number): boolean {
    return this.ops.has(op);
  }

  launch(op: number, chars: number, now: number): void {
    this.chars += chars;
    this.ops.set(op, { chars, sentAt: now, limited: this.chars >= this.window / 2 });
  }

  /** It is answered; nothing if it did not fly. */
  land(op: number, now: number): void {
    const flown = this.ops.get(op);
    if (!flown) return;
    this.ops.delete(op);
    this.chars -= flown.chars;
    this.landedAt = now;
    const took = now - flown.sentAt;
    if (took <= this.soonest || now - this.soonestAt > SOONEST_FOR_MS) [this.soonest, this.soonestAt] = [took, now];
    const later = took - this.soonest;
    if (later <= Math.max(SOON_MS, this.soonest)) {
      // Only where the window is what kept more from flying.
      if (flown.limited) this.window = Math.min(MAX_CHARS, this.window + flown.chars);
    } else if (later > Math.max(LATE_MS, 2 * this.soonest) && flown.sentAt >= this.shrunkAt) {
      // Once for each round trip: what was sent before the last time says nothing new.
      this.window = Math.max(MIN_CHARS, this.window * SHRINK);
      this.shrunkAt = now;
    }
  }

  /** The connection is gone. The next one may be another line, to another server. */
  clear(): void {
    this.ops.clear();
    this.chars = 0;
    this.window = START_CHARS;
    this.soonest = Infinity;
    this.soonestAt = this.shrunkAt = -Infinity;
  }
}
