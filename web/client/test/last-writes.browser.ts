/** A page whose last transactions the browser never commits leaves what it had to the next one. The built library in Chromium. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { browser, server } from "./in-chromium.js";

type Win = { room: import("../src/types.js").Room; lossy: boolean; hangs: boolean };

async function join(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const { connect: open } = await import("/client.js" as string);
    Object.assign(window, { room: await open({ canvas: "c", persist: "indexeddb" }) });
  });
}

/** With `lossy` nothing that is written is committed; with `hangs` in the tab's storage, no open is answered. */
async function visit(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.addInitScript(() => {
    const commit = IDBTransaction.prototype.commit;
    IDBTransaction.prototype.commit = function (): void {
      if ((window as unknown as Win).lossy) this.abort();
      else commit.call(this);
    };
    const open = IDBFactory.prototype.open;
    IDBFactory.prototype.open = function (name: string, version?: number): IDBOpenDBRequest {
      return sessionStorage.getItem("hangs") ? ({} as IDBOpenDBRequest) : open.call(this, name, version);
    };
  });
  await page.goto(server.url);
  await join(page);
  return page;
}

const shown = (page: Page): Promise<string[]> => page.evaluate(() => [...(window as unknown as Win).room.objects].map(({ id }) => id));
const left = (page: Page): Promise<string[]> => page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("scumble:last:")));
const saved = (page: Page): Promise<unknown> => page.waitForFunction(() => {
  const { room } = window as unknown as Win;
  return room.sync === "synchronized" && room.outbox.length === 0;
});
const onServer = (): string[] => [...server.model.objects.keys()];

/** Draws while nothing reaches the disk any more; the page is left in the same moment. */
const drawLast = (page: Page, ids: string[], then: "reload" | "close"): Promise<void> => page.evaluate(([names, what]) => {
  const { room } = window as unknown as Win;
  Object.assign(window, { lossy: true });
  for (const id of names as string[]) room.objects.create({ id, kind: "rect" });
  if (what === "reload") location.reload();
}, [ids, then] as const);

test("what the browser did not commit is there after a reload, is sent once, and then nothing of it stays", async () => {
  const context = await browser.newContext();
  const page = await visit(context);
  await saved(page);
  server.goDown();
  await Promise.all([page.waitForEvent("load"), drawLast(page, ["a", "b"], "reload")]);
  await join(page);
  assert.deepEqual(await shown(page), ["a", "b"]);
  // They are on the disk now, and need no other place.
  assert.deepEqual(await left(page), []);
  await page.reload();
  await join(page);
  assert.deepEqual(await shown(page), ["a", "b"]);
  server.down = false;
  await saved(page);
  assert.deepEqual(onServer(), ["a", "b"]);
  await context.close();
});

test("what a closed tab did not commit is the next tab's, also after its storage was cleared", async () => {
  const context = await browser.newContext();
  for (const [id, cleared] of [["a", false], ["b", true]] as const) {
    const page = await visit(context);
    await saved(page);
    server.goDown();
    await drawLast(page, [id], "close");
    await page.close({ runBeforeUnload: false });
    const other = await context.newPage();
    await other.goto(server.url);
    if (cleared) await other.evaluate(() => new Promise((resolve) => (indexedDB.deleteDatabase("scumble").onsuccess = resolve)));
    await join(other);
    assert.ok((await shown(other)).includes(id));
    server.down = false;
    await saved(other);
    assert.ok(onServer().includes(id));
    assert.deepEqual(await left(other), []);
    await other.close();
  }
  await context.close();
});

test("a page whose storage does not answer leaves what a former page left for one whose storage does", async () => {
  const context = await browser.newContext();
  const page = await visit(context);
  await saved(page);
  server.goDown();
  await page.evaluate(() => sessionStorage.setItem("hangs", "yes"));
  await Promise.all([page.waitForEvent("load"), drawLast(page, ["a"], "reload")]);
  await join(page);
  assert.deepEqual(await shown(page), []);
  await page.evaluate(() => sessionStorage.removeItem("hangs"));
  await page.reload();
  await join(page);
  assert.deepEqual(await shown(page), ["a"]);
  server.down = false;
  await saved(page);
  assert.deepEqual(onServer(), ["a"]);
  await context.close();
});

test("what somebody else wrote in its place is nothing, and harms nobody", async () => {
  const context = await browser.newContext();
  const page = await visit(context);
  for (const text of ["{", "[]", "null", "7", `{"nextOp":1,"entries":[null]}`, `{"nextOp":1,"entries":[{"key":1}]}`, `{"nextOp":"1","entries":[]}`]) {
    await page.evaluate((written) => {
      const { room } = window as unknown as Win;
      const canvas = `ws://${location.host}/ws/c`;
      localStorage.setItem(`scumble:last:${canvas}:${room.client}`, written);
      localStorage.setItem(`scumble:last:${canvas}:somebody-else`, written);
    }, text);
    await page.reload();
    await join(page);
    await saved(page);
  }
  await context.close();
});
