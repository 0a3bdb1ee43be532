/** What a room shows: who one is, and lists that hold what is documented. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { realEnvironment } from "../src/environment.js";
import { Harness } from "./harness.js";

const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const tokenOf = (claims: object): string => `${base64({ alg: "HS256" })}.${base64(claims)}.signature`;

test("one's name is what the server says, and a token's wins over what the application says", async () => {
  const h = new Harness();
  h.server.vouch = (client) => (client === "alpha-0001" ? { name: "Ada" } : {});
  const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
  const early = a.room.chat.send("early");
  const own = (): unknown => a.room.chat.messages.map(({ user }) => user?.name);
  assert.deepEqual(own(), ["alpha-0001"]);
  h.server.refuse = () => ({ code: "forbidden" });
  await h.world.run(100);
  h.server.refuse = () => undefined;
  assert.deepEqual([a.room.user, own(), early.state], [{ name: "Ada" }, ["Ada"], "failed"]);
  const seen = (): unknown => b.room.others.find(({ client }) => client === a.room.client)?.user;
  a.room.setUser({ name: "Eve", color: "#c03" });
  await h.world.run(100);
  assert.deepEqual([a.room.user, seen()], [{ name: "Ada", color: "#c03" }, { name: "Ada", color: "#c03" }]);
  a.room.chat.send("hi");
  await h.world.run(100);
  assert.equal(a.room.chat.messages.find((m) => m.text === "hi")?.user?.name, "Ada");
  // Without such a token the application's word counts again.
  h.server.vouch = () => ({});
  a.room.cut(50);
  await h.world.run(500);
  assert.equal(a.room.user.name, "Eve");
});

test("a token that says the same name as the application vouches for it, and for a name told before it came", async () => {
  const h = new Harness();
  const name = `Ada ${"🖌".repeat(70)}`;
  const shown = [...name].slice(0, 64).join("");
  h.server.vouch = () => ({ name: shown });
  const b = h.open("bravo-0001");
  const seen = (): unknown => b.room.others[0]?.user.name;
  const a = h.open("alpha-0001", { token: tokenOf({ sub: "ada", name }), name: shown });
  await h.world.run(100);
  a.room.setUser({ name: "Eve" });
  await h.world.run(100);
  assert.deepEqual([a.room.user.name, seen()], [shown, shown]);
  h.server.vouch = () => ({});
  a.room.cut(10);
  a.room.refreshToken("opaque");
  await h.world.run(1_000);
  assert.deepEqual([a.room.user.name, seen()], ["Eve", "Eve"]);
  a.room.setUser({ name: "Mallory" });
  await h.world.run(100);
  h.server.vouch = () => ({ name: "Ada" });
  a.room.cut(10);
  await h.world.run(1_000);
  assert.deepEqual([a.room.user.name, a.room.presence.state], ["Ada", { user: {} }]);
});

test("in a worker, where there are frames but no page, the cursor is sent all the same", async () => {
  const { nextFrame } = realEnvironment(class {} as never);
  Object.assign(globalThis, { requestAnimationFrame: () => assert.fail("not the worker's"), addEventListener: () => {} });
  try {
    await new Promise<void>((resolve) => nextFrame(resolve));
  } finally {
    for (const name of ["requestAnimationFrame", "addEventListener"]) Reflect.deleteProperty(globalThis, name);
  }
});

test("a loop over the objects that makes more of them ends", async () => {
  const h = new Harness();
  const { room } = h.open("alpha-0001");
  for (let i = 0; i < 3; i++) room.objects.create({ kind: "rect" });
  let turns = 0;
  const turn = (): void => {
    assert.ok(++turns <= 3, "it meets what it makes");
    room.objects.create({ kind: "rect" });
  };
  for (const _ of room.objects) turn();
  assert.equal(room.objects.size, 6);
  for (const loop of [() => room.objects.values(), () => room.objects.ids()]) {
    const before: number = room.objects.size;
    turns = 3 - before;
    for (const _ of loop()) turn();
    assert.equal(room.objects.size, before * 2);
  }
});

test("the chat has the latest 1,000 confirmed messages", async () => {
  const h = new Harness();
  const { room } = h.open("alpha-0001");
  await h.world.run(100);
  const conn = h.server.connOf(room.client);
  for (let seq = 1; seq <= 1_050; seq++) {
    conn?.line.deliver({ type: "chat", seq, client: "bravo-0001", at: 0, op: seq, text: `${seq}` });
    if (seq % 50 === 0) await h.world.run(5);
  }
  assert.deepEqual([room.chat.messages.length, room.chat.messages[0]?.text], [1_000, "51"]);
});
