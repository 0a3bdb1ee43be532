/** What others put into objects and presence, and what an application's listeners do, must not break anything. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { CursorTracks } from "../src/cursors.js";
import { composePatches, copyJson, mergePatch, sameMembers } from "../src/json.js";
import { Roster } from "../src/roster.js";
import type { JsonObject, RoomEvents } from "../src/types.js";
import { Harness, type Seat } from "./harness.js";

/** Names that mean something to an object literal: only a parser makes a member of `__proto__`. */
const NAMES = ["__proto__", "constructor", "prototype", "toString", "valueOf", "hasOwnProperty", "toJSON"];
const evil = (value: unknown): JsonObject => JSON.parse(`{${NAMES.map((name) => `"${name}":${JSON.stringify(value)}`).join()}}`) as JsonObject;
const text = (value: unknown): string => JSON.stringify(value);
const members = (value: unknown): string[] => Object.keys(value as object).sort();

const pristine = Object.getOwnPropertyNames(Object.prototype).sort().join();
afterEach(() => {
  assert.equal(Object.getOwnPropertyNames(Object.prototype).sort().join(), pristine);
  assert.deepEqual(Object.keys(Object), []);
  assert.equal(String({}), "[object Object]");
});

test("merging treats every name as a name", () => {
  const merged = mergePatch({ id: "a" }, evil({ x: 1 })) as JsonObject;
  assert.deepEqual(members(merged), ["id", ...NAMES].sort());
  assert.equal(Object.getPrototypeOf(merged), Object.prototype);
  const twice = mergePatch(merged, evil({ y: 2 })) as JsonObject;
  for (const name of NAMES) assert.equal(text(Object.getOwnPropertyDescriptor(twice, name)?.value), '{"x":1,"y":2}', name);
  assert.deepEqual(members(mergePatch(twice, evil(null))), ["id"], "and null deletes it");
  assert.deepEqual(members(mergePatch({}, evil(null))), [], "where it is not, too");
  assert.equal(text(mergePatch({}, evil({ gone: null }))), text(evil({})));
});

test("composing, copying and comparing treat every name as a name", () => {
  const [first, second] = [evil({ x: 1 }), evil({ y: 2 })];
  assert.equal(text(composePatches(first, second)), text(evil({ x: 1, y: 2 })));
  assert.equal(text(composePatches({}, first)), text(first));
  assert.equal(text(copyJson({ deep: first })), text({ deep: first }));
  assert.equal(Object.getPrototypeOf(copyJson(first)), Object.prototype);
  assert.equal(sameMembers(JSON.parse('{"toString":1}') as JsonObject, { other: 1 }), false);
  assert.equal(sameMembers(JSON.parse('{"__proto__":1}') as JsonObject, { other: 1 }), false);
});

async function two(): Promise<{ h: Harness; a: Seat; b: Seat }> {
  const h = new Harness();
  const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
  await h.world.run(100);
  return { h, a, b };
}

test("objects with such ids and properties go through every path and come out as they went in", async () => {
  const { h, a, b } = await two();
  for (const id of NAMES) a.room.objects.create({ ...evil({ x: 1 }), id, kind: "toString" });
  await h.world.run(2_000);
  b.room.cut(200);
  for (const id of NAMES) a.room.objects.update(id, evil({ y: 2 }));
  // Offline, two patches become one.
  b.room.objects.update("__proto__", evil({ z: 3 }));
  b.room.objects.update("__proto__", evil({ x: null }));
  await h.world.run(3_000);
  for (const { room } of [a, b]) {
    assert.deepEqual([room.objects.size, [...room.objects.ids()], room.outbox], [NAMES.length, NAMES, []]);
    for (const object of room.objects) {
      const expected = object.id === "__proto__" ? { y: 2, z: 3 } : { x: 1, y: 2 };
      assert.equal(text(object), text({ ...evil(expected), id: object.id, kind: "toString" }));
    }
  }
  h.server.forget(h.server.head);
  const shown = a.room.objects.all();
  h.server.resync(a.room.client);
  await h.world.run(100);
  assert.ok(a.room.objects.all().every((object, i) => object === shown[i]), "a snapshot of the same finds the same");
  for (const id of NAMES) a.room.objects.delete(id);
  await h.world.run(2_000);
  assert.deepEqual([a.room.objects.size, b.room.objects.size, h.server.objects.size], [0, 0, 0]);
});

test("presence, signals, cursors and client ids with such names", async () => {
  const { h, a, b } = await two();
  a.room.presence.update(evil({ x: 1 }));
  a.room.presence.update(evil({ y: 2 }));
  const c = h.open("__proto__");
  const d = h.open("constructor");
  await h.world.run(100);
  c.room.presence.update({ on: true });
  d.room.presence.update(evil(1));
  await h.world.run(100);
  const seen = new Map(b.room.others.map(({ client, state }) => [client, text(state)]));
  assert.deepEqual([...seen.keys()].sort(), ["__proto__", "alpha-0001", "constructor"]);
  assert.deepEqual([seen.get("__proto__"), seen.get("constructor")], ['{"on":true}', text(evil(1))]);
  assert.equal(text(a.room.presence.state), text(evil({ x: 1, y: 2 })));
  const signals: RoomEvents["signal"][] = [];
  b.room.on("signal", (signal) => signals.push(signal));
  h.server.connOf(b.room.client)?.line.deliver({ type: "signal", client: "toString", event: "__proto__", data: evil(1) });
  h.server.connOf(b.room.client)?.line.deliver({ type: "__proto__" });
  await h.world.run(10);
  assert.equal(text(signals), text([{ client: "toString", event: "__proto__", data: evil(1) }]));
  assert.equal(b.room.status, "connected");
  const tracks = new CursorTracks();
  tracks.receive("constructor", { ...evil(1), x: 1, y: 2 }, 0);
  assert.deepEqual([tracks.at("toString", 0), text(tracks.at("constructor", 0)?.fields)], [undefined, text(evil(1))]);
});

