/** The relay as the Node package "ws" sees it. Run by tests/interop/run. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";

const { WebSocket } = createRequire(new URL("../../web/package.json", import.meta.url))("ws");
const LIMIT = 262_144;
const PATIENCE_MS = 30_000;
let clients = 0;

/** A process with a queue of its own. */
class Relay {
  static async start() {
    const relay = new Relay();
    relay.folder = mkdtempSync(join(tmpdir(), "scumble-interop-"));
    const args = ["serve", "--listen=127.0.0.1:0", "--db", join(relay.folder, "relay.db")];
    relay.process = spawn(process.env.SCUMBLE, args, { stdio: ["ignore", "ignore", "pipe"], env: {} });
    relay.exit = once(relay.process, "exit");
    for await (const line of createInterface(relay.process.stderr)) {
      const ready = /ready on http:\/\/(\S+)/.exec(line);
      if (!ready) continue;
      relay.process.stderr.resume();
      relay.url = `ws://${ready[1]}/ws/`;
      return relay;
    }
    throw new Error("the relay does not start");
  }

  async stop() {
    this.process.kill("SIGKILL");
    await this.exit;
    rmSync(this.folder, { recursive: true });
  }
}

/** A socket whose messages and end wait until somebody asks for them. */
class Client {
  constructor(url, protocols = ["scumble.v1"], options = {}) {
    this.waiting = [];
    this.asked = [];
    this.pongs = [];
    this.socket = new WebSocket(url, protocols, options);
    this.socket.on("message", (data) => this.put({ message: JSON.parse(String(data)) }));
    this.socket.on("close", (code, reason) => this.put({ code, reason: String(reason) }));
    this.socket.on("pong", (data) => this.pongs.push(String(data)));
    this.socket.on("error", () => {}); // what it says comes as the close too
  }

  put(event) {
    const asked = this.asked.shift();
    if (asked) asked(event);
    else this.waiting.push(event);
  }

  async next() {
    const event = this.waiting.shift();
    if (event) return event;
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("nothing comes")), PATIENCE_MS)));
    return Promise.race([new Promise((resolve) => this.asked.push(resolve)), late]).finally(() => clearTimeout(timer));
  }

  say(message) {
    this.socket.send(JSON.stringify(message));
  }

  async until(type) {
    for (;;) {
      const { message, code } = await this.next();
      assert.equal(code, undefined, `the end instead of ${type}`);
      if (message.type === type) return message;
    }
  }

  /** Reads to the end; the code that the server gave. */
  async closed() {
    for (;;) {
      const { code } = await this.next();
      if (code !== undefined) return code;
    }
  }

  static async join(canvas = "board", { client, protocols, options, url = relay.url } = {}) {
    const one = new Client(url + canvas, protocols, options);
    await once(one.socket, "open");
    one.say({ type: "hello", v: 1, client: client ?? `node-client-${clients++}` });
    await one.until("snapshot");
    return one;
  }
}

function broadcast(bytes) {
  const message = { type: "broadcast", op: 1, event: "e", data: "" };
  message.data = "x".repeat(bytes - JSON.stringify(message).length);
  return JSON.stringify(message);
}

let relay;
before(async () => (relay = await Relay.start()));
after(async () => {
  assert.equal(relay.process.exitCode, null, "the relay is alive");
  await relay.stop();
});

test("the subprotocol is selected when offered", async () => {
  for (const [protocols, selected] of [[["scumble.v1"], "scumble.v1"], [["chat", "scumble.v1"], "scumble.v1"], [[], ""]]) {
    const client = await Client.join("board", { protocols });
    assert.equal(client.socket.protocol, selected);
    client.socket.close();
  }
  // "ws" holds a server that selects nothing of what it offered for broken.
  const other = new Client(`${relay.url}board`, ["chat"]);
  assert.equal(await other.closed(), 1006);
});

