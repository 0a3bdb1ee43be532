/** What the server says in MessagePack, as it says it in JSON: arrays become messages, numbers become clients. Pure. */

import type { Json, JsonObject } from "./types.js";
import { isObject, setMember } from "./json.js";

/** The types by their number, and their fields in order. */
const TYPES: Readonly<Record<number, readonly [type: string, ...fields: string[]]>> = {
  1: ["ack", "op", "seq", "status"],
  2: ["object-create", "seq", "client", "at", "op", "object"],
  3: ["object-update", "seq", "client", "at", "op", "id", "patch"],
  4: ["object-delete", "seq", "client", "at", "op", "id"],
  5: ["chat", "seq", "client", "at", "op", "text", "reply_to", "user"],
  6: ["broadcast", "seq", "client", "at", "op", "event", "data"],
  8: ["presence", "client", "state", "away"],
  10: ["log-append", "seq", "client", "at", "op", "id", "data"],
  11: ["log-compact", "seq", "client", "at", "op", "id", "upto", "data"],
};
const CURSORS = 7;
/** The number of an array that holds compressed messages. */
export const DEFLATED = 9;
const CURSOR = ["client", "x", "y"];
const STATUS = ["ok", "dup", "ignored"];

type Message = Record<string, Json | undefined>;

/** The clients' numbers on one connection. */
export class Unpacker {
  private readonly clients = new Map<number, string>();

  /** `undefined` for what a newer server says. Throws `TypeError` for what no server says. */
  message(value: unknown): unknown {
    if (!Array.isArray(value)) return this.named(value);
    const [number, ...values] = value as Json[];
    if (number === CURSORS) return { type: "cursor-batch", cursors: values.map((cursor) => this.cursor(cursor)) };
    const known = typeof number === "number" && Object.hasOwn(TYPES, number) ? TYPES[number] : undefined;
    if (!known) return undefined;
    const [type, ...fields] = known;
    const message = this.read(fields, values);
    message.type = type;
    if (type === "ack") message.status = STATUS[message.status as number] ?? String(message.status);
    // The only field that may be null.
    if (type === "broadcast") message.data ??= null;
    return message;
  }

  /** A map; it may give clients their numbers. */
  private named(value: unknown): unknown {
    if (!isObject(value)) return value;
    const people = value.type === "welcome" && Array.isArray(value.users) ? (value.users as Json[]) : [];
    for (const person of value.type === "user-connected" ? [value] : people) {
      if (isObject(person) && typeof person.n === "number" && typeof person.client === "string") this.clients.set(person.n, person.client);
    }
    return value;
  }

  private cursor(value: Json): Json {
    if (!Array.isArray(value)) throw new TypeError("a cursor must be an array");
    return this.read(CURSOR, value as Json[]) as Json;
  }

  /** Fields by their places. Behind them may be a map of more, as in JSON. */
  private read(fields: readonly string[], values: readonly Json[]): Message {
    const message: Message = {};
    fields.forEach((field, at) => {
      const value = values[at];
      if (value !== undefined && value !== null) message[field] = value;
    });
    const more = values[fields.length];
    if (isObject(more)) for (const [key, value] of Object.entries(more as JsonObject)) setMember(message, key, value as Json);
    if (typeof message.client === "number") {
      const client = this.clients.get(message.client);
      if (client === undefined) throw new TypeError(`nobody has the number ${message.client}`);
      message.client = client;
    }
    return message;
  }
}
