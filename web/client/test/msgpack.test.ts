/** MessagePack as servers write it: read, written, refused; and frames in order while some of them are inflated. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { decode, encode } from "@msgpack/msgpack";
import { Inbox, MAX_INFLATED_BYTES, type Encoding } from "../src/inbox.js";
import { inflater } from "../src/inflate.js";
import { packed, unpacked } from "../src/msgpack.js";
import { Unpacker } from "../src/packed.js";
import type { Json } from "../src/types.js";
import type { SocketLike } from "../src/environment.js";
import { Room } from "../src/room.js";
import { MemoryStore } from "../src/store.js";
import { seeded, World } from "./world.js";

const EDGES = [0, -0, 1, -1, 31, -32, -33, 127, 128, 255, 256, 32767, -32768, 65535, 65536, 2 ** 31, -(2 ** 31), 2 ** 32, -(2 ** 32) - 1,
  Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0.1, 12.5, 1e300, -5e-324];

function anything(random: () => number, levels: number): Json {
  const pick = Math.floor(random() * (levels > 0 ? 8 : 6));
  const text = (): string => ["x", "ä", "日本", "😀", "\0", "__proto__"][Math.floor(random() * 6)]!.repeat(Math.floor(random() ** 4 * 300));
  switch (pick) {
    case 0: return null;
    case 1: return random() < 0.5;
    case 2: return EDGES[Math.floor(random() * EDGES.length)]!;
    case 3: return (random() - 0.5) * 1e6;
    case 4: case 5: return text();
    case 6: return Array.from({ length: Math.floor(random() ** 2 * 40) }, () => anything(random, levels - 1));
    default: return Object.fromEntries(Array.from({ length: Math.floor(random() ** 2 * 40) }, (_, i) => [`${i}${text()}`, anything(random, levels - 1)]));
  }
}

test("what is written and read is the same for another MessagePack library", () => {
  const random = seeded(7);
  for (let i = 0; i < 300; i++) {
    const value = anything(random, 4);
    assert.deepEqual(decode(packed(value)), value);
    // Theirs writes -0 as 0.
    assert.deepEqual(unpacked(encode(value)), decode(encode(value)));
    assert.deepEqual(unpacked(encode(value, { forceFloat32: true })), decode(encode(value, { forceFloat32: true })));
  }
  for (const n of EDGES) assert.ok(Object.is(unpacked(packed(n)), n), `${n}`);
  assert.deepEqual(unpacked(Uint8Array.of(0xcf, 255, 255, 255, 255, 255, 255, 255, 255)), 2 ** 64);
  assert.deepEqual(unpacked(Uint8Array.of(0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0)), -(2 ** 63));
});

test("a name like __proto__ is a name", () => {
  const value = JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as Json;
  const read = unpacked(packed(value)) as object;
  assert.equal(JSON.stringify(read), JSON.stringify(value));
  assert.equal((read as { polluted?: unknown }).polluted, undefined);
});

test("what no server sends is refused, whatever lengths it claims", () => {
  const bad: Record<string, number[]> = {
    "nothing": [], "0xc1": [0xc1], "cut short": [0xa5, 65], "a text of 4 GB": [0xdb, 255, 255, 255, 255], "a list of 4 G": [0xdd, 255, 255, 255, 255],
    "a map of 4 G": [0xdf, 255, 255, 255, 255], "bytes after the value": [1, 2], "a number as name": [0x81, 1, 1], "no UTF-8": [0xa1, 0xff],
    "an extension": [0xd4, 1, 1], "bytes within": [0x91, 0x91, 0x91, 0xc4, 1, 0], "too deep": [...Array<number>(300).fill(0x91), 0xc0],
  };
  for (const [what, bytes] of Object.entries(bad)) assert.throws(() => unpacked(Uint8Array.from(bytes)), Error, what);
});

test("arrays become the messages that JSON has", () => {
  const unpacker = new Unpacker();
  const user = { name: "Ben" };
  unpacker.message({ type: "welcome", users: [{ client: "ada-tab-0001", user: {}, n: 0 }] });
  unpacker.message({ type: "user-connected", client: "ben-tab-0001", user, n: 1 });
  const cases: [Json, object | undefined][] = [
    [[1, 7, 13, 0], { type: "ack", op: 7, seq: 13, status: "ok" }],
    [[1, 7, 0, 1], { type: "ack", op: 7, seq: 0, status: "dup" }],
    [[1, 7, 0, 2, { more: 1 }], { type: "ack", op: 7, seq: 0, status: "ignored", more: 1 }],
    [[2, 1, 1, 99, 5, { id: "a", kind: "r" }], { type: "object-create", seq: 1, client: "ben-tab-0001", at: 99, op: 5, object: { id: "a", kind: "r" } }],
    [[3, 2, "gone-0001", 99, null, "a", null, { set: { x: null } }], { type: "object-update", seq: 2, client: "gone-0001", at: 99, id: "a", set: { x: null } }],
    [[4, 12, 1, 99, 5, "a"], { type: "object-delete", seq: 12, client: "ben-tab-0001", at: 99, op: 5, id: "a" }],
    [[5, 13, 0, 99, 5, "hi", null, user], { type: "chat", seq: 13, client: "ada-tab-0001", at: 99, op: 5, text: "hi", user }],
    [[6, 14, 0, 99, 5, "e", null], { type: "broadcast", seq: 14, client: "ada-tab-0001", at: 99, op: 5, event: "e", data: null }],
    [[7, [1, 12.5, 80, { tool: "pen" }], ["x-client-1", 1, 2]],
      { type: "cursor-batch", cursors: [{ client: "ben-tab-0001", x: 12.5, y: 80, tool: "pen" }, { client: "x-client-1", x: 1, y: 2 }] }],
    [[8, 1, { s: null }, null], { type: "presence", client: "ben-tab-0001", state: { s: null } }],
    [[8, 1, null, true], { type: "presence", client: "ben-tab-0001", away: true }],
    [[200, 1, 2], undefined],
  ];
  for (const [array, message] of cases) assert.deepEqual(unpacker.message(unpacked(encode(array))), message);
  // The number is somebody else's from here on.
  unpacker.message({ type: "user-connected", client: "eve-tab-0001", user, n: 1 });
  assert.deepEqual(unpacker.message([4, 12, 1, 99, 5, "a"]), { type: "object-delete", seq: 12, client: "eve-tab-0001", at: 99, op: 5, id: "a" });
  for (const bad of [[4, 12, 77, 99, 5, "a"], [7, 1]]) assert.throws(() => unpacker.message(bad), TypeError);
});

interface Heard {
  readonly inbox: Inbox;
  readonly heard: unknown[];
  readonly done: Promise<void>;
}

/** An inbox, what it heard, and a promise for the message "end" or for what could not be read. */
function inbox(encoding: Encoding, inflates = true): Heard {
  const heard: unknown[] = [];
  let end = (): void => {};
  const done = new Promise<void>((resolve) => (end = resolve));
  const after = (ms: number, task: () => void): (() => void) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  };
  return {
    heard,
    done,
    inbox: new Inbox({ inflate: inflates ? inflater() : undefined, after }, encoding, {
      message: (value) => void (value === "end" ? end() : heard.push(value)),
      garbled: (error, inflating) => void (heard.push([inflating, (error as Error).name]), end()),
    }),
  };
}

