/**
 * Whether the line is alive. What counts is progress, not time: a slow line that brings a large canvas piece by piece is
 * left alone, and one on which something is waited for and less than 1 KiB comes in half a minute is given up. Pure.
 *
 * A browser tells of whole messages only. So half a message looks like silence; where a line was given up before it had
 * brought the canvas, the next attempt waits twice as long.
 */

/** What is waited for comes, or at least {@link LEAST_BYTES} of it, within this time. */
export const SILENCE_MS = 30_000;
export const LEAST_BYTES = 1024;
/** However slow the lines were: a dead one is noticed within this time. */
const MAX_SILENCE_MS = 300_000;
/** From the attempt to the open socket, which takes a few hundred bytes. */
const OPEN_WITHIN_MS = 10_000;
/** An idle line that was quick has no reason to be silent longer, when the page is looked at again. */
export const DOUBTED_MS = 5_000;
/** The same after the browser said that the network is gone. */
export const OFFLINE_MS = 2_000;
/** A line that takes longer than this for an answer is not quick. */
const QUICK_MS = 1_000;
/** Bytes on their way to the server up to which the line counts as idle. */
const IDLE_BYTES = 4 * 1024;

export interface LineState {
  /** The canvas, or what changed of it, is still coming. */
  readonly joining: boolean;
  /** Bytes of ops without an answer. */
  readonly unanswered: number;
  /** Bytes that the socket has not handed to the network yet. */
  readonly buffered: number;
}

export class Liveness {
  private patienceMs = SILENCE_MS;
  /** The last answer to a ping came soon, and no hasty verdict was passed since. */
  private quick = true;
  private bytes = 0;
  private windowAt = 0;
  private heardAt = 0;
  private askedAt: number | undefined;
  private doubtedUntil: number | undefined;
  private buffered = 0;

  get openWithinMs(): number {
    return (OPEN_WITHIN_MS * this.patienceMs) / SILENCE_MS;
  }

  /** A socket is open. */
  opened(now: number): void {
    this.bytes = this.buffered = 0;
    this.windowAt = this.heardAt = now;
    this.askedAt = this.doubtedUntil = undefined;
  }

  /** A message came. */
  heard(bytes: number, now: number): void {
    this.bytes += bytes;
    this.heardAt = now;
    this.doubtedUntil = undefined;
  }

  get asked(): boolean {
    return this.askedAt !== undefined;
  }

  /** A ping was sent. Doubts, if any, are about an idle line that was quick: it has only so long. */
  ask(now: number, line: LineState, doubtMs?: number): void {
    if (this.askedAt === undefined && !line.joining) {
      this.bytes = 0;
      this.windowAt = now;
    }
    this.askedAt ??= now;
    const idle = !line.joining && line.unanswered <= IDLE_BYTES && line.buffered === 0;
    if (doubtMs !== undefined && idle && this.quick) this.doubtedUntil = Math.min(this.doubtedUntil ?? Infinity, now + doubtMs);
  }

  /** The answer to a ping came. */
  answered(now: number): void {
    if (this.askedAt === undefined) return;
    this.quick = now - this.askedAt <= QUICK_MS;
    this.askedAt = undefined;
  }

  /** The canvas is here: the line is good enough. */
  arrived(): void {
    this.patienceMs = SILENCE_MS;
  }

  /** How long nothing was heard. */
  quietMs(now: number): number {
    return now - this.heardAt;
  }

  /** When the next verdict is due at the earliest. */
  get dueAt(): number {
    return Math.min(this.doubtedUntil ?? Infinity, this.windowAt + this.patienceMs);
  }

  /** Whether to give the line up. It is to be asked regularly. */
  dead(now: number, line: LineState): boolean {
    // While the socket's own buffer is not empty, what leaves it has been taken by the other side.
    if (this.buffered > 0 && line.buffered > 0) this.bytes += Math.max(0, this.buffered - line.buffered);
    this.buffered = line.buffered;
    if (this.doubtedUntil !== undefined && now >= this.doubtedUntil) {
      this.quick = false;
      return true;
    }
    const waiting = line.joining || this.askedAt !== undefined;
    // A ping's answer stands behind whatever else comes.
    if (!waiting || this.bytes >= LEAST_BYTES || (!line.joining && this.heardAt > this.windowAt)) {
      this.bytes = 0;
      this.windowAt = now;
      return false;
    }
    if (now - this.windowAt < this.patienceMs) return false;
    this.gaveUp(line.joining);
    return true;
  }

  /** It took too long, with something on its way: next time it may take longer. */
  gaveUp(joining: boolean): void {
    if (joining) this.patienceMs = Math.min(MAX_SILENCE_MS, this.patienceMs * 2);
  }
}
