/** The ops that an application holds, and the list of those that are not acked. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatLog } from "../src/chat.js";
import { Outbox } from "../src/outbox.js";
import { fateOf, Harness } from "./harness.js";

const rect = { id: "r", kind: "rect", x: 0 };

test("a burst of ops lists the outbox and the chat only when somebody asks", async () => {
  const h = new Harness();
  const { room } = h.open("alpha-0001");
  await h.world.run(100);
  let walks = 0;
  const { entries } = Outbox.prototype;
  const messages = Object.getOwnPropertyDescriptor(ChatLog.prototype, "messages")!;
  Outbox.prototype.entries = function (this: Outbox) {
    walks++;
    return entries.call(this);
  };
  Object.defineProperty(ChatLog.prototype, "messages", { ...messages, get: () => assert.fail("nobody asked") });
  try {
    const ops = Array.from({ length: 200 }, (_, i) => (i % 2 ? room.chat.send(`${i}`) : room.objects.create({ kind: "rect" })));
    assert.deepEqual([room.outbox, room.outbox === room.outbox], [ops, true]);
    const former = room.outbox;
    await h.world.run(5_000);
    assert.deepEqual([walks, former.length, room.outbox], [0, 200, []]);
  } finally {
    Outbox.prototype.entries = entries;
    Object.defineProperty(ChatLog.prototype, "messages", messages);
  }
});

test("the outbox lists ops by age, also after some failed, were retried, or came from a former page", async () => {
  const h = new Harness();
  const a = h.open("alpha-0001");
  await h.world.run(100);
  h.server.refuse = (op) => (op.type === "chat" && op.text !== "fine" ? { code: "forbidden" } : undefined);
  const texts = ["one", "fine", "two", "three"];
  for (const text of texts) a.room.chat.send(text);
  await h.world.run(100);
  assert.deepEqual(a.room.outbox.map((op) => op.key), [1, 3, 4]);
  a.room.cut(10_000);
  a.room.outbox[0]?.retry();
  a.room.chat.send("four");
  assert.deepEqual(a.room.outbox.map((op) => [op.key, op.state]), [[1, "pending"], [3, "failed"], [4, "failed"], [5, "pending"]]);
  h.reload(a);
  assert.deepEqual(a.room.outbox.map((op) => op.key), [1, 3, 4, 5]);
});

test("after close and after discard an op says so, is not listed, and cannot be had again", async () => {
  const h = new Harness();
  const a = h.open("alpha-0001");
  await h.world.run(100);
  a.room.cut(10_000);
  const lists: number[] = [];
  a.room.on("outbox", (list) => lists.push(list.length));
  const [gone, kept, created] = [a.room.chat.send("gone"), a.room.chat.send("kept"), a.room.objects.create(rect)];
  assert.deepEqual([gone.discard(), gone.discard()], [true, false]);
  gone.retry();
  assert.deepEqual([await fateOf(gone), a.room.outbox], [["failed", "discarded", "discarded"], [kept, created]]);
  a.room.close();
  for (const op of [kept, created]) {
    assert.deepEqual(await fateOf(op), ["failed", "closed", "closed"]);
    assert.equal(op.discard(), false);
    op.retry();
    assert.deepEqual(await fateOf(op), ["failed", "closed", "closed"]);
  }
  assert.deepEqual([a.room.outbox, a.room.objects.size, lists], [[], 0, [1, 2, 3, 2, 0]]);
  h.reload(a);
  await h.world.run(1_000);
  assert.deepEqual([h.server.chat.length, h.server.objects.size], [1, 1], "what was stored is sent by the next page");
});

test("an update that takes the place of one that failed for good is shown at once", async () => {
  const h = new Harness();
  const { room } = h.open("alpha-0001");
  await h.world.run(100);
  room.objects.create(rect);
  await h.world.run(100);
  h.server.refuse = (op) => (op.type === "object-update" ? { code: "forbidden" } : undefined);
  const failed = room.objects.update("r", { x: 1 });
  await h.world.run(100);
  assert.deepEqual([failed.state, room.objects.get("r")?.x], ["failed", 0]);
  h.server.refuse = () => undefined;
  const told: unknown[] = [];
  room.on("objects", ({ changes }) => told.push(...changes.map(({ cause }) => cause)));
  const next = room.objects.update("r", { x: 2 });
  assert.deepEqual([room.outbox, room.objects.get("r")?.x, told], [[next], 2, ["call"]]);
  await h.world.run(100);
  assert.deepEqual([next.state, room.objects.get("r")?.x, h.server.objects.get("r")?.x], ["acked", 2, 2]);
});

test("what was ignored is not told as refused, though its answer is lost and the object is made again meanwhile", async () => {
  for (const change of ["delete", "update"] as const) {
    const h = new Harness();
    const a = h.open("alpha-0001");
    await h.world.run(100);
    h.server.commit("bravo-0001", { type: "object-create", object: rect });
    await h.world.run(100);
    const errors: string[] = [];
    a.room.on("error", ({ code }) => errors.push(code));
    // The object goes while the op is on its way; the answer, which says so, is lost.
    h.world.latency = () => 20;
    h.server.loseAck = () => true;
    const op = change === "delete" ? a.room.objects.delete("r") : a.room.objects.update("r", { x: 5 });
    h.server.commit("bravo-0001", { type: "object-delete", id: "r" });
    await h.world.run(30);
    h.server.loseAck = () => false;
    h.server.commit("bravo-0001", { type: "object-create", object: { ...rect, x: 9 } });
    await h.world.run(2_000);
    assert.deepEqual([op.state, errors, a.room.outbox, a.room.objects.get("r")?.x], ["acked", [], [], 9], change);
  }
});
