/** Joining with a state one holds already: what is kept beyond a page, and snapshots that tell only what changed since. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObjectsEvent, ScumbleError } from "../src/types.js";
import { Harness, type Seat } from "./harness.js";

const object = (id: string, x = 0): { id: string; kind: string; x: number } => ({ id, kind: "rect", x });

/** A canvas of a, b, c and d, and somebody who keeps it. */
async function keeping(): Promise<{ h: Harness; a: Seat; b: Seat }> {
  const h = new Harness();
  const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
  a.store.keeps = () => true;
  await h.world.run(100);
  for (const id of ["a", "b", "c", "d"]) b.room.objects.create(object(id));
  b.room.chat.send("hello");
  await h.world.run(100);
  return { h, a, b };
}

const snapshots = (h: Harness): Record<string, unknown>[] => {
  const heard: Record<string, unknown>[] = [];
  const listen = h.server.listen;
  h.server.listen = (line) => {
    const deliver = line.deliver.bind(line);
    line.deliver = (message) => {
      if ((message as { type: string }).type === "snapshot") heard.push(message as Record<string, unknown>);
      deliver(message);
    };
    return listen(line);
  };
  return heard;
};

test("a page shows the canvas of the page before it at once, without a server, with what is unsaved on top", async () => {
  const { h, a } = await keeping();
  h.world.online = false;
  a.page.line?.cut();
  a.room.objects.update("a", { x: 7 });
  a.room.objects.create(object("mine"));
  h.reload(a);
  assert.deepEqual([...a.room.objects].map(({ id, x }) => [id, x]), [["a", 7], ["b", 0], ["c", 0], ["d", 0], ["mine", 0]]);
  assert.deepEqual([a.room.chat.messages.map(({ text }) => text), a.room.seq, a.room.sync], [["hello"], 5, "synchronizing"]);
  await h.world.run(5_000);
  h.world.online = true;
  await h.world.run(11_000);
  assert.deepEqual([a.room.sync, a.room.outbox, h.server.objects.get("a")?.x], ["synchronized", [], 7]);
  assert.deepEqual(h.server.hellos.at(-1)?.since, { epoch: "e1", seq: 5 });
});

test("who holds an older state gets what changed since, in the right order", async () => {
  const { h, a, b } = await keeping();
  const heard = snapshots(h);
  h.server.bases = () => true;
  a.page.kill();
  b.room.objects.update("b", { x: 5 });
  b.room.objects.delete("a");
  b.room.objects.delete("c");
  await h.world.run(100);
  b.room.objects.create(object("e"));
  b.room.objects.create(object("a", 1));
  await h.world.run(100);
  h.server.forget(h.server.head);
  h.reload(a);
  const events: ObjectsEvent[] = [];
  a.room.on("objects", (event) => events.push(event));
  await h.world.run(1_000);
  const told = heard.flatMap((part) => (part.objects as { id: string }[]).map(({ id }) => id));
  assert.deepEqual([told, heard[0]?.base, heard[0]?.deleted], [["b", "e", "a"], { epoch: "e1", seq: 5 }, ["a", "c"]]);
  assert.deepEqual([...a.room.objects], [...h.server.objects.values()]);
  assert.deepEqual([a.room.objects.all().map(({ id }) => id), a.room.sync], [["b", "d", "e", "a"], "synchronized"]);
  assert.equal(events.length, 1);
  const changes = events[0]!.changes.map(({ id, type, cause }) => `${type} ${id} ${cause}`);
  assert.deepEqual([changes.sort(), events[0]!.reset], [["create e snapshot", "delete c snapshot", "update a snapshot", "update b snapshot"], true]);
});

test("a base that is not held here is refused, and the whole canvas asked for", async () => {
  const { h, a, b } = await keeping();
  const errors: ScumbleError[] = [];
  const listen = h.server.listen;
  h.server.listen = (line) => {
    const deliver = line.deliver.bind(line);
    line.deliver = (message) => deliver((message as { base?: object }).base ? { ...(message as object), base: { epoch: "other", seq: 1 } } : message);
    return listen(line);
  };
  h.server.bases = () => true;
  a.page.kill();
  b.room.objects.update("b", { x: 5 });
  await h.world.run(100);
  h.server.forget(h.server.head);
  h.reload(a);
  a.room.on("error", (error) => errors.push(error));
  await h.world.run(2_000);
  assert.deepEqual([errors.map(({ code }) => code), h.server.hellos.at(-1)?.since], [["gap"], undefined]);
  assert.deepEqual([[...a.room.objects], a.room.sync], [[...h.server.objects.values()], "synchronized"]);
});

test("what another tab kept of one's own ops is not taken for refused, and nothing is done twice", async () => {
  const { h, a, b } = await keeping();
  h.server.loseAck = () => true;
  a.store.keeps = () => false;
  a.room.objects.update("a", { x: 9 });
  await h.world.run(3);
  // The other tab heard of it, and keeps it; this one goes before its ack.
  assert.equal(b.room.objects.get("a")?.x, 9);
  const { seq, epoch } = b.room;
  a.page.kill();
  h.server.loseAck = () => false;
  a.store.kept = { epoch, seq, objects: [...b.room.objects], chat: [], logs: false };
  b.room.objects.update("a", { x: 10 });
  await h.world.run(100);
  h.reload(a);
  assert.equal(a.room.objects.get("a")?.x, 9);
  await h.world.run(1_000);
  assert.deepEqual([a.room.objects.get("a")?.x, a.room.outbox, h.server.history.filter(({ body }) => JSON.stringify(body).includes("9")).length], [10, [], 1]);
});

test("a canvas that one may not look at any more is not kept", async () => {
  const { h, a } = await keeping();
  assert.equal(a.store.kept?.objects.length, 4);
  h.server.turnAway = () => ({ code: 4403 });
  a.page.line?.cut();
  await h.world.run(5_000);
  assert.deepEqual([a.room.status, a.store.kept], ["disconnected", undefined]);
});

test("a canvas whose numbering began anew replaces what was kept", async () => {
  const { h, a } = await keeping();
  a.page.kill();
  h.server.bases = () => true;
  h.server.epoch = "e2";
  h.server.objects = new Map([["z", object("z")]]);
  h.server.chat = [];
  h.server.states.set(`e2/${h.server.head}`, []);
  h.reload(a);
  await h.world.run(1_000);
  assert.deepEqual([[...a.room.objects].map(({ id }) => id), a.room.chat.messages, a.room.epoch], [["z"], [], "e2"]);
});

test("a canvas with logs, which are not kept, is shown at once and asked for anew", async () => {
  const { h, a } = await keeping();
  for (const logs of [true, undefined]) {
    a.page.kill();
    a.store.kept = { ...a.store.kept!, logs };
    h.reload(a);
    assert.equal(a.room.objects.size, 4);
    await h.world.run(1_000);
    assert.deepEqual([a.room.sync, h.server.hellos.at(-1)?.since], ["synchronized", undefined]);
  }
  a.page.kill();
  assert.equal(a.store.kept?.logs, false);
});
