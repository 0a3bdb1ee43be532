/** What the server would end the connection for is refused at the call, and changes nothing. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/client.js";
import { copyJson } from "../src/json.js";
import { PresenceSender } from "../src/presence.js";
import type { ConnectOptions, JsonObject } from "../src/types.js";
import { DurableStore, Harness, type Seat } from "./harness.js";

async function two(): Promise<{ h: Harness; a: Seat; b: Seat }> {
  const h = new Harness();
  const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
  await h.world.run(100);
  return { h, a, b };
}

const stateOf = (seat: Seat, client: string): unknown => seat.room.others.find((other) => other.client === client)?.state;
/** As much of it as any application would give, in whatever type. */
const any = (value: unknown): never => value as never;

test("a signal over the server's bound throws, also without a connection, and the room lives on", async () => {
  const { h, a } = await two();
  const largest = h.server.limits.max_message_bytes - '{"type":"signal","event":"e","data":""}'.length;
  assert.equal(a.room.signal("e", "x".repeat(largest)), true);
  const refused = { name: "RangeError", message: /65536 bytes/ };
  assert.throws(() => a.room.signal("e", "x".repeat(largest + 1)), refused);
  assert.throws(() => a.room.signal("e", "ä".repeat(largest / 2 + 1)), refused);
  a.room.cut(500);
  assert.throws(() => a.room.signal("e", "x".repeat(largest + 1)), refused);
  await h.world.run(1_000);
  assert.equal(a.room.status, "connected");
});

test("a presence state over 8 KiB after the merge throws, and the rest is there after a reconnect", async () => {
  const { h, a, b } = await two();
  a.room.presence.update({ tool: "pen", text: "x".repeat(5_000) });
  await h.world.run(100);
  const before = a.room.presence.state;
  assert.throws(() => a.room.presence.update({ more: "x".repeat(5_000) }), { name: "RangeError", message: /8192 bytes/ });
  assert.equal(a.room.presence.state, before);
  a.room.presence.update({ text: "ä".repeat(4_000) });
  a.room.cut(100);
  await h.world.run(1_000);
  assert.deepEqual(stateOf(b, a.room.client), { tool: "pen", text: "ä".repeat(4_000) });
});

test("a server that takes larger presence states says so", async () => {
  const { h, a, b } = await two();
  h.server.limits = { ...h.server.limits, max_state_bytes: 32_768 };
  h.server.connOf(a.room.client)?.line.cut();
  await h.world.run(1_000);
  const text = "x".repeat(30_000);
  a.room.presence.update({ text });
  assert.throws(() => a.room.presence.update({ more: "x".repeat(5_000) }), { name: "RangeError", message: /32768 bytes/ });
  await h.world.run(100);
  assert.deepEqual(stateOf(b, a.room.client), { text });
});

test("the presence state fits into one message of a server that takes only small ones", async () => {
  const { h, a, b } = await two();
  a.room.presence.update({ tool: "pen", text: "x".repeat(900), more: "y".repeat(900), large: "z".repeat(2_000) });
  h.server.limits = { ...h.server.limits, max_message_bytes: 1024 };
  h.server.connOf(a.room.client)?.line.cut();
  await h.world.run(1_000);
  assert.throws(() => a.room.presence.update({ large: null }), /at most 996 bytes/);
  a.room.presence.update({ large: null, more: null });
  await h.world.run(100);
  assert.deepEqual(stateOf(b, a.room.client), { tool: "pen", text: "x".repeat(900) });
  assert.equal(a.room.status, "connected");
});

test("a presence patch that deletes more than fits goes in pieces", async () => {
  const { h, a, b } = await two();
  const many = (name: string, value: unknown): JsonObject => Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`${name}${i}`, value])) as JsonObject;
  a.room.presence.update({ ...many("old", 1), keep: 1 });
  await h.world.run(100);
  a.room.presence.update({ ...many("old", null), deep: { a: 1 } });
  a.room.presence.update({ ...many("new", 2), deep: { a: null, b: 2 } });
  await h.world.run(100);
  const wanted = { keep: 1, deep: { b: 2 }, ...many("new", 2) };
  assert.deepEqual([a.room.presence.state, stateOf(b, a.room.client)], [wanted, wanted]);
  const sender = new PresenceSender();
  sender.update({ now: 1 });
  sender.reconnected(many("old", 1));
  const pieces = sender.tick(0, true).send ?? [];
  assert.ok(pieces.length > 1 && pieces.every((text) => text.length < 8192 + 40));
});

