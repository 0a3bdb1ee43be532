/** Which way to the server is taken, and what a stream of events does with what is lost. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answering } from "../src/environment.js";
import { EventSocket, streamUrl } from "../src/event-socket.js";
import { BLOCKED_FOR_MS } from "../src/transports.js";
import { Harness } from "./harness.js";
import { ModelHttp } from "./model-http.js";
import { seeded, World } from "./world.js";

/** A page whose WebSockets end at a proxy until it lets them through. */
function behindProxy(transport: "auto" | "websocket" = "auto") {
  const harness = new Harness();
  const proxy = { passes: false, asked: 0 };
  const { world, server } = harness;
  const seat = harness.open("alpha-0001", { transport });
  const http = new ModelHttp(seat.page, server.listen);
  const open = seat.page.openSocket;
  seat.page.openSocket = (url, protocols) => {
    proxy.asked++;
    if (proxy.passes) return open(url, protocols);
    const line = seat.page.lineTo(undefined);
    return line;
  };
  seat.page.request = http.request;
  return { harness, world, server, seat, proxy, http };
}

test("two WebSockets in a row that fail while HTTP answers make it a stream, and everything works over it", async () => {
  const { world, server, seat, proxy } = behindProxy();
  const op = seat.room.objects.create({ id: "a", kind: "rect" });
  await world.run(3_000);
  assert.equal(seat.room.status, "connected");
  assert.equal(seat.room.transport, "sse");
  assert.ok(proxy.asked >= 1 && proxy.asked <= 3, `${proxy.asked}`);
  assert.equal(op.state, "acked");
  server.commit("somebody-else", { type: "object-update", id: "a", patch: { x: 1 } });
  await world.run(100);
  assert.equal(seat.room.objects.get("a")?.x, 1);
});

test("a stream that breaks is followed by another one, and later a WebSocket takes its place without a loss", async () => {
  const { world, server, seat, proxy } = behindProxy();
  await world.run(3_000);
  const { asked } = proxy;
  seat.page.line?.cut();
  await world.run(3_000);
  assert.deepEqual([seat.room.transport, proxy.asked], ["sse", asked], "no WebSocket is tried for a while");
  await world.run(BLOCKED_FOR_MS);
  assert.deepEqual([seat.room.transport, proxy.asked], ["sse", asked + 1], "then one is, beside the stream");
  assert.equal(server.hellos.length, 2, "which goes on");
  proxy.passes = true;
  await world.run(BLOCKED_FOR_MS + 20_000);
  assert.equal(seat.room.transport, "websocket");
  const op = seat.room.objects.create({ id: "b", kind: "rect" });
  await world.run(1_000);
  assert.equal(op.state, "acked");
});

test("a server that is away, or that has no streams, is no reason for one", async () => {
  const away = behindProxy();
  away.world.online = false;
  await away.world.run(30_000);
  away.proxy.passes = away.world.online = true;
  await away.world.run(20_000);
  assert.equal(away.seat.room.transport, "websocket");

  const old = behindProxy();
  old.http.missing = true;
  await old.world.run(60_000);
  assert.equal(old.seat.room.status, "connecting");
  old.proxy.passes = true;
  await old.world.run(20_000);
  assert.equal(old.seat.room.transport, "websocket");
});

test("who wants WebSockets only gets no stream", async () => {
  const { world, seat } = behindProxy("websocket");
  await world.run(60_000);
  assert.deepEqual([seat.room.status, seat.room.transport], ["connecting", undefined]);
});

test("a goodbye arrives over a stream", async () => {
  const { world, server, seat, http } = behindProxy();
  await world.run(3_000);
  assert.equal(server.conns.size, 1);
  seat.room.close();
  await world.run(10_000);
  assert.match(http.posts.at(-1)?.body ?? "", /"bye"/);
  assert.equal(server.conns.size, 0);
});

test("the stream's address follows from the WebSocket's", () => {
  assert.equal(streamUrl("wss://relay.example.org/base/ws/a.b:c?x=1"), "https://relay.example.org/base/sse/a.b:c?x=1");
  assert.equal(streamUrl("ws://h:1/ws/ws", "s-1", 7), "http://h:1/sse/ws/s-1?post=7");
});

interface Asked {
  readonly url: string;
  readonly body: string | undefined;
  readonly answering: Answering;
  given: boolean;
}

