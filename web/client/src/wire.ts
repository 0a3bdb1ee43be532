/** What the server says, read once. Pure: text in, a message or `undefined` out. */

import type { Json, JsonObject, Limits, User } from "./types.js";
import type { OpBody } from "./entry.js";
import type { SnapshotPart } from "./stream.js";
import type { WireUser } from "./roster.js";
import { isObject } from "./json.js";

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
  readonly users: readonly (WireUser & { readonly cursor?: JsonObject })[];
  readonly limits: Limits;
  readonly heartbeat_ms: number;
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
  "object-update": { seq: "number", client: "string", id: "string", patch: "object" },
  "object-delete": { seq: "number", client: "string", id: "string" },
  chat: { seq: "number", client: "string", text: "string" },
  broadcast: { seq: "number", client: "string", event: "string" },
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
 * Reads a frame. `undefined`: a type of a newer server, to be ignored.
 * Throws `SyntaxError` or `TypeError` for what no server of this protocol says.
 */
export function parseMessage(text: string): ServerMessage | undefined {
  const message: unknown = JSON.parse(text);
  if (!isObject(message) || typeof message.type !== "string") throw new TypeError("a message has a type");
  const required = Object.hasOwn(REQUIRED, message.type) ? REQUIRED[message.type] : undefined;
  if (!required) return undefined;
  for (const [field, type] of Object.entries(required)) {
    const value = message[field];
    if (typeof value !== type || value === null) throw new TypeError(`${message.type}.${field} must be a ${type}`);
  }
  return message as unknown as ServerMessage;
}
