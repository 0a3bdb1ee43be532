/** What the session wants done outside. */

import type { ErrorCode, OpResult, RoomEvents } from "./types.js";
import type { Entry } from "./entry.js";
import type { Welcome } from "./wire.js";

type Emit = { [K in keyof RoomEvents]: { readonly type: "emit"; readonly event: K; readonly value: RoomEvents[K] } }[Exclude<
  keyof RoomEvents,
  "status" | "chat" | "outbox" | "error"
>];

export type SessionEffect =
  | { readonly type: "send"; readonly text: string }
  /** Drop this connection and make another. */
  | { readonly type: "reconnect" }
  | { readonly type: "welcomed"; readonly welcome: Welcome }
  | { readonly type: "goaway"; readonly retryAfterMs: number }
  /** The server does not let us in yet: not before that time. */
  | { readonly type: "away"; readonly ms: number }
  | { readonly type: "pong"; readonly ts: number | null }
  | { readonly type: "save"; readonly entry: Entry }
  | { readonly type: "forget"; readonly entry: Entry }
  | { readonly type: "supersede"; readonly entry: Entry }
  | { readonly type: "settle"; readonly entry: Entry; readonly result: OpResult }
  | { readonly type: "reject"; readonly entry: Entry; readonly code: ErrorCode; readonly message: string }
  | { readonly type: "error"; readonly code: ErrorCode; readonly message: string; readonly entry?: Entry }
  /** Nothing: what stood here was done before its turn. */
  | { readonly type: "told" }
  /** The confirmed state moved on. */
  | { readonly type: "moved" }
  | { readonly type: "chat" }
  | { readonly type: "outbox" }
  | Emit;