function socket() {
  const world = new World(seeded(1));
  const asked: Asked[] = [];
  const line = new EventSocket(world, (url, body, answering) => {
    const request: Asked = { url, body, answering, given: false };
    asked.push(request);
    return () => (request.given = true);
  }, "ws://h/ws/c", '{"type":"hello"}');
  const heard: unknown[] = [];
  line.onmessage = ({ data }) => heard.push(data);
  line.onclose = (end) => heard.push(end);
  const [stream] = asked as [Asked];
  const tell = (text: string): void => stream.answering.piece(text);
  const open = (): void => {
    stream.answering.status(200);
    tell('event: session\ndata: {"session":"s"}\n\n');
  };
  /** The posts since the last look. */
  let seen = 1;
  const posts = async (): Promise<Asked[]> => {
    await world.run(0);
    return asked.slice(seen, (seen = asked.length));
  };
  const answer = (post: Asked | undefined, status?: number): void => {
    if (status !== undefined) post?.answering.status(status);
    post?.answering.ended();
  };
  return { world, line, heard, stream, tell, open, posts, answer };
}

test("one post at a time, with all that waits, and again until it is taken", async () => {
  const { world, line, tell, open, posts, answer } = socket();
  line.send('"early"');
  assert.deepEqual(await posts(), [], "there is no session yet");
  open();
  line.send('"b"');
  const [first] = await posts();
  assert.deepEqual([first?.url, first?.body], ["http://h/sse/c/s?post=1", '["early","b"]']);
  line.send('"c"');
  answer(first, 202);
  assert.deepEqual(await posts(), [], "it is not taken yet");
  await world.run(4_100);
  const [again] = await posts();
  assert.equal(again?.url, first?.url);
  answer(again);
  await world.run(1_100);
  const [third] = await posts();
  assert.deepEqual([third?.url, third?.body], [first?.url, first?.body]);
  tell("event: taken\ndata: 1\n\n");
  const [next] = await posts();
  assert.deepEqual([next?.url, next?.body], ["http://h/sse/c/s?post=2", '["c"]']);
  assert.equal(line.bufferedAmount, 3);
  tell("event: taken\ndata: 2\n\nevent: ping\ndata: {}\n\n");
  const [pong] = await posts();
  assert.equal(pong?.body, "[]");
  assert.equal(line.bufferedAmount, 0);
});

test("events come in pieces, and none twice", async () => {
  const { heard, open, stream, tell } = socket();
  open();
  for (const char of ': a comment\n\ndata: {"a":1}\n\ndata: {"b":"\\n"}\n\nevent: unknown\ndata: x\n\n') tell(char);
  assert.deepEqual(heard, ['{"a":1}', '{"b":"\\n"}']);
  tell('event: close\ndata: {"code":4503,"reason":"going"}\n\ndata: {"late":1}\n\n');
  assert.deepEqual(heard.slice(2), [{ code: 4503, reason: "going" }]);
  stream.answering.ended();
  assert.equal(heard.length, 3);
});

test("what is too large for somebody goes in smaller posts", async () => {
  const { line, heard, tell, open, posts, answer } = socket();
  open();
  for (const letter of ["a", "b", "c", "d"]) line.send(JSON.stringify(letter.repeat(1_000)));
  const [whole] = await posts();
  answer(whole, 413);
  const [part] = await posts();
  assert.equal(part?.url, whole?.url);
  assert.ok((JSON.parse(part?.body ?? "") as string[]).length < 4);
  for (let n = 1; n <= 4; n++) tell(`event: taken\ndata: ${n}\n\n`), await posts();
  line.send(JSON.stringify("e".repeat(5_000)));
  const [alone] = await posts();
  answer(alone, 413);
  assert.equal((heard[0] as { code: number }).code, 1009);
});

test("a session that is gone, or that nobody takes anything for, ends the connection", async () => {
  for (const status of [410, undefined]) {
    const { world, line, heard, stream, open, posts, answer } = socket();
    open();
    line.send('"x"');
    for (let n = 0; n < 10; n++) {
      for (const post of await posts()) answer(post, status);
      await world.run(10_000);
    }
    assert.equal((heard[0] as { code: number }).code, 1006, String(status));
    assert.ok(stream.given);
  }
});

test("a refusal of the relay's own means what its close code would, a proxy's nothing", () => {
  for (const [status, text, code] of [
    [403, '{"error":"forbidden","message":"pages of this origin may not"}', 4403],
    [403, "<html>no</html>", 1006],
    [503, '{"error":"draining","message":"this instance is shutting down"}', 1006],
    [502, "", 1006],
  ] as const) {
    const { heard, stream, tell } = socket();
    stream.answering.status(status);
    tell(text);
    stream.answering.ended();
    assert.equal((heard[0] as { code: number }).code, code, `${status} ${text}`);
  }
});
