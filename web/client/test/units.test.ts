/** The pure modules by themselves. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Canvas } from "../src/canvas.js";
import { ALONE_INTERVAL_MS, CursorSender, CursorTracks, DIM_AFTER_MS, HIDE_AFTER_MS, MAX_BUFFERED_BYTES } from "../src/cursors.js";
import type { Entry, OpBody } from "../src/entry.js";
import { composePatches, copyJson, mergePatch, patchBetween } from "../src/json.js";
import { Flight, MAX_CHARS, MAX_OPS, START_CHARS } from "../src/flight.js";
import { Outbox } from "../src/outbox.js";
import { UPDATE_INTERVAL_MS } from "../src/outbox-limits.js";
import { PresenceSender } from "../src/presence.js";
import { MAX_CEILING_MS, Reconnect } from "../src/reconnect.js";
import { Roster } from "../src/roster.js";
import { isClientId, sessionShelf } from "../src/store.js";
import { Stream } from "../src/stream.js";
import { readMessage } from "../src/wire.js";
import type { JsonObject } from "../src/types.js";
import { seeded } from "./world.js";

const LIMITS = { maxMessageBytes: 65536, opsPerS: 0 };
const chat = (text: string): OpBody => ({ type: "chat", text });
const sends = (effects: { type: string }[]): number => effects.filter((e) => e.type === "send").length;

test("merge patches follow RFC 7396", () => {
  assert.deepEqual(mergePatch({ a: "b", c: { d: "e", f: "g" } }, { a: "z", c: { f: null } }), { a: "z", c: { d: "e" } });
  assert.deepEqual(mergePatch({ a: [1] }, { a: { b: null, c: 1 } }), { a: { c: 1 } });
  assert.deepEqual(mergePatch(undefined, { a: null }), {});
  const polluted = mergePatch({}, JSON.parse('{"__proto__":{"evil":1}}'));
  assert.equal((polluted as { evil?: number }).evil, undefined);
});

test("a composed patch has the effect of both, for random patches", () => {
  const random = seeded(7);
  const value = (depth: number): never => {
    const dice = random();
    if (depth > 0 && dice < 0.5) return Object.fromEntries(["a", "b", "c"].filter(() => random() < 0.6).map((k) => [k, value(depth - 1)])) as never;
    return (dice < 0.7 ? null : Math.floor(dice * 100)) as never;
  };
  const object = (): never => ({ a: value(2), b: value(2) }) as never;
  let composed = 0;
  for (let i = 0; i < 3_000; i++) {
    const [target, first, second] = [mergePatch({}, object()), object(), object()];
    const both = composePatches(first, second);
    if (!both) continue;
    composed++;
    assert.deepEqual(mergePatch(target, both), mergePatch(mergePatch(target, first), second));
  }
  assert.ok(composed > 500);
});

test("a patch between two states leads from either, and from nothing, to the second", () => {
  const random = seeded(9);
  const value = (depth: number): never => {
    if (depth === 0 || random() < 0.4) return Math.floor(random() * 9) as never;
    return Object.fromEntries(["a", "b", "__proto__"].filter(() => random() < 0.6).map((k) => [k, value(depth - 1)])) as never;
  };
  const object = (): never => ({ a: value(2), ...(random() < 0.5 && { b: value(2) }) }) as never;
  for (let i = 0; i < 2_000; i++) {
    const [from, to] = [object(), object()];
    const patch = patchBetween(from, to);
    for (const start of [from, to, {}]) assert.deepEqual(mergePatch(start, patch), to);
  }
});

test("only what JSON holds is taken, and as a copy", () => {
  const given = { a: [1, { b: undefined, c: "\ud800" }] };
  assert.deepEqual(copyJson(given), { a: [1, { c: "\ufffd" }] });
  for (const bad of [NaN, Infinity, () => 1, 1n, new Date(), new Map()]) assert.throws(() => copyJson({ bad }), TypeError);
  let deep: object = {};
  for (let i = 0; i < 16; i++) deep = { deep };
  assert.throws(() => copyJson(deep), TypeError);
  // As deep as the server at hand takes.
  assert.deepEqual(copyJson(deep, 17), deep);
  assert.throws(() => copyJson(deep, 16), /at most 16 levels/);
});

test("what can't be sent is named by its place", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const cases: [unknown, RegExp][] = [
    [{ a: { b: [1, { c: NaN }] } }, /^NaN cannot be sent: numbers must be finite \(at a\.b\[1\]\.c\)$/],
    [[[undefined]], /^undefined cannot be sent: JSON has none \(at \[0\]\[0\]\)$/],
    [{ ok: 1, left: undefined, f: () => 1 }, /\(at f\)$/],
    [{ d: new Date() }, /^only plain objects and arrays can be sent \(at d\)$/],
    [10n, /^a bigint cannot be sent: JSON has none$/],
    [circular, /^nesting is at most 15 levels \(at self\.self\./],
  ];
  for (const [value, words] of cases) assert.throws(() => copyJson(value), { name: "TypeError", message: words });
  assert.throws(() => copyJson({ get bad() { throw new Error("no"); } }), { name: "Error", message: "no" });
});

test("the outbox keeps to its window, in order", () => {
  const outbox = new Outbox("client-1");
  for (let i = 0; i < 2 * MAX_OPS; i++) outbox.add({ type: "object-delete", id: "x" });
  outbox.welcome(0, LIMITS, 0);
  const first = sends(outbox.flush(0));
  assert.ok(first > START_CHARS / 60 && first < MAX_OPS, "as many as the window has room for");
  assert.equal(sends(outbox.flush(0)), 0);
  outbox.ack(1, { seq: 1, status: "ok" }, 10);
  const [next] = outbox.flush(10);
  assert.equal(next?.type === "send" && next.entry.op, first + 1);
});

/** Keeps ops of 100 characters flying for so long over a line; how many were under way at the end. */
function fly(ms: number, answerMs: (inFlight: number) => number): Flight {
  const flight = new Flight();
  const due: { op: number; at: number }[] = [];
  for (let [now, op] = [0, 0]; now < ms; now++) {
    while (due[0] && due[0].at <= now) flight.land(due.shift()!.op, now);
    while (!flight.full) {
      flight.launch(++op, 100, now);
      due.push({ op, at: Math.max(due.at(-1)?.at ?? 0, now + answerMs(flight.size)) });
    }
  }
  return flight;
}

