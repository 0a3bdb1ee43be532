/**
 * What a browser spends on reading each encoding, message by message, with the library's own reader: bytes and
 * microseconds, medians of rounds in turn. Prints numbers and tests nothing: `npm --prefix web run measure decode`.
 */

import { loadavg } from "node:os";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { encode } from "@msgpack/msgpack";
import { build } from "esbuild";
import type { Json, JsonObject } from "../client/src/types.js";
import { launch } from "./person.js";

const ROUNDS = 15;
/** Each round reads about so many bytes of JSON. */
const ROUND_BYTES = 2_000_000;

const AT = 1_795_330_756_188;
const rect = (i: number): JsonObject => ({ id: `object-${i}`, kind: "rect", x: (i % 100) * 40.5, y: i / 3, w: 30, h: 20, fill: "#ffcc00", stroke: 2, text: `Box number ${i}` });

/** A message in both encodings, as the server writes them: for JSON, and for MessagePack. */
const MESSAGES: Record<string, readonly [json: Json, msgpack: Json]> = {
  "cursors of nine": [
    { type: "cursor-batch", cursors: Array.from({ length: 9 }, (_, n) => ({ client: `client-number-${n}-abcde`, x: n * 101.25, y: n * 33.5, tool: "pen" })) },
    [7, ...Array.from({ length: 9 }, (_, n) => [n, n * 101.25, n * 33.5, { tool: "pen" }])],
  ],
  "an update": [
    { type: "object-update", seq: 123_456, client: "client-number-3-abcde", at: AT, op: 4_711, id: "object-17", patch: { x: 1234.5, y: 678.25 } },
    [3, 123_456, 3, AT, 4_711, "object-17", { x: 1234.5, y: 678.25 }],
  ],
  "an ack": [{ type: "ack", op: 4_711, seq: 123_456, status: "ok" }, [1, 4_711, 123_456, 0]],
  "a stroke of 500 points": (() => {
    const object = { id: "stroke-1", kind: "draw", color: "ink", points: Array.from({ length: 1_000 }, (_, n) => Math.round(n * 37.3) / 10) };
    return [{ type: "object-create", seq: 9, client: "client-number-3-abcde", at: AT, op: 5, object }, [2, 9, 3, AT, 5, object]] as const;
  })(),
  "a snapshot part of 1,000": (() => {
    const part = { type: "snapshot", epoch: "6be572f8b7ea4c7d", seq: 9, part: 0, last: true, objects: Array.from({ length: 1_000 }, (_, i) => rect(i)), chat: [] };
    return [part, part] as const;
  })(),
};

/** What runs in the page: microseconds for each message of both, round by round. */
const IN_PAGE = `
  import { readMessage } from "./client/src/wire.ts";
  import { unpacked } from "./client/src/msgpack.ts";
  import { Unpacker } from "./client/src/packed.ts";
  import { inflater } from "./client/src/inflate.ts";
  const unpacker = new Unpacker();
  unpacker.message({ type: "welcome", users: Array.from({ length: 10 }, (_, n) => ({ client: "client-number-" + n + "-abcde", n })) });
  const timed = (read, frame, times) => {
    const began = performance.now();
    for (let i = 0; i < times; i++) if (read(frame) === undefined) throw new Error("not read");
    return ((performance.now() - began) * 1000) / times;
  };
  globalThis.measure = (text, bytes, times, rounds) => {
    const frame = Uint8Array.from(bytes);
    const json = (frame) => readMessage(JSON.parse(frame));
    const msgpack = (frame) => readMessage(unpacker.message(unpacked(frame)));
    const all = [];
    for (let round = 0; round < rounds; round++) all.push([timed(json, text, times), timed(msgpack, frame, times)]);
    return all;
  };
  globalThis.inflated = async (bytes, rounds) => {
    const inflate = inflater();
    const frame = Uint8Array.from(bytes);
    const all = [];
    for (let round = 0; round < rounds; round++) {
      const began = performance.now();
      await inflate(frame, 1024 * 1024);
      all.push((performance.now() - began) * 1000);
    }
    return all;
  };
`;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

test("reading both encodings in Chromium", { timeout: 180_000 }, async () => {
  const { outputFiles } = await build({
    stdin: { contents: IN_PAGE, resolveDir: process.cwd() }, bundle: true, write: false, format: "iife", target: "es2022", minify: true,
  });
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto("about:blank");
    await page.addScriptTag({ content: outputFiles[0]!.text });
    console.log(`load average: ${loadavg().map((n) => n.toFixed(1)).join(" ")}; medians of ${ROUNDS} rounds`);
    console.log(`${"message".padEnd(28)}${["JSON bytes", "µs", "MessagePack bytes", "µs"].map((head) => head.padStart(19)).join("")}`);
    for (const [what, [json, msgpack]] of Object.entries(MESSAGES)) {
      const text = JSON.stringify(json);
      const bytes = encode(msgpack);
      const times = Math.ceil(ROUND_BYTES / text.length);
      const measured = await page.evaluate(([t, b, n, r]) =>
        (globalThis as unknown as { measure(...given: unknown[]): [number, number][] }).measure(t, b, n, r), [text, [...bytes], times, ROUNDS] as const);
      const shown = [text.length, median(measured.map(([us]) => us)).toFixed(2), bytes.length, median(measured.map(([, us]) => us)).toFixed(2)];
      console.log(what.padEnd(28) + shown.map((value) => String(value).padStart(19)).join(""));
    }
    const [part] = MESSAGES["a snapshot part of 1,000"]!;
    const deflated = deflateRawSync(JSON.stringify([part]), { level: 1 });
    const us = await page.evaluate(([b, r]) => (globalThis as unknown as { inflated(...given: unknown[]): Promise<number[]> }).inflated(b, r), [[...deflated], ROUNDS] as const);
    console.log(`inflating that part, ${deflated.length} bytes: ${median(us).toFixed(0)} µs`);
  } finally {
    await browser.close();
  }
});
