/** Storage that hangs, is cleared under the page, or is full; and the canvas that is kept in it. The built library in Chromium. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { browser, server } from "./in-chromium.js";

type Win = { room: import("../src/types.js").Room; said: string[]; messages: string[]; tookMs: number };

/** Opens the room as `window.room`; `said` has the codes of its errors, and what it says of its storage. */
async function join(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const { connect: open } = await import("/client.js" as string);
    const begun = performance.now();
    const room = await open({ canvas: "c", persist: "indexeddb" });
    const said: string[] = [];
    const messages: string[] = [];
    room.on("error", ({ code, message }: { code: string; message: string }) => (said.push(`error ${code}`), messages.push(message)));
    room.on("storage", (storage: string) => said.push(storage));
    Object.assign(window, { room, said, messages, tookMs: performance.now() - begun });
  });
}

async function visit(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(server.url);
  await join(page);
  return page;
}

const draw = (page: Page, id: string): Promise<void> =>
  page.evaluate((name) => void (window as unknown as Win).room.objects.create({ id: name, kind: "rect" }), id);
const saved = (page: Page): Promise<unknown> => page.waitForFunction(() => {
  const { room } = window as unknown as Win;
  return room.sync === "synchronized" && room.outbox.length === 0;
});
const storage = (page: Page, wanted: string): Promise<unknown> =>
  page.waitForFunction((kind) => (window as unknown as Win).room.storage === kind, wanted, { timeout: 40_000 });
const asks = (page: Page): Promise<boolean> => page.evaluate(() => !window.dispatchEvent(new Event("beforeunload", { cancelable: true })));
const said = (page: Page): Promise<string[]> => page.evaluate(() => (window as unknown as Win).said);
const shown = (page: Page): Promise<string[]> => page.evaluate(() => [...(window as unknown as Win).room.objects].map(({ id }) => id));
const onServer = (): string[] => [...server.model.objects.keys()];
/** The canvas is kept, as far as it is confirmed. */
async function kept(page: Page): Promise<void> {
  const isKept = (): Promise<boolean> => page.evaluate(() => new Promise<boolean>((resolve) => {
    const { room } = window as unknown as Win;
    const opening = indexedDB.open("scumble");
    opening.onsuccess = () => {
      const reading = opening.result.transaction("canvases").objectStore("canvases").getAll();
      reading.onsuccess = () => (opening.result.close(), resolve(reading.result.some(({ seq }) => seq === room.seq)));
    };
  }));
  for (let i = 0; !(await isKept()); i++) {
    assert.ok(i < 100, "the canvas is kept");
    await page.waitForTimeout(100);
  }
}

/** Somebody who draws without a server, reloads, and finds what is there. */
async function survives(page: Page, ids: string[]): Promise<void> {
  await page.reload();
  await join(page);
  for (const id of ids) assert.ok((await shown(page)).includes(id), `${id} is there without a server`);
  server.down = false;
  await saved(page);
  for (const id of ids) assert.ok(onServer().includes(id), `${id} is saved`);
}

test("an open, or a transaction, that never answers leaves the page in memory at once, and says so", async () => {
  for (const what of ["open", "transaction"]) {
    const context = await browser.newContext();
    await context.addInitScript((hangs) => {
      const never = new Proxy({}, { get: (_, name) => (name === "objectStore" ? () => never : name === "commit" ? () => {} : () => never), set: () => true });
      Object.assign(window, { hanging: true });
      const wrap = (target: object, name: string): void => {
        const original = (target as Record<string, (...args: unknown[]) => unknown>)[name]!;
        Object.defineProperty(target, name, { value(this: object, ...args: unknown[]) {
          return (window as unknown as { hanging: boolean }).hanging ? never : original.apply(this, args);
        } });
      };
      if (hangs === "open") wrap(IDBFactory.prototype, "open");
      else wrap(IDBDatabase.prototype, "transaction");
    }, what);
    const page = await visit(context);
    await page.waitForFunction(() => (window as unknown as Win).said.includes("error storage"));
    const tookMs = await page.evaluate(() => (window as unknown as Win).tookMs);
    assert.ok(tookMs < 5_000, `${what}: ${tookMs} ms`);
    await saved(page);
    assert.deepEqual([await said(page), await asks(page)], [["error storage"], false], what);
    server.goDown();
    await draw(page, `${what}-kept`);
    assert.equal(await asks(page), true, "it would be lost");
    await page.evaluate(() => Object.assign(window, { hanging: false }));
    await storage(page, "indexeddb");
    assert.equal(await asks(page), false, "and is not any more");
    await page.evaluate(() => sessionStorage.clear());
    await context.addInitScript(() => Object.assign(window, { hanging: false }));
    await survives(page, [`${what}-kept`]);
    await context.close();
  }
});

