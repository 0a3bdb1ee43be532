/** `room.log()` over the relay in memory: entries in order, what goes with an object, what a snapshot replaces. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/client.js";
import { bytesOf, withBytes } from "../src/logs.js";
import { packed, unpacked } from "../src/msgpack.js";
import { Unpacker } from "../src/packed.js";
import { FakeRelay } from "../src/testing.js";
import type { LogEvent, Room } from "../src/types.js";

const bytes = (...list: number[]): Uint8Array => new Uint8Array(list);
const plain = (room: Room, id: string): (readonly [number, number[]])[] => room.log(id).entries.map(({ seq, data }) => [seq, [...data]] as const);

async function join(relay: FakeRelay): Promise<Room> {
  const room = await connect({ url: "ws://fake", canvas: "c", WebSocket: relay.WebSocket });
  await room.whenSynced();
  return room;
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test("entries come to all in order, and are told as they are confirmed", async () => {
  const relay = new FakeRelay();
  const [ada, ben] = [await join(relay), await join(relay)];
  const heard: LogEvent[] = [];
  for (const type of ["append", "compact", "reset"] as const) ben.log("doc").on(type, (event) => heard.push(event));
  assert.equal((await ada.log("doc").append(bytes(1)).done).status, "ignored");
  ada.objects.create({ id: "doc", kind: "text" });
  const op = ada.log("doc").append(bytes(0, 255, 1));
  assert.deepEqual([op.type, op.objectId], ["log-append", "doc"]);
  assert.deepEqual(plain(ada, "doc"), [], "it is not confirmed yet");
  await op.done;
  await ada.log("doc").append(bytes(2)).done;
  await settled();
  assert.deepEqual(plain(ben, "doc"), [[2, [0, 255, 1]], [3, [2]]]);
  assert.deepEqual(plain(ada, "doc"), plain(ben, "doc"));
  assert.equal(ben.log("doc").entries, ben.log("doc").entries);
  assert.equal((await ben.log("doc").compact(2, bytes(9)).done).status, "ok");
  assert.equal((await ada.log("doc").compact(1, bytes(9)).done).status, "ignored");
  await settled();
  assert.deepEqual(plain(ada, "doc"), [[2, [9]], [3, [2]]]);
  await (await join(relay)).log("doc").compact(2).done;
  await settled();
  assert.deepEqual(plain(ada, "doc"), [[3, [2]]]);
  await ada.objects.delete("doc").done;
  await settled();
  assert.deepEqual(heard.map(({ type, own, entries, upto }) => [type, own, entries.map(({ seq }) => seq), upto]), [
    ["append", false, [2], undefined],
    ["append", false, [3], undefined],
    ["compact", true, [2], 2],
    ["compact", false, [], 2],
    ["reset", false, [], undefined],
  ]);
  assert.equal(ada.canUndo, true, "of objects");
  ada.undo();
  await settled();
  assert.deepEqual(plain(ben, "doc"), [], "the log does not come back with its object");
});

test("a snapshot brings the entries, and says so", async () => {
  const relay = new FakeRelay();
  const ada = await join(relay);
  ada.objects.create({ id: "doc", kind: "text" });
  await ada.log("doc").append(bytes(1)).done;
  const ben = await join(relay);
  assert.deepEqual(plain(ben, "doc"), [[2, [1]]]);
  const resets: number[][] = [];
  ben.log("doc").on("reset", ({ entries }) => resets.push(entries.map(({ seq }) => seq)));
  relay.offline();
  relay.commit("c", { type: "log-append", id: "doc", data: "Ag==" });
  relay.online();
  await ben.whenSynced();
  assert.deepEqual(plain(ben, "doc"), [[2, [1]], [3, [2]]]);
  assert.deepEqual(resets, [[2, 3]]);
});

test("what is no bytes, and no place, is refused at once", async () => {
  const room = await join(new FakeRelay());
  const log = room.log("doc");
  assert.throws(() => log.append("text" as never), TypeError);
  assert.throws(() => log.append(bytes()), RangeError);
  for (const upto of [0, 1.5, -1, "1" as never]) assert.throws(() => log.compact(upto), RangeError);
  assert.throws(() => log.on("appended" as never, () => {}), TypeError);
  assert.throws(() => room.log(""), RangeError);
  room.close();
  assert.throws(() => log.append(bytes(1)), /closed/);
});

test("bytes are binary values in MessagePack, and come as such", () => {
  const large = new Uint8Array(70_000).map((_, at) => at);
  const text = { type: "log-append", op: 1, id: "doc", data: Buffer.from(large).toString("base64") };
  const read = unpacked(packed(withBytes(text))) as { data: Uint8Array };
  assert.deepEqual(read.data, large);
  const batch = unpacked(packed(withBytes({ type: "batch", ops: [text, { type: "broadcast", op: 2, event: "e", data: "AA==" }] }))) as { ops: { data: unknown }[] };
  assert.deepEqual(batch.ops.map(({ data }) => typeof data), ["object", "string"]);
  const told = new Uint8Array([0x97, 10, 5, 0xa1, 0x61, 9, 1, 0xa1, 0x64, 0xc4, 2, 7, 8]);
  const message = new Unpacker().message(unpacked(told));
  assert.deepEqual(message, { type: "log-append", seq: 5, client: "a", at: 9, op: 1, id: "d", data: bytes(7, 8) });
  assert.deepEqual(bytesOf("AP8="), bytes(0, 255));
  assert.throws(() => bytesOf("*"));
});