test("the window grows while answers come as soon as ever, up to what the server takes, and never beyond", () => {
  assert.equal(fly(1_000, () => 100).size, MAX_OPS);
  const large = new Flight();
  for (let now = 0, op = 0; now < 100; now++) {
    while (!large.full) large.launch(++op, 60_000, now);
    for (let i = op - large.size + 1; i <= op; i++) if (large.has(i)) large.land(i, now);
  }
  let chars = 0;
  for (let op = 1e6; !large.full; op++) large.launch(op, 60_000, 100), (chars += 60_000);
  assert.ok(chars >= MAX_CHARS && chars < MAX_CHARS + 60_000, `${chars}`);
});

test("on a slow line the window shrinks to what arrives soon", () => {
  // 20 KB/s with 50 ms of its own: what flies has to wait its turn.
  const flight = fly(20_000, (inFlight) => 50 + inFlight * 5);
  assert.ok(flight.bytes < 10 * 1024, `${flight.bytes} bytes are half a second`);
  assert.ok(flight.bytes >= 4 * 1024, `${flight.bytes} bytes keep the line busy`);
});

test("the outbox starts after acked_op with what it never sent", () => {
  const outbox = new Outbox("client-1");
  const { entry } = outbox.add(chat("first"));
  outbox.welcome(41, LIMITS, 0);
  assert.deepEqual([entry.op, sends(outbox.flush(0))], [42, 1]);
});

test("the outbox keeps to the server's rate and says when to go on", () => {
  const outbox = new Outbox("client-1");
  for (let i = 0; i < 30; i++) outbox.add(chat(`${i}`));
  outbox.welcome(0, { ...LIMITS, opsPerS: 10 }, 0);
  let total = 0;
  let now = 0;
  while (now < 2_000) {
    total += sends(outbox.flush(now));
    assert.ok(outbox.wakeAt !== undefined && outbox.wakeAt > now);
    now = outbox.wakeAt;
  }
  assert.ok(total > 15 && total <= 25, `${total} in two seconds at 10/s with a burst of 5`);
});