test("a cursor over 512 bytes, or with what JSON has not, throws and does not move", async () => {
  const { h, a } = await two();
  const fixed = '"x":1,"y":2,"name":""'.length;
  a.room.cursor.set({ x: 1, y: 2, name: "x".repeat(512 - fixed) });
  await h.world.run(100);
  assert.throws(() => a.room.cursor.set({ x: 5, y: 5, name: "x".repeat(513 - fixed) }), { name: "RangeError", message: /512 bytes/ });
  for (const bad of [NaN, Infinity, () => 1, 1n, new Date(), [undefined]]) {
    assert.throws(() => a.room.cursor.set({ x: 5, y: 5, bad: any(bad) }), TypeError);
    assert.throws(() => a.room.cursor.set({ x: any(bad), y: 5 }), TypeError);
  }
  assert.throws(() => a.room.cursor.set(any(undefined)), TypeError);
  await h.world.run(2_000);
  const sent = a.page.line?.said.filter((text) => text.includes('"cursor"'));
  assert.deepEqual([a.room.status, sent?.length], ["connected", 1]);
});

test("name and colour are short texts, counted in characters", async () => {
  const { h, a, b } = await two();
  const name = "🖌".repeat(64);
  a.room.setUser({ name });
  const before = [a.room.user, a.room.presence.state];
  assert.throws(() => a.room.setUser({ name: "x".repeat(65) }), { name: "RangeError", message: /user\.name .* 64 characters/ });
  assert.throws(() => a.room.setUser({ color: name + "x" }), { name: "RangeError", message: /user\.color/ });
  for (const bad of [7, null, {}, ["Ben"], 1n]) assert.throws(() => a.room.setUser({ name: any(bad) }), { name: "TypeError", message: /user\.name/ });
  for (const bad of [undefined, null, "Ben", ["Ben"]]) assert.throws(() => a.room.setUser(any(bad)), { name: "TypeError", message: /user/ });
  assert.deepEqual([a.room.user, a.room.presence.state], before);
  await h.world.run(100);
  assert.equal(b.room.others[0]?.user.name, name);
});

test("connect rejects what is no canvas, user or token", async () => {
  class Never {}
  const opened = (options: object): Promise<unknown> => connect({ url: "ws://127.0.0.1:9", canvas: "c", WebSocket: Never as never, ...options } as ConnectOptions);
  for (const given of [undefined, null, "demo"]) await assert.rejects(connect(any(given)), TypeError);
  for (const canvas of [undefined, null, 7, "", "a/b", "-a", "x".repeat(129), ["c"]]) await assert.rejects(opened({ canvas }), { name: "TypeError", message: /canvas/ });
  for (const user of [null, "Ann", { name: 7 }, { color: null }]) await assert.rejects(opened({ user }), { name: "TypeError", message: /user/ });
  for (const user of [{ name: "x".repeat(65) }, { color: "🖌".repeat(65) }]) await assert.rejects(opened({ user }), { name: "RangeError", message: /user/ });
  for (const url of ["ftp://host", "host:8080", "http://", 7, ""]) await assert.rejects(opened({ url }), { name: "TypeError", message: /^url must be like wss:\/\/host/ });
  for (const [option, bad] of [["WebSocket", {}], ["share", "no"], ["encoding", "xml"], ["compress", 1]] as const) {
    await assert.rejects(opened({ [option]: bad }), { name: "TypeError", message: new RegExp(`^${option} must be`) });
  }
  for (const token of [7, null, {}]) await assert.rejects(opened({ token }), { name: "TypeError", message: /token/ });
});

