/** The demo in Firefox, driven over WebDriver BiDi: drawing, writing, offline with a reload, the death of its process. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import type {} from "../demo/src/main.js";
import { eventually, LIMITED, withCluster } from "./cluster.js";
import { makeMuch } from "./much.js";

let browser: Browser;
before(async () => {
  const executablePath = process.env.SCUMBLE_FIREFOX ?? "/usr/bin/firefox-esr";
  browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
});
after(() => browser?.close());

class Fox {
  private drawn = 0;
  private constructor(readonly page: Page) {}

  static async at(url: string): Promise<Fox> {
    const page = await browser.newPage();
    await page.setViewport({ width: 900, height: 640 });
    await page.goto(url);
    const fox = new Fox(page);
    await fox.arrived();
    return fox;
  }

  async arrived(): Promise<void> {
    await eventually("the page is there", () => this.page.evaluate(() => document.documentElement.dataset.ready === "true").catch(() => false));
  }

  get objects(): Promise<string[]> {
    return this.page.evaluate(() => [...window.scumbleDemo!.room.objects.ids()]);
  }

  async badge(text: string): Promise<void> {
    let said: string | null = "";
    const look = async (): Promise<boolean> => (said = await this.page.evaluate(() => document.getElementById("badge-text")!.textContent)) === text;
    await eventually(() => `the badge says ${text} (it says ${said})`, look);
  }

  async stroke(): Promise<void> {
    const { mouse, keyboard } = this.page;
    await keyboard.press("p");
    const n = this.drawn++;
    const [x, y] = [240 + (n % 6) * 80, 150 + (Math.floor(n / 6) % 5) * 70];
    await mouse.move(x, y);
    await mouse.down();
    await mouse.move(x + 20, y + 30);
    await mouse.move(x + 45, y + 5);
    await mouse.up();
  }
}

test("Firefox: what is drawn and written is heard on the other process, and undone", LIMITED, () => withCluster(async (cluster) => {
  const witness = await cluster.witness(1, "firefox");
  const fox = await Fox.at(`${cluster.url(0)}/c/firefox`);
  await fox.badge("Saved");
  await fox.stroke();
  await fox.page.keyboard.press("n");
  await fox.page.mouse.click(500, 420);
  await eventually("the editor is open", () => fox.page.evaluate(() => document.querySelector(".text-editor") !== null));
  await fox.page.keyboard.type("words");
  await fox.page.keyboard.press("Escape");
  await fox.badge("Saved");
  await eventually("both arrived", () => witness.created.length === 2);
  assert.equal(await fox.page.evaluate(() => [...window.scumbleDemo!.room.objects].at(-1)!.text), "words");
  await fox.page.evaluate(() => document.getElementById("undo")!.click());
  await fox.badge("Saved");
  await eventually("the note is gone", () => witness.deleted.length === 1);
  await fox.page.close();
}));

test("Firefox: offline, strokes, a reload, online: all arrive once", LIMITED, () => withCluster(async (cluster) => {
  const line = await cluster.line(0);
  const witness = await cluster.witness(1, "offline");
  const fox = await Fox.at(`${line.url}/c/offline`);
  await fox.badge("Saved");
  line.cut();
  await fox.badge("Offline");
  for (let i = 0; i < 5; i++) await fox.stroke();
  await fox.badge("Offline · 5");
  const drawn = await fox.objects;
  await fox.page.reload();
  await fox.arrived();
  await fox.badge("Offline · 5");
  assert.deepEqual(await fox.objects, drawn, "kept in this browser's storage");
  line.mend();
  await fox.badge("Saved");
  await eventually("all of them arrived", () => witness.created.length >= 5);
  assert.deepEqual(witness.created, drawn);
  await fox.page.close();
}));

test("Firefox: kill -9 of its process: the page goes on with the other one", LIMITED, () => withCluster(async (cluster) => {
  const url = await cluster.behindNginx();
  const fox = await Fox.at(`${url}/c/killed`);
  await fox.badge("Saved");
  const instance = (): Promise<string> => fox.page.evaluate(() => window.scumbleDemo!.room.instance);
  const killed = await instance();
  const survivor = cluster.survivor(killed);
  const witness = await cluster.witness(cluster.instances.indexOf(survivor), "killed");
  for (let i = 0; i < 4; i++) {
    if (i === 2) await cluster.kill(killed);
    await fox.stroke();
  }
  await fox.badge("Saved");
  assert.equal(await instance(), survivor.name);
  await eventually("all arrived", () => witness.created.length >= 4);
  assert.equal(new Set(witness.created).size, witness.created.length);
  await fox.page.close();
}));

test("Firefox: a large canvas comes compressed, and as it is", LIMITED, () => withCluster(async (cluster) => {
  await makeMuch(cluster.url(1), "much", 1_500);
  const fox = await Fox.at(`${cluster.url(0)}/c/much`);
  await fox.badge("Saved");
  await eventually("all of it is there", async () => (await fox.objects).length === 1_500);
  const [text, inflates] = await fox.page.evaluate(() =>
    [window.scumbleDemo!.room.objects.get("o1499")?.text, typeof DecompressionStream === "function"]);
  assert.deepEqual([text, inflates], ["Wörter 😀 1499", true]);
  await fox.page.close();
}));
