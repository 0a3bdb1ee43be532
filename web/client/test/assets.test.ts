/** Uploads: tried again while that may help, kept over a page's end, and told in words when it does not. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { AskForAsset, AssetAnswer, AssetRequest } from "../src/asset-http.js";
import { type AssetQueue, MAX_WAITING, type Waiting } from "../src/asset-queue.js";
import { Assets, assetUrl } from "../src/assets.js";
import type { WaitingUpload } from "../src/asset-types.js";
import type { ScumbleError } from "../src/types.js";

const png = (text: string): Blob => new Blob([text], { type: "image/png" });
const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Hashes are made by another thread. */
const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await turn();
};

/** A queue that outlives a page. */
function kept(rows = new Map<string, Waiting>()): AssetQueue & { rows: Map<string, Waiting> } {
  return {
    rows,
    load: async () => [...rows.values()],
    add: async (waiting) => void rows.set(waiting.id, waiting),
    remove: async (id) => void rows.delete(id),
  };
}

/** A page whose server answers as it is told, and whose time stands still between. */
function page({ token = undefined as string | undefined, queue = kept(), max = 1_000 as number | undefined } = {}) {
  const asked: AssetRequest[] = [];
  const answers: (AssetAnswer | ((request: AssetRequest) => Promise<AssetAnswer>))[] = [];
  const timers: { at: number; task: () => void }[] = [];
  const told: (readonly WaitingUpload[])[] = [];
  let now = 1_000_000;
  let tokens = 0;
  const ask: AskForAsset = async (request) => {
    asked.push(request);
    const answer = answers.shift() ?? { status: 0, text: "" };
    return typeof answer === "function" ? answer(request) : answer;
  };
  const env = {
    date: () => now,
    random: () => 1,
    after: (ms: number, task: () => void) => {
      const timer = { at: now + ms, task };
      timers.push(timer);
      return () => void (timer.task = () => {});
    },
  };
  const assets = new Assets(env, {
    socketUrl: "wss://relay.example/base/ws/board",
    hasToken: () => token !== undefined,
    token: async (renew) => (renew ? `${token}-${++tokens}` : token),
    limits: () => ({ ...(max !== undefined && { max_asset_bytes: max }) }) as never,
    changed: (waiting) => told.push(waiting),
    problem: () => {},
  }, queue, ask);
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    for (const timer of timers.splice(0)) {
      if (timer.at <= now) timer.task();
      else timers.push(timer);
    }
    for (let i = 0; i < 5; i++) await turn();
  };
  return { assets, asked, answers, told, queue, pass };
}

const stored = (text: string, ms = 3_600_000): AssetAnswer => {
  const hash = hashOf(text);
  return { status: 201, text: JSON.stringify({ id: `asset:${hash}`, url: `/assets/board/${hash}?exp=1&sig=s`, expires_in_ms: ms, bytes: text.length, type: "image/png" }) };
};

const refusal = (status: number, error: string, message: string): AssetAnswer => ({ status, text: JSON.stringify({ error, message }) });

test("an address is below what stands before /ws/", () => {
  assert.equal(assetUrl("ws://h:1/a/b/ws/board", "00", "/link"), "http://h:1/a/b/assets/board/00/link");
  assert.equal(assetUrl("wss://h/ws/board", "00"), "https://h/assets/board/00");
});

test("an upload goes to its hash, with the token and its type, and tells how far it is", async () => {
  const { assets, asked, answers, told } = page({ token: "t" });
  answers.push(async (request) => (request.sent?.(1), stored("hello")));
  const progress: number[] = [];
  const asset = await assets.upload(png("hello"), { onProgress: ({ sent }) => progress.push(sent) });
  assert.deepEqual(asset, { id: `asset:${hashOf("hello")}`, bytes: 5, type: "image/png" });
  assert.equal(await assets.idOf(png("hello")), asset.id);
  const [{ method, url, headers }] = asked as [AssetRequest];
  assert.deepEqual([method, url], ["PUT", `https://relay.example/base/assets/board/${hashOf("hello")}`]);
  assert.deepEqual(headers, { "content-type": "image/png", authorization: "Bearer t" });
  assert.deepEqual(progress, [1, 5]);
  assert.deepEqual(told.map((waiting) => waiting.length), [1, 0]);
  assert.match(await assets.url(asset.id), /^https:\/\/relay\.example\/base\/assets\/board\/[0-9a-f]{64}\?exp=1&sig=s$/);
});

test("what passes by itself is waited for, ever longer, and not beyond what the server says", async () => {
  const { assets, asked, answers, pass, queue } = page();
  answers.push({ status: 0, text: "" }, refusal(503, "overloaded", "later"), { ...refusal(429, "rate-limited", "later"), retryAfterMs: 9_000 }, stored("x"));
  const upload = assets.upload(png("x"));
  await until(() => asked.length === 1);
  await pass(0);
  assert.equal(queue.rows.size, 1);
  await pass(499);
  assert.equal(asked.length, 1);
  await pass(1);
  assert.equal(asked.length, 2);
  await pass(1_000);
  assert.equal(asked.length, 3);
  await pass(8_999);
  assert.equal(asked.length, 3);
  await pass(1);
  assert.equal((await upload).bytes, 1);
  assert.equal(queue.rows.size, 0);
});

test("a connection that is back has what waits sent at once", async () => {
  const { assets, asked, answers, pass } = page();
  const upload = assets.upload(png("x"));
  await until(() => asked.length === 1);
  await pass(60_000);
  const before = asked.length;
  answers.push(stored("x"));
  assets.wakened();
  await upload;
  assert.equal(asked.length, before + 1);
});

