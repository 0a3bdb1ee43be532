/** The cases that have a name, each a story between one or two clients and the model server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ScumbleError } from "../src/types.js";
import { DurableStore, Harness, MemoryOnly, type Seat } from "./harness.js";

const rect = { id: "r", kind: "rect", x: 0 };

async function two(): Promise<{ h: Harness; a: Seat; b: Seat }> {
  const h = new Harness();
  const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
  await h.world.run(100);
  return { h, a, b };
}

const errorsOf = ({ room }: Seat): ScumbleError[] => {
  const errors: ScumbleError[] = [];
  room.on("error", (error) => errors.push(error));
  return errors;
};

/** Durable messages that a page sent on all its connections. */
const sent = (h: Harness): { type: string; op: number }[] =>
  h.world.lines.flatMap((line) => line.said.map((text) => JSON.parse(text) as { type: string; op: number })).filter((m) => m.op);

test("the ack is lost, somebody else edits the same property, the first client reconnects: the newer edit must stand", async () => {
  for (const mode of ["resume", "snapshot"]) {
    const { h, a, b } = await two();
    a.room.objects.create(rect);
    await h.world.run(100);
    h.server.loseAck = (_, client) => client === a.room.client;
    const op = a.room.objects.update("r", { x: 1 });
    await h.world.run(2);
    h.server.loseAck = () => false;
    assert.equal(h.server.objects.get("r")?.x, 1, "the server has it");
    assert.equal(op.state, "sent");
    b.room.objects.update("r", { x: 2 });
    await h.world.run(5);
    if (mode === "snapshot") h.server.forget(h.server.head);
    await h.world.run(1_000);
    assert.equal(op.state, "acked");
    for (const { room } of [a, b]) assert.equal(room.objects.get("r")?.x, 2, mode);
    assert.equal(h.server.history.length, 3, "nothing was committed twice");
  }
});

test("a remote value is masked while an own op on that property is unacked, others show at once", async () => {
  const { h, a } = await two();
  a.room.objects.create(rect);
  await h.world.run(100);
  h.server.refuse = () => ({ code: "overloaded", retry_after_ms: 500 });
  a.room.objects.update("r", { x: 1 });
  await h.world.run(10);
  h.server.commit("somebody-else", { type: "object-update", id: "r", patch: { x: 5, y: 5 } });
  await h.world.run(10);
  assert.deepEqual(a.room.objects.get("r"), { ...rect, x: 1, y: 5 });
  assert.equal(a.room.objects.confirmed("r")?.x, 5);
  h.server.refuse = () => undefined;
  await h.world.run(2_000);
  assert.equal(h.server.objects.get("r")?.x, 1, "committed later, it wins");
});

test("a hole in seq reconnects with since and is reported", async () => {
  const { h, a, b } = await two();
  const errors = errorsOf(a);
  h.server.skip = (client) => client === a.room.client;
  b.room.chat.send("one");
  await h.world.run(50);
  h.server.skip = () => false;
  b.room.chat.send("two");
  await h.world.run(1_000);
  assert.deepEqual(errors.map((e) => e.code), ["gap"]);
  assert.deepEqual(h.server.hellos.at(-1), { ...h.server.hellos.at(-1), client: a.room.client, since: { epoch: "e1", seq: 0 } });
  assert.deepEqual(a.room.chat.messages.map((m) => m.text), ["one", "two"]);
});

test("a double click that reuses the Op sends once", async () => {
  const { h, a } = await two();
  const op = a.room.chat.send("hi");
  a.room.chat.send(op);
  op.retry();
  await h.world.run(100);
  op.retry();
  a.room.chat.send(op);
  await h.world.run(100);
  assert.equal(sent(h).length, 1);
  assert.deepEqual(await op.done, { seq: 1, status: "ok" });
});

test("what may pass is sent again for as long as it takes: nothing leaves the screen, and all of it is saved without a click", async () => {
  for (const code of ["overloaded", "rate-limited"]) {
    const { h, a } = await two();
    a.room.objects.create(rect);
    await h.world.run(100);
    const errors = errorsOf(a);
    h.server.refuse = () => ({ code, retry_after_ms: 20 });
    const ops = [a.room.objects.update("r", { x: 1 }), a.room.chat.send("hi"), a.room.objects.create({ id: "new", kind: "rect" }), a.room.broadcast("after", 1)];
    for (let minute = 0; minute < 5; minute++) {
      await h.world.run(60_000);
      assert.deepEqual([a.room.objects.get("r")?.x, a.room.objects.has("new"), a.room.chat.messages.length], [1, true, 1], code);
      assert.deepEqual(ops.map((op) => op.state), Array(4).fill("pending"));
    }
    assert.ok(ops[0]!.refusals > 50, "asked every few seconds, not once and never again");
    assert.ok(sent(h).length < 4 * 400, "and not without a pause");
    h.server.refuse = () => undefined;
    await h.world.run(6_000);
    assert.deepEqual([ops.map((op) => op.state), a.room.outbox], [Array(4).fill("acked"), []]);
    assert.deepEqual([h.server.objects.get("r")?.x, h.server.objects.has("new"), h.server.chat.length, errors], [1, true, 1, []]);
  }
});

