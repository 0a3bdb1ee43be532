/** How a room ends, or does not: refusals, tokens, sockets that cannot be made, and what becomes of the ops. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/client.js";
import { Connection } from "../src/connection.js";
import type { SocketLike } from "../src/environment.js";
import type { ScumbleError, Status } from "../src/types.js";
import { fateOf, Harness, type Seat } from "./harness.js";

const rect = { id: "r", kind: "rect", x: 0 };

function errorsOf({ room }: Seat): string[] {
  const errors: string[] = [];
  room.on("error", ({ code, message }) => errors.push(`${code}: ${message}`));
  return errors;
}

test("a WebSocket constructor that throws, or is none, is told as an error, and the room is disconnected", async () => {
  class Throws {
    constructor() {
      throw new Error("no sockets today");
    }
  }
  for (const [WebSocket, message] of [[Throws, /no sockets today/], [() => {}, /not a constructor/]] as const) {
    const room = await connect({ url: "ws://127.0.0.1:9", canvas: "c", WebSocket: WebSocket as never });
    const told: unknown[] = [room.status];
    room.on("status", (status) => told.push(status));
    const error = new Promise<ScumbleError>((resolve) => room.on("error", resolve));
    const op = room.objects.create(rect);
    await assert.rejects(room.whenSynced(), { code: "closed", message });
    assert.deepEqual([(await error).code, told], ["no-socket", ["connecting", "disconnected"]]);
    assert.match((await error).message, message);
    await assert.rejects(op.done, { code: "no-socket" });
    room.close();
  }
});

test("a full canvas is told each time, and tried again", async () => {
  const h = new Harness();
  let full = 3;
  h.server.turnAway = () => (full-- > 0 ? { code: 4413, reason: "this canvas is full (max_clients_per_canvas)" } : undefined);
  const a = h.open("alpha-0001");
  const errors = errorsOf(a);
  await h.world.run(60_000);
  assert.deepEqual(errors, Array(3).fill("full: this canvas is full (max_clients_per_canvas)"));
  assert.equal(a.room.status, "connected");
});

test("who may not make a canvas yet waits as long as it was told, and loses nothing", async () => {
  const h = new Harness();
  const error = { code: "rate-limited", message: "more than 2 new canvases a minute (--new-canvases-per-minute)", retry_after_ms: 20_001 };
  const knocks: number[] = [];
  h.server.turnAway = () => {
    knocks.push(h.world.time);
    return knocks.length < 3 ? { code: 4413, reason: "no room for another canvas", error } : undefined;
  };
  const a = h.open("alpha-0001");
  const errors = errorsOf(a);
  const op = a.room.objects.create(rect);
  await h.world.run(30_000);
  // Looked at, it waits all the same.
  a.page.events?.wakened();
  await h.world.run(60_000);
  const waits = knocks.slice(1).map((at, i) => at - knocks[i]!);
  assert.equal(waits.length, 2);
  for (const wait of waits) assert.ok(wait >= 20_001 && wait < 32_000, String(wait));
  assert.deepEqual([a.room.status, op.state, h.server.objects.size], ["connected", "acked", 1]);
  assert.ok(errors.includes(`rate-limited: ${error.message}`), errors.join());
});

test("what nobody will ever send is rejected: after another connection took over", async () => {
  const h = new Harness();
  const a = h.open("fixed-client", { ownIdentity: false });
  await h.world.run(100);
  a.room.objects.create(rect);
  await h.world.run(100);
  h.world.latency = () => 20;
  const under = [a.room.objects.update("r", { x: 1 }), a.room.chat.send("hi")];
  a.page.line?.cut(4409);
  assert.equal(a.room.status, "disconnected");
  const later = [a.room.objects.update("r", { x: 2 }), a.room.objects.create({ kind: "rect" }), a.room.chat.send("ho"), a.room.broadcast("e")];
  for (const op of [...under, ...later]) assert.deepEqual(await fateOf(op), ["failed", "replaced", "replaced"]);
  for (const op of later) {
    op.retry();
    assert.deepEqual([await fateOf(op), op.discard()], [["failed", "replaced", "replaced"], false]);
  }
  // What is shown is what was saved.
  assert.deepEqual([a.room.objects.all(), a.room.chat.messages.map(({ text, state }) => [text, state])], [[rect], [["hi", "failed"]]]);
  assert.deepEqual(a.room.outbox, under);
  a.room.refreshToken("any");
  a.room.cut(0);
  await h.world.run(60_000);
  assert.deepEqual([a.room.status, a.store.ops.size, under[0]?.state], ["disconnected", 2, "failed"]);
  // What was made before is stored, and a later page sends it.
  h.reload(a);
  await h.world.run(1_000);
  assert.deepEqual([a.room.outbox, h.server.objects.get("r")?.x, h.server.chat.length], [[], 1, 1]);
});

test("ops wait while a new token could revive the room, and are sent when it comes", async () => {
  for (const code of [4401, 4403]) {
    const h = new Harness();
    h.server.turnAway = ({ token }) => (token === "good" ? undefined : { code });
    const a = h.open("alpha-0001", { token: "bad" });
    const early = a.room.chat.send("early");
    await h.world.run(1_000);
    assert.equal(a.room.status, "disconnected");
    const late = a.room.chat.send("late");
    assert.deepEqual([await fateOf(early), await fateOf(late)], Array(2).fill(["pending", undefined, "waits"]), String(code));
    a.room.refreshToken("good");
    await h.world.run(1_000);
    assert.deepEqual([early.state, late.state, h.server.chat.length], ["acked", "acked", 2]);
  }
  const h = new Harness();
  h.server.turnAway = () => ({ code: 4403 });
  const { room } = h.open("alpha-0001");
  await h.world.run(100);
  assert.deepEqual(await fateOf(room.chat.send("nobody has a token")), ["failed", "refused", "refused"]);
});

test("a new token goes before a function that failed, until it is taken or refused", async () => {
  const h = new Harness();
  h.server.turnAway = ({ token }) => (token === "good" ? undefined : { code: 4401 });
  let source = (): string => "stale";
  const a = h.open("alpha-0001", { token: () => source() });
  await h.world.run(10_000);
  assert.equal(a.room.status, "disconnected");
  a.room.refreshToken("good");
  await h.world.run(500);
  assert.equal(a.room.status, "connected");
  source = () => {
    throw new Error("no tokens today");
  };
  a.page.line?.cut();
  await h.world.run(5_000);
  assert.equal(a.room.status, "reconnecting", "the function is asked again");
  a.room.refreshToken("good");
  await h.world.run(500);
  assert.equal(a.room.status, "connected");
  assert.throws(() => a.room.refreshToken(7 as never), TypeError);
});

test("a token that comes while the bad one is being tried is not lost with it", async () => {
  const h = new Harness();
  h.server.turnAway = ({ token }) => (token === "good" ? undefined : { code: 4401 });
  h.world.latency = () => 50;
  const { room } = h.open("alpha-0001", { token: "bad" });
  await h.world.run(75);
  room.refreshToken("good");
  await h.world.run(1_000);
  assert.equal(room.status, "connected");
});

test("a cut while the connection is away already keeps it away as long", async () => {
  const h = new Harness();
  const a = h.open("alpha-0001");
  await h.world.run(100);
  a.page.line?.cut();
  a.room.cut(5_000);
  await h.world.run(4_900);
  assert.equal(a.room.status, "reconnecting");
  await h.world.run(2_000);
  assert.equal(a.room.status, "connected");
  const b = h.open("bravo-0001", { token: () => "asked for at this moment" });
  b.room.cut(5_000);
  await h.world.run(4_900);
  assert.equal(h.server.connOf(b.room.client), undefined);
  await h.world.run(2_000);
  assert.equal(b.room.status, "connected");
});

test("offline is tested: a line that answers stays, a dead one is lost within two seconds", async () => {
  const h = new Harness();
  const a = h.open("alpha-0001");
  await h.world.run(100);
  const states: Status[] = [];
  a.room.on("status", (status) => states.push(status));
  a.page.events?.offline();
  await h.world.run(10_000);
  assert.deepEqual([states, h.world.lines.length], [[], 1]);
  h.world.online = false;
  a.page.line!.deliver = () => {};
  a.page.events?.offline();
  await h.world.run(2_100);
  assert.deepEqual(states, ["reconnecting"]);
  h.world.online = true;
  a.page.events?.wakened();
  await h.world.run(100);
  assert.deepEqual(states, ["reconnecting", "connected"]);
});

test("a socket that is closed and never says so is ended, and no timer is left", async () => {
  for (const answers of [true, false]) {
    const h = new Harness();
    const page = h.world.page(undefined);
    let timers = 0;
    let ended = 0;
    const after = page.after;
    page.after = (ms, task) => {
      timers++;
      const cancel = after(ms, () => (timers--, task()));
      return () => (timers--, cancel());
    };
    const socket = { onopen: null, onmessage: null, onclose: null, onerror: null, bufferedAmount: 0, send: () => {}, close: () => {}, terminate: () => void ended++ } as SocketLike;
    page.openSocket = () => socket;
    const nothing = (): void => {};
    const connection = new Connection(page, "ws://x", {
      token: async () => undefined, hello: () => "", message: nothing, garbled: nothing, line: () => ({ joining: true, unanswered: 0 }), lost: nothing, status: nothing, newIdentity: async () => {}, problem: nothing, ended: nothing,
    }, { canRenewToken: false, canChangeIdentity: true, hasToken: () => false });
    connection.connect();
    await h.world.run(10);
    connection.close();
    if (answers) socket.onclose?.({ code: 1000, reason: "" });
    await h.world.run(6_000);
    assert.deepEqual([ended, timers], answers ? [0, 0] : [1, 0]);
  }
});
