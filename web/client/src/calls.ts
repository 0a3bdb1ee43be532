/** The calls that change the canvas and the chat: arguments checked and copied, then performed. */

import type { Chat, Objects } from "./types.js";
import { bounded, checkedReply, MAX_CHAT_CHARS, MAX_ID_CHARS, MAX_KIND_CHARS } from "./bounds.js";
import type { Canvas } from "./canvas.js";
import type { ChatLog } from "./chat.js";
import type { OpBody } from "./entry.js";
import { copyObject } from "./json.js";
import { OpHandle } from "./op.js";

type Perform = (body: OpBody) => OpHandle;

/** `room.objects` */
export function makeObjects(canvas: Canvas, perform: Perform, makeId: () => string, levels: () => number): Objects {
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
      if (text instanceof OpHandle) {
        text.retry();
        return text;
      }
      const body = { type: "chat", text: bounded(text, "text", MAX_CHAT_CHARS) } as const;
      const replyTo = options?.replyTo;
      return perform(replyTo === undefined ? body : { ...body, reply_to: checkedReply(replyTo) });
    },
  };
}