test("an op the server cannot take for now may be discarded, also after a reload, and the others go on", async () => {
  const { h, a } = await two();
  h.server.refuse = (op) => (op.type === "chat" && op.text === "unwanted" ? { code: "overloaded", retry_after_ms: 20 } : undefined);
  a.room.chat.send("unwanted");
  a.room.chat.send("wanted");
  await h.world.run(5_000);
  h.reload(a);
  await h.world.run(5_000);
  const unwanted = a.room.outbox[0]!;
  assert.equal(unwanted.discard(), true);
  await h.world.run(1_000);
  assert.deepEqual([a.room.outbox, h.server.chat.map((m) => (m as { text: string }).text)], [[], ["wanted"]]);
});

test("a refusal for good fails an op, retry sends it again", async () => {
  const { h, a } = await two();
  h.server.refuse = (op) => (op.type === "chat" ? { code: "forbidden" } : undefined);
  const op = a.room.chat.send("hi");
  const later = a.room.broadcast("after", 1);
  await h.world.run(100);
  assert.deepEqual([op.state, op.error?.code, later.state, a.room.chat.messages[0]?.state], ["failed", "forbidden", "acked", "failed"]);
  await assert.rejects(op.done, { code: "forbidden" });
  h.server.refuse = () => undefined;
  op.retry();
  op.retry();
  await h.world.run(200);
  assert.equal((await op.done).status, "ok");
  assert.deepEqual([a.room.outbox.length, h.server.chat.length], [0, 1]);
});

test("a failed op can be discarded, a sent one cannot", async () => {
  const { h, a } = await two();
  h.server.refuse = () => ({ code: "forbidden" });
  const op = a.room.chat.send("hi");
  assert.equal(op.discard(), false);
  await h.world.run(100);
  assert.equal(op.discard(), true);
  assert.deepEqual([a.room.outbox, a.room.chat.messages], [[], []]);
  assert.equal(op.discard(), false);
});

test("a refused op rolls its object back to the confirmed value", async () => {
  const { h, a } = await two();
  a.room.objects.create(rect);
  await h.world.run(100);
  h.server.refuse = () => ({ code: "forbidden" });
  a.room.objects.update("r", { x: 9 });
  a.room.objects.create({ id: "new", kind: "rect" });
  assert.equal(a.room.objects.get("r")?.x, 9);
  await h.world.run(100);
  assert.equal(a.room.objects.get("r")?.x, 0);
  assert.equal(a.room.objects.has("new"), false);
  assert.deepEqual(a.room.outbox.map((op) => op.state), ["failed", "failed"]);
});

test("only unsent updates of one object merge", async () => {
  const { h, a } = await two();
  a.room.cut(1_000);
  const created = a.room.objects.create(rect);
  const one = a.room.objects.update("r", { x: 1 });
  assert.notEqual(one, created, "a create takes nothing in");
  assert.equal(a.room.objects.update("r", { y: 2 }), one);
  assert.notEqual(a.room.objects.update("q", { y: 2 }), one);
  a.room.objects.delete("r");
  assert.notEqual(a.room.objects.update("r", { y: 3 }), one, "not over a delete");
  await h.world.run(3_000);
  a.room.objects.create(rect);
  await h.world.run(100);
  const first = a.room.objects.update("r", { x: 1 });
  assert.equal(first.state, "sent");
  assert.notEqual(a.room.objects.update("r", { x: 2 }), first, "what was sent stays as it is");
  await h.world.run(100);
  assert.equal(h.server.objects.get("r")?.x, 2);
});

test("order survives refusals: everything behind a refused op waits for it", async () => {
  const { h, a } = await two();
  let refusals = 0;
  h.server.refuse = (op) => (op.type === "chat" && op.text === "b" && refusals++ < 2 ? { code: "rate-limited", retry_after_ms: 30 } : undefined);
  const ops = ["a", "b", "c", "d"].map((text) => a.room.chat.send(text));
  await h.world.run(3_000);
  assert.deepEqual(h.server.chat.map((m) => (m as { text: string }).text), ["a", "b", "c", "d"]);
  assert.deepEqual(ops.map((op) => op.refusals), [0, 2, 0, 0], "those behind are not to blame");
});

