/**
 * The library of today hears a server of the time before features, as recorded: it asks for what that one does not know,
 * and is content with what it gets.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DurableStore } from "./harness.js";
import { Room } from "../src/room.js";
import type { JsonObject } from "../src/types.js";
import { type Line, type Listen, type Page, seeded, World } from "./world.js";

const RECORDED = readFileSync(join(process.cwd(), "../tests/files/conversation-before-features.txt"), "utf8")
  .split("\n").map((line) => /^(\w+) ([<>x]) (.*)$/.exec(line)).filter((match) => match !== null);

interface Seat {
  readonly page: Page;
  readonly room: Room;
  readonly said: JsonObject[];
  readonly errors: string[];
}

/** Plays one client's part: the server's lines come as recorded, and `act` does what the client said then. */
async function play(who: string, act: (room: Room, message: JsonObject) => void): Promise<Seat> {
  const world = new World(seeded(1));
  let line: Line | undefined;
  const said: JsonObject[] = [];
  const listen: Listen = (taken) => {
    line = taken;
    return { received: (text) => void said.push(JSON.parse(text) as JsonObject), closed: () => {} };
  };
  const page = world.page(listen);
  const client = `${who.padEnd(3, "-")}-tab-0001`;
  const store = new DurableStore(client);
  const options = { socketUrl: "ws://x/ws/demo", canvas: "demo", user: { name: who }, token: undefined, ownIdentity: true };
  const room = new Room(page, { ...options, encoding: "msgpack", compress: true }, store, { client, nextOp: 1, entries: [] });
  const errors: string[] = [];
  room.on("error", ({ code }) => void errors.push(code));
  for (const [, speaker, direction, text] of RECORDED.filter((match) => match[1] === who)) {
    assert.equal(speaker, who);
    if (direction === "<") line?.deliver(JSON.parse(text!.replaceAll("{…}", "{}")));
    else if (direction === "x") line?.cut(Number(/close (\d+)/.exec(text!)?.[1] ?? 1006));
    else {
      const message = JSON.parse(text!) as JsonObject;
      await world.run(2_000);
      if (message.type === "hello") assert.equal(said.at(-1)?.type, "hello");
      else act(room, message);
    }
    await world.run(50);
  }
  return { page, room, said, errors };
}

test("one who is there all along, draws, is lost, comes back and is sent away", async () => {
  const events: unknown[] = [];
  const { room, said, errors } = await play("ben", (own, message) => {
    own.on("signal", ({ event, data }) => void events.push([event, data]));
    if (message.type === "object-update") own.objects.update(message.id as string, message.patch as JsonObject);
    else own.broadcast(message.event as string, message.data as JsonObject);
  });
  const [first, second] = said.filter(({ type }) => type === "hello");
  assert.deepEqual([first?.since, first?.features], [undefined, ["set", "batch", "log"]]);
  assert.deepEqual(second?.since, { epoch: "6be572f8b7ea4c7d", seq: 5 });
  assert.deepEqual(said.filter(({ op }) => op !== undefined), [
    { type: "object-update", op: 1, id: "box-1", patch: { x: 40, fill: null } },
    { type: "broadcast", op: 2, event: "vote", data: { up: true } },
  ]);
  assert.deepEqual([...room.objects], [{ id: "box-1", kind: "rect", x: 41, y: 20 }]);
  assert.deepEqual(room.chat.messages.map(({ text, seq }) => [text, seq]), [["hello", 3], ["skip", 5]]);
  assert.deepEqual(room.others.map(({ client, state }) => [client, state]), [["ada-tab-0001", { selection: ["box-1"], typing: true }]]);
  assert.deepEqual([room.seq, room.outbox, errors], [6, [], []]);
  assert.deepEqual(events[0], ["wave", { hand: "left" }]);
  room.close();
});

test("one who comes late and leaves", async () => {
  const { room, errors } = await play("cy", (own, message) => {
    assert.equal(message.type, "bye");
    assert.deepEqual([...own.objects], [{ id: "box-1", kind: "rect", x: 41, y: 20 }]);
    assert.deepEqual([own.seq, own.sync, own.others.map(({ client }) => client)], [6, "synchronized", ["ada-tab-0001", "ben-tab-0001"]]);
    own.close();
  });
  assert.deepEqual([room.status, errors], ["disconnected", []]);
});
