/**
 * The stream's position: which durable message comes next, and what to do with one that does not. Pure.
 *
 * The next message after `n` is `n + 1`, always. While a snapshot is coming, durable messages are held and sorted out
 * against its `seq` when it is complete.
 */

import type { CanvasObject } from "./types.js";
import type { WireChat } from "./chat.js";
import type { WireEntry } from "./logs.js";

/** Messages held while a snapshot comes. A server that sends more than this first never sends the snapshot. */
const MAX_HELD = 20_000;

export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export interface SnapshotPart {
  readonly epoch: string;
  readonly seq: number;
  readonly part: number;
  readonly last: boolean;
  readonly objects: readonly CanvasObject[];
  readonly chat: readonly WireChat[];
  /** Only what changed since this state, which the client holds: `objects`, whole, and `deleted`. */
  readonly base?: Position;
  /** What was deleted since. One that is among the objects as well was made again: it stands at the end, as new ones do. */
  readonly deleted?: readonly string[];
  /** Entries of logs: all of them, or those since the base and all of what was compacted since. */
  readonly logs?: readonly WireEntry[];
  /** The objects whose log was compacted since. */
  readonly compacted?: readonly string[];
}

/** Where a message stands: to be applied, known already, held for later, or after a hole. */
export type Place = "next" | "repeat" | "held" | "gap";

export interface Snapshot<M> {
  /** What was deleted of the state that is held; `undefined` where the objects are all there are. */
  readonly deleted: readonly string[] | undefined;
  readonly objects: readonly CanvasObject[];
  readonly chat: readonly WireChat[];
  readonly logs: readonly WireEntry[];
  /** Objects whose logs are to be emptied first. */
  readonly compacted: readonly string[];
  /** What came before the last part, in order. */
  readonly held: readonly M[];
}

/** Whether what is held is at least the base: what changed since is among what changed since the base. */
function holds(position: Position, base: Position, { epoch, seq }: Position): boolean {
  return base.epoch === epoch && position.epoch === epoch && base.seq <= position.seq && position.seq <= seq;
}

export class Stream<M> {
  position: Position | undefined;
  private parts: SnapshotPart[] | undefined;
  private held: M[] = [];
  private target = Infinity;
  private gapAt: Position | undefined;

  get seq(): number {
    return this.position?.seq ?? 0;
  }

  /** Everything up to the head that the welcome told has arrived. */
  get caughtUp(): boolean {
    return this.parts === undefined && this.seq >= this.target;
  }

  /** The connection is gone; what is held goes with it. */
  lost(): void {
    this.parts = undefined;
    this.held = [];
    this.target = Infinity;
  }

  /** False when the server continues something this client does not hold. */
  welcome(epoch: string, seq: number, mode: string): boolean {
    this.lost();
    this.target = seq;
    if (mode !== "resume") {
      this.parts = [];
      return true;
    }
    return this.position?.epoch === epoch;
  }

  /** A snapshot will replace what is held, on this connection. */
  resync(): void {
    this.parts = [];
    this.held = [];
  }

  place(seq: number, message: M): Place {
    if (this.parts) {
      if (this.held.length >= MAX_HELD) return "gap";
      this.held.push(message);
      return "held";
    }
    if (!this.position || seq > this.position.seq + 1) return "gap";
    if (seq <= this.position.seq) return "repeat";
    this.position = { epoch: this.position.epoch, seq };
    return "next";
  }

  /** The complete snapshot with the last part, `undefined` before, `"gap"` for a part out of place. */
  part(part: SnapshotPart): Snapshot<M> | "gap" | undefined {
    // Unasked for, it is taken all the same: it says what is true.
    const parts = part.part === 0 ? [] : this.parts;
    const first = parts?.[0] ?? part;
    if (!parts || parts.length !== part.part || first.seq !== part.seq || first.epoch !== part.epoch) return "gap";
    parts.push(part);
    this.parts = parts;
    if (!part.last) return undefined;
    const { held, position } = this;
    const { base } = first;
    this.parts = undefined;
    this.held = [];
    if (base && !(position && holds(position, base, part))) {
      this.position = undefined;
      return "gap";
    }
    this.position = { epoch: part.epoch, seq: part.seq };
    const deleted = base && parts.flatMap((p) => p.deleted ?? []);
    return {
      deleted, held,
      objects: parts.flatMap((p) => p.objects),
      chat: parts.flatMap((p) => p.chat),
      logs: parts.flatMap((p) => p.logs ?? []),
      compacted: parts.flatMap((p) => p.compacted ?? []),
    };
  }

  /** A hole was found. The second time at the same place the position is given up: continuing there does not work. */
  gap(): void {
    const { position, gapAt } = this;
    if (position && gapAt && gapAt.epoch === position.epoch && gapAt.seq === position.seq) this.position = undefined;
    this.gapAt = position;
  }
}
