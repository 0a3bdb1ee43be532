/** The calls that change the canvas and the chat: arguments checked and copied, then performed. */

import type { Chat, JsonObject, Objects } from "./types.js";
import { bounded, checkedReply, MAX_CHAT_CHARS, MAX_ID_CHARS, MAX_KIND_CHARS, onlyNames } from "./bounds.js";
import type { Canvas } from "./canvas.js";
import type { ChatLog } from "./chat.js";
import { type Edits, hasEdits, pathOf } from "./edits.js";
import type { OpBody } from "./entry.js";
import { copyObject, differing, isObject, sameJson } from "./json.js";
import { OpHandle } from "./op.js";

type Perform = (body: OpBody) => OpHandle;

/** The op, or nothing where it would change nothing that is shown. */
function needed(canvas: Canvas, body: OpBody): OpBody | undefined {
  if (body.type === "object-create") return sameJson(canvas.get(body.object.id), body.object) ? undefined : body;
  const object = body.type === "object-update" ? canvas.get(body.id) : undefined;
  if (!object || body.type !== "object-update" || hasEdits(body)) return body;
  const patch = differing(object, body.patch);
  return Object.keys(patch).length > 0 ? { ...body, patch } : undefined;
}

/** `room.objects` */
export function makeObjects(canvas: Canvas, take: Perform, unchanged: Perform, makeId: () => string, levels: () => number): Objects {
  const perform = (body: OpBody): OpHandle => {
    const rest = needed(canvas, body);
    return rest ? take(rest) : unchanged(body);
  };
  const edit = (id: unknown, edits: Edits): OpHandle => perform({ type: "object-update", id: idOf(id), patch: {}, ...edits });
  const idOf = (id: unknown): string => bounded(id, "id", MAX_ID_CHARS);
  return {
    get size() {
      return canvas.size;
    },
    get: (id) => canvas.get(id),
    has: (id) => canvas.get(id) !== undefined,
    // The list of this moment: a loop that makes objects must not meet those.
    ids: () => canvas.all().map(({ id }) => id),
    values: () => canvas.all().values(),
    [Symbol.iterator]: () => canvas.all().values(),
    all: () => canvas.all(),
    confirmed: (id) => canvas.confirmed(id),
    create: (given) => {
      const object = copyObject(given, "an object", levels());
      const id = object.id === undefined ? makeId() : idOf(object.id);
      const kind = bounded(object.kind, "kind", MAX_KIND_CHARS);
      return perform({ type: "object-create", object: { ...object, id, kind } });
    },
    update: (id, given) => {
      const patch = copyObject(given, "a patch", levels());
      if (patch.id !== undefined && patch.id !== id) throw new TypeError("a patch must not change the id");
      if (patch.kind !== undefined) bounded(patch.kind, "kind", MAX_KIND_CHARS);
      return perform({ type: "object-update", id: idOf(id), patch });
    },
    set: (id, values) => edit(id, { set: pathed(values, "values", levels(), id) }),
    unset: (id, paths) => edit(id, { unset: checkedPaths(paths) }),
    append: (id, tails) => {
      const append = pathed(tails, "tails", levels(), id);
      for (const [path, tail] of Object.entries(append)) {
        if (typeof tail !== "string" && !Array.isArray(tail)) throw new TypeError(`${path}: only an array or a text can be appended`);
        if (path === "id" || path === "kind") throw new TypeError(`${path} can't be appended to`);
      }
      return edit(id, { append });
    },
    delete: (id) => perform({ type: "object-delete", id: idOf(id) }),
  };
}

/** Paths in one update. */
const MAX_PATHS = 1_000;

/** Values by their paths, copied and checked as the server does. */
function pathed(given: unknown, what: string, levels: number, id: unknown): JsonObject {
  if (!isObject(given)) throw new TypeError(`${what} must be an object`);
  const copy = copyObject(given, what, levels);
  const paths = Object.keys(copy).map((text) => [text, JSON.stringify(pathOf(text)).slice(0, -1)] as const);
  if (paths.length > MAX_PATHS) throw new RangeError(`an update has at most ${MAX_PATHS} paths`);
  paths.sort(([, a], [, b]) => (a < b ? -1 : 1));
  for (const [i, [text, path]] of paths.entries()) {
    const next = paths[i + 1];
    if (next && (next[1] === path || next[1].startsWith(`${path},`))) throw new RangeError(`${next[0]} is within ${text}`);
  }
  if (copy.id !== undefined && copy.id !== id) throw new TypeError("the id can't be changed");
  if (copy.kind !== undefined) bounded(copy.kind, "kind", MAX_KIND_CHARS);
  return copy;
}

function checkedPaths(given: unknown): string[] {
  const paths: unknown[] = Array.isArray(given) ? given : [given];
  if (paths.length > MAX_PATHS) throw new RangeError(`an update has at most ${MAX_PATHS} paths`);
  return paths.map((path) => {
    if (typeof path !== "string") throw new TypeError("a path must be a string");
    if (path === "id" || path === "kind") throw new TypeError(`an object always has its ${path}`);
    pathOf(path);
    return path;
  });
}

/** `room.chat` */
export function makeChat(chat: ChatLog, perform: Perform): Chat {
  return {
    get messages() {
      return chat.messages;
    },
    send: (text, options) => {
      if (text instanceof OpHandle) {
        text.retry();
        return text;
      }
      const body = { type: "chat", text: bounded(text, "text", MAX_CHAT_CHARS) } as const;
      if (isObject(options)) onlyNames(options, ["replyTo"], "send");
      const replyTo = options?.replyTo;
      return perform(replyTo === undefined ? body : { ...body, reply_to: checkedReply(replyTo) });
    },
  };
}