test("updates alone wait for each other, other ops do not", () => {
  const outbox = new Outbox("client-1");
  outbox.welcome(0, LIMITS, 0);
  const move = (x: number): void => void outbox.add({ type: "object-update", id: "r", patch: { x } });
  move(1);
  assert.equal(sends(outbox.flush(0)), 1);
  move(2);
  move(3);
  assert.equal(sends(outbox.flush(1)), 0);
  assert.equal(outbox.wakeAt, UPDATE_INTERVAL_MS);
  assert.equal(sends(outbox.flush(UPDATE_INTERVAL_MS)), 1, "merged");
  move(4);
  outbox.add(chat("now"));
  assert.equal(sends(outbox.flush(UPDATE_INTERVAL_MS + 1)), 2);
});

test("what is left of a round of updates goes with the acks, and only the next round waits", () => {
  const outbox = new Outbox("client-1");
  outbox.welcome(0, LIMITS, 0);
  const move = (x: number): void => {
    for (let i = 0; i < 900; i++) outbox.add({ type: "object-update", id: `o${i}`, patch: { x } });
  };
  move(1);
  const first = sends(outbox.flush(0));
  assert.ok(first < 900, "the window is smaller");
  for (let op = 1; op <= first; op++) outbox.ack(op, { seq: op, status: "ok" }, 2);
  assert.equal(first + sends(outbox.flush(2)), 900, "at once");
  move(2);
  assert.deepEqual([sends(outbox.flush(3)), outbox.wakeAt], [0, UPDATE_INTERVAL_MS]);
});

test("an op over the limit fails here, since the server would close the connection for good", () => {
  const outbox = new Outbox("client-1");
  const { entry } = outbox.add(chat("ä".repeat(60)));
  outbox.add(chat("small"));
  outbox.welcome(0, { maxMessageBytes: 128, opsPerS: 0 }, 0);
  assert.equal(sends(outbox.flush(0)), 1);
  assert.deepEqual([entry.state, entry.error?.code], ["failed", "too-large"]);
});

const entryOf = (key: number, body: OpBody): Entry => ({
  key, client: "me-client", op: key, body, state: "pending", attempted: false, committed: false, mayBeContained: false, refusals: 0,
});

test("own creates are shown after the confirmed objects, and take their place when confirmed", () => {
  const canvas = new Canvas();
  const create = (id: string): OpBody => ({ type: "object-create", object: { id, kind: "rect" } });
  canvas.remote(create("a"), "other");
  const own = entryOf(1, create("b"));
  const over = entryOf(2, { type: "object-create", object: { id: "a", kind: "line" } });
  canvas.push(own);
  canvas.push(over);
  canvas.remote(create("c"), "other");
  const ids = (): string => canvas.all().map((o) => o.id + o.kind[0]).join();
  assert.equal(ids(), "al,cr,br", "a replaced object keeps its place");
  canvas.confirm(own);
  canvas.drop(over, "rollback");
  assert.equal(ids(), "ar,cr,br");
  assert.equal(canvas.size, 3);
});

test("confirming an own op changes nothing on the screen, and a masked change is told for its patch alone", () => {
  const canvas = new Canvas();
  canvas.remote({ type: "object-create", object: { id: "a", kind: "rect", x: 0 } }, "other");
  const own = entryOf(1, { type: "object-update", id: "a", patch: { x: 1 } });
  canvas.push(own);
  canvas.takeChanges();
  const shown = canvas.get("a");
  const patch = { x: 2 };
  canvas.remote({ type: "object-update", id: "a", patch }, "other");
  const changes = [{ id: "a", type: "update", client: "other", own: false, cause: "remote", patch }];
  assert.deepEqual([canvas.takeChanges(), canvas.get("a") === shown], [{ ids: ["a"], changes, reset: false }, true]);
  canvas.confirm(own);
  assert.deepEqual([canvas.takeChanges(), canvas.get("a"), canvas.confirmed("a")?.x], [undefined, shown, 1]);
});