const deflated: Record<Encoding, (values: Json[]) => Uint8Array> = {
  json: (values) => deflateRawSync(JSON.stringify(values)),
  msgpack: (values) => encode([9, deflateRawSync(encode(values))]),
};

for (const encoding of ["json", "msgpack"] as const) {
  const frame = (value: Json): unknown => (encoding === "json" ? JSON.stringify(value) : encode(value));

  test(`${encoding}: frames stay in order, compressed ones among them`, async () => {
    const { inbox: box, heard, done } = inbox(encoding);
    const wanted: Json[] = [];
    for (let i = 0; i < 50; i++) {
      const values = Array.from({ length: i % 7 }, (_, n) => ({ i, n, text: "x".repeat(i * 50) }));
      wanted.push(...values, { i });
      if (i % 3 > 0) box.heard(deflated[encoding](values));
      else for (const value of values) box.heard(frame(value));
      box.heard(frame({ i }));
    }
    box.heard(frame({ end: true }));
    for (let tries = 0; heard.length <= wanted.length; tries++) {
      assert.ok(tries < 1_000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(heard, [...wanted, { end: true }]);
    void done;
  });

  test(`${encoding}: a bomb, a damaged frame and what is no list are refused, and nothing after them is read`, async () => {
    const nearly = inbox(encoding);
    nearly.inbox.heard(deflated[encoding](["x".repeat(MAX_INFLATED_BYTES - 100), "end"]));
    await nearly.done;
    assert.equal((nearly.heard[0] as string).length, MAX_INFLATED_BYTES - 100);
    const bomb = deflated[encoding](["x".repeat(50 * MAX_INFLATED_BYTES)]);
    const cut = encoding === "json" ? deflated.json(["abc"]).slice(0, 4) : encode([9, deflateRawSync(encode(["abc"])).subarray(0, 4)]);
    const none = encoding === "json" ? deflateRawSync("{}") : encode([9, deflateRawSync(encode({}))]);
    for (const bad of [bomb, cut, none]) {
      const { inbox: box, heard, done } = inbox(encoding);
      box.heard(bad);
      box.heard(frame({ more: 1 }));
      await done;
      box.heard(frame({ more: 2 }));
      assert.deepEqual(heard.map((value) => (value as unknown[])[0]), [true]);
    }
  });

  test(`${encoding}: a compressed frame that nobody asked for, and one that takes for ever, end the connection`, async () => {
    const without = inbox(encoding, false);
    without.inbox.heard(deflated[encoding](["end"]));
    await without.done;
    let due: (() => void) | undefined;
    const heard: unknown[] = [];
    const box = new Inbox({ inflate: () => new Promise(() => {}), after: (_, task) => ((due = task), () => {}) }, encoding, {
      message: () => assert.fail("nothing can be read"), garbled: (_, inflating) => void heard.push(inflating),
    });
    box.heard(deflated[encoding](["end"]));
    due?.();
    assert.deepEqual([without.heard[0], heard], [[true, "TypeError"], [true]]);
  });
}

test("what could not be read is not asked for again: compression, then MessagePack", async () => {
  const world = new World(seeded(1));
  const page = world.page(undefined);
  const sockets: (SocketLike & { offered: readonly string[]; said: unknown[] })[] = [];
  page.openSocket = (_url: string, offered: readonly string[]): SocketLike => {
    const said: unknown[] = [];
    const socket = { offered, said, protocol: offered[0]!, onopen: null, onmessage: null, onclose: null, onerror: null, bufferedAmount: 0, send: (data: unknown) => void said.push(data), close: () => {} };
    sockets.push(socket);
    return socket;
  };
  page.inflate = inflater();
  const store = new MemoryStore({ client: "client-0001", nextOp: 1 }, undefined);
  const options = { socketUrl: "ws://x/ws/c", canvas: "c", user: {}, token: undefined, ownIdentity: true, encoding: "msgpack" as const };
  const room = new Room(page, options, store, { client: "client-0001", nextOp: 1, entries: [] });
  const errors: string[] = [];
  room.on("error", ({ code }) => void errors.push(code));
  const hello = (): Record<string, unknown> => {
    const [first] = sockets.at(-1)!.said;
    return (typeof first === "string" ? JSON.parse(first) : decode(first as Uint8Array)) as Record<string, unknown>;
  };
  const next = async (): Promise<void> => {
    await world.run(20_000);
    sockets.at(-1)!.onopen!();
  };
  await next();
  assert.deepEqual([sockets.at(-1)!.offered, hello().compress], [["scumble.v1.msgpack", "scumble.v1"], ["deflate-raw"]]);
  sockets.at(-1)!.onmessage!({ data: encode([9, Uint8Array.of(1, 2, 3)]).slice().buffer });
  for (let i = 0; !errors.includes("bad-frame") && i < 1_000; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  await next();
  assert.deepEqual([sockets.at(-1)!.offered, hello().compress], [["scumble.v1.msgpack", "scumble.v1"], undefined]);
  sockets.at(-1)!.onmessage!({ data: Uint8Array.of(0xc1).buffer });
  await next();
  assert.deepEqual([sockets.at(-1)!.offered, hello().compress], [["scumble.v1"], undefined]);
  assert.deepEqual(errors.filter((code) => code === "bad-frame").length, 2);
  room.close();
});
