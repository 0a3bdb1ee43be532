/** An op on its way, as the outbox, the canvas and the store share it. */

import type { CanvasObject, ErrorCode, Json, OpResult, OpState } from "./types.js";
import { hasEdits, type Update } from "./edits.js";

/** What an op says, without its number. */
export type OpBody =
  | { readonly type: "object-create"; readonly object: CanvasObject }
  | ({ readonly type: "object-update"; readonly id: string } & Update)
  | { readonly type: "object-delete"; readonly id: string }
  | { readonly type: "chat"; readonly text: string; readonly reply_to?: number }
  | { readonly type: "broadcast"; readonly event: string; readonly data: Json }
  | LogBody;

/** What is about an object's log. Bytes are base64; only what a server says in MessagePack has them as they are. */
export type LogBody =
  | { readonly type: "log-append"; readonly id: string; readonly data: string | Uint8Array }
  | { readonly type: "log-compact"; readonly id: string; readonly epoch?: string; readonly upto: number; readonly data?: string | Uint8Array };

/** One op on its way. Only the outbox changes it. */
export interface Entry {
  /** Identity within a page's life and in the store. */
  readonly key: number;
  /** The client id and number it has on the wire. */
  client: string;
  op: number;
  body: OpBody;
  state: OpState;
  /** Was, or may have been, handed to a socket: its number and content are fixed. */
  attempted: boolean;
  /** The server says it is committed; its place in the stream is still to come. */
  committed: boolean;
  /** A snapshot came after it was sent: it may be in there, without a message of its own in the stream. */
  mayBeContained: boolean;
  /** It is under way while its object is not there, as far as is known: the server may come to ignore it. */
  mayBeIgnored?: boolean;
  refusals: number;
  /** The key of the first of those that are done as one, or not at all. */
  group?: number | undefined;
  error?: { readonly code: ErrorCode; readonly message: string } | undefined;
}

export type OutboxEffect =
  | { readonly type: "send"; readonly entry: Entry; readonly text: string }
  /** New, or different from before: to be stored and shown. */
  | { readonly type: "changed"; readonly entry: Entry }
  | { readonly type: "settled"; readonly entry: Entry; readonly result: OpResult }
  | { readonly type: "failed"; readonly entry: Entry }
  | { readonly type: "discarded"; readonly entry: Entry }
  /** It had failed, and a newer op of its object stands in its place. */
  | { readonly type: "superseded"; readonly entry: Entry }
  /** The connection waits for an op that will not come again; only a new one takes others. */
  | { readonly type: "unblock" };

/** The object an op concerns. */
export function objectIdOf(body: OpBody): string | undefined {
  if (body.type === "object-create") return body.object.id;
  return body.type === "object-update" || body.type === "object-delete" ? body.id : undefined;
}

/**
 * The op on the wire. `undefined` for one that cannot be written: no call takes such a value, but a store may hold what
 * another version put there, and one op must not keep all others from being sent.
 */
export function messageOf({ op, body }: Entry): string | undefined {
  const { type, ...fields } = body;
  // What only makes room for edits is not sent.
  const alone = body.type === "object-update" && hasEdits(body) && Object.keys(body.patch).length === 0;
  try {
    return JSON.stringify({ type, op, ...fields, ...(alone && { patch: undefined }) });
  } catch {
    return undefined;
  }
}
