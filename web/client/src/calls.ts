/** The calls that change the canvas and the chat: arguments checked and copied, then performed. */

import type { Chat, Objects } from "./types.js";
import type { Canvas } from "./canvas.js";
import type { ChatLog } from "./chat.js";
import type { OpBody } from "./entry.js";
import { copyJson, copyObject } from "./json.js";
import type { OpHandle } from "./op.js";

const MAX_CHAT_CHARS = 4_000;
const MAX_ID_CHARS = 64;
const MAX_KIND_CHARS = 32;
const MAX_EVENT_CHARS = 64;

type Perform = (body: OpBody) => OpHandle;

function bounded(text: unknown, what: string, max: number): string {
  const length = typeof text === "string" ? [...text].length : 0;
  if (length < 1 || length > max) throw new RangeError(`${what} must be a string of 1 to ${max} characters`);
  return copyJson(text) as string;
}

/** The name of an application's event. Throws `RangeError` when it is empty or too long. */
export function eventName(event: string): string {
  return bounded(event, "event", MAX_EVENT_CHARS);
}

/** `room.objects` */
export function makeObjects(canvas: Canvas, perform: Perform, makeId: () => string, levels: () => number): Objects {
  const idOf = (id: unknown): string => bounded(id, "id", MAX_ID_CHARS);
  return {
    get size() {
      return canvas.size;
    },
    get: (id) => canvas.get(id),
    has: (id) => canvas.get(id) !== undefined,
    *ids() {
      for (const { id } of canvas.values()) yield id;
    },
    values: () => canvas.values(),
    [Symbol.iterator]: () => canvas.values(),
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
    delete: (id) => perform({ type: "object-delete", id: idOf(id) }),
  };
}

/** `room.chat` */
export function makeChat(chat: ChatLog, perform: Perform): Chat {
  return {
    get messages() {
      return chat.messages;
    },
    send: (text, options) => {
      if (typeof text !== "string") {
        text.retry();
        return text;
      }
      const body = { type: "chat", text: bounded(text, "text", MAX_CHAT_CHARS) } as const;
      return perform(options?.replyTo ? { ...body, reply_to: options.replyTo } : body);
    },
  };
}