test("an option that there is not is refused, with those that there are: dropped, it would look as if it had been taken", async () => {
  class Never {}
  const opened = (options: object): Promise<unknown> => connect({ url: "ws://127.0.0.1:9", canvas: "c", WebSocket: Never as never, ...options } as ConnectOptions);
  await assert.rejects(opened({ presist: "indexeddb" }), { name: "TypeError", message: /connect has no "presist", but url, canvas, user, token, persist/ });
  await assert.rejects(opened({ user: { name: "Ann", avatar: "a.png" } }), { name: "TypeError", message: /user has no "avatar", but name, color/ });
  const { a } = await two();
  assert.throws(() => a.room.setUser(any({ colour: "red" })), { name: "TypeError", message: /user has no "colour"/ });
  assert.throws(() => a.room.on("objects", () => {}, any({ bach: "frame" })), { name: "TypeError", message: /on has no "bach", but batch/ });
  assert.throws(() => a.room.chat.send("hi", any({ reply_to: 1 })), { name: "TypeError", message: /send has no "reply_to", but replyTo/ });
  assert.throws(() => a.room.batch(() => {}, any({ lable: "x" })), { name: "TypeError", message: /a step has no "lable"/ });
  assert.throws(() => a.room.history.begin(any({ mergekey: "x" })), { name: "TypeError", message: /mergeKey/ });
  assert.deepEqual([a.room.outbox, a.room.canUndo], [[], false]);
});

test("an event that there is not is refused, with those that there are", async () => {
  const { a } = await two();
  for (const bad of ["objetcs", "constructor", "", undefined]) {
    assert.throws(() => a.room.on(any(bad), () => {}), { name: "TypeError", message: /there is no event .*status, sync, objects/ });
  }
});

test("a call with the wrong type throws a TypeError that names the field, out of bounds a RangeError", async () => {
  const { h, a } = await two();
  const { chat, objects } = a.room;
  for (const bad of [undefined, null, 7, {}, ["hi"], 1n, true]) {
    assert.throws(() => chat.send(any(bad)), { name: "TypeError", message: /text/ });
    assert.throws(() => a.room.broadcast(any(bad)), { name: "TypeError", message: /event/ });
    assert.throws(() => objects.delete(any(bad)), { name: "TypeError", message: /id/ });
    assert.throws(() => objects.create({ kind: any(bad) }), TypeError);
  }
  for (const bad of ["", "x".repeat(4_001)]) assert.throws(() => chat.send(bad), { name: "RangeError", message: /text .* 4000/ });
  assert.throws(() => objects.update("", {}), { name: "RangeError", message: /id .* 64/ });
  for (const bad of [1n, "1", null, {}]) assert.throws(() => chat.send("hi", { replyTo: any(bad) }), { name: "TypeError", message: /replyTo/ });
  for (const bad of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) assert.throws(() => chat.send("hi", { replyTo: bad }), { name: "RangeError", message: /replyTo/ });
  assert.throws(() => objects.create({ kind: "rect", points: any([1, , 2]) }), TypeError, "a hole would become null");
  class Odd extends Array<unknown> {
    override map(): never {
      return [1n] as never;
    }
  }
  assert.equal(JSON.stringify(copyJson(Odd.from([1]))), "[1]");
  assert.deepEqual([a.room.outbox, chat.messages, objects.size], [[], [], 0]);
  const op = chat.send("hi", { replyTo: 1 });
  await h.world.run(100);
  assert.equal(op.state, "acked");
});

test("a stored op that cannot be written fails alone", async () => {
  const h = new Harness();
  const store = new DurableStore("alpha-0001");
  const fresh = { client: store.client, state: "pending", attempted: false, committed: false, mayBeContained: false, refusals: 0 } as const;
  store.save({ ...fresh, key: 1, op: 1, body: { type: "chat", text: "one", reply_to: any(1n) } });
  store.save({ ...fresh, key: 2, op: 2, body: { type: "chat", text: "two" } });
  const { room } = h.open(store.client, { store });
  await h.world.run(1_000);
  assert.deepEqual(room.outbox.map((op) => op.error?.code), ["bad-message"]);
  assert.deepEqual(h.server.chat.map((m) => (m as { text: string }).text), ["two"]);
});
