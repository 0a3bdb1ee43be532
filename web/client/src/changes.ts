/**
 * What a merge patch changed: the values it wrote and those that stood there before, as two objects of the same form. A
 * place is the path to a value that was written as a whole. Pure.
 */

import type { Json, JsonObject } from "./types.js";
import { isObject, mergePatch, own, setMember } from "./json.js";

/** `null` stands for a value that is not there. */
export interface Change {
  readonly before: JsonObject;
  readonly after: JsonObject;
}

export type Path = readonly string[];

/** The change that a patch makes to an object. */
export function changeOf(object: JsonObject, patch: JsonObject): Change {
  const before: Record<string, Json> = {};
  const after: Record<string, Json> = {};
  for (const key of Object.keys(patch)) {
    const [was, written] = [own(object, key), patch[key]];
    if (written === undefined) continue;
    if (isObject(was) && isObject(written)) {
      const inner = changeOf(was, written);
      setMember(before, key, inner.before);
      setMember(after, key, inner.after);
    } else {
      setMember(before, key, was ?? null);
      // An object in the place of none loses its nulls, as in the merge.
      setMember(after, key, mergePatch(undefined, written));
    }
  }
  return { before, after };
}

/** Whether the change goes on below this value, instead of writing it as a whole. */
const deeper = (before: Json | undefined, after: Json | undefined): boolean => isObject(before) && isObject(after);

/** Every place of a change. */
export function placesOf({ before, after }: Change, at: Path = []): Path[] {
  return Object.keys(after).flatMap((key) => {
    const [was, written] = [own(before, key), own(after, key)];
    const path = [...at, key];
    return deeper(was, written) ? placesOf({ before: was as JsonObject, after: written as JsonObject }, path) : [path];
  });
}

/** Every value of a patch with its path. */
export function leavesOf(patch: JsonObject, at: Path = []): [Path, Json][] {
  return Object.keys(patch).flatMap((key): [Path, Json][] => {
    const value = patch[key];
    if (value === undefined) return [];
    const path = [...at, key];
    return isObject(value) && Object.keys(value).length > 0 ? leavesOf(value, path) : [[path, value]];
  });
}

/** The value at a path. */
export function standing(object: JsonObject, path: Path): Json | undefined {
  let value: Json | undefined = object;
  for (const key of path) {
    if (!isObject(value)) return undefined;
    value = own(value, key);
  }
  return value;
}

/** With another value at a path. `null` removes it there, or stays there where `keepNull` is set. */
export function put(object: JsonObject, path: Path, value: Json | undefined, keepNull = false): JsonObject {
  const [key, ...rest] = path as [string, ...string[]];
  const copy: Record<string, Json | undefined> = { ...object };
  const inner = own(object, key);
  const next = rest.length > 0 ? put(isObject(inner) ? inner : {}, rest, value, keepNull) : value;
  if (next === undefined || (next === null && !keepNull)) delete copy[key];
  else setMember(copy, key, next);
  return copy;
}

/** How far down a path the change is written as a whole: the place that holds the path; `undefined` where there is none. */
function placeOf({ before, after }: Change, path: Path): Path | undefined {
  for (let depth = 1; depth <= path.length; depth++) {
    const at = path.slice(0, depth);
    const [was, written] = [standing(before, at), standing(after, at)];
    if (written === undefined) return undefined;
    if (depth === path.length || !deeper(was, written)) return at;
  }
  return undefined;
}

/** Whether the change wrote this value, or something in it. */
export const written = (change: Change, path: Path): boolean => placeOf(change, path) !== undefined;

/** Somebody else's value stood at this path before the change. */
export function stoodBefore(change: Change, path: Path, value: Json | undefined): Change {
  const at = placeOf(change, path);
  // Merged into an object, an empty one changes nothing.
  if (!at || (isObject(value) && Object.keys(value).length === 0 && isObject(standing(change.before, path)))) return change;
  if (at.length === path.length) {
    const replaced = deeper(standing(change.before, at), standing(change.after, at)) && !isObject(value);
    // In the place of their value the change has made an object: that is written as a whole now.
    const after = replaced ? put(change.after, at, mergePatch(undefined, standing(change.after, at) as Json), true) : change.after;
    return { before: put(change.before, at, value ?? null, true), after };
  }
  // They wrote something within what the change replaced.
  const was = standing(change.before, at);
  return { ...change, before: put(change.before, at, put(isObject(was) ? was : {}, path.slice(at.length), value), true) };
}

/** Without what it wrote at this path: somebody else has written there since. */
export function forget(change: Change, path: Path): Change {
  const at = placeOf(change, path);
  if (!at) return change;
  return { before: put(change.before, at, undefined), after: put(change.after, at, undefined) };
}

/** One change with the effect of both; `undefined` where the second writes whole what the first changed in part, or the reverse. */
export function composed(first: Change, second: Change): Change | undefined {
  let { before, after } = first;
  for (const path of placesOf(second)) {
    const at = placeOf(first, path);
    if (at && (at.length !== path.length || deeper(standing(before, at), standing(after, at)))) return undefined;
    if (!at) before = put(before, path, standing(second.before, path), true);
    after = put(after, path, standing(second.after, path), true);
  }
  return { before, after };
}
