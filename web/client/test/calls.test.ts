/** What calls send and tell: nothing that is there already, nothing twice, what failed only while it is of use, and why it changed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObjectChange, ObjectsEvent } from "../src/types.js";
import { fateOf, Harness, type Seat } from "./harness.js";

const rect = { id: "r", kind: "rect", x: 0, style: { color: "red", width: 1 } };


const ops = (seat: Seat): Record<string, unknown>[] =>
  seat.page.line!.said.map((text) => JSON.parse(text) as Record<string, unknown>).filter(({ op }) => op !== undefined);

async function started(): Promise<{ h: Harness; a: Seat; b: Seat }> {
  const h = new Harness();
  const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
  await h.world.run(100);
  a.room.objects.create(rect);
  await h.world.run(100);
  return { h, a, b };
}

test("values that are there already are not sent", async () => {
  const { h, a } = await started();
  const before = ops(a).length;
  const same = [
    a.room.objects.update("r", { x: 0 }), a.room.objects.update("r", { gone: null }), a.room.objects.update("r", {}),
    a.room.objects.update("r", { style: { color: "red" } }), a.room.objects.create(structuredClone(rect)),
  ];
  for (const op of same) assert.deepEqual([await fateOf(op), (await op.done).seq], [["acked", undefined, "unchanged"], 0]);
  assert.deepEqual([a.room.outbox, a.room.canUndo], [[], true]);
  a.room.objects.update("r", { x: 0, y: 1, style: { color: "red", width: 2 } });
  await h.world.run(100);
  assert.deepEqual(ops(a).slice(before).map(({ patch }) => patch), [{ y: 1, style: { width: 2 } }]);
  a.room.presence.update({ tool: "pen", at: { x: 1 } });
  await h.world.run(100);
  const said = a.page.line!.said.length;
  a.room.presence.update({ tool: "pen", at: { x: 1 }, none: null });
  await h.world.run(100);
  assert.equal(a.page.line!.said.length, said);
});

test("a value that is on its way already is not sent again, and its op says when it is saved", async () => {
  const { h, a } = await started();
  h.world.latency = () => 50;
  const first = a.room.objects.update("r", { x: 1 });
  const again = a.room.objects.update("r", { x: 1 });
  assert.equal(again, first);
  assert.equal(again.state, "sent");
  await h.world.run(200);
  assert.equal((await again.done).status, "ok");
  assert.notEqual(a.room.objects.update("nobody", { x: 1 }).state, "acked", "of what is not here the server knows");
});

test("a failed update gives way to a newer one that writes the same, and to any that is saved", async () => {
  const { h, a } = await started();
  h.server.refuse = (op) => (JSON.stringify(op).includes("no") ? { code: "forbidden" } : undefined);
  const failed = [];
  for (let i = 0; i < 50; i++) {
    failed.push(a.room.objects.update("r", { text: `no ${i}` }));
    await h.world.run(40);
    assert.ok(a.room.outbox.length <= 1, `${a.room.outbox.length}`);
    assert.ok(a.store.ops.size <= 1, "nor in the store");
  }
  assert.deepEqual(await fateOf(failed[0]!), ["failed", "forbidden", "forbidden"], "it still says why");
  failed[0]!.retry();
  assert.deepEqual([await fateOf(failed[0]!), failed[0]!.discard()], [["failed", "forbidden", "forbidden"], false], "and is over");
  const other = a.room.objects.update("r", { label: "no label" });
  await h.world.run(100);
  assert.equal(a.room.outbox.length, 2, "neither writes all of the other");
  a.room.objects.update("r", { x: 7 });
  await h.world.run(100);
  assert.deepEqual([a.room.outbox, other.state, h.server.objects.get("r")?.x], [[], "failed", 7]);
});

test("what is too large to send does not pile up either, nor what failed before a delete", async () => {
  const { h, a } = await started();
  for (let i = 0; i < 20; i++) {
    a.room.objects.update("r", { points: `${i}`.padEnd(70_000, "x") });
    await h.world.run(40);
  }
  assert.deepEqual(a.room.outbox.map(({ error }) => error?.code), ["too-large"]);
  a.room.objects.update("r", { points: "few" });
  await h.world.run(100);
  assert.deepEqual([a.room.outbox, h.server.objects.get("r")?.points], [[], "few"]);
  a.room.objects.update("r", { points: "x".repeat(70_000) });
  await h.world.run(100);
  a.room.objects.delete("r");
  await h.world.run(100);
  assert.deepEqual(a.room.outbox, []);
});

test("each change says its cause", async () => {
  const { h, a, b } = await started();
  const causes: [string, string, boolean][] = [];
  a.room.on("objects", ({ changes }) => causes.push(...changes.map(({ type, cause, own }): [string, string, boolean] => [type, cause, own])));
  const told = (): unknown => causes.splice(0);
  a.room.objects.update("r", { x: 1 });
  assert.deepEqual(told(), [["update", "call", true]], "before the call returns");
  await h.world.run(100);
  b.room.objects.update("r", { x: 2 });
  await h.world.run(100);
  assert.deepEqual(told(), [["update", "remote", false]]);
  h.server.refuse = () => ({ code: "forbidden" });
  a.room.objects.delete("r");
  assert.deepEqual(told(), [["delete", "call", true]]);
  await h.world.run(100);
  assert.deepEqual(told(), [["create", "rollback", true]]);
  a.room.cut(1_000);
  a.room.objects.create({ id: "mine", kind: "note" });
  a.room.outbox.at(-1)?.discard();
  assert.deepEqual(told(), [["create", "call", true], ["delete", "rollback", true]]);
  h.server.refuse = () => undefined;
  b.room.objects.create({ id: "new", kind: "rect" });
  await h.world.run(500);
  h.server.forget(h.server.head);
  await h.world.run(2_000);
  assert.deepEqual(told(), [["create", "snapshot", false]]);
});

test("a call in a listener is told of before it returns, after what happened before it", async () => {
  const { h, a } = await started();
  const heard: string[] = [];
  const name = ({ changes }: ObjectsEvent): string => changes.map(({ id, cause }) => `${id} ${cause}`).join();
  a.room.on("chat", () => {
    a.room.objects.update("r", { x: 9 });
    assert.equal(heard.at(-1), "r call");
  });
  a.room.on("objects", (event) => heard.push(name(event)));
  a.room.on("objects", ({ changes }) => {
    if (changes[0]?.id !== "theirs") return;
    for (let i = 0; i < 3; i++) {
      a.room.objects.create({ id: `echo${i}`, kind: "note" });
      assert.equal(heard.at(-1), `echo${i} call`);
    }
  });
  h.server.commit("somebody-else", { type: "object-create", object: { id: "theirs", kind: "rect" } });
  h.server.commit("somebody-else", { type: "chat", text: "hi" });
  await h.world.run(100);
  assert.deepEqual(heard, ["theirs remote", "echo0 call", "echo1 call", "echo2 call", "r call"]);
  assert.deepEqual([a.room.outbox, h.server.objects.size], [[], 5]);
});

test("objects may be heard once a frame, with everything since, in order", async () => {
  const { h, a, b } = await started();
  const frames: ObjectsEvent[] = [];
  const single: ObjectChange[] = [];
  const errors: string[] = [];
  a.room.on("error", ({ message }) => errors.push(message));
  a.room.on("objects", ({ changes }) => single.push(...changes));
  const off = a.room.on("objects", (event) => frames.push(event), { batch: "frame" });
  a.room.on("objects", () => assert.fail("on purpose"), { batch: "frame" });
  for (let i = 0; i < 300; i++) b.room.objects.create({ id: `o${i}`, kind: "dot" });
  b.room.objects.update("o1", { x: 1 });
  a.room.objects.update("r", { x: 5 });
  assert.equal(frames.length, 0);
  await h.world.run(200);
  assert.ok(frames.length >= 1 && frames.length < 13, `${frames.length} frames in 200 ms`);
  assert.deepEqual(frames.flatMap(({ changes }) => changes), single);
  assert.ok(errors.length === frames.length && /on purpose/.test(errors[0]!), "one that throws harms nobody");
  assert.deepEqual(frames[0]!.ids, [...new Set(frames[0]!.changes.map(({ id }) => id))]);
  const before = frames.length;
  a.room.objects.update("r", { x: 6 });
  off();
  await h.world.run(200);
  assert.equal(frames.length, before);
  assert.throws(() => a.room.on("objects", () => {}, { batch: "second" as never }), TypeError);
  assert.throws(() => a.room.on("chat", () => {}, { batch: "frame" }), TypeError);
});

test("a cursor's fields that the protocol uses are refused, not dropped", async () => {
  const { a } = await started();
  for (const field of ["type", "client", "hidden"]) {
    assert.throws(() => a.room.cursor.set({ x: 1, y: 2, [field]: "mine" }), { name: "TypeError", message: new RegExp(`"${field}"`) });
  }
});

test("a rejection of whenSynced that nobody listens to is no crash", async () => {
  const { a } = await started();
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listen);
  const fresh = new Harness().open("alpha-0001");
  void fresh.room.whenSynced();
  fresh.room.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off("unhandledRejection", listen);
  assert.deepEqual(unhandled, []);
  await assert.rejects(fresh.room.whenSynced(), { code: "closed" });
  a.room.close();
});
