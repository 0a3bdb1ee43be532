/** The numbers that the outbox goes by, and what it says of a single op. Pure. */

import { hasEdits } from "./edits.js";
import type { Entry, OpBody } from "./entry.js";

/** Updates alone are sent at most this often: 30 a second look smooth, and what waits is merged. */
export const UPDATE_INTERVAL_MS = 33;
export const BASE_BACKOFF_MS = 250;
/** However long the server takes nothing: when it does again, what waits is saved within a few seconds. */
export const MAX_BACKOFF_MS = 5_000;
export const isEdit = (body: OpBody): boolean => body.type === "object-update" && hasEdits(body);
export const RETRYABLE: readonly string[] = ["overloaded", "rate-limited", "not-ready"];

/** Bounds the server gave. */
export interface OutboxLimits {
  readonly maxMessageBytes: number;
  /** 0 for no limit. */
  readonly opsPerS: number;
  /** It takes updates with edits, and several ops as one. */
  readonly set?: boolean | undefined;
  readonly batch?: boolean | undefined;
}

/** Ops that one batch may have. */
export const MAX_BATCH_OPS = 1_000;

/** Those that were sent and that the server counts as done, from the front of the queue. */
export function committedOf(queue: Iterable<Entry>): Entry[] {
  const committed: Entry[] = [];
  for (const entry of queue) {
    if (!entry.attempted) break;
    if (entry.committed) committed.push(entry);
  }
  return committed;
}
