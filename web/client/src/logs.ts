/** The logs of objects as they were confirmed, and `room.log()`. */

import type { Json, LogEntry, LogEvent, ObjectLog, Op } from "./types.js";
import { bounded, MAX_ID_CHARS } from "./bounds.js";
import type { LogBody, OpBody } from "./entry.js";

/** Characters that are made of bytes at once: a call can't take any number of arguments. */
const AT_ONCE = 8_192;

/** An entry as the server tells it: bytes where it can, base64 in JSON. */
export interface WireEntry {
  readonly id: string;
  readonly seq: number;
  readonly data: string | Uint8Array;
}

/** The bytes that base64 stands for. Throws for what is none. */
export function bytesOf(data: string | Uint8Array): Uint8Array {
  // A copy: what a frame was read from is not to be kept for its sake.
  return typeof data === "string" ? Uint8Array.from(atob(data), (char) => char.charCodeAt(0)) : data.slice();
}

function base64Of(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += AT_ONCE) text += String.fromCharCode(...bytes.subarray(at, at + AT_ONCE));
  return btoa(text);
}

/** Whether an op is about a log. */
export const isOfLog = <B extends { readonly type: string }>(body: B): body is B & LogBody =>
  body.type === "log-append" || body.type === "log-compact";

/** The message with bytes instead of base64, for an encoding that has them. */
export function withBytes(message: Json): Json {
  const { type, ops, data } = message as Record<string, Json>;
  if (type === "batch" && Array.isArray(ops)) return { ...(message as object), ops: ops.map(withBytes) };
  if (!isOfLog({ type: String(type) }) || typeof data !== "string") return message;
  return { ...(message as object), data: bytesOf(data) as unknown as Json };
}

interface Log {
  entries: LogEntry[];
  /** What was given out. The same until something changes. */
  list: readonly LogEntry[] | undefined;
}

const NONE: readonly LogEntry[] = [];

export class Logs {
  private readonly logs = new Map<string, Log>();
  private events: LogEvent[] = [];

  entries(id: string): readonly LogEntry[] {
    const log = this.logs.get(id);
    return log ? (log.list ??= [...log.entries]) : NONE;
  }

  /** Whether any object has a log. */
  get any(): boolean {
    return this.logs.size > 0;
  }

  private at(id: string): Log {
    const log = this.logs.get(id) ?? { entries: [], list: undefined };
    this.logs.set(id, log);
    log.list = undefined;
    return log;
  }

  /** A message took its place in the order. */
  heard(body: OpBody, seq: number, client: string, own: boolean): void {
    if (body.type === "object-delete") this.gone(body.id);
    if (!isOfLog(body)) return;
    const { id } = body;
    const log = this.at(id);
    const data = body.data === undefined ? [] : [bytesOf(body.data)];
    if (body.type === "log-append") {
      const entries = data.map((bytes) => ({ seq, data: bytes }));
      log.entries.push(...entries);
      this.events.push({ id, type: "append", entries, client, own });
    } else {
      const { upto } = body;
      const entries = data.map((bytes) => ({ seq: upto, data: bytes }));
      log.entries = [...entries, ...log.entries.filter((entry) => entry.seq > upto)];
      this.events.push({ id, type: "compact", entries, upto, client, own });
    }
  }

  /** Its object was deleted. */
  private gone(id: string): void {
    if (this.logs.delete(id)) this.tellReset(id);
  }

  /** A snapshot came: all entries, or with `emptied` what is to be added after the logs of those objects were emptied. */
  snapshot(entries: readonly WireEntry[], emptied: readonly string[] | undefined): void {
    const touched = new Set(emptied ?? this.logs.keys());
    for (const id of touched) this.logs.delete(id);
    for (const { id, seq, data } of entries) {
      this.at(id).entries.push({ seq, data: bytesOf(data) });
      touched.add(id);
    }
    for (const id of touched) this.tellReset(id);
  }

  private tellReset(id: string): void {
    this.events.push({ id, type: "reset", entries: this.entries(id), client: "", own: false });
  }

  /** What happened since the last call. */
  take(): LogEvent[] {
    const { events } = this;
    if (events.length > 0) this.events = [];
    return events;
  }
}

/** `room.log(id)` */
export function makeLog(
  given: unknown,
  session: { readonly logs: Logs; readonly epoch: string },
  perform: (body: OpBody) => Op,
  on: (listener: (event: LogEvent) => void) => () => void,
): ObjectLog {
  const id = bounded(given, "id", MAX_ID_CHARS);
  return {
    id,
    get entries() {
      return session.logs.entries(id);
    },
    append: (data) => perform({ type: "log-append", id, data: base64Of(checked(data)) }),
    compact: (upto, data) => {
      if (!Number.isSafeInteger(upto) || upto < 1) throw new RangeError("upto must be the seq of an entry");
      const entry = data !== undefined && { data: base64Of(checked(data)) };
      return perform({ type: "log-compact", id, epoch: session.epoch, upto, ...entry });
    },
    on: (type, listener) => {
      if (!["append", "compact", "reset"].includes(type)) throw new TypeError(`there is no event ${JSON.stringify(type)}, but append, compact, reset`);
      if (typeof listener !== "function") throw new TypeError(`a listener of "${type}" must be a function`);
      return on((event) => void (event.id === id && event.type === type && listener(event)));
    },
  };
}

function checked(data: unknown): Uint8Array {
  if (!(data instanceof Uint8Array)) throw new TypeError("data must be a Uint8Array");
  if (data.length === 0) throw new RangeError("data must have at least one byte");
  return data;
}
