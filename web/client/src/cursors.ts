/** Cursors, both ways: when to send one's own, and where to draw the others'. Pure: the caller brings the time. */

import type { Cursor, JsonObject } from "./types.js";
import { fits, MAX_CURSOR_BYTES } from "./bounds.js";
import { copyObject, isObject } from "./json.js";

/** Points further apart in time are not joined by a movement: the cursor jumps. */
export const MAX_GLIDE_MS = 300;
/** Without news for this long a cursor is dim. */
export const DIM_AFTER_MS = 3_000;
/** Without news for this long a cursor is hidden. */
export const HIDE_AFTER_MS = 60_000;
/** The least time between own points: 30 a second. The server may ask for more. */
export const SEND_INTERVAL_MS = 33;
/** Nobody watches, but the server keeps the last point for who joins. */
export const ALONE_INTERVAL_MS = 1_000;
/** Bytes waiting in the socket above which a cursor would only add to the delay. */
export const MAX_BUFFERED_BYTES = 16 * 1024;
const FIRST_GLIDE_MS = 50;
/** The server's to say, and how a cursor is cleared. */
const TAKEN = ["type", "client", "hidden"] as const;

interface Track {
  fromX: number;
  fromY: number;
  x: number;
  y: number;
  at: number;
  /** The measured time between points, smoothed: how long the way to the next one takes. */
  intervalMs: number;
  fields: JsonObject;
}

/** Others' cursors: points received, and the positions between them. */
export class CursorTracks {
  private readonly tracks = new Map<string, Track>();

  /** A point arrived that is so old. Returns false for what is no cursor, and what is no news. */
  receive(client: string, point: JsonObject, now: number, ageMs: unknown = 0): boolean {
    const { x, y, client: _client, hidden, ...fields } = point;
    const old = this.tracks.get(client);
    const at = now - (typeof ageMs === "number" && ageMs > 0 ? ageMs : 0);
    // After a reconnect the server may know less than what was heard before.
    if (old && at < old.at) return false;
    if (hidden === true) return this.remove(client);
    if (typeof x !== "number" || typeof y !== "number") return false;
    const gap = old ? at - old.at : Infinity;
    if (!old || gap > MAX_GLIDE_MS) {
      const intervalMs = old?.intervalMs ?? FIRST_GLIDE_MS;
      this.tracks.set(client, { fromX: x, fromY: y, x, y, at, intervalMs, fields });
      return true;
    }
    const [fromX, fromY] = positionAt(old, now);
    // A quarter of the news: a single late batch does not slow the glide down much.
    const intervalMs = Math.min(MAX_GLIDE_MS, old.intervalMs * 0.75 + gap * 0.25);
    this.tracks.set(client, { fromX, fromY, x, y, at, intervalMs, fields });
    return true;
  }

  /** Somebody left, or points nowhere. False when there was no cursor. */
  remove(client: string): boolean {
    return this.tracks.delete(client);
  }

  /** One cursor as it is to be drawn. */
  at(client: string, now: number): Cursor | undefined {
    const track = this.tracks.get(client);
    if (!track || now - track.at >= HIDE_AFTER_MS) return undefined;
    const [x, y] = positionAt(track, now);
    return { client, x, y, fields: track.fields, dim: now - track.at >= DIM_AFTER_MS };
  }

  /** All cursors as they are to be drawn. */
  sample(now: number): Cursor[] {
    const cursors: Cursor[] = [];
    for (const client of this.tracks.keys()) {
      const cursor = this.at(client, now);
      if (cursor) cursors.push(cursor);
    }
    return cursors;
  }
}

function positionAt(track: Track, now: number): [number, number] {
  const part = Math.min(1, Math.max(0, (now - track.at) / track.intervalMs));
  return [track.fromX + (track.x - track.fromX) * part, track.fromY + (track.y - track.fromY) * part];
}

/** What the socket and the room are like right now. */
export interface SendConditions {
  readonly connected: boolean;
  readonly bufferedBytes: number;
  readonly alone: boolean;
}

/** One's own cursor: the latest point wins, and the last one is always sent. */
export class CursorSender {
  private wanted: string | undefined;
  private sent: string | undefined;
  private sentAt = -Infinity;
  private lastPoint: { x: number; y: number } | undefined;

  constructor(public intervalMs = SEND_INTERVAL_MS) {}

  /**
   * Where one points now. Throws `TypeError` for coordinates that are not finite and for fields JSON cannot hold,
   * `RangeError` for more of them than the server takes.
   */
  set(point: { readonly x: number; readonly y: number } & JsonObject, levels?: number): void {
    const fields = copyObject(point, "a point", levels);
    const taken = TAKEN.find((name) => Object.hasOwn(fields, name));
    if (taken) throw new TypeError(`a cursor's field may not be named "${taken}": the protocol uses it`);
    const { x, y } = fields;
    if (typeof x !== "number" || typeof y !== "number") throw new TypeError("x and y must be finite numbers");
    // The server counts what stands between the braces.
    if (!fits(JSON.stringify(fields), MAX_CURSOR_BYTES + "{}".length)) {
      throw new RangeError(`a cursor's fields have at most ${MAX_CURSOR_BYTES} bytes`);
    }
    this.lastPoint = { x, y };
    this.wanted = JSON.stringify({ ...fields, type: "cursor" });
  }

  /** One does not point any more. The wire wants coordinates even then. */
  clear(): void {
    if (this.lastPoint) this.wanted = JSON.stringify({ ...this.lastPoint, hidden: true, type: "cursor" });
    this.lastPoint = undefined;
  }

  /** A new connection: the server may not know the last point any more. */
  reconnected(): void {
    this.sent = undefined;
    this.sentAt = -Infinity;
  }

  /** What to send now, and in how many ms to ask again; `undefined` when nothing waits. */
  tick(now: number, conditions: SendConditions): { send?: string; againInMs?: number } {
    if (this.wanted === undefined || this.wanted === this.sent || !conditions.connected) return {};
    const interval = conditions.alone ? Math.max(ALONE_INTERVAL_MS, this.intervalMs) : this.intervalMs;
    const waitMs = this.sentAt + interval - now;
    if (waitMs > 0) return { againInMs: waitMs };
    if (conditions.bufferedBytes > MAX_BUFFERED_BYTES) return { againInMs: this.intervalMs };
    this.sent = this.wanted;
    this.sentAt = now;
    return { send: this.wanted };
  }
}

/** A cursor's fields from a batch. */
export function isCursor(value: unknown): value is JsonObject & { client: string } {
  return isObject(value) && typeof value.client === "string";
}
