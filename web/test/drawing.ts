/** A picture worth looking at, drawn by a room of its own: for screenshots. */

import WebSocket from "ws";
import { connect } from "../client/src/client.js";
import type { Room } from "../client/src/types.js";

type Extra = Record<string, string | number>;

/** Somebody without a page, on the process at `url`. */
export async function guest(url: string, canvas: string, name: string, color: string): Promise<Room> {
  const room = await connect({ url, canvas, user: { name, color }, WebSocket: WebSocket as never });
  await room.whenSynced();
  return room;
}

/** A hand-drawn line through points, with the small waves of a hand. */
function stroke(points: [number, number][]): { x: number; y: number; w: number; h: number; points: number[] } {
  const dense: [number, number][] = [];
  for (let i = 0; i + 1 < points.length; i++) {
    const [[ax, ay], [bx, by]] = [points[i]!, points[i + 1]!];
    for (let t = 0; t < 8; t++) dense.push([ax + ((bx - ax) * t) / 8, ay + ((by - ay) * t) / 8 + Math.sin(i * 8 + t) * 1.5]);
  }
  dense.push(points.at(-1)!);
  const [xs, ys] = [dense.map(([x]) => x), dense.map(([, y]) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  const flat = dense.flatMap(([px, py]) => [Math.round((px - x) * 10) / 10, Math.round((py - y) * 10) / 10]);
  return { x, y, w: Math.max(...xs) - x, h: Math.max(...ys) - y, points: flat };
}

/** Around the origin, about 900 × 560. Returns the ids by the part they play. */
export async function drawPicture(room: Room): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  const put = (part: string, kind: string, box: object, more: Extra = {}): void => {
    ids[part] = room.objects.create({ kind, z: Object.keys(ids).length, ...box, ...more } as never).objectId;
  };
  const box = (x: number, y: number, w: number, h: number): object => ({ x, y, w, h });
  put("title", "text", box(-430, -270, 420, 48), { text: "Launch, week by week", size: 36, color: "ink" });
  put("under", "draw", stroke([[-430, -212], [-300, -216], [-160, -209], [-60, -214]]), { color: "teal", stroke: 4 });
  put("plan", "rect", box(-420, -150, 180, 100), { color: "blue", fill: "tint", stroke: 4 });
  put("planText", "text", box(-372, -115, 84, 29), { text: "Sketch", size: 22, color: "blue" });
  put("build", "rect", box(-120, -150, 180, 100), { color: "violet", fill: "tint", stroke: 4 });
  put("buildText", "text", box(-58, -115, 60, 29), { text: "Build", size: 22, color: "violet" });
  put("ship", "ellipse", box(180, -160, 200, 120), { color: "green", fill: "tint", stroke: 4 });
  put("shipText", "text", box(254, -115, 56, 29), { text: "Ship", size: 22, color: "green" });
  put("a", "draw", stroke([[-236, -100], [-180, -106], [-128, -100], [-142, -112], [-126, -100], [-142, -90]]), { color: "ink", stroke: 4 });
  put("b", "draw", stroke([[66, -100], [120, -94], [172, -100], [158, -112], [174, -100], [158, -90]]), { color: "ink", stroke: 4 });
  put("note1", "note", box(-430, 20, 180, 180), { color: "yellow", text: "Ask three people to draw with us on Tuesday" });
  put("note2", "note", box(-230, 40, 180, 180), { color: "teal", text: "What happens when a process dies? Nothing. Try it!" });
  put("note3", "note", box(-30, 10, 180, 180), { color: "red", text: "Who brings cake?" });
  put("sun", "ellipse", box(300, 40, 110, 110), { color: "orange", fill: "solid", stroke: 4 });
  put("hill", "draw", stroke([[200, 220], [250, 160], [300, 190], [360, 130], [420, 180], [470, 220]]), { color: "green", stroke: 8 });
  put("road", "line", box(200, 240, 270, 0), { color: "ink", stroke: 2 });
  await Promise.all(room.outbox.map((op) => op.done));
  return ids;
}
