/** The confirmed canvas as a store that keeps it sees it. */

import type { Canvas } from "./canvas.js";
import type { ChatLog } from "./chat.js";
import type { Logs } from "./logs.js";
import type { Ground } from "./store.js";
import type { Position } from "./stream.js";

export function groundOf(canvas: Canvas, logs: Logs, chat: ChatLog, stream: { readonly position: Position | undefined }): Ground {
  return {
    position: () => stream.position,
    take: () => canvas.takeMoved(),
    get: (id) => canvas.confirmed(id),
    objects: () => canvas.confirmedObjects(),
    chat: () => chat.latest(),
    logs: () => logs.any,
  };
}