test("no extension is negotiated", async () => {
  const client = await Client.join("board", { options: { perMessageDeflate: { threshold: 0 } } });
  assert.equal(client.socket.extensions, "");
  client.say({ type: "chat", op: 1, text: "x".repeat(4_000) });
  assert.equal((await client.until("ack")).status, "ok");
  client.socket.close();
});

test("fragments are one message, with control frames in between", async () => {
  const client = await Client.join("fragments");
  const text = "h\u00e9llo \u{1f600} ".repeat(20);
  const bytes = Buffer.from(JSON.stringify({ type: "chat", op: 1, text }));
  for (let at = 0; at < bytes.length; at += 5) {
    client.socket.send(bytes.subarray(at, at + 5), { binary: false, fin: at + 5 >= bytes.length });
    client.socket.ping(`ping ${at}`);
  }
  assert.equal((await client.until("ack")).seq, 1);
  client.say({ type: "ping", ts: 1 });
  await client.until("pong");
  assert.ok(client.pongs.length > 0 && client.pongs.every((pong) => pong.startsWith("ping ")));
  const reader = new Client(`${relay.url}fragments`);
  await once(reader.socket, "open");
  reader.say({ type: "hello", v: 1, client: "node-reader" });
  assert.equal((await reader.until("snapshot")).chat[0].text, text);
  client.socket.close();
  reader.socket.close();
});

test("a ping comes back as it was", async () => {
  const client = await Client.join();
  for (const payload of ["", "x", "y".repeat(125)]) {
    client.socket.ping(payload);
    await once(client.socket, "pong");
    assert.equal(client.pongs.at(-1), payload);
  }
  client.socket.close();
});

test("a close of the client's is answered with its code", async () => {
  for (const code of [1000, 1001, 1003, 1008, 1011, 3000, 4000, 4999]) {
    const client = await Client.join();
    client.socket.close(code, "done");
    assert.equal(await client.closed(), code);
  }
  const client = await Client.join();
  client.socket.close();
  assert.ok([1000, 1005].includes(await client.closed()), "without a code");
});

test("the server closes with the protocol's codes", async () => {
  const leaving = await Client.join();
  leaving.say({ type: "bye" });
  assert.equal(await leaving.closed(), 1000);
  const noisy = await Client.join();
  for (let i = 0; i < 10; i++) noisy.socket.send("{");
  assert.equal(await noisy.closed(), 4400);
  const older = await Client.join("board", { client: "node-twice" });
  const newer = await Client.join("board", { client: "node-twice" });
  assert.equal(await older.closed(), 4409);
  newer.socket.close();
  const latin = await Client.join();
  latin.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
  assert.equal(await latin.closed(), 1007);
});

test("limits", async () => {
  const client = await Client.join("limits");
  client.socket.send(broadcast(LIMIT));
  assert.equal((await client.until("ack")).seq, 1);
  const half = Buffer.alloc(LIMIT / 2 + 1, "x");
  client.socket.send(half, { binary: false, fin: false });
  client.socket.send(half, { binary: false, fin: true });
  assert.equal(await client.closed(), 1009);
  for (const bytes of [LIMIT + 1, 900_000]) {
    const large = await Client.join();
    large.socket.send(broadcast(bytes));
    assert.equal(await large.closed(), 1009);
  }
});

test("binary is refused by name", async () => {
  const client = await Client.join();
  client.socket.send(Buffer.from("{}"));
  assert.equal((await client.until("error")).code, "bad-message");
  client.say({ type: "ping", ts: 1 });
  await client.until("pong");
  client.socket.close();
});

test("a relay that stops says so", async () => {
  const second = await Relay.start();
  const client = await Client.join("board", { url: second.url });
  second.process.kill("SIGTERM");
  assert.ok((await client.until("goaway")).retry_after_ms >= 0);
  assert.equal(await client.closed(), 4503);
  assert.deepEqual(await second.exit, [0, null]);
  await second.stop();
});
