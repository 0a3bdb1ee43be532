/** Undo among others: by itself over a model room, and over the library with the model server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Harness, type Seat } from "../../client/test/harness.js";
import { History, type OwnOp } from "../src/history";
import type { Patch, Wire } from "../src/types";
import { historyOf } from "./desk";

type Body = { type: "create"; object: Wire } | { type: "update"; id: string; patch: Patch } | { type: "delete"; id: string };

function applied(object: Wire | undefined, body: Body): Wire | undefined {
  if (body.type === "create") return { ...body.object };
  if (body.type === "delete" || !object) return undefined;
  const next: Wire = { ...object, ...body.patch };
  for (const [key, value] of Object.entries(body.patch)) if (value === null) delete next[key];
  return next;
}

/** A confirmed object with own pending ops on top. */
class ModelRoom {
  confirmed: Wire | undefined = { id: "a", kind: "rect", x: 0, y: 0 };
  readonly history = new History(this);
  private pending: { body: Body; state: string }[] = [];

  mayWrite(): boolean {
    return true;
  }
  get(): Wire | undefined {
    return this.pending.reduce((object, { body }) => applied(object, body), this.confirmed);
  }
  create(object: Wire): OwnOp {
    return this.send({ type: "create", object });
  }
  update(id: string, patch: Patch): OwnOp {
    return this.send({ type: "update", id, patch });
  }
  remove(id: string): OwnOp {
    return this.send({ type: "delete", id });
  }
  private send(body: Body): OwnOp {
    const op = { body, state: "sent" };
    this.pending.push(op);
    return op;
  }

  /** The oldest own ops are confirmed, all of them unless told how many. */
  ack(count = this.pending.length): void {
    for (const op of this.pending.splice(0, count)) {
      op.state = "acked";
      this.confirmed = applied(this.confirmed, op.body);
    }
  }
  /** All own ops on their way are refused. */
  refuse(): void {
    for (const op of this.pending.splice(0)) op.state = "failed";
  }
  /** Somebody else's update is confirmed. */
  remote(patch: Patch, told = true): void {
    this.confirmed = applied(this.confirmed, { type: "update", id: "a", patch });
    if (told) this.history.remoteChange("a", patch);
  }
  change(patch: Patch): void {
    this.history.group("Change", () => this.history.update("a", patch));
  }
  /** Undoes, lets it be confirmed, and gives what stands then. */
  undone(): Wire | undefined {
    this.history.undo();
    this.ack();
    return this.get();
  }
}

test("undo gives back what others wrote before one's own change, though one never saw it", () => {
  const room = new ModelRoom();
  room.change({ x: 10 });
  room.remote({ x: 5 });
  room.ack();
  assert.equal(room.get()?.x, 10);
  assert.equal(room.undone()?.x, 5);
});

test("what others wrote after one's own change stands", () => {
  for (const theirs of [[5], [5, 10]]) {
    const room = new ModelRoom();
    room.change({ x: 10 });
    room.ack();
    for (const x of theirs) room.remote({ x });
    assert.deepEqual(room.history.undo(), { label: "Change", done: false });
    assert.equal(room.get()?.x, theirs.at(-1), "even when it is the value one wrote oneself");
  }
});

test("a step that others changed all of undoes nothing further, and is gone", () => {
  const room = new ModelRoom();
  room.confirmed = undefined;
  room.history.group("Draw", () => room.history.create({ id: "a", kind: "note", x: 0 }));
  room.change({ x: 10 });
  room.ack();
  room.remote({ x: 20, text: "Ben's words" });
  assert.deepEqual(room.history.undo(), { label: "Change", done: false });
  assert.deepEqual(room.get(), { id: "a", kind: "note", x: 20, text: "Ben's words" });
  assert.deepEqual([room.history.canUndo, room.history.canRedo], [true, false]);
  assert.deepEqual(room.history.undo(), { label: "Draw", done: true }, "whoever asks again means it");
  room.ack();
  room.confirmed = { id: "a", kind: "note", x: 30 };
  assert.deepEqual(room.history.redo(), { label: "Draw", done: false }, "the same the other way");
  assert.deepEqual([room.history.undo(), room.history.redo()], [undefined, undefined]);
});

test("a change that was refused is no step: it was never there to be taken back", () => {
  const room = new ModelRoom();
  room.change({ x: 10 });
  room.ack();
  room.change({ x: 20 });
  room.refuse();
  assert.equal(room.undone()?.x, 0);
});

test("an object that one deleted comes back with what others changed before that", () => {
  const room = new ModelRoom();
  room.history.group("Delete", () => room.history.remove("a"));
  room.remote({ x: 7, y: null, z: 1 });
  room.ack();
  assert.deepEqual(room.undone(), { id: "a", kind: "rect", x: 7, z: 1 });
});

