/** Slow lines, dead lines, and addresses where nobody is: what is waited for, for how long, and what is said. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ScumbleError, Status } from "../src/types.js";
import { Harness, type Seat } from "./harness.js";

const heard = ({ room }: Seat): { errors: string[]; states: Status[] } => {
  const told = { errors: [] as string[], states: [] as Status[] };
  room.on("error", ({ code, message }: ScumbleError) => told.errors.push(`${code}: ${message}`));
  room.on("status", (status) => told.states.push(status));
  return told;
};

/** A canvas of so many objects of 50 KB. */
function filled(objects: number): Harness {
  const h = new Harness();
  const data = "x".repeat(50_000);
  for (let i = 0; i < objects; i++) h.server.commit("filler-0001", { type: "object-create", object: { id: `o${i}`, kind: "image", data } });
  return h;
}

test("a large canvas comes over a slow line on the first connection, while one draws and looks at other tabs", async () => {
  for (const [kilobytes, objects] of [[150, 120], [20, 60], [9, 30]] as const) {
    const h = filled(objects);
    h.world.bytesPerS = kilobytes * 1000;
    const a = h.open("alpha-0001");
    const told = heard(a);
    let drawn = 0;
    for (let s = 0; a.room.sync !== "synchronized"; s += 2) {
      assert.ok(s < (objects * 50) / kilobytes + 10, `after ${s} s at ${kilobytes} KB/s`);
      a.room.objects.create({ id: `mine${drawn++}`, kind: "dot" });
      if (s % 6 === 0) a.page.events?.wakened();
      if (s % 10 === 0) a.page.events?.offline();
      await h.world.run(2_000);
    }
    await h.world.run(5_000);
    assert.deepEqual([h.world.lines.length, told.states, told.errors], [1, ["connected"], []], `${kilobytes} KB/s`);
    assert.deepEqual([a.room.objects.size, a.room.outbox.length], [objects + drawn, 0]);
  }
});

test("where half a minute brings no whole message, the next attempt waits longer, until it comes", async () => {
  const h = filled(20);
  // A part of the snapshot takes 125 s.
  h.world.bytesPerS = 2_000;
  const a = h.open("alpha-0001");
  for (let s = 0; s < 1_500 && a.room.sync !== "synchronized"; s += 10) {
    a.page.events?.wakened();
    await h.world.run(10_000);
  }
  assert.equal(a.room.sync, "synchronized");
  assert.equal(h.world.lines.length, 4, "30 s, 60 s, 120 s, then enough");
});

test("a welcome that is large itself comes over a slow line", async () => {
  const h = new Harness();
  const others = Array.from({ length: 40 }, (_, i) => h.open(`other-${1000 + i}`));
  await h.world.run(100);
  for (const { room } of others) room.presence.update({ notes: "x".repeat(8_000) });
  await h.world.run(1_000);
  h.world.bytesPerS = 20_000;
  const a = h.open("alpha-0001");
  const told = heard(a);
  await h.world.run(20_000);
  assert.deepEqual([a.room.sync, told.states, a.room.others.length], ["synchronized", ["connected"], 40]);
});

test("a large paste goes up a slow line on one connection", async () => {
  const h = new Harness();
  const a = h.open("alpha-0001");
  await h.world.run(100);
  const told = heard(a);
  h.world.bytesPerS = 8_000;
  const ops = Array.from({ length: 12 }, () => a.room.objects.create({ kind: "image", data: "x".repeat(60_000) }));
  for (let s = 0; s < 100; s += 5) {
    a.page.events?.wakened();
    await h.world.run(5_000);
  }
  assert.deepEqual([ops.map((op) => op.state), told, h.world.lines.length], [Array(12).fill("acked"), { errors: [], states: [] }, 1]);
});

test("a queue that can't commit for minutes is waited for, on the same connection", async () => {
  const h = new Harness();
  const a = h.open("alpha-0001");
  await h.world.run(100);
  const told = heard(a);
  h.server.silent = true;
  const op = a.room.objects.create({ id: "r", kind: "rect" });
  for (let s = 0; s < 240; s += 10) {
    a.page.events?.wakened();
    await h.world.run(10_000);
    assert.equal(op.state, "sent");
  }
  h.server.speak();
  await h.world.run(100);
  assert.deepEqual([op.state, told, h.world.lines.length], ["acked", { errors: [], states: [] }, 1]);
});

test("a server that answers pings and no op for five minutes is left for another", async () => {
  const h = new Harness();
  const a = h.open("alpha-0001");
  await h.world.run(100);
  h.server.silent = true;
  a.room.objects.create({ id: "r", kind: "rect" });
  await h.world.run(299_000);
  assert.equal(h.world.lines.length, 1);
  await h.world.run(3_000);
  assert.equal(h.world.lines.length, 2);
});

