/** The provider over the relay in memory: two documents become one, whatever happens to the lines. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { connect } from "../src/client.js";
import { entryOf, Pieces, piecesOf } from "../src/pieces.js";
import { FakeRelay } from "../src/testing.js";
import type { Room } from "../src/types.js";
import { type ProviderOptions, ScumbleProvider } from "../src/yjs.js";

interface Editor {
  readonly room: Room;
  readonly doc: Y.Doc;
  readonly provider: ScumbleProvider;
  readonly text: Y.Text;
}

async function open(relay: FakeRelay, options?: ProviderOptions): Promise<Editor> {
  const room = await connect({ url: "ws://fake", canvas: "c", WebSocket: relay.WebSocket });
  const doc = new Y.Doc();
  return { room, doc, provider: new ScumbleProvider(room, "doc", doc, { flushMs: 1, ...options }), text: doc.getText("t") };
}

/** Until all have the same, and nothing waits. */
async function same(...editors: Editor[]): Promise<string> {
  for (let tries = 0; tries < 2_000; tries++) {
    const texts = new Set(editors.map(({ text }) => text.toString()));
    if (texts.size === 1 && editors.every(({ provider }) => provider.synced)) return [...texts][0] as string;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return assert.fail(`never the same: ${editors.map(({ text }) => JSON.stringify(text.toString().slice(0, 80))).join(", ")}`);
}

test("two type together, offline and back", async () => {
  const relay = new FakeRelay();
  const [ada, ben] = [await open(relay), await open(relay)];
  await Promise.all([ada.provider.whenSynced(), ben.provider.whenSynced()]);
  ada.text.insert(0, "hello");
  assert.equal(await same(ada, ben), "hello");
  relay.offline();
  ada.text.insert(0, "A");
  ben.text.insert(5, "B");
  ben.text.delete(0, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(ada.provider.synced, false);
  relay.online();
  assert.equal(await same(ada, ben), "AelloB");
  const cy = await open(relay);
  assert.equal(await same(ada, ben, cy), "AelloB");
  assert.equal(relay.objects("c").length, 1);
});

test("what a document had before is told, and what a log lost with its object", async () => {
  const relay = new FakeRelay();
  const ada = await open(relay);
  await ada.provider.whenSynced();
  const room = await connect({ url: "ws://fake", canvas: "c", WebSocket: relay.WebSocket });
  const doc = new Y.Doc();
  doc.getText("t").insert(0, "before");
  const ben = { room, doc, provider: new ScumbleProvider(room, "doc", doc, { flushMs: 1 }), text: doc.getText("t") };
  assert.equal(await same(ada, ben), "before");
  await ada.room.objects.delete("doc").done;
  ada.room.undo();
  await same(ada, ben);
  const cy = await open(relay);
  assert.equal(await same(ada, ben, cy), "before");
});

test("the log is compacted by itself, and a document over a message goes in pieces", async () => {
  const relay = new FakeRelay();
  const ada = await open(relay, { compactEntries: 20 });
  const ben = await open(relay, { compactEntries: 20 });
  await Promise.all([ada.provider.whenSynced(), ben.provider.whenSynced()]);
  for (let i = 0; i < 60; i++) {
    (i % 2 ? ada : ben).text.insert(0, `${i} `);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await same(ada, ben);
  const long = "0123456789".repeat(60_000);
  ada.text.insert(0, long);
  await same(ada, ben);
  assert.ok(ben.room.log("doc").entries.every(({ data }) => data.length < 200_000));
  for (let tries = 0; ben.room.log("doc").entries.length >= 20; tries++) {
    assert.ok(tries < 2_000, "it was never compacted");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await ada.provider.compact();
  const stored = ada.room.log("doc").entries.reduce((sum, { data }) => sum + data.length, 0);
  assert.ok(stored < 1.1 * Y.encodeStateAsUpdate(ada.doc).length, `${stored}`);
  const cy = await open(relay);
  assert.equal((await same(ada, ben, cy)).length, ada.text.length);
  await Promise.all([ada.provider.compact(), ben.provider.compact()]);
  const dee = await open(relay);
  await same(ada, ben, cy, dee);
});

test("a destroyed provider sends what waited, and no more", async () => {
  const relay = new FakeRelay();
  const [ada, ben] = [await open(relay), await open(relay)];
  await Promise.all([ada.provider.whenSynced(), ben.provider.whenSynced()]);
  ada.text.insert(0, "last");
  ada.provider.destroy();
  ada.text.insert(0, "never ");
  for (let tries = 0; ben.text.toString() !== "last"; tries++) {
    assert.ok(tries < 2_000, ben.text.toString());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

/** An editor with an awareness. It is destroyed at the end: it has a timer. */
async function aware(relay: FakeRelay): Promise<Editor & { readonly awareness: Awareness }> {
  const room = await connect({ url: "ws://fake", canvas: "c", WebSocket: relay.WebSocket });
  const doc = new Y.Doc();
  const awareness = new Awareness(doc);
  const provider = new ScumbleProvider(room, "doc", doc, { flushMs: 1, awareness });
  return { room, doc, provider, awareness, text: doc.getText("t") };
}

async function until(what: string, met: () => boolean): Promise<void> {
  for (let tries = 0; !met(); tries++) {
    assert.ok(tries < 2_000, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("states of an awareness are in the presence: replaced as a whole, gone with their client", async () => {
  const relay = new FakeRelay();
  const [ada, ben] = [await aware(relay), await aware(relay)];
  const seen = (): unknown => ben.awareness.getStates().get(ada.awareness.clientID);
  const events: unknown[] = [];
  ben.awareness.on("change", (change: unknown, origin: unknown) => origin !== "local" && events.push(change));
  const cursor = { anchor: { item: null, tname: "t", assoc: 0 }, head: null };
  ada.awareness.setLocalState({ user: { name: "Ada" }, cursor, only: 1 });
  await until("all of it comes", () => JSON.stringify(seen()) === JSON.stringify({ user: { name: "Ada" }, cursor, only: 1 }));
  ada.awareness.setLocalState({ user: { name: "Ada" }, cursor: null });
  await until("what is not in it is not kept", () => JSON.stringify(seen()) === '{"user":{"name":"Ada"},"cursor":null}');
  assert.deepEqual(events.at(-1), { added: [], updated: [ada.awareness.clientID], removed: [] });
  // Half a minute later the awareness would forget whom it has not heard of.
  assert.equal(ben.awareness.meta.get(ada.awareness.clientID)!.lastUpdated, Infinity);

  ada.awareness.setLocalStateField("large", "x".repeat(5_000));
  await until("what is too large is not shown", () => seen() === undefined);
  ada.awareness.setLocalState({ user: { name: "Ada" } });
  await until("smaller again", () => seen() !== undefined);
  relay.offline();
  await until("without a connection nobody is seen", () => seen() === undefined);
  relay.online();
  await until("back", () => seen() !== undefined);
  ada.provider.destroy();
  await until("one that ends is gone", () => seen() === undefined);
  assert.equal(ada.awareness.getStates().size, 1, "and sees nobody");
  assert.equal(ben.awareness.meta.size, 1, "nothing is kept of it");
  for (const { doc } of [ada, ben]) doc.destroy();
});

test("no state of other people's making harms, or takes another's place", async () => {
  const relay = new FakeRelay();
  const [ada, ben] = [await aware(relay), await aware(relay)];
  const mine = ben.awareness.clientID;
  await until("Ada is seen", () => ben.awareness.getStates().has(ada.awareness.clientID));
  const eve = await connect({ url: "ws://fake", canvas: "c", WebSocket: relay.WebSocket });
  const known = [...ben.awareness.getStates().keys()];
  const bad = ["", "x", "[]", "null", "[1]", "[1,2]", "[1,[]]", "[-1,{}]", '["1",{}]', "[1.5,{}]", `[7,{"a":"${"x".repeat(5_000)}"}]`, 7, null, {}];
  for (const text of [...bad, `[${mine},{"user":{"name":"Eve"}}]`, `[${ada.awareness.clientID},{"user":{"name":"Eve"}}]`]) {
    eve.presence.update({ yjs: { doc: text } });
    await until("Eve has told", () => ben.room.others.some(({ client, state }) =>
      client === eve.client && JSON.stringify((state.yjs as { doc?: unknown })?.doc ?? null) === JSON.stringify(text ?? null)));
    assert.deepEqual([...ben.awareness.getStates().keys()], known, String(text).slice(0, 40));
    assert.ok(!JSON.stringify([...ben.awareness.getStates()]).includes("Eve"));
  }
  eve.presence.update({ yjs: { doc: '[7,{"user":{"name":"Eve"}}]' } });
  await until("a right one is seen", () => ben.awareness.getStates().has(7));
  eve.presence.update({ yjs: "x" });
  await until("and no more", () => !ben.awareness.getStates().has(7));
  eve.close();
  for (const { doc } of [ada, ben]) doc.destroy();
});

test("pieces come together in any order, and what is none is left alone", () => {
  const update = new Uint8Array(1_000).map((_, at) => at);
  const parts = piecesOf(update, 100);
  assert.ok(parts.length > 10 && parts.every(({ length }) => length <= 100));
  const pieces = new Pieces(() => 0);
  const entries = parts.map((data, at) => ({ seq: 10 + at, data })).reverse();
  const last = entries.pop()!;
  for (const entry of entries) assert.equal(pieces.update(entry), undefined);
  assert.equal(pieces.firstOpen, 11, "the first of those that came");
  assert.deepEqual(pieces.update(last), update);
  assert.equal(pieces.firstOpen, Infinity);
  assert.deepEqual(pieces.update({ seq: 1, data: entryOf(update) }), update);
  for (const data of [[], [0], [1], [2, 3], [1, ...Array(12).fill(0)], [1, ...Array(20).fill(7)]]) {
    assert.equal(pieces.update({ seq: 1, data: new Uint8Array(data) }), undefined);
  }
  let now = 0;
  const open = new Pieces(() => now);
  open.update(entries[0]!);
  assert.notEqual(open.firstOpen, Infinity);
  now = 600_001;
  assert.equal(open.firstOpen, Infinity, "its author is gone");
});
