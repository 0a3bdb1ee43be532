/**
 * How updates of a document are entries of a log. The first byte says what follows: 0, a whole update; 1, a piece of one that
 * is too large for a message: 8 bytes that name it, the piece's place, how many there are (two bytes each), and the bytes.
 */

import type { LogEntry } from "./types.js";

const WHOLE = 0;
const PIECE = 1;
const NAME_BYTES = 8;
const HEAD_BYTES = 1 + NAME_BYTES + 4;
/** Whoever has not sent the rest by then is gone. What stays is a part of an update, which means nothing. */
const OPEN_MS = 600_000;

interface Open {
  readonly parts: (Uint8Array | undefined)[];
  first: number;
  readonly since: number;
  missing: number;
}

/** A whole update as an entry. */
export function entryOf(update: Uint8Array): Uint8Array {
  const entry = new Uint8Array(update.length + 1);
  entry[0] = WHOLE;
  entry.set(update, 1);
  return entry;
}

/** An update as entries of at most so many bytes. */
export function piecesOf(update: Uint8Array, most: number): Uint8Array[] {
  const step = Math.max(1, most - HEAD_BYTES);
  const count = Math.ceil(update.length / step);
  if (count > 0xffff) throw new RangeError("the update is too large for messages of this server");
  const name = crypto.getRandomValues(new Uint8Array(NAME_BYTES));
  return Array.from({ length: count }, (_, at) => {
    const bytes = update.subarray(at * step, (at + 1) * step);
    const entry = new Uint8Array(HEAD_BYTES + bytes.length);
    const view = new DataView(entry.buffer);
    entry[0] = PIECE;
    entry.set(name, 1);
    view.setUint16(1 + NAME_BYTES, at);
    view.setUint16(3 + NAME_BYTES, count);
    entry.set(bytes, HEAD_BYTES);
    return entry;
  });
}

/** Puts pieces together. */
export class Pieces {
  private readonly open = new Map<string, Open>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  clear(): void {
    this.open.clear();
  }

  /** The update that an entry is, or completes. Nothing for what is neither: another program may have put it there. */
  update({ seq, data }: LogEntry): Uint8Array | undefined {
    if (data[0] === WHOLE && data.length > 1) return data.subarray(1);
    if (data[0] !== PIECE || data.length <= HEAD_BYTES) return undefined;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const name = data.subarray(1, 1 + NAME_BYTES).join(".");
    const at = view.getUint16(1 + NAME_BYTES);
    const count = view.getUint16(3 + NAME_BYTES);
    const known = this.open.get(name);
    if (at >= count || (known && known.parts.length !== count)) return undefined;
    const open = known ?? { parts: Array.from({ length: count }, () => undefined), first: seq, since: this.now(), missing: count };
    open.first = Math.min(open.first, seq);
    if (!open.parts[at]) {
      open.parts[at] = data.subarray(HEAD_BYTES);
      open.missing--;
    }
    if (open.missing > 0) {
      this.open.set(name, open);
      return undefined;
    }
    this.open.delete(name);
    return joined(open.parts as Uint8Array[]);
  }

  /** The `seq` of the first piece of an update of which some are still to come. */
  get firstOpen(): number {
    const young = [...this.open.values()].filter(({ since }) => this.now() - since < OPEN_MS);
    return young.reduce((first, open) => Math.min(first, open.first), Infinity);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
