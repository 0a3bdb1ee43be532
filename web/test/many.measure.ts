/**
 * Much at once, on two real processes: hundreds of dragged objects, an import, a paste, a hundred bots, a planned restart.
 * Prints numbers and tests nothing: `SCUMBLE_BIN=target/release/scumble npm --prefix web run measure many`.
 */

import { loadavg } from "node:os";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import WebSocket from "ws";
import { connect } from "../client/src/client.js";
import type { Room } from "../client/src/types.js";
import { BINARY, Child, Cluster, eventually } from "./cluster.js";
import { launch, pasteMany, Person } from "./person.js";

const LONG = { timeout: 180_000 };
const ROUNDS = 3;
/** A round trip of 100 ms. */
const FAR = { delayMs: 50 };

let cluster: Cluster;
let browser: Browser;
before(async () => {
  cluster = await Cluster.start(2);
  browser = await launch();
  console.log(`load average at the beginning: ${loadavg().map((n) => n.toFixed(1)).join(" ")}`);
});
after(async () => {
  console.log(`load average at the end: ${loadavg().map((n) => n.toFixed(1)).join(" ")}`);
  await browser?.close();
  await cluster?.stop();
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function join(url: string, canvas: string): Promise<Room> {
  const room = await connect({ url, canvas, WebSocket: WebSocket as never });
  await room.whenSynced();
  return room;
}

/** Prints the middle one of some rounds, and all. */
async function rounds(what: string, unit: string, round: (n: number) => Promise<number>): Promise<void> {
  const all: number[] = [];
  for (let n = 0; n < ROUNDS; n++) all.push(await round(n));
  const sorted = [...all].sort((a, b) => a - b);
  const shown = (value: number): string => value.toFixed(value < 10 ? 2 : 0);
  console.log(`${what.padEnd(64)} ${shown(sorted[Math.floor(ROUNDS / 2)]!)} (${shown(sorted[0]!)}–${shown(sorted.at(-1)!)}) ${unit}`);
}

test("of dragged objects others see each", LONG, async () => {
  for (const far of [false, true]) {
    const url = far ? (await cluster.line(0, FAR)).url : cluster.url(0);
    await rounds(`300 dragged objects${far ? ", round trip 100 ms" : ""}`, "Hz each", async (n) => {
      const canvas = `drag-${far}-${n}`;
      const [a, b] = [await join(url, canvas), await join(cluster.url(1), canvas)];
      const ids = Array.from({ length: 300 }, (_, i) => `o${i}`);
      a.batch(() => ids.forEach((id) => a.objects.create({ id, kind: "rect", x: 0 })));
      await Promise.all(a.outbox.map((op) => op.done));
      let seen = 0;
      const seconds = 4;
      b.on("objects", ({ changes }) => (seen += changes.length));
      const until = performance.now() + seconds * 1000;
      for (let x = 1; performance.now() < until; x++) {
        for (const id of ids) a.objects.update(id, { x });
        await sleep(16);
      }
      const rate = seen / seconds / ids.length;
      a.close();
      b.close();
      return rate;
    });
  }
});

test("2,000 imported", LONG, async () => {
  const { url } = await cluster.line(0, FAR);
  await rounds("2,000 objects imported, round trip 100 ms: acked", "ms", async (n) => {
    const room = await join(url, `import-${n}`);
    const began = performance.now();
    room.batch(() => {
      for (let i = 0; i < 2_000; i++) room.objects.create({ kind: "rect", x: i, y: i, w: 100, h: 50, fill: "#ff0000" });
    });
    await Promise.all(room.outbox.map((op) => op.done));
    room.close();
    return performance.now() - began;
  });
});

test("2,000 pasted in the browser", LONG, async () => {
  await rounds("2,000 objects pasted in the demo: acked", "ms", async (n) => {
    const ada = await Person.at(browser, `${cluster.url(0)}/c/paste-${n}`, "Ada");
    await ada.badge("Saved");
    const took = await ada.page.evaluate(pasteMany);
    await ada.leave();
    return took;
  });
});

test("a hundred bots in the demo", LONG, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/bots`, "Ada", { viewport: { width: 1280, height: 800 } });
  await ada.see("drawer-toggle").click();
  await ada.see("bots").fill("100");
  await ada.see("bots-state").getByText("100 of 100 connected").waitFor();
  await eventually("a hundred cursors are shown", async () => (await ada.see("cursor").count()) >= 98);
  await rounds("100 bots: frames of the page that shows them", "fps", () => ada.page.evaluate(() => new Promise<number>((resolve) => {
    const began = performance.now();
    let frames = 0;
    const frame = (now: number): void => {
      frames++;
      if (now - began < 5_000) requestAnimationFrame(frame);
      else resolve((frames / (now - began)) * 1000);
    };
    requestAnimationFrame(frame);
  })));
  await ada.leave();
});

test("a planned restart", LONG, async () => {
  await rounds("a process ends as planned: its clients are back, p50", "ms", async () => {
    const pair = await Cluster.start(2);
    const urls = pair.instances.flatMap(({ url }) => ["--url", url]);
    const args = ["load", "clients", ...urls, "--canvases", "20", "--clients-per-canvas", "10", "--cursor-rate", "0", "--object-rate", "0.5"];
    const load = new Child("load", BINARY, [...args, "--duration", "6", "--json"]);
    await sleep(3_000);
    await pair.instances[0]!.process.end("SIGTERM");
    await eventually("the load has ended", () => load.ended);
    await pair.stop();
    const { returns, lost, duplicated } = JSON.parse(load.output.slice(load.output.indexOf("{"))) as { returns: { ms: { p50: number | null } }; lost: number; duplicated: number };
    if (lost + duplicated > 0) console.log(`${lost} lost, ${duplicated} doubled`);
    return returns.ms.p50 ?? NaN;
  });
});
