/** Undo among others, by itself over a model room. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpBody } from "../src/entry.js";
import { History, type OwnOp } from "../src/history.js";
import { mergePatch } from "../src/json.js";
import type { CanvasObject as Wire, JsonObject as Patch } from "../src/types.js";

function applied(object: Wire | undefined, body: OpBody): Wire | undefined {
  if (body.type === "object-create") return body.object;
  return body.type === "object-update" && object ? (mergePatch(object, body.patch) as Wire) : undefined;
}

/** A confirmed object with own pending ops on top. */
class ModelRoom {
  confirmed: Wire | undefined = { id: "a", kind: "rect", x: 0, y: 0 };
  readonly history = new History(this, () => 0);
  private pending: { body: OpBody; state: string }[] = [];

  get(): Wire | undefined {
    return this.pending.reduce((object, { body }) => applied(object, body), this.confirmed);
  }
  perform(body: OpBody): OwnOp {
    const op = { body, state: "sent" };
    this.pending.push(op);
    return op;
  }
  private make(body: OpBody): void {
    const before = this.get();
    this.history.record(body, before, this.perform(body));
  }
  create(object: Wire): void {
    this.make({ type: "object-create", object });
  }
  update(patch: Patch): void {
    this.make({ type: "object-update", id: "a", patch });
  }
  remove(): void {
    this.make({ type: "object-delete", id: "a" });
  }
  group(label: string, fn: () => void): void {
    this.history.begin(label);
    fn();
    this.history.end();
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
    this.confirmed = applied(this.confirmed, { type: "object-update", id: "a", patch });
    if (told) this.history.remote("a", patch);
  }
  change(patch: Patch): void {
    this.group("Change", () => this.update(patch));
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
  room.group("Draw", () => room.create({ id: "a", kind: "note", x: 0 }));
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
  room.group("Delete", () => room.remove());
  room.remote({ x: 7, y: null, z: 1 });
  room.ack();
  assert.deepEqual(room.undone(), { id: "a", kind: "rect", x: 7, z: 1 });
});

test("names that mean something to an object literal neither break undo nor get lost", () => {
  const theirs = JSON.parse('{"__proto__":{"evil":1},"toString":1,"constructor":{"prototype":2}}') as Patch;
  const deleted = new ModelRoom();
  deleted.group("Delete", () => deleted.remove());
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
  room.group("Delete", () => room.remove());
  room.remote({ x: 9 }, false);
  rebase();
  room.ack();
  assert.equal(room.undone()?.x, 9);
});

test("typing that is partly acked at a reconnect is still undone whole", () => {
  const room = new ModelRoom();
  room.history.begin("Type");
  room.update({ text: "a" });
  room.ack();
  room.update({ text: "ab" });
  room.history.rebase(() => room.confirmed);
  room.history.end();
  room.ack();
  assert.equal(Object.hasOwn(room.undone() ?? {}, "text"), false);
});


test("values within values are taken back one by one: theirs beside one's own stand", () => {
  const room = new ModelRoom();
  room.confirmed = { id: "a", kind: "rect", style: { color: "red", width: 1, dash: { on: 1, off: 2 } } };
  room.change({ style: { color: "blue", dash: { off: 3 } } });
  room.ack();
  room.remote({ style: { width: 5, dash: { on: 7 } } });
  assert.deepEqual(room.undone()?.style, { color: "red", width: 5, dash: { on: 7, off: 2 } });
  room.history.redo();
  room.ack();
  assert.deepEqual(room.get()?.style, { color: "blue", width: 5, dash: { on: 7, off: 3 } });
  room.remote({ style: { color: "green" } });
  room.history.undo();
  room.ack();
  assert.deepEqual(room.get()?.style, { color: "green", width: 5, dash: { on: 7, off: 2 } }, "only what is still one's own");
});

test("a value within, that others wrote before one's own, comes back; so does what one replaced as a whole", () => {
  const room = new ModelRoom();
  room.confirmed = { id: "a", kind: "rect", style: { color: "red", width: 1 } };
  room.change({ style: { color: "blue" } });
  room.remote({ style: { color: "green", width: 2 } });
  room.ack();
  assert.deepEqual(room.undone()?.style, { color: "green", width: 2 });
  room.change({ style: null, points: [1, 2], box: { w: 1, h: null } });
  room.ack();
  assert.deepEqual(room.get(), { id: "a", kind: "rect", points: [1, 2], box: { w: 1 } });
  assert.deepEqual(room.undone(), { id: "a", kind: "rect", style: { color: "green", width: 2 } });
  room.change({ style: null });
  room.remote({ style: { width: 9 } });
  room.ack();
  assert.deepEqual(room.undone()?.style, { color: "green", width: 9 }, "theirs was committed before one's own");
  room.change({ style: { color: "blue" } });
  room.remote({ style: 7 });
  room.ack();
  assert.deepEqual(room.get()?.style, { color: "blue" });
  assert.equal(room.undone()?.style, 7, "in the place of theirs one has made an object");
});

test("a drag that writes parts and wholes of the same value is one step", () => {
  const room = new ModelRoom();
  room.group("Drag", () => {
    room.update({ at: { x: 1 } });
    room.update({ at: { x: 2, y: 2 } });
    room.update({ at: null });
    room.update({ at: { x: 3 }, y: 9 });
  });
  room.ack();
  assert.deepEqual(room.get(), { id: "a", kind: "rect", x: 0, y: 9, at: { x: 3 } });
  assert.deepEqual(room.undone(), { id: "a", kind: "rect", x: 0, y: 0 });
  room.history.redo();
  room.ack();
  assert.deepEqual(room.get(), { id: "a", kind: "rect", x: 0, y: 9, at: { x: 3 } });
});

test("an object that one replaced comes back, unless others have changed the new one", () => {
  const room = new ModelRoom();
  room.group("Replace", () => room.create({ id: "a", kind: "note" }));
  room.remote({ x: 4 });
  room.ack();
  assert.deepEqual(room.undone(), { id: "a", kind: "rect", x: 4, y: 0 });
  room.group("Replace", () => room.create({ id: "a", kind: "note" }));
  room.ack();
  room.remote({ text: "theirs" });
  assert.deepEqual(room.history.undo(), { label: "Replace", done: false });
  assert.deepEqual(room.get(), { id: "a", kind: "note", text: "theirs" });
});

test("what is kept is bounded: steps, and changes in all of them", () => {
  const room = new ModelRoom();
  for (let i = 1; i <= 300; i++) room.change({ x: i });
  room.ack();
  let steps = 0;
  while (room.history.undo()) steps++, room.ack();
  assert.deepEqual([steps, room.get()?.x], [200, 100]);
  const many = (): void => room.group("Import", () => Array.from({ length: 15_000 }, (_, i) => room.history.record({ type: "object-delete", id: `o${i}` }, { id: `o${i}`, kind: "x" }, { state: "acked" })));
  many();
  many();
  assert.deepEqual([room.history.undo()?.label, room.history.canUndo], ["Import", false]);
});
