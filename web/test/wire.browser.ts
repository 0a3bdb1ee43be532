/** What travels, between the library and two real processes: both encodings, compressed or not, edits and batches. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { connect } from "../client/src/client.js";
import type { ConnectOptions, Room } from "../client/src/types.js";
import { Cluster, eventually, LIMITED } from "./cluster.js";
import { launch } from "./person.js";

type Wire = Pick<ConnectOptions, "encoding" | "compress">;

const WIRES: readonly Wire[] = [
  { encoding: "json", compress: false }, { encoding: "json", compress: true },
  { encoding: "msgpack", compress: false }, { encoding: "msgpack", compress: true },
];

let cluster: Cluster;
const opened: Room[] = [];
before(async () => {
  cluster = await Cluster.start(2);
});
after(async () => {
  for (const room of opened) room.close();
  await cluster?.stop();
});

/** A socket class that counts what came: bytes in all, and the subprotocols that servers chose. */
function counting(): { Socket: typeof WebSocket; bytes: () => number; protocols: Set<string> } {
  let bytes = 0;
  const protocols = new Set<string>();
  class Socket extends WebSocket {
    constructor(url: string, offered?: string | string[]) {
      super(url, offered);
      this.on("open", () => protocols.add(this.protocol));
      this.on("message", (data) => (bytes += data.byteLength));
    }
  }
  return { Socket, bytes: () => bytes, protocols };
}

async function join(i: number, canvas: string, wire: Wire, Socket: unknown = WebSocket): Promise<Room> {
  const room = await connect({ url: cluster.url(i), canvas, user: { name: "Ann" }, WebSocket: Socket as never, ...wire });
  opened.push(room);
  await room.whenSynced();
  return room;
}

const inOrder = (room: Room): string => JSON.stringify([...room.objects].sort((a, b) => (a.id < b.id ? -1 : 1)));

test("people of all wires on two processes see the same edits, batches, cursors, states, words and events", LIMITED, async () => {
  const rooms = await Promise.all(WIRES.map((wire, i) => join(i % 2, "all", wire)));
  const heard = rooms.map(() => [] as unknown[]);
  rooms.forEach((room, i) => {
    room.on("broadcast", ({ event, data, own }) => own || heard[i]!.push([event, data]));
    room.on("signal", ({ event, data }) => heard[i]!.push([event, data]));
  });
  for (const [i, room] of rooms.entries()) {
    const id = `o${i}`;
    room.batch(() => {
      for (let n = 0; n < 300; n++) room.objects.create({ id: `${id}-${n}`, kind: "rect", x: n / 3, big: 2 ** 40 + n, "ä.b": [null, { "": -0.5 }] });
    });
    room.objects.create({ id, kind: "draw", points: [0], text: "a", style: { width: 2, color: null } });
    room.objects.append(id, { points: [1.5, -2], text: "ß😀" });
    room.objects.set(id, { "style.color": null, "deep.er": { x: 1 } });
    room.objects.unset(id, "style.width");
    room.objects.append(id, { points: [3] });
    room.objects.delete(`${id}-7`);
    room.chat.send(`words of ${i}`);
    room.broadcast("vote", { by: i });
    room.presence.update({ tool: "pen", n: { i } });
    room.cursor.set({ x: i + 0.5, y: -i - 1, tool: "pen" });
    assert.equal(room.signal("bell", null), true);
  }
  await eventually("everything is saved and everywhere", () => rooms.every((room) =>
    room.outbox.length === 0 && room.objects.size === 4 * 300 && room.chat.messages.length === 4 && room.others.length === 3
    && room.cursors.sample().length === 3 && room.others.every(({ state }) => state.tool === "pen")));
  await eventually("and heard", () => heard.every((events) => events.length === 6));
  for (const room of rooms) {
    assert.equal(inOrder(room), inOrder(rooms[0]!));
    assert.deepEqual(room.objects.confirmed("o2"), {
      id: "o2", kind: "draw", points: [0, 1.5, -2, 3], text: "aß😀", style: { color: null }, deep: { er: { x: 1 } } });
    for (const { client, x, y, fields } of room.cursors.sample()) {
      const i = rooms.findIndex((other) => other.client === client);
      assert.deepEqual([x, y, fields], [i + 0.5, -i - 1, { tool: "pen" }]);
    }
  }
  // Who comes now gets it from a snapshot, and says the same.
  for (const wire of WIRES) {
    const late = await join(1, "all", wire);
    assert.equal(inOrder(late), inOrder(rooms[0]!));
    late.close();
  }
  for (const room of rooms) room.close();
});