test("what the server refuses for good is told in its words, and is not tried again", async () => {
  for (const [status, code, passes] of [[413, "too-large", "--max-asset-bytes"], [415, "bad-type", "one of"], [403, "forbidden", "not to write"], [404, "no-assets", "switched off"], [507, "no-space", "no space"]] as const) {
    const { assets, asked, answers, queue } = page();
    answers.push(refusal(status, code, `words: ${passes}`));
    await assert.rejects(assets.upload(png("x")), (error: ScumbleError) => error.code === code && error.message.includes(passes));
    assert.deepEqual([asked.length, queue.rows.size, assets.waiting.length], [1, 0, 0]);
  }
  const { assets, answers } = page();
  answers.push({ status: 413, text: "<html>" });
  await assert.rejects(assets.upload(png("x")), (error: ScumbleError) => error.code === "too-large" && error.message.includes("a proxy"));
});

test("a refused token is got anew, and bytes that were damaged on their way are sent again, a few times", async () => {
  const { assets, asked, answers, pass } = page({ token: "t" });
  answers.push(refusal(401, "unauthorized", "expired"), stored("x"));
  const upload = assets.upload(png("x"));
  await until(() => asked.length === 1);
  await pass(0);
  await pass(1_000);
  await upload;
  assert.deepEqual(asked.map(({ headers }) => headers.authorization), ["Bearer t", "Bearer t-1"]);
  answers.push(...Array.from({ length: 3 }, () => refusal(422, "wrong-hash", "both")));
  const damaged = assets.upload(png("y"));
  damaged.catch(() => {});
  await until(() => asked.length === 3);
  for (let i = 0; i < 4; i++) await pass(5_000);
  await assert.rejects(damaged, (error: ScumbleError) => error.code === "wrong-hash");
  assert.equal(asked.length, 5);
});

test("the same blob twice is one upload; whoever gives it up leaves it to the other", async () => {
  const { assets, asked, answers, pass, queue } = page();
  const given = new AbortController();
  const one = assets.upload(png("x"), { signal: given.signal });
  await until(() => asked.length === 1);
  const { signal } = new AbortController();
  let joined = false;
  signal.addEventListener = () => void (joined = true);
  const two = assets.upload(png("x"), { signal });
  await until(() => joined);
  await pass(0);
  given.abort(new Error("not any more"));
  await assert.rejects(one, /not any more/);
  assert.equal(queue.rows.size, 1);
  answers.push(stored("x"));
  await pass(1_000);
  assert.equal((await two).bytes, 1);
  assert.equal(asked.length, 2);
  const alone = new AbortController();
  const third = assets.upload(png("z"), { signal: alone.signal });
  await until(() => asked.length === 3);
  await pass(0);
  alone.abort(new Error("no"));
  await assert.rejects(third, /no/);
  assert.equal(queue.rows.size, 0, "nobody wants it");
});

test("what a closed page could not upload, the next one does", async () => {
  const queue = kept();
  const first = page({ queue });
  const lost = first.assets.upload(png("x"));
  lost.catch(() => {});
  await until(() => first.asked.length === 1);
  await first.pass(0);
  first.assets.close();
  await assert.rejects(lost, (error: ScumbleError) => error.code === "closed");
  assert.equal(queue.rows.size, 1);
  const second = page({ queue });
  second.answers.push(stored("x"));
  await second.pass(0);
  await second.pass(0);
  assert.deepEqual([second.asked.length, queue.rows.size, second.assets.waiting.length], [1, 0, 0]);
});

test("what is too large or too much is refused here", async () => {
  const { assets, pass } = page();
  await assert.rejects(assets.upload(png("x".repeat(1_001))), (error: ScumbleError) => error.code === "too-large");
  await assert.rejects(assets.upload(new Blob(["x"])), TypeError);
  await assert.rejects(assets.upload("x" as never), TypeError);
  const all = Array.from({ length: MAX_WAITING }, (_, i) => assets.upload(png(`${i}`)).catch(() => {}));
  await until(() => assets.waiting.length === MAX_WAITING);
  await pass(0);
  await assert.rejects(assets.upload(png("more")), (error: ScumbleError) => error.code === "full");
  assets.close();
  await Promise.all(all);
});

test("an address is of the blob itself while it waits, direct without tokens, and signed for as long as it is good", async () => {
  const open = page();
  const id = `asset:${hashOf("x")}`;
  assert.equal(await open.assets.url(id), `https://relay.example/base/assets/board/${hashOf("x")}`);
  open.assets.upload(png("x")).catch(() => {});
  await until(() => open.asked.length === 1);
  assert.match(await open.assets.url(id), /^blob:/);
  open.assets.close();
  const { assets, asked, answers, pass } = page({ token: "t" });
  answers.push({ ...stored("x", 600_000), status: 200 }, { ...stored("x", 600_000), status: 200 });
  const [one, two] = await Promise.all([assets.url(id), assets.url(id)]);
  assert.deepEqual([one, asked.length, asked[0]!.method], [two, 1, "POST"]);
  assert.ok(asked[0]!.url.endsWith("/link"));
  await pass(299_000);
  await assets.url(id);
  assert.equal(asked.length, 1);
  await pass(2_000);
  await assets.url(id);
  assert.equal(asked.length, 2, "it ends soon");
  answers.push(refusal(404, "not-found", "no such asset"));
  await assert.rejects(assets.url(`asset:${hashOf("y")}`), (error: ScumbleError) => error.code === "not-found");
  await assert.rejects(assets.url("asset:x"), TypeError);
});
