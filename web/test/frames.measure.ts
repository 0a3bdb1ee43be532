/**
 * Frame times of the demo with 2,000 objects and 50 moving cursors, on two real processes. Prints a table; tests nothing,
 * since a number like this belongs to the machine it was taken on: `npm --prefix web run measure`.
 *
 * Nothing is displayed and nothing is drawn by a GPU: Chromium rasterises in software, on the same cores as the rest.
 */

import { test } from "node:test";
import type { CDPSession } from "playwright-core";
import { connect } from "../client/src/client.js";
import type { JsonObject, Room } from "../client/src/types.js";
import WebSocket from "ws";
import { Cluster, eventually } from "./cluster.js";
import { launch, Person } from "./person.js";

const OBJECTS = 2_000;
const CURSORS = 50;
const SECONDS = 8;
const COLORS = ["ink", "red", "orange", "yellow", "green", "teal", "blue", "violet"];

/** A field of 50 by 40 objects, the size of a large whiteboard: strokes, shapes, notes and words in turn. */
function object(i: number): { kind: string } & JsonObject {
  const place = { x: (i % 50) * 60 - 1500, y: Math.floor(i / 50) * 60 - 1200, z: i, color: COLORS[i % COLORS.length]! };
  const wave = Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? n : 25 + Math.round(20 * Math.sin(n / 4 + i))));
  switch (i % 5) {
    case 0: return { kind: "rect", ...place, w: 50, h: 40, fill: "tint", stroke: 4 };
    case 1: return { kind: "ellipse", ...place, w: 50, h: 50, fill: "solid", stroke: 2 };
    case 2: return { kind: "note", ...place, w: 55, h: 55, text: `note ${i}` };
    case 3: return { kind: "text", ...place, w: 60, h: 22, size: 16, text: `words ${i}` };
    default: return { kind: "draw", ...place, w: 58, h: 45, stroke: 4, points: wave };
  }
}

const join = (url: string, name: string): Promise<Room> =>
  connect({ url, canvas: "frames", user: { name }, WebSocket: WebSocket as never });

/** Moves every cursor 30 times a second, as people who all draw at once would. */
function moveAll(rooms: readonly Room[]): () => void {
  let t = 0;
  const timer = setInterval(() => {
    t += 0.05;
    rooms.forEach((room, i) => room.cursor.set({ x: 500 * Math.cos(t + i), y: 330 * Math.sin(t * 1.3 + i * 2) }));
  }, 33);
  return () => clearInterval(timer);
}

async function busyMs(cdp: CDPSession): Promise<number> {
  const { metrics } = await cdp.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "TaskDuration")!.value * 1000;
}

/** Runs `act` again and again for some seconds, and gives the intervals between animation frames meanwhile. */
async function phase(ada: Person, cdp: CDPSession, name: string, act: (step: number) => Promise<void>): Promise<void> {
  await ada.page.evaluate(() => {
    const frames: number[] = [];
    const frame = (now: number): void => {
      frames.push(now);
      if ((window as unknown as { frames?: number[] }).frames === frames) requestAnimationFrame(frame);
    };
    Object.assign(window, { frames });
    requestAnimationFrame(frame);
  });
  const [busy, until] = [await busyMs(cdp), performance.now() + SECONDS * 1000];
  for (let step = 0; performance.now() < until; step++) await act(step);
  const worked = (await busyMs(cdp)) - busy;
  const frames = await ada.page.evaluate(() => {
    const all = (window as unknown as { frames: number[] }).frames;
    Object.assign(window, { frames: undefined });
    return all;
  });
  const gaps = frames.slice(1).map((at, i) => at - frames[i]!).sort((a, b) => a - b);
  const rank = (p: number): string => gaps[Math.ceil(p * gaps.length) - 1]!.toFixed(1).padStart(8);
  const rate = (gaps.length / (gaps.reduce((a, b) => a + b, 0) / 1000)).toFixed(0).padStart(6);
  console.log(`${name.padEnd(28)}${rate}${rank(0.5)}${rank(0.95)}${rank(0.99)}${(worked / gaps.length).toFixed(1).padStart(10)}`);
}

test("frame times", { timeout: 180_000 }, async () => {
  const cluster = await Cluster.start(2);
  const browser = await launch();
  const rooms: Room[] = [];
  try {
    const painter = await join(cluster.url(0), "Painter");
    rooms.push(painter);
    await Promise.all(Array.from({ length: OBJECTS }, (_, i) => painter.objects.create(object(i)).done));
    for (let i = 1; i < CURSORS; i++) rooms.push(await join(cluster.url(i % 2), `Guest ${i}`));
    await Promise.all(rooms.map((room) => room.whenSynced()));
    const ada = await Person.at(browser, `${cluster.url(0)}/c/frames`, "Ada", { viewport: { width: 1280, height: 800 } });
    await ada.badge("Saved");
    await ada.page.evaluate(() => window.scumbleDemo!.camera.moveTo({ x: 0, y: 0 }, 1));
    const cdp = await ada.context.newCDPSession(ada.page);
    await cdp.send("Performance.enable");
    console.log(`${"".padEnd(28)}   fps     p50     p95     p99  busy/frame (ms)`);
    const { mouse } = ada.page;
    const rest = (): Promise<unknown> => ada.page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
    await phase(ada, cdp, "nothing moves", async () => void (await rest()));
    const stop = moveAll(rooms);
    await eventually("all cursors are shown", async () => (await ada.see("cursor").count()) >= CURSORS - 2);
    const all = (): Promise<void> => ada.page.evaluate(() => document.getElementById("fit")!.click());
    await phase(ada, cdp, "50 cursors", async () => void (await rest()));
    await mouse.move(640, 400);
    await phase(ada, cdp, "50 cursors, panning", (step) => mouse.wheel(step % 80 < 40 ? 12 : -12, 6 * Math.sign((step % 40) - 20)));
    await all();
    await phase(ada, cdp, "50 cursors, all 2,000 seen", async () => void (await rest()));
    await phase(ada, cdp, "the same, panning", (step) => mouse.wheel(step % 80 < 40 ? 12 : -12, 0));
    await all();
    await ada.page.keyboard.down("Control");
    await phase(ada, cdp, "the same, zooming", (step) => mouse.wheel(0, step % 60 < 30 ? 8 : -8));
    await ada.page.keyboard.up("Control");
    await all();
    await ada.page.keyboard.press("p");
    await mouse.down();
    await phase(ada, cdp, "the same, drawing", (step) => mouse.move(640 + 300 * Math.cos(step / 20), 400 + 200 * Math.sin(step / 13)));
    await mouse.up();
    stop();
    await ada.leave();
  } finally {
    for (const room of rooms) room.close();
    await browser.close();
    await cluster.stop();
  }
});
