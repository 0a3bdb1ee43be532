/** The built library in a real browser and in Node over real sockets: IndexedDB, Web Locks, sessionStorage, `ws`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import WebSocket from "ws";
import { connect } from "../src/client.js";
import { browser, server } from "./in-chromium.js";

/** Opens the room in a page as `window.room`. */
async function join(page: Page, persist: string): Promise<void> {
  await page.evaluate(async (kind) => {
    const { connect: open } = await import("/client.js" as string);
    Object.assign(window, { room: await open({ canvas: "c", persist: kind, user: { name: "Ann" } }) });
  }, persist);
}

async function visit(context: BrowserContext, persist: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(server.url);
  await join(page, persist);
  return page;
}

type Win = { room: import("../src/types.js").Room };
const clientOf = (page: Page): Promise<string> => page.evaluate(() => (window as unknown as Win).room.client);
const say = (page: Page, texts: string[]): Promise<void> =>
  page.evaluate((all) => all.forEach((text) => (window as unknown as Win).room.chat.send(text)), texts);
const outboxOf = (page: Page): Promise<number> => page.evaluate(() => (window as unknown as Win).room.outbox.length);
const saved = (page: Page): Promise<unknown> => page.waitForFunction(() => {
  const { room } = window as unknown as Win;
  return room.status === "connected" && room.outbox.length === 0;
});
/** Ops are written right after the call; a later transaction sees them. */
const stored = (page: Page, count: number): Promise<unknown> => page.waitForFunction((wanted) => new Promise((resolve) => {
  const opening = indexedDB.open("scumble");
  opening.onsuccess = () => {
    const counting = opening.result.transaction("ops").objectStore("ops").count();
    counting.onsuccess = () => (opening.result.close(), resolve(counting.result === wanted));
  };
}), count);
const told = (): string[] => server.model.chat.map((m) => (m as { text: string }).text);

test("ops made offline survive a reload and arrive once, under the same client id", async () => {
  const context = await browser.newContext();
  const page = await visit(context, "indexeddb");
  await saved(page);
  const client = await clientOf(page);
  server.goDown();
  const texts = Array.from({ length: 20 }, (_, i) => `stroke ${i}`);
  await say(page, texts);
  await page.reload();
  await join(page, "indexeddb");
  assert.deepEqual([await clientOf(page), await outboxOf(page)], [client, 20]);
  server.down = false;
  await saved(page);
  assert.deepEqual(told(), texts);
  await stored(page, 0);
  await context.close();
});

test("what was done in the last moment before a reload survives it", async () => {
  const context = await browser.newContext();
  const page = await visit(context, "indexeddb");
  await saved(page);
  server.goDown();
  await page.waitForFunction(() => (window as unknown as Win).room.status === "reconnecting");
  const texts = Array.from({ length: 10 }, (_, i) => `hasty ${i}`);
  await Promise.all([
    page.waitForEvent("load"),
    page.evaluate((all) => {
      // One a turn, so that each is a write of its own; the page goes in the turn of the last.
      const next = (i: number): void => {
        (window as unknown as Win).room.chat.send(all[i]!);
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => next(i + 1);
        if (i + 1 < all.length) port2.postMessage(null);
        else location.reload();
      };
      setTimeout(() => next(0));
    }, texts),
  ]);
  await join(page, "indexeddb");
  assert.equal(await outboxOf(page), texts.length);
  server.down = false;
  await saved(page);
  assert.deepEqual(told(), texts);
  await context.close();
});

test("ops of a closed tab are taken over by the next one, not by one that is open beside it", async () => {
  const context = await browser.newContext();
  const [first, second] = [await visit(context, "indexeddb"), await visit(context, "indexeddb")];
  const client = await clientOf(first);
  assert.notEqual(client, await clientOf(second));
  server.goDown();
  await say(first, ["left behind"]);
  await stored(second, 1);
  assert.equal(await outboxOf(second), 0);
  await first.close();
  const third = await visit(context, "indexeddb");
  assert.deepEqual([await clientOf(third), await outboxOf(third)], [client, 1]);
  server.down = false;
  await saved(third);
  assert.deepEqual(told(), ["left behind"]);
  await context.close();
});

test("a copied tab gets an identity of its own, a reloaded one keeps its", async () => {
  for (const persist of ["memory", "indexeddb"]) {
    const context = await browser.newContext();
    const page = await visit(context, persist);
    await saved(page);
    const client = await clientOf(page);
    const [copy] = await Promise.all([context.waitForEvent("page"), page.evaluate(() => void window.open(location.href))]);
    await join(copy, persist);
    await saved(copy);
    assert.notEqual(await clientOf(copy), client, persist);
    await page.reload();
    await join(page, persist);
    await saved(page);
    assert.equal(await clientOf(page), client, persist);
    await say(page, [persist]);
    await saved(page);
    assert.equal(told().filter((text) => text === persist).length, 1, "numbers go on where they were");
    await context.close();
  }
});

test("the browser asks before leaving only while ops are outstanding in memory", async () => {
  const context = await browser.newContext();
  const page = await visit(context, "memory");
  await saved(page);
  const asks = (): Promise<boolean> => page.evaluate(() => !window.dispatchEvent(new Event("beforeunload", { cancelable: true })));
  assert.equal(await asks(), false);
  server.goDown();
  await say(page, ["unsaved"]);
  assert.equal(await asks(), true);
  server.down = false;
  await saved(page);
  assert.equal(await asks(), false);
  await context.close();
});

test("Node over the ws package", async () => {
  const room = await connect({ url: server.url, canvas: "c", WebSocket: WebSocket as never });
  await room.whenSynced();
  const op = room.objects.create({ kind: "rect", x: 1 });
  assert.deepEqual(await op.done, { seq: 1, status: "ok" });
  assert.equal(server.model.objects.get(op.objectId)?.x, 1);
  assert.ok((await room.ping()) >= 0);
  room.close();
  assert.equal(room.status, "disconnected");
});
