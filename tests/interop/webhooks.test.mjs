/** Webhooks as their receiver sees them, verified by the Node package "standardwebhooks". Run by tests/interop/run. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { WebSocket } = require("ws");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");
/** A delivery that was refused comes again after five seconds. */
const PATIENCE_MS = 40_000;

const SECRETS = [0, 1].map(() => `whsec_${randomBytes(32).toString("base64")}`);
const folder = mkdtempSync(join(tmpdir(), "scumble-interop-"));
/** What was posted, as it came. */
const posted = [];
let refuse = false;
let waiting = () => {};
let relay;

const receiver = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  posted.push({ headers: request.headers, body: Buffer.concat(parts).toString("utf8"), refused: refuse });
  response.statusCode = refuse ? 500 : 204;
  refuse = false;
  response.end();
  waiting();
});

before(async () => {
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const hooks = join(folder, "hooks.toml");
  writeFileSync(hooks, `
    [[hook]]
    name = "told"
    canvases = ["*"]
    events = ["*"]
    url = "http://127.0.0.1:${receiver.address().port}/hooks"
    secrets = ${JSON.stringify(SECRETS)}
    allow_private = true
  `, { mode: 0o600 });
  const args = ["serve", "--listen=127.0.0.1:0", "--db", join(folder, "relay.db"), "--hooks", hooks];
  const process_ = spawn(process.env.SCUMBLE, args, { stdio: ["ignore", "ignore", "pipe"], env: {} });
  relay = { process: process_, exit: once(process_, "exit") };
  const said = [];
  for await (const line of createInterface(process_.stderr)) {
    said.push(line);
    const ready = /ready on http:\/\/(\S+)/.exec(line);
    if (!ready) continue;
    process_.stderr.resume();
    relay.url = `ws://${ready[1]}/ws/`;
    return;
  }
  throw new Error(`the relay does not start: ${said.join("\n")}`);
});

after(async () => {
  relay?.process.kill("SIGKILL");
  await relay?.exit;
  receiver.close();
  receiver.closeAllConnections();
  rmSync(folder, { recursive: true });
});

/** The first delivery, and the place of what came after it, that `is` says is the one. */
async function delivered(is, from = 0) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const at = posted.findIndex((delivery, i) => i >= from && is(delivery, JSON.parse(delivery.body)));
    if (at >= 0) return [posted[at], at + 1];
    assert.ok(Date.now() < until, `not within ${PATIENCE_MS / 1000} s; ${posted.length} others came`);
    await new Promise((resolve) => {
      waiting = resolve;
      setTimeout(resolve, 500);
    });
  }
}

async function join_(canvas, client) {
  const socket = new WebSocket(relay.url + canvas, "scumble.v1");
  await once(socket, "open");
  socket.send(JSON.stringify({ type: "hello", v: 1, client, user: { name: "Zoë" } }));
  return socket;
}

test("the package verifies every delivery with either secret, and refuses what was changed", async () => {
  const socket = await join_("board", "node-hooks-0001");
  const text = "héllo wörld 😀 \u2028 \"quoted\"";
  socket.send(JSON.stringify({ type: "object-create", op: 1, object: { id: "a", kind: "note", text, n: 1.5e-7 } }));
  socket.send(JSON.stringify({ type: "chat", op: 2, text }));
  socket.send(JSON.stringify({ type: "object-delete", op: 3, id: "a" }));
  await delivered((_, { type }) => type === "object.deleted");
  socket.close();
  await delivered((_, { type }) => type === "client.left");
  assert.ok(posted.length >= 6, "opened, joined, created, sent, deleted, left");
  for (const { headers, body } of posted) {
    for (const secret of SECRETS) assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body));
    assert.equal(headers["webhook-id"], JSON.parse(body).id);
    assert.match(headers["content-type"], /^application\/json/);
    const changed = [
      [body.replace("board", "bored"), headers], [body, { ...headers, "webhook-id": "another" }],
      [body, { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) + 1) }],
    ];
    for (const [bad, of] of changed) assert.throws(() => new Webhook(SECRETS[0]).verify(bad, of), WebhookVerificationError);
    assert.throws(() => new Webhook(randomBytes(32).toString("base64")).verify(body, headers), WebhookVerificationError);
  }
  const [created] = await delivered((_, { type }) => type === "object.created");
  assert.equal(JSON.parse(created.body).data.object.text, text);
});

test("a delivery that is sent again has the same id, and a signature of its own time", async () => {
  const socket = await join_("again", "node-hooks-0002");
  await delivered((_, { canvas, type }) => canvas === "again" && type === "client.joined");
  refuse = true;
  const from = posted.length;
  socket.send(JSON.stringify({ type: "broadcast", op: 1, event: "vote", data: null }));
  const [first, next] = await delivered((delivery) => delivery.refused, from);
  const [second] = await delivered(({ headers }) => headers["webhook-id"] === first.headers["webhook-id"], next);
  socket.close();
  assert.equal(first.body, second.body);
  assert.ok(Number(second.headers["webhook-timestamp"]) > Number(first.headers["webhook-timestamp"]));
  assert.notEqual(first.headers["webhook-signature"], second.headers["webhook-signature"]);
  assert.deepEqual(new Webhook(SECRETS[1]).verify(second.body, second.headers), JSON.parse(first.body));
});
