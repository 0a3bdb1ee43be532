/** `room.undo()`, `room.redo()`, `room.batch()` and `room.history`, over the model server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HistoryEvent, ObjectsEvent } from "../src/types.js";
import { Harness, type Seat } from "./harness.js";

const rect = { id: "r", kind: "rect", x: 0 };

async function two(): Promise<{ h: Harness; a: Seat; b: Seat }> {
  const h = new Harness();
  const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
  await h.world.run(100);
  return { h, a, b };
}

test("every call is a step; a batch, and what stands between begin and end, are one", async () => {
  const { h, a: { room }, b } = await two();
  assert.deepEqual([room.canUndo, room.canRedo, room.undo(), room.redo()], [false, false, undefined, undefined]);
  room.objects.create(rect);
  room.objects.update("r", { x: 1 });
  room.batch(() => {
    room.objects.update("r", { x: 2 });
    room.batch(() => room.objects.create({ id: "q", kind: "rect" }), { label: "within" });
  }, { label: "Both" });
  room.history.begin({ label: "Drag" });
  for (let x = 3; x < 40; x++) {
    room.objects.update("r", { x });
    await h.world.run(16);
  }
  room.batch(() => room.objects.update("r", { y: 1 }));
  room.history.end();
  await h.world.run(100);
  assert.deepEqual(room.undo(), { label: "Drag", done: true });
  await h.world.run(100);
  assert.deepEqual([...b.room.objects], [{ ...rect, x: 2 }, { id: "q", kind: "rect" }]);
  assert.deepEqual(room.undo(), { label: "Both", done: true });
  assert.deepEqual([room.objects.get("r")?.x, room.objects.has("q")], [1, false]);
  assert.deepEqual([room.undo()?.label, room.undo()?.label, room.undo()], ["Edit", "Edit", undefined]);
  assert.equal(room.objects.size, 0);
  while (room.redo());
  await h.world.run(200);
  assert.deepEqual(b.room.objects.get("r"), { ...rect, x: 39, y: 1 });
  room.history.clear();
  assert.deepEqual([room.canUndo, room.canRedo, room.undo()], [false, false, undefined]);
});

test("a batch is one event and one burst; it gives what its function gave, and ends though it throws", async () => {
  const { h, a: { room, page }, b } = await two();
  const told: ObjectsEvent[] = [];
  room.on("objects", (event) => told.push(event));
  const before = page.line!.said.length;
  assert.equal(room.batch(() => {
    for (let i = 0; i < 100; i++) room.objects.create({ id: `o${i}`, kind: "dot" });
    room.objects.update("o1", { x: 1 });
    assert.deepEqual([told.length, page.line!.said.length, room.objects.size], [0, before, 100], "shown, but not told yet");
    return "given";
  }), "given");
  assert.deepEqual([told.length, told[0]?.ids.length], [1, 100]);
  await h.world.run(500);
  assert.equal(b.room.objects.size, 100);
  told.length = 0;
  assert.throws(() => room.batch(() => {
    room.objects.delete("o0");
    throw new Error("of the application's");
  }), /of the application's/);
  assert.equal(told.length, 1);
  room.objects.delete("o2");
  assert.equal(told.length, 2, "the batch is over");
  await h.world.run(500);
  assert.equal(b.room.objects.size, 98);
  room.undo();
  assert.deepEqual([told.length, room.undo()], [3, { label: "Edit", done: true }], "undo is one event as well");
  await h.world.run(500);
  assert.equal(b.room.objects.size, 100);
  assert.throws(() => room.batch(7 as never), TypeError);
  assert.throws(() => room.batch(() => {}, { label: 7 as never }), TypeError);
});

test("what is no step is not undone, and a listener's own calls are steps of their own", async () => {
  const { h, a: { room } } = await two();
  room.batch(() => room.objects.create(rect), { undo: false });
  assert.equal(room.canUndo, false);
  const events: HistoryEvent[] = [];
  room.on("history", (event) => events.push(event));
  const off = room.on("objects", ({ ids }) => ids.includes("r") && !room.objects.has("echo") && room.objects.create({ id: "echo", kind: "note" }));
  room.objects.update("r", { x: 1 });
  off();
  await h.world.run(100);
  assert.deepEqual(events, Array(2).fill({ canUndo: true, canRedo: false }));
  assert.equal(room.undo()?.done, true);
  assert.deepEqual([room.objects.has("echo"), room.objects.get("r")?.x], [false, 1]);
});

test("who may only look, or has left, has nothing to undo", async () => {
  const { h, a } = await two();
  a.room.objects.create(rect);
  await h.world.run(100);
  a.room.close();
  assert.equal(a.room.undo(), undefined);
});

test("ops that were refused are no steps", async () => {
  const { h, a: { room } } = await two();
  room.objects.create(rect);
  await h.world.run(100);
  h.server.refuse = () => ({ code: "forbidden" });
  room.objects.update("r", { x: 1 });
  await h.world.run(100);
  h.server.refuse = () => undefined;
  assert.equal(room.undo()?.done, true);
  assert.deepEqual([room.objects.has("r"), room.canUndo], [false, false]);
});
