/** What the server says, checked once. Pure: a value in, a message or `undefined` out. */

import type { Json, JsonObject, Limits, User } from "./types.js";
import { type Edits, hasEdits } from "./edits.js";
import type { OpBody } from "./entry.js";
import type { SnapshotPart } from "./stream.js";
import type { WireUser } from "./roster.js";
import { isObject } from "./json.js";

/** Somebody who is here already, with the last cursor the server knows, and how long it has been there. */
export type WireMember = WireUser & { readonly cursor?: JsonObject; readonly cursor_age_ms?: number };

export interface Welcome {
  readonly type: "welcome";
  readonly instance: string;
  /** Oneself, as others are told. */
  readonly user?: Json;
  readonly role: "read" | "write";
  readonly epoch: string;
  readonly seq: number;
  readonly mode: "resume" | "snapshot";
  readonly acked_op: number;
  readonly users: readonly WireMember[];
  readonly limits: Limits;
  readonly heartbeat_ms: number;
  /** Nothing on servers that are older. */
  readonly features?: readonly string[];
}

/** A durable message: an op's body with its place in the order. */
export type Durable = OpBody & {
  readonly seq: number;
  readonly client: string;
  readonly at: number;
  readonly op?: number;
  readonly user?: User;
};

export interface Ack {
  readonly type: "ack";
  readonly op: number;
  readonly seq: number;
  readonly status: "ok" | "dup" | "ignored";
}

export type ServerMessage =
  | Welcome
  | ({ readonly type: "snapshot" } & SnapshotPart)
  | Durable
  | Ack
  | { readonly type: "cursor-batch"; readonly cursors: readonly Json[] }
  | { readonly type: "presence"; readonly client: string; readonly state?: JsonObject; readonly away?: boolean }
  | { readonly type: "signal"; readonly client: string; readonly event: string; readonly data: Json }
  | ({ readonly type: "user-connected" } & WireUser)
  | { readonly type: "user-disconnected"; readonly client: string; readonly reason: string }
  | { readonly type: "resync"; readonly reason: string }
  | { readonly type: "goaway"; readonly reason: string; readonly retry_after_ms: number }
  | {
      readonly type: "error";
      readonly code: string;
      readonly message: string;
      readonly op?: number;
      readonly retry_after_ms?: number;
    }
  | { readonly type: "pong"; readonly ts: number | null; readonly server_ts: number };

/** Fields a message cannot be used without, by their JavaScript types. Types not listed are none of ours. */
const REQUIRED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  welcome: { instance: "string", epoch: "string", seq: "number", mode: "string", acked_op: "number", users: "object", limits: "object" },
  snapshot: { epoch: "string", seq: "number", part: "number", last: "boolean", objects: "object", chat: "object" },
  "object-create": { seq: "number", client: "string", object: "object" },
  "object-update": { seq: "number", client: "string", id: "string" },
  "object-delete": { seq: "number", client: "string", id: "string" },
  chat: { seq: "number", client: "string", text: "string" },
  broadcast: { seq: "number", client: "string", event: "string" },
  "log-append": { seq: "number", client: "string", id: "string" },
  "log-compact": { seq: "number", client: "string", id: "string", upto: "number" },
  ack: { op: "number", seq: "number", status: "string" },
  "cursor-batch": { cursors: "object" },
  presence: { client: "string" },
  signal: { client: "string", event: "string" },
  "user-connected": { client: "string" },
  "user-disconnected": { client: "string" },
  resync: {},
  goaway: {},
  error: { code: "string" },
  pong: {},
};

/**
 * Reads a message. `undefined`: a type of a newer server, to be ignored.
 * Throws `TypeError` for what no server of this protocol says.
 */
export function readMessage(message: unknown): ServerMessage | undefined {
  if (!isObject(message) || typeof message.type !== "string") throw new TypeError("a message has a type");
  const required = Object.hasOwn(REQUIRED, message.type) ? REQUIRED[message.type] : undefined;
  if (!required) return undefined;
  for (const [field, type] of Object.entries(required)) {
    const value = message[field];
    if (typeof value !== type || value === null) throw new TypeError(`${message.type}.${field} must be a ${type}`);
  }
  if (message.type === "snapshot") checkBase(message);
  if (message.type === "object-update") return checkedUpdate(message);
  return message as unknown as ServerMessage;
}

/** An update has a patch, edits, or both. */
function checkedUpdate(message: JsonObject): ServerMessage {
  const { patch, unset, set, append } = message;
  for (const [field, value] of Object.entries({ patch, set, append })) {
    if (value !== undefined && !isObject(value)) throw new TypeError(`object-update.${field} must be an object`);
  }
  if (unset !== undefined && !(Array.isArray(unset) && unset.every((path) => typeof path === "string"))) {
    throw new TypeError("object-update.unset must be a list of paths");
  }
  if (patch === undefined && !hasEdits(message as Edits)) throw new TypeError("object-update.patch must be an object");
  return { ...message, patch: patch ?? {} } as unknown as ServerMessage;
}

/** A snapshot may tell only what changed since a base. */
function checkBase({ base, deleted, logs, compacted }: JsonObject): void {
  if (base !== undefined && !(isObject(base) && typeof base.epoch === "string" && typeof base.seq === "number")) {
    throw new TypeError("snapshot.base must have an epoch and a seq");
  }
  for (const [field, list] of Object.entries({ deleted, logs, compacted })) {
    if (list !== undefined && !Array.isArray(list)) throw new TypeError(`snapshot.${field} must be a list`);
  }
}