test("ops at or below welcome.acked_op are not sent again, and found in the stream", async () => {
  const { h, a } = await two();
  h.server.loseAck = () => true;
  const op = a.room.chat.send("hi");
  await h.world.run(2);
  h.server.loseAck = () => false;
  await h.world.run(1_000);
  assert.equal(sent(h).length, 1);
  assert.deepEqual(await op.done, { seq: 1, status: "ok" });
});

test("an op refused for good whose refusal was lost is failed, not taken for acked", async () => {
  const { h, a } = await two();
  h.server.refuse = (op) => (op.type === "chat" ? { code: "forbidden" } : undefined);
  h.server.loseAck = (op) => op.type === "broadcast";
  const refused = a.room.chat.send("hi");
  const later = a.room.broadcast("x");
  a.page.line!.deliver = () => {};
  await h.world.run(2_000);
  assert.deepEqual([refused.state, later.state], ["failed", "acked"]);
});

test("ignored and dup take no place in the order", async () => {
  const { h, a, b } = await two();
  const errors = errorsOf(a);
  const op = a.room.objects.update("nothing", { x: 1 });
  b.room.chat.send("one");
  await h.world.run(100);
  assert.deepEqual(await op.done, { seq: 0, status: "ignored" });
  b.room.chat.send("two");
  await h.world.run(100);
  assert.deepEqual([a.room.seq, errors.length, a.room.objects.size], [2, 0, 0]);
});

test("resync is followed by a snapshot on the same connection that replaces the state", async () => {
  const { h, a } = await two();
  a.room.objects.create(rect);
  await h.world.run(100);
  const kept = a.room.objects.get("r");
  const resets: boolean[] = [];
  a.room.on("objects", (event) => resets.push(event.reset));
  h.server.resync(a.room.client);
  await h.world.run(100);
  assert.deepEqual([a.room.objects.get("r") === kept, a.room.sync, h.world.lines.length], [true, "synchronized", 2]);
  assert.deepEqual(resets, [true]);
});

test("an op survives a reload under the same number, and its client id and counter with it", async () => {
  const { h, a } = await two();
  h.server.loseAck = () => true;
  a.room.chat.send("committed, not acked");
  await h.world.run(2);
  h.server.loseAck = () => false;
  a.room.chat.send("never sent");
  h.reload(a);
  assert.equal(a.room.outbox.length, 2);
  await h.world.run(1_000);
  assert.deepEqual(h.server.chat.map((m) => (m as { text: string }).text), ["committed, not acked", "never sent"]);
  assert.deepEqual([a.room.outbox.length, a.room.client, a.store.ops.size], [0, "alpha-0001", 0]);
});

test("the page is guarded only while ops are outstanding in memory", async () => {
  const h = new Harness();
  const memory = h.open("alpha-0001", { store: new MemoryOnly("alpha-0001") });
  const durable = h.open("bravo-0001", { store: new DurableStore("bravo-0001") });
  for (const { room } of [memory, durable]) room.chat.send("hi");
  assert.deepEqual([memory.page.guarded, durable.page.guarded], [true, false]);
  await h.world.run(1_000);
  assert.equal(memory.page.guarded, false);
});

test("a copied tab takes a new client id; its unsent ops go with it", async () => {
  const h = new Harness();
  const a = h.open("same-client");
  await h.world.run(100);
  const b = h.open("same-client");
  a.room.cut(50);
  a.room.chat.send("from the copy");
  await h.world.run(3_000);
  assert.notEqual(a.room.client, b.room.client);
  assert.deepEqual([a.room.status, b.room.status, h.server.chat.length], ["connected", "connected", 1]);
});

test("pages that fight for a fixed client id stop", async () => {
  const h = new Harness();
  const a = h.open("fixed-client", { ownIdentity: false });
  await h.world.run(100);
  const errors = errorsOf(a);
  const b = h.open("fixed-client", { ownIdentity: false });
  await h.world.run(60_000);
  assert.deepEqual([a.room.status, b.room.status], ["disconnected", "connected"]);
  assert.deepEqual(errors.map((e) => e.code), ["replaced"]);
  await assert.rejects(a.room.whenSynced(), { code: "closed" });
});

