/** `unset`, `set` and `append` of an update, as docs/PROTOCOL.md has them. Pure. */

import type { Json, JsonObject } from "./types.js";
import type { Path } from "./changes.js";
import { put, standing } from "./changes.js";
import { isObject, mergePatch, own, patchBetween, setMember } from "./json.js";

/** What an update says beside its patch, done in this order. */
export interface Edits {
  readonly unset?: readonly string[];
  readonly set?: JsonObject;
  readonly append?: JsonObject;
}

/** An update: its patch first, which is empty where only edits are said. */
export interface Update extends Edits {
  readonly patch: JsonObject;
}

export const hasEdits = ({ unset, set, append }: Edits): boolean => unset !== undefined || set !== undefined || append !== undefined;

/** The names of a path. Throws `RangeError` for what is none. */
export function pathOf(text: string): Path {
  const names: string[] = [];
  let name = "";
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    if (c === undefined || c === ".") {
      if (name === "") throw new RangeError(`${JSON.stringify(text)}: a path has no empty names`);
      names.push(name);
      name = "";
    } else if (c === "\\") {
      const escaped = text[++i];
      if (escaped !== "." && escaped !== "\\") throw new RangeError(`${JSON.stringify(text)}: a backslash stands before a dot or a backslash only`);
      name += escaped;
    } else name += c;
  }
  return names;
}

/** What is not there, and parents that are no objects. */
const CLASH = Symbol("clash");

/** With the value that `make` gives in the place of the one at a path; missing parents are made. Others keep their order. */
function made(value: Json | undefined, path: Path, make: (old: Json | undefined) => Json | typeof CLASH): Json | typeof CLASH {
  const [name, ...rest] = path;
  if (name === undefined) return make(value);
  if (value !== undefined && !isObject(value)) return CLASH;
  const object = value ?? {};
  const inner = made(own(object, name), rest, make);
  if (inner === CLASH) return CLASH;
  const copy: Record<string, Json | undefined> = { ...object };
  setMember(copy, name, inner);
  return copy as JsonObject;
}

function without(object: JsonObject, path: Path): JsonObject {
  const [name, ...rest] = path as [string, ...string[]];
  const inner = own(object, name);
  if (inner === undefined || (rest.length > 0 && !isObject(inner))) return object;
  if (rest.length > 0) {
    const copy: Record<string, Json | undefined> = { ...object };
    setMember(copy, name, without(inner as JsonObject, rest));
    return copy;
  }
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
}

/** What is put behind what. */
export function joined(old: Json | undefined, more: Json): Json | undefined {
  if (old === undefined) return more;
  if (typeof old === "string" && typeof more === "string") return old + more;
  return Array.isArray(old) && Array.isArray(more) ? [...(old as Json[]), ...(more as Json[])] : undefined;
}

/** The object after an update; as it is where an edit can't be done: the server refuses such an update as a whole. */
export function updated(object: JsonObject, update: Update): JsonObject {
  const patched = mergePatch(object, update.patch) as JsonObject;
  if (!hasEdits(update)) return patched;
  let value: Json | typeof CLASH = patched;
  for (const path of update.unset ?? []) value = without(value as JsonObject, pathOf(path));
  for (const [path, wanted] of Object.entries(update.set ?? {})) {
    value = made(value as JsonObject, pathOf(path), () => wanted as Json);
    if (value === CLASH) return object;
  }
  for (const [path, more] of Object.entries(update.append ?? {})) {
    value = made(value as JsonObject, pathOf(path), (old) => joined(old, more as Json) ?? CLASH);
    if (value === CLASH) return object;
  }
  return value as JsonObject;
}

/**
 * The merge patch that does the same to this object as nearly as one can: a null that is set deletes, for readers of
 * patches. For servers without `set`, and to tell what was written.
 */
export function patchOf(object: JsonObject, update: Update): JsonObject {
  if (!hasEdits(update)) return update.patch;
  const after = updated(object, update);
  let patch = update.patch;
  const write = (path: Path): void => {
    // Below a value that was replaced whole there is nothing to merge into.
    const [was, is] = [standing(object, path), standing(after, path)];
    patch = put(patch, path, isObject(was) && isObject(is) ? patchBetween(was, is) : is ?? null, true);
  };
  const { unset = [], set = {}, append = {} } = update;
  for (const path of [...unset, ...Object.keys(set), ...Object.keys(append)]) write(pathOf(path));
  return patch;
}

/** One update with the effect of both, where that is what two tails of the same values make. */
export function composedTails(first: Update, second: Update): Update | undefined {
  if (Object.keys(first.patch).length > 0 || Object.keys(second.patch).length > 0) return undefined;
  if (first.set ?? first.unset ?? second.set ?? second.unset) return undefined;
  const append: Record<string, Json | undefined> = { ...first.append };
  for (const [path, more] of Object.entries(second.append ?? {})) {
    const both = joined(own(append, path), more as Json);
    if (both === undefined) return undefined;
    setMember(append, path, both);
  }
  return { patch: {}, append };
}
