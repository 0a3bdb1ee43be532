/** A client of the MessagePack encoding, written from docs/PROTOCOL.md with the Node packages "ws" and "@msgpack/msgpack". Run by tests/interop/run. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { WebSocket } = require("ws");
const { decode, encode } = require("@msgpack/msgpack");
const PATIENCE_MS = 30_000;
let clients = 0;
let relay;

/** The table of the page. */
const TABLE = new Map([
  [1, ["ack", "op", "seq", "status"]],
  [2, ["object-create", "seq", "client", "at", "op", "object"]],
  [3, ["object-update", "seq", "client", "at", "op", "id", "patch"]],
  [4, ["object-delete", "seq", "client", "at", "op", "id"]],
  [5, ["chat", "seq", "client", "at", "op", "text", "reply_to", "user"]],
  [6, ["broadcast", "seq", "client", "at", "op", "event", "data"]],
  [8, ["presence", "client", "state", "away"]],
]);
const STATUS = ["ok", "dup", "ignored"];

before(async () => {
  const folder = mkdtempSync(join(tmpdir(), "scumble-interop-"));
  const args = ["serve", "--listen=127.0.0.1:0", "--db", join(folder, "relay.db")];
  const process_ = spawn(process.env.SCUMBLE, args, { stdio: ["ignore", "ignore", "pipe"], env: {} });
  relay = { folder, process: process_, exit: once(process_, "exit") };
  for await (const line of createInterface(process_.stderr)) {
    const ready = /ready on http:\/\/(\S+)/.exec(line);
    if (!ready) continue;
    process_.stderr.resume();
    relay.url = `ws://${ready[1]}/ws/`;
    return;
  }
  throw new Error("the relay does not start");
});

after(async () => {
  relay.process.kill("SIGKILL");
  await relay.exit;
  rmSync(relay.folder, { recursive: true });
});

/** One connection; in either encoding it tells what it hears as JSON does. */
class Client {
  constructor(canvas, packed) {
    this.client = `node-msgpack-${clients++}`;
    this.packed = packed;
    this.people = new Map();
    this.waiting = [];
    this.asked = [];
    this.socket = new WebSocket(relay.url + canvas, packed ? ["scumble.v1.msgpack", "scumble.v1"] : ["scumble.v1"]);
    this.socket.on("message", (data, isBinary) => {
      assert.equal(isBinary, packed);
      const message = packed ? this.read(decode(data)) : JSON.parse(String(data));
      const asked = this.asked.shift();
      if (asked) asked(message);
      else this.waiting.push(message);
    });
  }

  static async join(canvas, packed, hello = {}) {
    const client = new Client(canvas, packed);
    await once(client.socket, "open");
    assert.equal(client.socket.protocol, packed ? "scumble.v1.msgpack" : "scumble.v1");
    client.say({ type: "hello", v: 1, client: client.client, ...hello });
    await client.until("snapshot");
    return client;
  }

  say(message) {
    this.socket.send(this.packed ? encode(message) : JSON.stringify(message));
  }

  async next() {
    if (this.waiting.length > 0) return this.waiting.shift();
    const late = AbortSignal.timeout(PATIENCE_MS);
    return new Promise((resolve, reject) => {
      this.asked.push(resolve);
      late.addEventListener("abort", () => reject(new Error("nothing comes")));
    });
  }

  async until(type) {
    for (;;) {
      const message = await this.next();
      if (message.type === type) return message;
    }
  }

  read(value) {
    if (!Array.isArray(value)) {
      for (const person of [value, ...(value.users ?? [])]) {
        if (person.n === undefined) continue;
        this.people.set(person.n, person.client);
        delete person.n;
      }
      return value;
    }
    const [number, ...fields] = value;
    if (number === 7) {
      return { type: "cursor-batch", cursors: fields.map((one) => this.named(["client", "x", "y"], one)) };
    }
    const [type, ...names] = TABLE.get(number);
    const message = { type, ...this.named(names, fields) };
    if (type === "ack") message.status = STATUS[message.status];
    return message;
  }

  named(names, values) {
    const message = {};
    names.forEach((name, at) => {
      if (values[at] !== null) message[name] = values[at];
    });
    if (typeof message.client === "number") message.client = this.people.get(message.client);
    return Object.assign(message, ...values.slice(names.length));
  }
}

test("both encodings tell the same", async () => {
  const inJson = await Client.join("same", false);
  const ada = await Client.join("same", true, { user: { name: "Ada" } });
  const ben = await Client.join("same", true);
  const said = [
    { type: "object-create", object: { id: "a", kind: "box", x: 0.1, y: -7, big: 2 ** 53, deep: [{ none: null }, [true]] } },
    { type: "object-update", id: "a", patch: { x: 1e300, y: null, s: "\u{1f600}\n" } },
    { type: "chat", text: "hello", reply_to: 1 },
    { type: "broadcast", event: "e", data: [1.5, 7, "", "x".repeat(300)] },
    { type: "object-delete", id: "a" },
  ];
  for (const [at, message] of said.entries()) {
    ada.say({ ...message, op: at + 1 });
    const told = await inJson.until(message.type);
    assert.deepEqual(await ben.until(message.type), told);
    for (const [name, value] of Object.entries(message)) assert.deepEqual(told[name], value);
    assert.deepEqual(await ada.until("ack"), { type: "ack", op: at + 1, seq: told.seq, status: "ok" });
  }
  ada.say({ type: "cursor", x: 1.25, y: -3, tool: "pen" });
  const batch = await ben.until("cursor-batch");
  assert.deepEqual(batch, await inJson.until("cursor-batch"));
  assert.deepEqual(batch.cursors, [{ client: ada.client, x: 1.25, y: -3, tool: "pen" }]);
  inJson.say({ type: "presence", state: { typing: true } });
  assert.deepEqual(await ben.until("presence"), { type: "presence", client: inJson.client, state: { typing: true } });
  for (const one of [inJson, ada, ben]) one.socket.close();
});

test("what is wrong is named, and costs nothing else", async () => {
  const ada = await Client.join("wrong", true);
  ada.say({ type: "broadcast", op: 1, event: "e", data: new Uint8Array([1, 2]) });
  const error = await ada.until("error");
  assert.deepEqual([error.code, error.op], ["bad-message", 1]);
  assert.match(error.message, /^data: binary/);
  ada.say({ type: "broadcast", op: 2, event: "e", data: new Date(0) });
  assert.match((await ada.until("error")).message, /^data: extension/);
  ada.socket.send(new Uint8Array([0x81, 0xa1]));
  assert.equal((await ada.until("error")).code, "bad-msgpack");
  ada.say({ type: "broadcast", op: 3, event: "e" });
  assert.equal((await ada.until("ack")).status, "ok");
  ada.socket.close();
});