test("a batch that is refused leaves nothing of it, whatever wire", LIMITED, async () => {
  for (const wire of WIRES) {
    const canvas = `refused-${wire.encoding}-${wire.compress}`;
    const room = await join(0, canvas, wire);
    await room.objects.create({ id: "n", kind: "rect", n: 1 }).done;
    const ops = room.batch(() => [
      room.objects.create({ id: "a", kind: "rect" }),
      // The number is no list: the server says so.
      room.objects.append("n", { n: [1] }),
      room.objects.create({ id: "b", kind: "rect" }),
    ]);
    await eventually("all of it failed", () => ops.every((op) => op.state === "failed"));
    assert.deepEqual([...room.objects], [{ id: "n", kind: "rect", n: 1 }]);
    const other = await join(1, canvas, wire);
    assert.deepEqual([...other.objects], [{ id: "n", kind: "rect", n: 1 }]);
    for (const op of ops) op.discard();
    room.close();
    other.close();
  }
});

test("a canvas of 10,000 objects comes in half a megabyte, and what was missed is caught up on, whatever wire", LIMITED, async () => {
  const author = await join(0, "large", { encoding: "json", compress: false });
  author.batch(() => {
    for (let i = 0; i < 9_000; i++) {
      author.objects.create({ kind: "rect", x: (i % 100) * 40, y: Math.floor(i / 100) * 40, w: 30, h: 20, fill: "#ffcc00", stroke: 2, rotation: 0, text: `Box number ${i}`, group: "g1", locked: false });
    }
  });
  await eventually("saved", () => author.outbox.length === 0);
  const came: Record<string, number> = {};
  const counts = await Promise.all(WIRES.map(async (wire) => {
    const counter = counting();
    const room = await join(1, "large", wire, counter.Socket);
    assert.equal(room.objects.size, 9_000);
    assert.equal(inOrder(room), inOrder(author));
    came[`${wire.encoding}${wire.compress ? ", compressed" : ""}`] = counter.bytes();
    return { room, counter };
  }));
  console.log("bytes of 9,000 objects:", came);
  for (const encoding of ["json", "msgpack"]) assert.ok(came[`${encoding}, compressed`]! <= 500_000, JSON.stringify(came));
  assert.ok(came.msgpack! < came.json!);
  // Away while 400 are made: the run that is missing comes compressed, too.
  for (const { room } of counts) room.cut(1_500);
  author.batch(() => {
    for (let i = 0; i < 400; i++) author.objects.create({ id: `late-${i}`, kind: "note", text: "the same words again and again, ".repeat(3) });
  });
  await eventually("everybody has them", () => counts.every(({ room }) => room.sync === "synchronized" && room.objects.size === 9_400));
  for (const [i, { room, counter }] of counts.entries()) {
    assert.equal(inOrder(room), inOrder(author));
    assert.deepEqual([...counter.protocols], [WIRES[i]!.encoding === "json" ? "scumble.v1" : "scumble.v1.msgpack"]);
    room.close();
  }
  author.close();
});

test("a page in Chromium reads both encodings, compressed", LIMITED, async () => {
  const author = await join(0, "page", {});
  author.batch(() => {
    for (let i = 0; i < 2_000; i++) author.objects.create({ id: `o${i}`, kind: "note", text: `Wörter 😀 ${i}`, x: i / 7 });
  });
  await eventually("saved", () => author.outbox.length === 0);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`${cluster.url(1)}/healthz`);
    for (const encoding of ["json", "msgpack"] as const) {
      const seen = await page.evaluate(async ({ url, encoding }) => {
        let binary = 0;
        class Watched extends globalThis.WebSocket {
          constructor(...given: ConstructorParameters<typeof globalThis.WebSocket>) {
            super(...given);
            this.addEventListener("message", ({ data }) => void (binary += Number(typeof data !== "string")));
          }
        }
        const library = (await import(`${url}/client.js`)) as typeof import("../client/src/client.js");
        const room = await library.connect({ url, canvas: "page", WebSocket: Watched as never, encoding });
        await room.whenSynced();
        const { status } = await room.objects.create({ id: encoding, kind: "rect", n: 1 }).done;
        const { size } = room.objects;
        const object = room.objects.get("o1999");
        room.close();
        return { binary: binary > 0, size, status, object };
      }, { url: cluster.url(1), encoding });
      const object = { id: "o1999", kind: "note", text: "Wörter 😀 1999", x: 1999 / 7 };
      assert.deepEqual(seen, { binary: true, size: encoding === "json" ? 2_001 : 2_002, status: "ok", object });
    }
    await eventually("the author sees what they made", () => author.objects.size === 2_002);
  } finally {
    await browser.close();
    author.close();
  }
});