test("others' patches are told as they came, all of them, also of an object that an own op deletes", () => {
  const canvas = new Canvas();
  const update = (id: string, patch: JsonObject): void => canvas.remote({ type: "object-update", id, patch }, "other");
  canvas.remote({ type: "object-create", object: { id: "a", kind: "rect" } }, "other");
  canvas.remote({ type: "object-create", object: { id: "b", kind: "rect" } }, "other");
  assert.ok(canvas.takeChanges()?.changes.every((change) => !("patch" in change)), "only updates have one");
  canvas.push(entryOf(1, { type: "object-delete", id: "a" }));
  canvas.push(entryOf(2, { type: "object-update", id: "b", patch: { x: 1 } }));
  assert.ok(canvas.takeChanges()?.changes.every((change) => change.own && !("patch" in change)), "and only others'");
  update("a", { x: 1 });
  update("b", { x: 2, y: { z: null } });
  update("b", { x: null, y: 3 });
  update("nowhere", { x: 1 });
  const event = canvas.takeChanges();
  const base = { type: "update", client: "other", own: false, cause: "remote" };
  assert.deepEqual(event, {
    ids: ["a", "b"],
    changes: [
      { id: "a", ...base, patch: { x: 1 } },
      { id: "b", ...base, patch: { x: 2, y: { z: null } } },
      { id: "b", ...base, patch: { x: null, y: 3 } },
    ],
    reset: false,
  });
  assert.deepEqual([canvas.get("a"), canvas.get("b")], [undefined, { id: "b", kind: "rect", x: 1, y: 3 }]);
});

test("a snapshot of 10,000 objects is taken, twice, and the second changes nothing", (t) => {
  const canvas = new Canvas();
  const objects = (): never[] => Array.from({ length: 10_000 }, (_, i) => ({ id: `o${i}`, kind: "rect", x: i, points: [i, i] }) as never);
  const started = performance.now();
  canvas.replace(objects());
  t.diagnostic(`first ${(performance.now() - started).toFixed(1)} ms`);
  assert.equal(canvas.takeChanges()?.ids.length, 10_000);
  const again = performance.now();
  canvas.replace(objects());
  t.diagnostic(`again ${(performance.now() - again).toFixed(1)} ms`);
  assert.deepEqual(canvas.takeChanges(), { ids: [], changes: [], reset: true });
});

test("messages that come while a snapshot does are held and sorted out", () => {
  const stream = new Stream<string>();
  stream.welcome("e", 5, "snapshot");
  const part = { epoch: "e", seq: 5, objects: [], chat: [] };
  assert.equal(stream.place(5, "five"), "held");
  assert.equal(stream.part({ ...part, part: 0, last: false }), undefined);
  assert.equal(stream.place(6, "six"), "held");
  const done = stream.part({ ...part, part: 1, last: true });
  assert.ok(done && done !== "gap");
  assert.deepEqual(done.held.map((m, i) => [m, stream.place(5 + i, m)]), [["five", "repeat"], ["six", "next"]]);
  assert.equal(stream.place(8, "eight"), "gap");
  assert.equal(stream.part({ ...part, part: 1, last: true }), "gap");
});

test("backoff has full jitter under a doubling ceiling and obeys the close codes", () => {
  const abilities = { canRenewToken: true, canChangeIdentity: true, hasToken: () => true };
  const policy = new Reconnect(abilities);
  const waits = Array.from({ length: 8 }, () => policy.closed(1006, "", 0, 0.5));
  assert.deepEqual(waits.map((d) => d.type === "wait" && d.ms), [125, 250, 500, 1000, 2000, 4000, 5000, 5000]);
  assert.equal(policy.wakened(0), 0);
  policy.stayAway(700, 0);
  assert.equal(policy.wakened(100), 600);
  for (const code of [1009, 4400, 4403, 4499]) assert.equal(new Reconnect(abilities).closed(code, "", 0, 0).type, "stop");
  for (const code of [1000, 1001, 1006, 4503, 4504, 4599]) assert.equal(new Reconnect(abilities).closed(code, "", 0, 0).type, "wait");
  const full = new Reconnect(abilities).closed(4413, "", 0, 1);
  assert.ok(full.type === "wait" && full.ms >= 4_000 && full.ms <= MAX_CEILING_MS);
});

