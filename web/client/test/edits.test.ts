/** `set`, `unset`, `append`, and batches that are done as one. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathOf, patchOf, updated } from "../src/edits.js";
import type { Room } from "../src/room.js";
import { Harness } from "./harness.js";

const rect = { id: "r", kind: "rect", n: 1, style: { width: 2 } };

function start(features = ["set", "batch"]): Harness {
  const h = new Harness();
  h.server.features = features;
  return h;
}

test("paths are names with dots between them", () => {
  assert.deepEqual(pathOf("a.b c"), ["a", "b c"]);
  assert.deepEqual(pathOf(String.raw`a\.b.c\\`), ["a.b", "c\\"]);
  for (const bad of ["", ".", "a.", "a..b", "\\", "a\\b"]) assert.throws(() => pathOf(bad), RangeError, bad);
});

test("an update does patch, unset, set and append, in this order, and nothing where one of them can't be done", () => {
  const update = { patch: { n: 2, gone: 1 }, unset: ["gone", "no.where"], set: { "p.q": null, style: { color: "red" } }, append: { list: [1], "p.text": "a" } };
  assert.equal(JSON.stringify(updated(rect, update)), '{"id":"r","kind":"rect","n":2,"style":{"color":"red"},"p":{"q":null,"text":"a"},"list":[1]}');
  assert.equal(updated(rect, { patch: { n: 2 }, set: { "n.x": 1 } }), rect);
  assert.equal(updated(rect, { patch: {}, append: { n: [1] } }), rect);
  assert.deepEqual(patchOf(rect, { patch: {}, set: { style: { color: "red" } }, append: { list: [1] } }), { style: { width: null, color: "red" }, list: [1] });
});

test("what is set, deleted and appended shows at once, at others too, and is undone", async () => {
  const h = start();
  const [a, b] = [h.open("alpha-0001"), h.open("beta-00001")];
  await h.world.run(100);
  a.room.objects.create({ ...rect, list: [1] });
  await h.world.run(500);
  a.room.objects.set("r", { "style.color": null });
  a.room.objects.unset("r", "n");
  a.room.objects.append("r", { list: [2, 3] });
  const wanted = { id: "r", kind: "rect", style: { width: 2, color: null }, list: [1, 2, 3] };
  assert.deepEqual(a.room.objects.get("r"), wanted);
  await h.world.run(500);
  for (const { room } of [a, b]) assert.deepEqual(room.objects.confirmed("r"), wanted);
  assert.deepEqual(h.server.objects.get("r"), wanted);
  for (let i = 0; i < 3; i++) a.room.undo();
  await h.world.run(500);
  assert.deepEqual(b.room.objects.get("r"), { ...rect, list: [1] });
});

/** Bytes that a stroke takes which grows at 60 Hz until it has 20 KB; and its size. */
async function drawn(grow: (room: Room, points: readonly number[], more: readonly number[]) => void): Promise<[number, number]> {
  const h = start();
  h.server.keepsStates = false;
  h.server.limits.max_message_bytes = 1 << 20;
  const [a, b] = [h.open("alpha-0001"), h.open("beta-00001")];
  await h.world.run(100);
  a.room.objects.create({ id: "s", kind: "draw", points: [] });
  const points: number[] = [];
  for (let frame = 0; JSON.stringify(points).length < 20_000; frame++) {
    const more = [frame, frame % 7, frame + 0.5, frame % 11];
    points.push(...more);
    grow(a.room, points, more);
    await h.world.run(16);
  }
  await h.world.run(1_000);
  assert.deepEqual(b.room.objects.get("s")?.points, points);
  return [h.server.received_bytes, JSON.stringify(points).length];
}

test("a stroke that grows costs about its size", async () => {
  const [appended, size] = await drawn((room, _, points) => room.objects.append("s", { points }));
  const [whole] = await drawn((room, points) => room.objects.update("s", { points }));
  console.log(`a stroke of ${size} bytes takes ${appended} bytes by append, ${whole} by update`);
  // Each message has its head, and 700 of them carry two points or four.
  assert.ok(appended < 4 * size, `${appended} bytes for ${size}`);
  assert.ok(whole > 50 * appended);
});

test("a server without them gets patches", async () => {
  const h = start([]);
  const [a, b] = [h.open("alpha-0001"), h.open("beta-00001")];
  a.room.objects.create(rect);
  a.room.objects.set("r", { style: { color: "red" } });
  a.room.objects.append("r", { list: [1] });
  a.room.batch(() => {
    a.room.objects.append("r", { list: [2] });
    a.room.objects.unset("r", ["n"]);
  });
  await h.world.run(1_000);
  const wanted = { id: "r", kind: "rect", style: { color: "red" }, list: [1, 2] };
  for (const { room } of [a, b]) assert.deepEqual(room.objects.get("r"), wanted);
  assert.ok(h.server.history.every(({ body }) => body.type !== "object-update" || body.set === undefined && body.append === undefined));
});

test("a batch is one message, and refused it is rolled back as a whole", async () => {
  const h = start();
  const { room } = h.open("alpha-0001");
  await h.world.run(100);
  room.objects.create(rect);
  await h.world.run(500);
  h.server.refuse = (op) => (op.type === "object-create" && op.object.id === "bad" ? { code: "too-large" } : undefined);
  const ops = room.batch(() => [
    room.objects.create({ id: "a", kind: "rect" }),
    room.objects.append("r", { list: [1] }),
    room.objects.create({ id: "bad", kind: "rect" }),
  ]);
  assert.equal(room.objects.size, 3);
  await h.world.run(500);
  assert.deepEqual(ops.map((op) => op.state), ["failed", "failed", "failed"]);
  assert.deepEqual([...room.objects], [rect]);
  const done = room.batch(() => [room.objects.create({ id: "b", kind: "rect" }), room.objects.set("r", { n: null }), room.objects.delete("r")]);
  await h.world.run(500);
  assert.deepEqual(done.map((op) => op.state), ["acked", "acked", "acked"]);
  assert.deepEqual([...room.objects.ids()], ["b"]);
  room.undo();
  await h.world.run(500);
  assert.deepEqual([...room.objects], [rect]);
  assert.ok(room.outbox.every((op) => op.state === "failed"), "only what failed before");
});

test("a batch whose answers were lost is sent again as it was, and done once", async () => {
  const h = start();
  const a = h.open("alpha-0001");
  await h.world.run(100);
  let lost = 0;
  h.server.loseAck = () => lost++ === 1;
  a.room.batch(() => {
    for (let i = 0; i < 5; i++) a.room.chat.send(`${i}`);
  });
  await h.world.run(20_000);
  assert.deepEqual(a.room.chat.messages.map(({ text, state }) => [text, state]), ["0", "1", "2", "3", "4"].map((text) => [text, "acked"]));
});
