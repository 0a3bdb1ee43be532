/** JSON values: checked copies, merge patches (RFC 7396) and their composition. Pure. */

import type { Json, JsonObject } from "./types.js";

/** Levels below a message's own braces: servers take 16 in all unless their welcome says otherwise. */
const DEFAULT_LEVELS = 15;
const LONE_SURROGATE = /\p{Surrogate}/u;

type Mutable = Record<string, Json | undefined>;

/** Sets a member even when its name is `__proto__`, which assignment would take for the prototype. */
function put(target: Mutable, key: string, value: Json): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}

/** Whether a value is a JSON object, not an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text the server can read: half a surrogate pair becomes U+FFFD, as in every UTF-8 encoder. */
function wellFormed(text: string): string {
  return LONE_SURROGATE.test(text) ? text.replace(/\p{Surrogate}/gu, "\uFFFD") : text;
}

/**
 * A deep copy, so that later changes by the caller do not reach into what is being sent.
 * Throws `TypeError` for what JSON would silently turn into something else: NaN would arrive as null and delete a property.
 */
export function copyJson(value: unknown, levels = DEFAULT_LEVELS, depth = 0): Json {
  switch (typeof value) {
    case "string":
      return wellFormed(value);
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value)) return value;
      throw new TypeError(`${value} cannot be sent: numbers must be finite`);
    case "object":
      if (value === null) return null;
      if (depth >= levels) throw new TypeError(`nesting is at most ${levels} levels`);
      // Holes become members here, and are refused as such.
      if (Array.isArray(value)) return Array.from(value, (item) => copyJson(item, levels, depth + 1));
      return copyMembers(value, levels, depth);
    default:
      throw new TypeError(`a ${typeof value} cannot be sent: JSON has none`);
  }
}

function copyMembers(value: object, levels: number, depth: number): JsonObject {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm (an iframe) have another Object.prototype, whose own prototype is null as well.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new TypeError("only plain objects and arrays can be sent");
  }
  const copy: Mutable = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) put(copy, wellFormed(key), copyJson(member, levels, depth + 1));
  }
  return copy;
}

/** {@link copyJson} of what must be an object. */
export function copyObject(value: unknown, what: string, levels = DEFAULT_LEVELS): JsonObject {
  if (!isObject(value)) throw new TypeError(`${what} must be an object`);
  return copyJson(value, levels) as JsonObject;
}

/** Applies a merge patch (RFC 7396, section 2) and leaves both arguments as they are. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged: Mutable = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === undefined) continue;
    if (value === null) delete merged[key];
    else put(merged, key, isObject(value) ? mergePatch(own(merged, key), value) : value);
  }
  return merged;
}

function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/**
 * One patch with the effect of `first`, then `second`; `undefined` where no merge patch has it: a patch can merge into
 * an object or replace a value, but not replace an object by another one.
 */
export function composePatches(first: JsonObject, second: JsonObject): JsonObject | undefined {
  const both: Mutable = { ...first };
  for (const key of Object.keys(second)) {
    const later = second[key];
    if (later === undefined) continue;
    const earlier = own(first, key);
    if (earlier === undefined || !isObject(later)) {
      put(both, key, later);
      continue;
    }
    const inner = isObject(earlier) ? composePatches(earlier, later) : undefined;
    if (inner === undefined) return undefined;
    put(both, key, inner);
  }
  return both;
}

/** A patch that makes `to` of `from`, and `to` of nothing as well: all of `to`, and `null` for what else is in `from`. */
export function patchBetween(from: JsonObject, to: JsonObject): JsonObject {
  const patch: Mutable = {};
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) put(patch, key, null);
  for (const key of Object.keys(to)) {
    const [before, after] = [own(from, key), to[key]];
    if (after !== undefined) put(patch, key, isObject(before) && isObject(after) ? patchBetween(before, after) : after);
  }
  return patch;
}

/** Same members with identical values. */
export function sameMembers(a: JsonObject, b: JsonObject): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