test("a database whose deletion is held up by another page does not hold this page up", async () => {
  const context = await browser.newContext();
  const other = await context.newPage();
  await other.goto(server.url);
  await other.evaluate(() => new Promise<void>((resolve) => {
    const opening = indexedDB.open("scumble", 1);
    opening.onsuccess = () => {
      Object.assign(window, { db: opening.result });
      indexedDB.deleteDatabase("scumble");
      resolve();
    };
  }));
  const page = await visit(context);
  await page.waitForFunction(() => (window as unknown as Win).said.includes("error storage"));
  await draw(page, "a");
  await saved(page);
  assert.equal(await page.evaluate(() => (window as unknown as Win).room.storage), "memory");
  await other.close();
  await storage(page, "indexeddb");
  server.goDown();
  await draw(page, "b");
  await page.waitForTimeout(300);
  await survives(page, ["b"]);
  await context.close();
});

test("a page of an older version that holds the storage, and a newer version that changed it, are told of; one draws all the same", async () => {
  const context = await browser.newContext();
  const other = await context.newPage();
  await other.goto(server.url);
  const hold = (version: number): Promise<void> => other.evaluate((wanted) => new Promise<void>((resolve, reject) => {
    const opening = indexedDB.open("scumble", wanted);
    opening.onerror = () => reject(opening.error);
    // It does not listen to others who want to change the storage.
    opening.onsuccess = () => (Object.assign(window, { db: opening.result }), resolve());
  }), version);
  await hold(1);
  const page = await visit(context);
  await page.waitForFunction(() => (window as unknown as Win).messages.some((message) => /did not answer within/.test(message)));
  await draw(page, "a");
  await saved(page);
  await other.evaluate(() => (window as unknown as { db: IDBDatabase }).db.close());
  await storage(page, "indexeddb");
  await hold(99);
  await page.waitForFunction(() => (window as unknown as Win).messages.some((message) => /another page changes or deletes the storage/.test(message)));
  await storage(page, "memory");
  await page.reload();
  await join(page);
  await page.waitForFunction(() => (window as unknown as Win).messages.some((message) => /a newer version of this library has the storage: reload/.test(message)));
  await draw(page, "b");
  await saved(page);
  assert.deepEqual(onServer(), ["a", "b"]);
  await context.close();
});

test("many changes at once are not taken for a disk that hangs, because they take long to write", async () => {
  const context = await browser.newContext();
  const page = await visit(context);
  await saved(page);
  server.goDown();
  await page.evaluate(() => {
    Object.assign(window, { slow: true });
    Object.defineProperty(IDBTransaction.prototype, "oncomplete", { set(this: IDBTransaction, heard: (event: Event) => void) {
      const { slow } = window as unknown as { slow: boolean };
      this.addEventListener("complete", (event) => setTimeout(() => heard(event), slow ? 3_500 : 0));
    } });
    const { room } = window as unknown as Win;
    room.batch(() => {
      for (let i = 0; i < 1_000; i++) room.objects.create({ id: `o${i}`, kind: "rect" });
    });
  });
  await page.waitForTimeout(4_500);
  assert.ok(!(await said(page)).includes("error storage"));
  assert.equal(await page.evaluate(() => (window as unknown as Win).room.storage), "indexeddb");
  await page.evaluate(() => Object.assign(window, { slow: false }));
  await survives(page, ["o0", "o999"]);
  assert.equal(onServer().length, 1_000);
  await context.close();
});

test("a transaction that the browser aborts is told, and what it had is written when one succeeds", async () => {
  const context = await browser.newContext();
  const page = await visit(context);
  await saved(page);
  server.goDown();
  await page.evaluate(() => {
    const { commit } = IDBTransaction.prototype;
    let left = 3;
    IDBTransaction.prototype.commit = function (): void {
      if (left-- > 0) this.abort();
      else commit.call(this);
    };
  });
  for (const id of ["a", "b", "c"]) {
    await draw(page, id);
    await page.waitForTimeout(50);
  }
  await page.waitForFunction(() => (window as unknown as Win).said.includes("error storage"));
  await storage(page, "indexeddb");
  await page.waitForTimeout(300);
  await survives(page, ["a", "b", "c"]);
  await context.close();
});

