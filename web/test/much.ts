/** A canvas that is large enough to come compressed. */

import WebSocket from "ws";
import { connect } from "../client/src/client.js";

/** Makes so many objects on a canvas; resolves when they are saved. */
export async function makeMuch(url: string, canvas: string, count: number): Promise<void> {
  const room = await connect({ url, canvas, WebSocket: WebSocket as never });
  const ops = room.batch(() => Array.from({ length: count }, (_, i) =>
    room.objects.create({ id: `o${i}`, kind: "note", x: (i % 40) * 50, y: Math.floor(i / 40) * 50, w: 45, h: 45, text: `Wörter 😀 ${i}` })));
  await Promise.all(ops.map((op) => op.done));
  room.close();
}
