/** Pictures: pasted and dropped on one process, seen on another, offline, exported, and gone with who may not. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { eventually, LIMITED } from "./cluster.js";
import { pair, type Person, stage } from "./person.js";

const { browser, cluster } = await stage(2);

type Way = "paste" | "drop";

/** A picture of one colour reaches the page as a browser hands it over. */
function hand(page: Page, way: Way, color: string, [x, y]: [number, number], [w, h] = [400, 300]): Promise<void> {
  return page.evaluate(async ({ way, color, x, y, w, h }) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [w, h];
    const ctx = canvas.getContext("2d")!;
    ctx.fillStyle = color;
    ctx.fillRect(0, 0, w, h);
    const blob = await new Promise<Blob>((done) => canvas.toBlob((made) => done(made!), "image/png"));
    const data = new DataTransfer();
    data.items.add(new File([blob], `${color}.png`, { type: "image/png" }));
    const stage = document.getElementById("overlay")!;
    if (way === "paste") document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    else stage.dispatchEvent(new DragEvent("drop", { dataTransfer: data, clientX: x, clientY: y, bubbles: true, cancelable: true }));
  }, { way, color, x, y, w: w!, h: h! });
}

interface Image {
  id: string;
  src: string;
  x: number;
  y: number;
  w: number;
  h: number;
}

const images = (who: Person): Promise<Image[]> => who.page.evaluate(() =>
  [...window.scumbleDemo!.room.objects].filter(({ kind }) => kind === "image").map((object) => object as never));

/** The colour that a page shows in the middle of an image. */
const colorIn = (who: Person, id: string): Promise<string> => who.page.evaluate((wanted) => {
  const { camera, scene } = window.scumbleDemo!;
  const shape = scene.get(wanted);
  if (!shape) return "nothing";
  const at = camera.toScreen({ x: shape.x + shape.w / 2, y: shape.y + shape.h / 2 });
  const canvas = document.getElementById("scene") as HTMLCanvasElement;
  const ratio = canvas.width / canvas.clientWidth;
  return [...canvas.getContext("2d")!.getImageData(Math.round(at.x * ratio), Math.round(at.y * ratio), 1, 1).data].slice(0, 3).join();
}, id);

const RED = "255,0,0";
const BLUE = "0,0,255";

test("a picture that is pasted or dropped is seen on the other process, at the pointer, and exported", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "pictures");
  await ada.page.mouse.move(500, 300);
  await hand(ada.page, "paste", "red", [0, 0]);
  const [red] = await eventually("an image", async () => ((await images(ada)).length === 1 ? images(ada) : undefined));
  assert.match(red!.src, /^asset:[0-9a-f]{64}$/);
  const middle = await ada.page.evaluate(() => window.scumbleDemo!.camera.toWorld({ x: 500, y: 300 }));
  assert.ok(Math.abs(red!.x + red!.w / 2 - middle.x) < 30 && Math.abs(red!.y + red!.h / 2 - middle.y) < 80, "it is where the pointer was");
  assert.ok(Math.abs(red!.w / red!.h - 4 / 3) < 0.02, "in its proportions");
  await ada.badge("Saved");
  await ben.shows([red!.id]);
  await eventually("Ben sees it red", async () => (await colorIn(ben, red!.id)) === RED);
  await eventually("so does Ada", async () => (await colorIn(ada, red!.id)) === RED);
  await hand(ben.page, "drop", "blue", [200, 480], [2_000, 1_000]);
  const both = await eventually("two", async () => ((await images(ada)).length === 2 ? images(ada) : undefined));
  const blue = both.find(({ id }) => id !== red!.id)!;
  assert.ok(blue.w < 900, "scaled to what one sees");
  await eventually("Ada sees it blue", async () => (await colorIn(ada, blue.id)) === BLUE);
  await eventually("nothing waits", () => ben.page.evaluate(() => window.scumbleDemo!.room.assets.waiting.length === 0));
  if (process.env.SCUMBLE_SCREENSHOT) await ada.page.screenshot({ path: process.env.SCUMBLE_SCREENSHOT });
  // What is exported has the pictures in it.
  await ada.page.keyboard.press("Escape");
  const saved = async (what: string): Promise<Buffer> => {
    const download = ada.page.waitForEvent("download");
    await ada.page.locator("#export-button, [popovertarget=export-menu]").first().click();
    await ada.page.locator(`#export-${what}`).click();
    return readFileSync(await (await download).path());
  };
  // A line that fails once is no reason to leave one out.
  await ada.page.route("**/assets/**", (route) => route.abort(), { times: 1 });
  const svg = (await saved("svg")).toString();
  assert.equal(svg.split('href="data:image/png;base64,').length - 1, 2, svg.slice(0, 500));
  const png = await saved("png");
  assert.ok(png.length > 1_000 && png.subarray(1, 4).toString() === "PNG");
  // One that can't be had is named, not left out in silence.
  await ada.page.route("**/assets/**", (route) => route.abort());
  const had = (await saved("svg")).toString().split('href="data:image/png;base64,').length - 1;
  const lacking = await eventually("it is said", () => ada.page.evaluate(() => /without (\d) pictures? that could not/.exec(document.body.textContent!)?.[1]));
  // Her own one may be in the page's memory still.
  assert.ok(had <= 1 && had + Number(lacking) === 2, `${had} had, ${lacking} lacking`);
  await ada.page.unroute("**/assets/**");
  // Undone, it is gone for both; redone, it is back with its picture.
  await ben.page.keyboard.press("Control+z");
  await ada.shows([red!.id]);
  await ben.page.keyboard.press("Control+Shift+z");
  await ada.shows([red!.id, blue.id]);
  assert.deepEqual([ada.complaints, ben.complaints], [[], []]);
  await Promise.all([ada.leave(), ben.leave()]);
});

test("a picture that is pasted offline is there at once, and reaches the others after a reload", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "pictures-offline");
  await ada.page.route("**/assets/**", (route) => route.abort());
  await hand(ada.page, "paste", "red", [0, 0]);
  const [red] = await eventually("an image", async () => ((await images(ada)).length === 1 ? images(ada) : undefined));
  await eventually("Ada sees it", async () => (await colorIn(ada, red!.id)) === RED);
  await ben.shows([red!.id]);
  assert.notEqual(await colorIn(ben, red!.id), RED, "its frame only");
  await ada.badge("Saved");
  await ada.page.reload();
  await ada.arrived();
  await eventually("it waits still", () => ada.page.evaluate(() => window.scumbleDemo!.room.assets.waiting.length === 1));
  await ada.page.unroute("**/assets/**");
  await eventually("Ben sees it", async () => (await colorIn(ben, red!.id)) === RED);
  await eventually("nothing waits", () => ada.page.evaluate(() => window.scumbleDemo!.room.assets.waiting.length === 0));
  await Promise.all([ada.leave(), ben.leave()]);
});