test("what is cleared under the page is opened again, and what is unsaved is written anew", async () => {
  const context = await browser.newContext();
  const page = await visit(context);
  await draw(page, "before");
  await saved(page);
  server.goDown();
  await draw(page, "first");
  const cdp = await context.newCDPSession(page);
  await cdp.send("Storage.clearDataForOrigin", { origin: server.url, storageTypes: "indexeddb" });
  await draw(page, "second");
  await page.waitForFunction(() => (window as unknown as Win).said.includes("memory"));
  await storage(page, "indexeddb");
  assert.deepEqual(await said(page), ["memory", "error storage", "indexeddb"].sort((a) => (a === "error storage" ? -1 : 0)));
  await draw(page, "third");
  await page.waitForTimeout(200);
  await survives(page, ["first", "second", "third"]);
  await context.close();
});

test("a full disk is told, the page asks before it is left, and it is written once there is room", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(server.url);
  const cdp = await context.newCDPSession(page);
  const room = (quotaSize?: number): Promise<unknown> => cdp.send("Storage.overrideQuotaForOrigin", { origin: server.url, ...(quotaSize && { quotaSize }) });
  await room(1);
  await join(page);
  await draw(page, "at first");
  await page.waitForFunction(() => (window as unknown as Win).said.includes("error storage"));
  assert.equal(await page.evaluate(() => (window as unknown as Win).room.storage), "memory");
  await saved(page);
  await room();
  await storage(page, "indexeddb");
  // Chromium believes for half a minute that there is as much room as there was.
  await room(1);
  server.goDown();
  await page.waitForTimeout(31_000);
  await draw(page, "unkept");
  await storage(page, "memory");
  assert.equal(await asks(page), true);
  // Of what is unsaved, and perhaps of the canvas.
  assert.ok((await said(page)).filter((text) => text === "error storage").length >= 2);
  await room();
  await storage(page, "indexeddb");
  assert.equal(await asks(page), false);
  await survives(page, ["unkept"]);
  await context.close();
});

test("a reload without a server shows the canvas, and joins with it", async () => {
  const context = await browser.newContext();
  const [page, other] = [await visit(context), await visit(context)];
  for (let i = 0; i < 50; i++) await draw(page, `o${i}`);
  await page.evaluate(() => void (window as unknown as Win).room.chat.send("hello"));
  await saved(page);
  await page.evaluate(() => (window as unknown as Win).room.objects.delete("o7"));
  await saved(page);
  await kept(page);
  server.goDown();
  await draw(page, "unsaved");
  await page.waitForTimeout(200);
  await page.reload();
  await join(page);
  const ids = await shown(page);
  assert.deepEqual([ids.length, ids[0], ids.at(-1), ids.includes("o7")], [50, "o0", "unsaved", false]);
  assert.deepEqual(await page.evaluate(() => (window as unknown as Win).room.chat.messages.map(({ text }) => text)), ["hello"]);
  server.down = false;
  await saved(page);
  const client = await page.evaluate(() => (window as unknown as Win).room.client);
  const { since, features } = server.model.hellos.filter((hello) => hello.client === client).at(-1)!;
  assert.deepEqual([since?.seq, features?.includes("base")], [52, true], "with what it holds as its base");
  // The tab that wrote is gone: the other one goes on.
  await page.close();
  await draw(other, "later");
  await saved(other);
  await kept(other);
  server.goDown();
  await other.reload();
  await join(other);
  assert.deepEqual((await shown(other)).slice(-2), ["unsaved", "later"]);
  await context.close();
});

test("a page that goes right after its last op was saved leaves it for the next one", async () => {
  const context = await browser.newContext();
  const page = await visit(context);
  await draw(page, "a");
  await saved(page);
  await kept(page);
  await draw(page, "b");
  await saved(page);
  server.goDown();
  await page.reload();
  await join(page);
  assert.deepEqual(await shown(page), ["a", "b"]);
  await context.close();
});
