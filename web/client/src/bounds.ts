/** The protocol's bounds on what an application gives, checked at the call: beyond them the server ends the connection. Pure. */

import type { Limits, User } from "./types.js";
import { copyJson, isObject } from "./json.js";

/** Bytes of a cursor's fields. */
export const MAX_CURSOR_BYTES = 512;
export const MAX_ID_CHARS = 64;
export const MAX_KIND_CHARS = 32;
export const MAX_CHAT_CHARS = 4_000;
const MAX_EVENT_CHARS = 64;
/** Characters of a name and of a colour. */
export const MAX_USER_CHARS = 64;

/** The bounds in force until the server tells its own. */
export const DEFAULT_LIMITS: Limits = {
  max_message_bytes: 256 * 1024,
  cursor_interval_ms: 33,
  ops_per_s: 0,
  max_objects: Number.MAX_SAFE_INTEGER,
  max_clients: Number.MAX_SAFE_INTEGER,
  max_canvas_bytes: Number.MAX_SAFE_INTEGER,
  max_json_depth: 16,
  // Older servers do not tell it.
  max_state_bytes: 8 * 1024,
};

const encoder = new TextEncoder();

/** Whether a text has at most so many bytes of UTF-8. */
export function fits(text: string, maxBytes: number): boolean {
  // A UTF-16 unit is at most three bytes: short texts need no counting.
  return text.length * 3 <= maxBytes || encoder.encode(text).length <= maxBytes;
}

/** A text of 1 to `max` characters. Throws `TypeError` for what is no text, `RangeError` for one out of bounds. */
export function bounded(text: unknown, what: string, max: number): string {
  if (typeof text !== "string") throw new TypeError(`${what} must be a string`);
  const length = [...text].length;
  if (length < 1 || length > max) throw new RangeError(`${what} must have 1 to ${max} characters`);
  return copyJson(text) as string;
}

/** Throws `TypeError` for a member of another name: dropped silently, it would look as if it had been taken. */
export function onlyNames(given: object, names: readonly string[], what: string): void {
  const other = Object.keys(given).find((name) => !names.includes(name));
  if (other !== undefined) throw new TypeError(`${what} has no ${JSON.stringify(other)}, but ${names.join(", ")}`);
}

/** The name of an application's event. */
export function eventName(event: unknown): string {
  return bounded(event, "event", MAX_EVENT_CHARS);
}

/** The name and colour among what was given. Throws `TypeError` for what are no texts, `RangeError` for longer ones. */
export function checkedUser(given: unknown): User {
  if (!isObject(given)) throw new TypeError("user must be an object");
  // Of others one may have heard what is vouched for; said of oneself it means nothing.
  onlyNames(given, ["name", "color", "vouched"], "user");
  const user: { name?: string; color?: string } = {};
  for (const field of ["name", "color"] as const) {
    const text = given[field];
    if (text === undefined) continue;
    if (typeof text !== "string") throw new TypeError(`user.${field} must be a string`);
    if ([...text].length > MAX_USER_CHARS) throw new RangeError(`user.${field} must have at most ${MAX_USER_CHARS} characters`);
    user[field] = copyJson(text) as string;
  }
  return user;
}

/** The `seq` of another message. */
export function checkedReply(replyTo: unknown): number {
  if (typeof replyTo !== "number") throw new TypeError("replyTo must be a number");
  if (!Number.isSafeInteger(replyTo) || replyTo < 1) throw new RangeError("replyTo must be a whole number from 1");
  return replyTo;
}

/** A token as the server takes it. */
export function checkedToken(token: unknown): string {
  if (typeof token !== "string") throw new TypeError("a token must be a string, or a function that gives one");
  return token;
}