test("names that mean something to an object literal neither break undo nor get lost", () => {
  const theirs = JSON.parse('{"__proto__":{"evil":1},"toString":1,"constructor":{"prototype":2}}') as Patch;
  const deleted = new ModelRoom();
  deleted.history.group("Delete", () => deleted.history.remove("a"));
  deleted.remote(theirs);
  deleted.ack();
  const back = deleted.undone();
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  assert.equal(JSON.stringify(back), JSON.stringify({ id: "a", kind: "rect", x: 0, y: 0, ...theirs }));
  const changed = new ModelRoom();
  changed.change({ x: 10 });
  changed.remote(theirs);
  changed.ack();
  assert.equal(changed.undone()?.x, 0);
});

test("of several own changes only the oldest on its way stands on theirs", () => {
  const between = new ModelRoom();
  between.change({ x: 10 });
  between.change({ x: 20 });
  between.ack(1);
  between.remote({ x: 5 });
  between.ack();
  assert.equal(between.undone()?.x, 5);
  assert.deepEqual(between.history.undo(), { label: "Change", done: false }, "theirs came after the first");
  const before = new ModelRoom();
  before.change({ x: 10 });
  before.change({ x: 20 });
  before.remote({ x: 5 });
  before.ack();
  assert.deepEqual([before.undone()?.x, before.undone()?.x], [10, 5]);
});

test("a property that was not there is gone after undo, and back after redo", () => {
  const room = new ModelRoom();
  room.change({ fill: "solid" });
  room.ack();
  assert.equal(Object.hasOwn(room.undone() ?? {}, "fill"), false);
  room.history.redo();
  assert.equal(room.get()?.fill, "solid");
});

test("after a reconnect undo gives back what stands confirmed", () => {
  const room = new ModelRoom();
  const rebase = (): void => room.history.rebase(() => room.confirmed);
  room.change({ x: 10 });
  room.change({ x: 20, y: 3 });
  room.remote({ x: 5, y: 6 }, false);
  rebase();
  room.ack();
  const once = room.undone();
  assert.deepEqual([once?.x, once?.y, room.undone()?.x], [10, 6, 5]);
  room.history.group("Delete", () => room.history.remove("a"));
  room.remote({ x: 9 }, false);
  rebase();
  room.ack();
  assert.equal(room.undone()?.x, 9);
});

test("typing that is partly acked at a reconnect is still undone whole", () => {
  const room = new ModelRoom();
  room.history.begin("Type");
  room.history.update("a", { text: "a" });
  room.ack();
  room.history.update("a", { text: "ab" });
  room.history.rebase(() => room.confirmed);
  room.history.commit();
  room.ack();
  assert.equal(Object.hasOwn(room.undone() ?? {}, "text"), false);
});

/** Ann and Ben see the object; every message takes 50 ms. */
async function annAndBen(): Promise<{ h: Harness; ann: Seat; ben: Seat; history: History }> {
  const h = new Harness();
  const [ann, ben] = [h.open("ann-client"), h.open("ben-client")];
  const history = historyOf(ann, h.world);
  await h.world.run(100);
  ben.room.objects.create({ id: "a", kind: "rect", x: 0, y: 0 });
  await h.world.run(100);
  h.world.latency = () => 50;
  return { h, ann, ben, history };
}

for (const how of ["at the same moment", "while one was away", "while one was away for longer than messages are kept"]) {
  test(`over the library: undo of a change made ${how} as somebody else's gives theirs back`, async () => {
    const { h, ann, ben, history } = await annAndBen();
    if (how !== "at the same moment") ann.room.cut(1_000);
    ben.room.objects.update("a", { x: 5 });
    await h.world.run(10);
    history.group("Move", () => history.update("a", { x: 10, y: 1 }));
    if (how.endsWith("kept")) await h.world.run(300), h.server.forget(h.server.head);
    await h.world.run(3_000);
    for (const { room } of [ann, ben]) assert.deepEqual([room.objects.get("a")?.x, room.outbox.length], [10, 0], "Ann's came later");
    assert.deepEqual(history.undo(), { label: "Move", done: true });
    await h.world.run(1_000);
    for (const { room } of [ann, ben]) assert.deepEqual(room.objects.get("a"), { id: "a", kind: "rect", x: 5, y: 0 });
    history.redo();
    await h.world.run(1_000);
    for (const { room } of [ann, ben]) assert.deepEqual(room.objects.get("a"), { id: "a", kind: "rect", x: 10, y: 1 });
  });
}

test("over the library: the same for a delete, and theirs stands when it was committed later", async () => {
  const { h, ann, ben, history } = await annAndBen();
  ben.room.objects.update("a", { x: 5 });
  await h.world.run(10);
  history.group("Delete", () => history.remove("a"));
  await h.world.run(1_000);
  assert.equal(ben.room.objects.size, 0);
  history.undo();
  await h.world.run(1_000);
  assert.deepEqual(ben.room.objects.get("a"), { id: "a", kind: "rect", x: 5, y: 0 });
  history.group("Move", () => history.update("a", { x: 10 }));
  await h.world.run(10);
  ben.room.objects.update("a", { x: 6 });
  await h.world.run(1_000);
  assert.deepEqual(history.undo(), { label: "Move", done: false }, "nothing of the move is left");
  await h.world.run(1_000);
  for (const { room } of [ann, ben]) assert.equal(room.objects.get("a")?.x, 6);
});