test("a line that died is noticed: while the canvas comes, with ops under way, and when it is idle", async () => {
  for (const when of ["joining", "drawing", "idle"]) {
    const h = filled(when === "joining" ? 100 : 1);
    h.world.bytesPerS = 100_000;
    const a = h.open("alpha-0001");
    await h.world.run(when === "joining" ? 10_000 : 30_000);
    assert.equal(a.room.sync, when === "joining" ? "synchronizing" : "synchronized", when);
    const dead = a.page.line!;
    dead.onmessage = null;
    dead.send = () => {};
    if (when === "drawing") a.room.objects.create({ id: "r", kind: "rect" });
    await h.world.run(when === "idle" ? 90_000 : 46_000);
    assert.equal(h.world.lines.length, 2, when);
    await h.world.run(60_000);
    assert.deepEqual([a.room.status, a.room.sync, a.room.outbox.length], ["connected", "synchronized", 0], when);
  }
});

test("a dead line that was quick is noticed soon when the page is looked at again, a slow one is given its time", async () => {
  const h = new Harness();
  const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
  await h.world.run(100);
  h.world.bytesPerS = 16_000;
  b.room.objects.create({ id: "big", kind: "image", data: "x".repeat(60_000) });
  await h.world.run(4_000);
  a.page.events?.wakened();
  await h.world.run(1_000);
  // The answer came in its turn, behind what was large: not a quick line.
  b.room.objects.update("big", { data: "y".repeat(63_000) });
  await h.world.run(4_100);
  for (let s = 0; s < 12; s++) {
    a.page.events?.wakened();
    await h.world.run(1_000);
  }
  assert.deepEqual([h.world.lines.length, String(a.room.objects.get("big")?.data).length], [2, 63_000], "nobody has left");
  h.world.bytesPerS = Infinity;
  a.page.events?.wakened();
  await h.world.run(2_000);
  a.page.line!.onmessage = null;
  a.page.events?.wakened();
  await h.world.run(5_500);
  assert.equal(h.world.lines.length, 3);
});

test("a page that stood still hears what came meanwhile before it gives the line up", async () => {
  const h = new Harness();
  const a = h.open("alpha-0001");
  await h.world.run(60_000);
  const told = heard(a);
  a.page.freeze();
  await h.world.run(300_000);
  a.page.thaw();
  await h.world.run(10_000);
  assert.deepEqual([told.states, h.world.lines.length], [[], 1]);
});

test("where nobody is, an error says so within five seconds, once, and it goes on trying", async () => {
  const h = new Harness();
  h.world.online = false;
  h.world.reason = "the server answers 404: there is no relay at this path";
  const a = h.open("alpha-0001");
  const told = heard(a);
  await h.world.run(4_900);
  assert.deepEqual(told.errors, ["unreachable: no connection to ws://x/ws/c: the server answers 404: there is no relay at this path. It is tried again"]);
  await h.world.run(60_000);
  assert.deepEqual([told.errors.length, told.states, a.room.status], [1, [], "connecting"]);
  h.world.online = true;
  await h.world.run(11_000);
  assert.equal(a.room.status, "connected");
  h.world.online = false;
  a.page.line?.cut();
  await h.world.run(4_900);
  assert.equal(told.errors.length, 2, "the next time is told again");
  h.world.online = true;
  await h.world.run(11_000);
  a.page.line?.cut();
  await h.world.run(20_000);
  assert.deepEqual([told.errors.length, a.room.status], [2, "connected"], "a moment's loss is not worth a word");
  a.room.close();
});

test("a socket that never opens, and one that is closed before a welcome, are told of", async () => {
  const h = new Harness();
  h.world.latency = () => 1e9;
  const told = heard(h.open("alpha-0001"));
  await h.world.run(4_900);
  assert.match(told.errors.join(), /^unreachable: .*nothing answers there/);
  const other = new Harness();
  const closed = other.open("alpha-0001", { listen: (line) => (line.closeAfter(1011, "who are you?"), { received: () => {}, closed: () => {} }) });
  const said = heard(closed);
  await other.world.run(4_900);
  assert.match(said.errors.join(), /closed before the server says anything \(1011, who are you\?\)/);
});