test("a refused token is renewed a few times, a lost identity changed a few times", () => {
  const policy = new Reconnect({ canRenewToken: true, canChangeIdentity: true, hasToken: () => true });
  const types = (code: number, times: number): string[] => Array.from({ length: times }, () => policy.closed(code, "", 0, 0).type);
  assert.deepEqual(types(4401, 3), ["wait", "wait", "stop"]);
  assert.deepEqual(types(4409, 4), ["wait", "wait", "wait", "stop"]);
  const fixed = new Reconnect({ canRenewToken: false, canChangeIdentity: false, hasToken: () => true });
  assert.deepEqual([fixed.closed(4401, "", 0, 0).type, fixed.closed(4409, "", 0, 0).type], ["stop", "stop"]);
});

test("cursors glide over the measured interval, snap after a gap, dim and hide", () => {
  const tracks = new CursorTracks();
  tracks.receive("c", { x: 0, y: 0 }, 0);
  for (let i = 1; i <= 20; i++) tracks.receive("c", { x: i * 100, y: 0, tool: "pen" }, i * 50);
  assert.deepEqual(tracks.at("c", 1_025), { client: "c", x: 1950, y: 0, fields: { tool: "pen" }, dim: false });
  assert.equal(tracks.at("c", 1_200)?.x, 2_000, "never beyond the last point");
  tracks.receive("c", { x: 0, y: 0 }, 2_000);
  assert.equal(tracks.at("c", 2_001)?.x, 0, "snapped");
  assert.equal(tracks.at("c", 2_000 + DIM_AFTER_MS)?.dim, true);
  assert.deepEqual(tracks.sample(2_000 + HIDE_AFTER_MS), []);
  tracks.receive("c", { x: 0, y: 0, hidden: true }, 70_000);
  assert.equal(tracks.at("c", 70_000), undefined);
});

test("a cursor of a welcome is as old as the server says, and no older one takes the place of what was heard", () => {
  const tracks = new CursorTracks();
  assert.ok(tracks.receive("fresh", { x: 1, y: 1 }, 100_000, 0));
  assert.ok(tracks.receive("old", { x: 1, y: 1 }, 100_000, DIM_AFTER_MS));
  assert.ok(tracks.receive("older", { x: 1, y: 1 }, 100_000, HIDE_AFTER_MS));
  // A server that tells no age, and one that tells nonsense.
  for (const age of [undefined, "soon", -5_000]) assert.ok(tracks.receive(`no age ${age}`, { x: 1, y: 1 }, 100_000, age));
  const shown = (now: number): unknown[] => tracks.sample(now).filter(({ client }) => !client.startsWith("no")).map(({ client, dim }) => [client, dim]);
  assert.deepEqual(shown(100_000), [["fresh", false], ["old", true]]);
  assert.deepEqual(tracks.sample(100_000).length, 5);
  assert.deepEqual(shown(100_000 + HIDE_AFTER_MS - DIM_AFTER_MS), [["fresh", true]]);
  assert.equal(tracks.receive("fresh", { x: 9, y: 9 }, 101_000, 5_000), false, "it was somewhere else since");
  assert.equal(tracks.receive("fresh", { x: 9, y: 9, hidden: true }, 101_000, 5_000), false);
  assert.equal(tracks.at("fresh", 101_000)?.x, 1);
  assert.ok(tracks.receive("fresh", { x: 9, y: 9 }, 101_000, 500));
});