test("an op sent under the former client id is found in the stream or sent again, never both", async () => {
  for (const committed of [true, false]) {
    const h = new Harness();
    const a = h.open("same-client");
    await h.world.run(100);
    if (committed) h.server.loseAck = () => true;
    const op = a.room.chat.send("once");
    if (committed) await h.world.run(2);
    h.server.loseAck = () => false;
    h.open("same-client");
    await h.world.run(100);
    a.page.line?.cut(4409);
    await h.world.run(5_000);
    assert.deepEqual([op.state, h.server.chat.length, a.room.chat.messages.length], ["acked", 1, 1], String(committed));
  }
});

test("one is not among the others, and is known to them by name", async () => {
  const { h, a, b } = await two();
  assert.deepEqual(a.room.others.map(({ client }) => client), [b.room.client]);
  b.room.chat.send("live");
  await h.world.run(100);
  h.server.resync(a.room.client);
  await h.world.run(100);
  const names = (seat: Seat): unknown[] => seat.room.chat.messages.map(({ user, own }) => [user?.name, own]);
  assert.deepEqual([names(a), names(b)], [[["bravo-0001", false]], [["bravo-0001", true]]]);
  const c = h.open("gamma-0001");
  await h.world.run(100);
  assert.deepEqual(names(c), [["bravo-0001", false]], "in a snapshot, too");
  assert.deepEqual(c.room.others.map(({ client }) => client), [a.room.client, b.room.client]);
});

test("presence state that the server kept is what it was told last, however the connection went", async () => {
  const { h, a, b } = await two();
  const stateOf = (): unknown => b.room.others.find(({ client }) => client === a.room.client)?.state;
  a.room.presence.update({ typing: true, view: { x: 1, y: 1 } });
  await h.world.run(100);
  a.room.cut(500);
  a.room.presence.update({ typing: null, view: { y: null }, tool: "pen" });
  await h.world.run(100);
  assert.deepEqual(stateOf(), { typing: true, view: { x: 1, y: 1 } });
  await h.world.run(1_000);
  assert.deepEqual(stateOf(), { view: { x: 1 }, tool: "pen" }, "taken back while away");
  h.reload(a);
  await h.world.run(200);
  assert.deepEqual(stateOf(), {}, "a new page begins with nothing");
});

test("a patch that an own op masks is told before the op is acked", async () => {
  for (const away of [false, true]) {
    const { h, a } = await two();
    a.room.objects.create(rect);
    await h.world.run(100);
    h.world.latency = () => 50;
    const told: unknown[] = [];
    if (away) a.room.cut(300);
    const op = a.room.objects.update("r", { x: 1 });
    a.room.on("objects", ({ changes }) => changes.forEach(({ patch, own, client }) => told.push([client, own, patch, op.state])));
    await h.world.run(10);
    h.server.commit("somebody-else", { type: "object-update", id: "r", patch: { x: 5 } });
    await h.world.run(2_000);
    assert.deepEqual(told, [["somebody-else", false, { x: 5 }, "sent"]], `away: ${away}`);
    assert.deepEqual([op.state, a.room.objects.get("r")?.x, h.server.objects.get("r")?.x], ["acked", 1, 1]);
  }
});

test("a reload right after the client id changed neither doubles nor loses what was sent under the former one", async () => {
  for (const committed of [true, false]) {
    const h = new Harness();
    const a = h.open("same-client");
    await h.world.run(100);
    h.world.latency = () => 50;
    a.room.chat.send("once");
    await h.world.run(committed ? 70 : 30);
    assert.equal(h.server.head, committed ? 1 : 0);
    a.page.line?.cut(4409);
    await h.world.run(0);
    assert.deepEqual([a.store.client === "same-client", a.room.outbox.length], [false, 1]);
    h.reload(a);
    a.room.chat.send("later");
    await h.world.run(5_000);
    assert.deepEqual(h.server.history.map(({ body }) => (body as { text: string }).text), ["once", "later"], String(committed));
    assert.deepEqual([a.room.outbox, a.store.ops.size], [[], 0]);
  }
});

test("goaway is obeyed: away for that long, then back with since", async () => {
  const { h, a } = await two();
  h.server.connOf(a.room.client)?.line.deliver({ type: "goaway", reason: "drain", retry_after_ms: 3_000 });
  await h.world.run(10);
  h.server.connOf(a.room.client)?.line.closeAfter(4503);
  await h.world.run(2_900);
  assert.equal(a.room.status, "reconnecting");
  a.page.events?.wakened();
  await h.world.run(50);
  assert.equal(a.room.status, "reconnecting", "even when the network comes back");
  await h.world.run(200);
  assert.equal(a.room.status, "connected");
});
