/** What is said of an address where no WebSocket opens: what is there, and what would be right. */

import assert from "node:assert/strict";
import { createServer as createHttp } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { test } from "node:test";
import { diagnose } from "../src/diagnose.js";
import { Harness } from "./harness.js";

async function at(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws/c`;
}

test("each answer to a handshake has its words", async () => {
  const cases: [number, string, RegExp][] = [
    [200, "hello", /200: there is no relay at this path/],
    [302, "", /redirects to another address.*give that one as url/],
    [401, "", /401: it asks for a login/],
    [403, "", /403: it lets nobody in from this address, or from this page's origin/],
    [404, "", /404: there is no relay at this path/],
    [405, "", /405: there is no relay at this path/],
    [426, "", /relay is there, but no WebSocket gets through.*does not pass upgrades on/],
    [429, "", /429: too many attempts from this address/],
    [500, "x".repeat(1_000_000), /500: it, or what stands behind a proxy, takes nobody just now$/],
    [503, '{"message":"the queue is not ready"}', /503 \(the queue is not ready\): it, or what stands behind/],
    [400, '{"message":7}', /answers 400$/],
  ];
  for (const [status, body, words] of cases) {
    const server = createHttp((_, response) => response.writeHead(status, status === 302 ? { location: "https://127.0.0.1/" } : {}).end(body));
    try {
      assert.match(await diagnose(await at(server)), words);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }
});

test("a port where nobody is, one that takes connections and never answers, and one that answers nonsense", async () => {
  const closed = createServer();
  const url = await at(closed);
  await new Promise((resolve) => closed.close(resolve));
  assert.match(await diagnose(url), /^nothing answers there \(ECONNREFUSED\)$/);
  for (const answer of ["", "SSH-2.0-OpenSSH_9.2\r\n"]) {
    const silent = createServer((socket) => {
      socket.on("error", () => {});
      if (answer) socket.write(answer);
    });
    const began = performance.now();
    assert.match(await diagnose(await at(silent)), /^nothing answers there/);
    assert.ok(performance.now() - began < 4_000);
    silent.close();
  }
});

test("a token function that throws, rejects, or gives what is no token is told with its reason, and asked again", async () => {
  const cases: [() => unknown, RegExp][] = [
    [() => { throw new Error("no key"); }, /no token: Error: no key/],
    [async () => { throw new Error("no line"); }, /no token: Error: no line/],
    [() => 5, /the function must return a string, or a promise of one, not number/],
    [async () => ({ token: "t" }), /not object/],
    [() => ["t"], /not array/],
  ];
  for (const [bad, words] of cases) {
    const h = new Harness();
    let calls = 0;
    const { room } = h.open("alpha-0001", { token: (() => (++calls < 3 ? bad() : "good")) as never });
    const errors: string[] = [];
    room.on("error", ({ code, message }) => void errors.push(`${code}: ${message}`));
    const op = room.objects.create({ id: "a", kind: "rect" });
    await h.world.run(20_000);
    assert.match(errors[0]!, words);
    assert.match(errors[0]!, /^unauthorized: /);
    assert.deepEqual([errors.length, room.status, op.state, h.server.hellos[0]?.token], [2, "connected", "acked", "good"]);
    room.close();
  }
});
