/** JSON values: checked copies, merge patches (RFC 7396) and their composition. Pure. */

import type { Json, JsonObject } from "./types.js";

/** Levels below a message's own braces: servers take 16 in all unless their welcome says otherwise. */
const DEFAULT_LEVELS = 15;
/** Of a place in an error: a value within itself has a long one. */
const MAX_PLACE_CHARS = 120;
const LONE_SURROGATE = /\p{Surrogate}/u;

type Mutable = Record<string, Json | undefined>;

/** Sets a member even when its name is `__proto__`, which assignment would take for the prototype. */
export function setMember(target: Mutable, key: string, value: Json): void {
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
export function copyJson(value: unknown, levels = DEFAULT_LEVELS): Json {
  try {
    return copied(value, levels, 0);
  } catch (error) {
    const place = placeOf(value, levels, 0).slice(0, MAX_PLACE_CHARS);
    throw place && error instanceof TypeError ? new TypeError(`${error.message} (at ${place})`) : error;
  }
}

/** Where in a value the first thing is that can't be copied: `style.dash[2]`. */
function placeOf(value: unknown, levels: number, depth: number): string {
  if (typeof value !== "object" || value === null || depth >= levels) return "";
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    const member = (value as Record<string | number, unknown>)[key];
    if (member === undefined && !Array.isArray(value)) continue;
    try {
      copied(member, levels, depth + 1);
    } catch {
      const rest = placeOf(member, levels, depth + 1);
      return `${typeof key === "number" ? `[${key}]` : key}${rest && !rest.startsWith("[") ? "." : ""}${rest}`;
    }
  }
  return "";
}

function copied(value: unknown, levels: number, depth: number): Json {
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
      if (Array.isArray(value)) return Array.from(value, (item) => copied(item, levels, depth + 1));
      return copyMembers(value, levels, depth);
    default:
      throw new TypeError(`${value === undefined ? "undefined" : `a ${typeof value}`} cannot be sent: JSON has none`);
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
    if (member !== undefined) setMember(copy, wellFormed(key), copied(member, levels, depth + 1));
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
    else setMember(merged, key, isObject(value) ? mergePatch(own(merged, key), value) : value);
  }
  return merged;
}

/** An own member; what objects inherit is none. */
export function own(object: JsonObject, key: string): Json | undefined {
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
      setMember(both, key, later);
      continue;
    }
    const inner = isObject(earlier) ? composePatches(earlier, later) : undefined;
    if (inner === undefined) return undefined;
    setMember(both, key, inner);
  }
  return both;
}

/** A patch that makes `to` of `from`, and `to` of nothing as well: all of `to`, and `null` for what else is in `from`. */
export function patchBetween(from: JsonObject, to: JsonObject): JsonObject {
  const patch: Mutable = {};
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) setMember(patch, key, null);
  for (const key of Object.keys(to)) {
    const [before, after] = [own(from, key), to[key]];
    if (after !== undefined) setMember(patch, key, isObject(before) && isObject(after) ? patchBetween(before, after) : after);
  }
  return patch;
}

/** Same members with identical values. */
export function sameMembers(a: JsonObject, b: JsonObject): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

/** The same JSON, whatever the order of members. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  );
}

/** The part of a merge patch that changes something, value by value within objects. */
export function differing(object: JsonObject, patch: JsonObject): JsonObject {
  const rest: Mutable = {};
  for (const key of Object.keys(patch)) {
    const [is, wanted] = [own(object, key), patch[key]];
    if (wanted === undefined || sameJson(is ?? null, wanted)) continue;
    const inner = isObject(is) && isObject(wanted) ? differing(is, wanted) : undefined;
    if (inner === undefined) setMember(rest, key, wanted);
    else if (Object.keys(inner).length > 0) setMember(rest, key, inner);
  }
  return rest;
}
