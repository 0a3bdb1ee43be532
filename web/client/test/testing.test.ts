/** `scumble-client/testing` as an application's tests use it, and the built files as a program loads them. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { connect } from "../src/client.js";
import { FakeRelay } from "../src/testing.js";
import type { Room } from "../src/types.js";

const until = async (what: string, done: () => boolean): Promise<void> => {
  for (let i = 0; !done(); i++) {
    assert.ok(i < 300, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

async function two(relay: FakeRelay): Promise<[Room, Room]> {
  const open = async (name: string): Promise<Room> => {
    const room = await connect({ url: "ws://fake/base", canvas: "c", user: { name }, WebSocket: relay.WebSocket });
    await room.whenSynced();
    return room;
  };
  return [await open("Ann"), await open("Ben")];
}

test("rooms over the fake relay see each other's objects, chat, presence, cursors and events", async () => {
  const relay = new FakeRelay();
  const [ann, ben] = await two(relay);
  const heard: unknown[] = [];
  ben.on("broadcast", ({ event, data }) => heard.push([event, data]));
  ben.on("signal", ({ event, data }) => heard.push([event, data]));
  await ann.objects.create({ id: "a", kind: "rect", x: 1 }).done;
  ann.objects.update("a", { x: 2 });
  await ann.chat.send("hello").done;
  await ann.broadcast("vote", { up: true }).done;
  ann.signal("bell", 1);
  ann.presence.update({ tool: "pen" });
  ann.cursor.set({ x: 3, y: 4 });
  await until("all of it arrives", () => heard.length === 2 && ben.others[0]?.state.tool === "pen" && ben.cursors.at(ann.client) !== undefined);
  assert.deepEqual([ben.objects.get("a")?.x, ben.chat.messages[0]?.text, ben.others[0]?.user.name], [2, "hello", "Ann"]);
  assert.deepEqual([relay.objects("c"), relay.chat("c"), heard], [[{ id: "a", kind: "rect", x: 2 }], ["hello"], [["vote", { up: true }], ["bell", 1]]]);
  ann.close();
  await until("Ann is gone", () => ben.others.length === 0);
  ben.close();
});

test("a test can take the line away, refuse ops, and speak for somebody else", async () => {
  const relay = new FakeRelay();
  const [ann, ben] = await two(relay);
  relay.offline();
  ann.objects.create({ id: "a", kind: "rect" });
  await until("it is noticed", () => ann.status === "reconnecting");
  relay.online();
  await until("it arrives", () => ben.objects.has("a"));
  let refusals = 2;
  relay.refuse = ({ type }) => (type === "chat" && refusals-- > 0 ? "overloaded" : undefined);
  const ops = [ann.chat.send("late"), ann.chat.send("later")];
  await Promise.all(ops.map((op) => op.done));
  assert.deepEqual(relay.chat("c"), ["late", "later"]);
  relay.refuse = () => "forbidden";
  await assert.rejects(ann.objects.delete("a").done, { code: "forbidden" });
  relay.commit("c", { type: "object-update", id: "a", patch: { x: 9 } });
  await until("both hear of it", () => ann.objects.get("a")?.x === 9 && ben.objects.get("a")?.x === 9);
  ann.close();
  ben.close();
});

test("connect takes an AbortSignal, before and after", async () => {
  const { WebSocket } = new FakeRelay();
  const early = AbortSignal.abort(new Error("not wanted"));
  await assert.rejects(connect({ url: "ws://fake", canvas: "c", WebSocket, signal: early }), /not wanted/);
  const leaving = new AbortController();
  const room = await connect({ url: "ws://fake", canvas: "c", WebSocket, signal: leaving.signal });
  await room.whenSynced();
  leaving.abort();
  assert.equal(room.status, "disconnected");
  await assert.rejects(connect({ url: "ws://fake", canvas: "c", WebSocket, signal: {} as never }), TypeError);
  await assert.rejects(connect({ url: "ws://fake", canvas: "c", WebSocket, persist: "disk" as never }), TypeError);
});

test("an uncaught error of the built library prints its message and a line, not the whole file; its source map has the sources", () => {
  const built = join(process.cwd(), "client/dist/client.js");
  const script = `const { connect } = await import(${JSON.stringify(pathToFileURL(built).href)});
    const room = await connect({ url: "ws://127.0.0.1:9", canvas: "c", WebSocket: class { close() {} } });
    room.objects.create({ kind: "rect", x: NaN });`;
  const { stderr, status } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /TypeError: NaN cannot be sent: numbers must be finite/);
  assert.ok(stderr.length < 2_000, `${stderr.length} characters`);
  for (const file of ["client/dist/client.js", "client/dist/testing.js", "demo/dist/demo.js"]) {
    const text = readFileSync(join(process.cwd(), file), "utf8");
    assert.match(text, new RegExp(`//# sourceMappingURL=${file.split("/").pop()}.map\\n?$`));
    const map = JSON.parse(readFileSync(join(process.cwd(), `${file}.map`), "utf8")) as { sources: string[]; sourcesContent: string[] };
    assert.ok(map.sources.every((source) => source.startsWith(`${file.split("/")[0]}/src/`)), map.sources.join());
    assert.equal(map.sourcesContent.length, map.sources.length);
  }
});