test("whoever takes the connection and says nothing is told of within five seconds, once, and waited for", async () => {
  const h = new Harness();
  const told = heard(h.open("alpha-0001", { listen: () => ({ received: () => {}, closed: () => {} }) }));
  await h.world.run(4_900);
  assert.deepEqual(told.errors, ["unreachable: no connection to ws://x/ws/c: something takes the connection there, but has not said anything yet. It is waited for"]);
  await h.world.run(300_000);
  assert.deepEqual([told.errors.length, told.states], [1, []]);
  assert.ok(h.world.lines.length > 2, "other connections are tried");
});

test("a canvas that stops coming half way is told of, and asked for again", async () => {
  const h = filled(20);
  let stalled = 2;
  const a = h.open("alpha-0001", {
    listen: (line) => {
      const deliver = line.deliver.bind(line);
      let parts = 0;
      if (stalled-- > 0) line.deliver = (message) => void ((message as { type: string }).type === "snapshot" && parts++ > 0 ? 0 : deliver(message));
      return h.server.listen(line);
    },
  });
  const told = heard(a);
  await h.world.run(40_000);
  assert.match(told.errors.join(), /^unreachable: the canvas stopped coming half way: .* It is tried again$/);
  await h.world.run(80_000);
  assert.deepEqual([a.room.sync, a.room.objects.size, told.errors.length], ["synchronized", 20, 2]);
});

test("connections that all end before the canvas is here are told of, once", async () => {
  const h = filled(60);
  h.world.bytesPerS = 150_000;
  let cutting = true;
  const a = h.open("alpha-0001", {
    listen: (line) => {
      if (cutting) h.world.after(10_000, () => line.cut());
      return h.server.listen(line);
    },
  });
  const told = heard(a);
  await h.world.run(100_000);
  assert.equal(a.room.sync, "synchronizing");
  assert.equal(told.errors.length, 1, told.errors.join("\n"));
  assert.match(told.errors[0]!, /^unreachable: the connection ends again and again before the canvas is here .*proxy.* It is tried again$/);
  cutting = false;
  await h.world.run(60_000);
  assert.deepEqual([a.room.sync, a.room.objects.size, told.errors.length], ["synchronized", 60, 1]);
});

test("a server that asks one to wait for years, or for no time at all, is obeyed for five minutes at most", async () => {
  for (const [asked, within] of [[1e12, 302_000], ["soon", 2_000], [-5, 2_000], [null, 2_000]] as const) {
    const h = new Harness();
    const { room } = h.open("alpha-0001");
    await h.world.run(100);
    h.server.connOf(room.client)?.line.deliver({ type: "goaway", reason: "drain", retry_after_ms: asked });
    await h.world.run(within);
    assert.deepEqual([room.status, h.server.hellos.length], ["connected", 2], String(asked));
    h.server.refuse = () => ({ code: "overloaded", retry_after_ms: asked as number });
    const op = room.objects.create({ id: "a", kind: "rect" });
    await h.world.run(100);
    h.server.refuse = () => undefined;
    await h.world.run(within);
    assert.equal(op.state, "acked", String(asked));
    room.close();
  }
});

test("a ping that nobody answers is rejected after five minutes, on a line that is alive", async () => {
  const h = new Harness();
  const { room } = h.open("alpha-0001", {
    listen: (line) => {
      const peer = h.server.listen(line);
      return { ...peer, received: (text) => (/"ts":\d+\.5/.test(text) ? undefined : peer.received(text)) };
    },
  });
  await h.world.run(100);
  const answer = room.ping().then(() => "answered", ({ code }: ScumbleError) => code);
  await h.world.run(301_000);
  assert.deepEqual([await answer, room.status], ["unreachable", "connected"]);
});

test("a token function that does not answer is told of, and asked again; its first answer counts", async () => {
  const h = new Harness();
  let asked = 0;
  let late = (_: string): void => {};
  const a = h.open("alpha-0001", { token: () => (++asked < 3 ? new Promise<string>((resolve) => (late = resolve)) : "t") as never });
  const told = heard(a);
  await h.world.run(4_900);
  assert.match(told.errors.join(), /^unauthorized: no token yet: .*asked again$/);
  await h.world.run(10_000);
  assert.deepEqual([asked, a.room.status], [2, "connecting"]);
  late("slow, and there");
  await h.world.run(1_000);
  assert.deepEqual([asked, a.room.status, h.server.hellos.at(-1)?.token], [2, "connected", "slow, and there"]);
  const never = new Harness();
  const b = never.open("alpha-0001", { token: () => new Promise<string>(() => {}) as never });
  await never.world.run(30_000);
  b.room.refreshToken("given");
  await never.world.run(1_000);
  assert.deepEqual([b.room.status, never.server.hellos.at(-1)?.token], ["connected", "given"]);
});