test("a name or colour told through the presence state is a short text, or not told", () => {
  const roster = new Roster();
  roster.join({ client: "ann-client", user: { name: "Ann", color: "#c03" } });
  const shown = (user: unknown): unknown => {
    roster.update("ann-client", { user } as JsonObject, undefined);
    return roster.get("ann-client")?.user;
  };
  assert.deepEqual(shown({ name: { first: "A" }, color: 7, extra: "x" }), { name: "Ann", color: "#c03" });
  assert.deepEqual(shown({ name: null, color: "x".repeat(65) }), { name: "Ann", color: "#c03" });
  assert.deepEqual(shown(["Ben"]), { name: "Ann", color: "#c03" });
  assert.deepEqual(shown(evil("x")), { name: "Ann", color: "#c03" });
  assert.deepEqual(shown({ name: "Anna" }), { name: "Anna", color: "#c03" });
});

test("what a token vouches for is not changed by a presence state", () => {
  const roster = new Roster();
  const shown = (vouched: unknown): unknown => {
    roster.join({ client: "eve-client", user: { name: "Eve", color: "#c03", vouched } as never });
    roster.update("eve-client", { user: { name: "Ada (admin)", color: "#0c3", vouched: [] } } as JsonObject, undefined);
    return roster.get("eve-client")?.user;
  };
  assert.deepEqual(shown(["name"]), { name: "Eve", color: "#0c3", vouched: ["name"] });
  assert.deepEqual(shown(["name", "color"]), { name: "Eve", color: "#c03", vouched: ["name", "color"] });
  for (const odd of [undefined, "name", { length: 1 }]) assert.equal((shown(odd) as { name: string }).name, "Ada (admin)");
});

test("listeners that throw, whatever they throw, are reported and keep nobody from anything", async () => {
  const { h, a, b } = await two();
  const thrown = [new Error("boom"), "text", undefined, Object.create(null), Symbol("s"), { toString: () => { throw new Error("again"); } }];
  const events: (keyof RoomEvents)[] = ["status", "sync", "objects", "others", "cursors", "chat", "broadcast", "signal", "outbox"];
  const heard = new Map<string, number>();
  const codes: string[] = [];
  a.room.on("error", (error) => {
    codes.push(error.code);
    throw thrown[codes.length % thrown.length];
  });
  for (const event of events) {
    let turn = 0;
    a.room.on(event, () => {
      throw thrown[turn++ % thrown.length];
    });
    a.room.on(event, () => heard.set(event, (heard.get(event) ?? 0) + 1));
  }
  const line = h.server.connOf(a.room.client)?.line;
  line?.deliver({ type: "signal", client: "bravo-0001", event: "e", data: 1 });
  line?.deliver({ type: "cursor-batch", cursors: [{ client: "bravo-0001", x: 1, y: 1 }] });
  b.room.presence.update({ on: true });
  for (let i = 0; i < 8; i++) {
    b.room.objects.create({ id: `r${i}`, kind: "rect" });
    b.room.broadcast("event", i);
    a.room.chat.send(`${i}`);
    a.room.objects.update(`r${i}`, { x: i });
    if (i === 4) a.room.cut(100);
    await h.world.run(500);
  }
  assert.deepEqual([...heard.keys()].sort(), [...events].sort());
  assert.deepEqual(new Set(codes), new Set(["listener"]));
  assert.deepEqual([a.room.status, a.room.seq, a.room.outbox.length], ["connected", h.server.head, 0]);
  assert.deepEqual(a.room.objects.all(), b.room.objects.all());
  assert.equal(a.room.chat.messages.length, 8);
});

test("listeners hear of things in the order they happened, also when one of them makes more happen", async () => {
  const { h, a } = await two();
  const lengths: number[] = [];
  a.room.on("chat", (messages) => messages.length < 4 && void a.room.chat.send("more"));
  a.room.on("chat", (messages) => lengths.push(messages.length));
  a.room.chat.send("first");
  assert.deepEqual(lengths, [1, 2, 3, 4]);
  await h.world.run(100);
  assert.equal(h.server.chat.length, 4);
});

test("a listener that makes ops while others are being sent does not get before them", async () => {
  const { h, a, b } = await two();
  const errors: string[] = [];
  a.room.on("error", (error) => errors.push(`${error.code}: ${error.message}`));
  a.room.on("status", (status) => status === "connected" && void a.room.chat.send("back"));
  a.room.on("broadcast", ({ own }) => own || void a.room.chat.send("answer"));
  a.room.cut(200);
  for (const n of ["one", "two"]) a.room.chat.send(n);
  await h.world.run(1_000);
  a.room.objects.create({ id: "r", kind: "rect" });
  await h.world.run(100);
  // An update waits for its time, and the message that makes the listener speak is what wakes the outbox.
  for (const x of [1, 2]) {
    a.room.objects.update("r", { x });
    a.room.objects.update("r", { y: x });
    b.room.broadcast("ask");
    await h.world.run(20);
  }
  await h.world.run(1_000);
  const numbers = h.world.lines.map((line) => line.said.flatMap((said) => (JSON.parse(said) as { op?: number }).op ?? []));
  for (const sent of numbers) assert.deepEqual(sent, [...sent].sort((x, y) => x - y), "numbers increase on every connection");
  assert.deepEqual(a.room.chat.messages.map((m) => m.text), ["one", "two", "back", "answer", "answer"]);
  assert.deepEqual([errors, a.room.outbox], [[], []]);
});