test("one's cursor is sent when moved, at most every interval, the last point always", () => {
  const sender = new CursorSender();
  const fine = { connected: true, bufferedBytes: 0, alone: false };
  sender.set({ x: 1, y: 1 });
  assert.ok(sender.tick(0, fine).send);
  sender.set({ x: 2, y: 2 });
  sender.set({ x: 3, y: 3 });
  assert.deepEqual(sender.tick(10, fine), { againInMs: 23 });
  assert.deepEqual(sender.tick(33, { ...fine, bufferedBytes: MAX_BUFFERED_BYTES + 1 }), { againInMs: 33 });
  assert.equal(sender.tick(66, fine).send, '{"x":3,"y":3,"type":"cursor"}');
  assert.deepEqual(sender.tick(200, fine), {}, "did not move");
  sender.set({ x: 4, y: 4 });
  assert.deepEqual(sender.tick(200, { ...fine, alone: true }), { againInMs: 66 + ALONE_INTERVAL_MS - 200 });
  assert.deepEqual(sender.tick(5_000, { ...fine, connected: false }), {});
  sender.clear();
  assert.match(sender.tick(5_000, fine).send ?? "", /"hidden":true/);
  assert.throws(() => sender.set({ x: NaN, y: 0 }), TypeError);
});

test("presence is merged, throttled, and told again after a reconnect", () => {
  const sender = new PresenceSender();
  sender.update({ a: 1 });
  sender.update({ b: { c: 1 } });
  assert.deepEqual(sender.tick(0, true).send, ['{"type":"presence","state":{"a":1,"b":{"c":1}}}']);
  sender.update({ a: null });
  assert.deepEqual(sender.tick(10, true), { againInMs: 40 });
  assert.deepEqual(sender.tick(50, true).send, ['{"type":"presence","state":{"a":null}}']);
  sender.reconnected({});
  assert.deepEqual(sender.tick(51, true).send, ['{"type":"presence","state":{"b":{"c":1}}}']);
  sender.update({ b: { c: null, d: 2 } });
  sender.reconnected({ a: 1, b: { c: 1 } });
  const [said] = sender.tick(52, true).send ?? [];
  assert.equal(said, '{"type":"presence","state":{"a":null,"b":{"c":null,"d":2}}}', "what was taken back meanwhile is deleted");
  sender.update({ b: null });
  sender.reconnected({});
  assert.deepEqual(sender.tick(53, true), {}, "nothing to tell");
});

test("nobody flickers through a reconnect", () => {
  const roster = new Roster();
  const ann = { client: "ann-client", user: { name: "Ann" } };
  roster.replace([ann, { client: "me-client" }, { client: "bob-client" }], "me-client");
  const before = roster.others;
  assert.equal(before.length, 2);
  roster.takeDirty();
  assert.deepEqual(roster.replace([ann, { client: "bob-client" }], "me-client"), []);
  assert.deepEqual([roster.takeDirty(), roster.others === before], [false, true]);
  roster.update("ann-client", { user: { name: "Anna" } }, undefined);
  assert.equal(roster.get("ann-client")?.user.name, "Anna");
  assert.deepEqual(roster.replace([ann], "me-client"), ["bob-client"]);
});

test("frames that no server sends are refused, and newer ones ignored", () => {
  assert.equal(readMessage({ type: "from-the-future" }), undefined);
  for (const bad of ["null", "[]", "{}", '{"type":"ack","op":1}', '{"type":"chat","seq":null,"client":"c","text":"t"}']) {
    assert.throws(() => readMessage(JSON.parse(bad)), TypeError);
  }
});

test("a copied tab does not find the identity, the next page of the same tab does", () => {
  const items = new Map<string, string>();
  const storage = { getItem: (k: string) => items.get(k) ?? null, setItem: (k: string, v: string) => items.set(k, v), removeItem: (k: string) => items.delete(k) };
  Object.defineProperty(globalThis, "sessionStorage", { value: storage, configurable: true });
  try {
    const shelf = sessionShelf("room");
    shelf.put({ client: "client-01", nextOp: 7 });
    assert.deepEqual(shelf.take(), { client: "client-01", nextOp: 7 });
    assert.equal(shelf.take(), undefined);
    items.set("room", "not json");
    assert.equal(shelf.take(), undefined);
  } finally {
    Reflect.deleteProperty(globalThis, "sessionStorage");
  }
  assert.deepEqual([isClientId("short"), isClientId("long-enough_1")], [false, true]);
});
