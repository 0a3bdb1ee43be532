/** Two browsers with a Tiptap editor on two real processes: a Yjs document in the log of an object. */

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import type { Browser, BrowserContext, Page } from "playwright-core";
import WebSocket from "ws";
import * as Y from "yjs";
import { connect, type Room } from "../client/src/client.js";
import { ScumbleProvider } from "../client/src/yjs.js";
import { Child, Cluster, eventually, LIMITED, REPOSITORY } from "./cluster.js";
import type { Line } from "./line.js";
import { launch } from "./person.js";

let browser: Browser;
let cluster: Cluster;
/** To each process, for its browser. */
let lines: Line[];
/** Has the page: the relay knows nothing of editors. */
let site: Server;
let origin: string;

before(async () => {
  const built = await build({
    entryPoints: [join(process.cwd(), "test/tiptap-page.ts")],
    bundle: true, format: "esm", target: "es2022", write: false, logLevel: "silent",
  });
  const html = '<!doctype html><title>text</title><main></main><script type="module" src="/editor.js"></script>';
  site = createServer((request, response) => {
    const isScript = request.url === "/editor.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? built.outputFiles[0]!.text : html);
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  cluster = await Cluster.start(2, "--allowed-origin", origin);
  lines = [await cluster.line(0), await cluster.line(1)];
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await cluster?.stop();
  site?.close();
  site?.closeAllConnections();
});

interface Writer {
  readonly context: BrowserContext;
  readonly page: Page;
}

/** A browser with the editor, on a page of that process. */
async function writer(instance: number, name = "Somebody"): Promise<Writer> {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${origin}/?${new URLSearchParams({ relay: lines[instance]!.url, name })}`);
  await here(page);
  return { context, page };
}

const here = (page: Page): Promise<unknown> => page.waitForFunction(() => window.editing?.provider.synced);
const text = (page: Page): Promise<string> => page.evaluate(() => window.editing!.editor.getText());
const html = (page: Page): Promise<string> => page.evaluate(() => window.editing!.editor.getHTML());

/** Until both show the same, and nothing waits. Gives the text. */
async function same(...pages: Page[]): Promise<string> {
  await eventually("all show the same", async () => {
    const shown = await Promise.all(pages.map(html));
    const synced = await Promise.all(pages.map((page) => page.evaluate(() => window.editing!.provider.synced)));
    return new Set(shown).size === 1 && synced.every(Boolean);
  });
  return text(pages[0]!);
}

async function type(page: Page, words: string): Promise<void> {
  await page.locator(".tiptap").click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(words);
}

test("two browsers type together, reload, go offline and merge, and paste 200 KB", LIMITED, async () => {
  const [ada, ben] = [await writer(0), await writer(1)];

  // At once, into the same paragraph. An empty document has none: each would make its own.
  await type(ada.page, "Now: ");
  await same(ada.page, ben.page);
  await Promise.all([type(ada.page, "The quick brown fox"), type(ben.page, "jumps over the lazy dog")]);
  const typed = await same(ada.page, ben.page);
  for (const letter of "Thequickbrownfoxjumpsoverthelazydog") assert.ok(typed.includes(letter), `${letter} of ${typed}`);
  assert.equal(typed.length, "Now: The quick brown foxjumps over the lazy dog".length, "nothing twice, nothing lost");

  // A page that comes again has it all.
  await ada.page.reload();
  await here(ada.page);
  assert.equal(await same(ada.page, ben.page), typed);

  // Both offline: each writes on, and both have both when they are back.
  for (const line of lines) line.cut();
  for (const { page } of [ada, ben]) await page.waitForFunction(() => window.editing!.room.status === "reconnecting");
  await type(ada.page, " Ada was here.");
  await type(ben.page, " Ben was, too.");
  assert.notEqual(await text(ada.page), await text(ben.page));
  assert.equal(await ada.page.evaluate(() => window.editing!.provider.synced), false);
  for (const line of lines) line.mend();
  const merged = await same(ada.page, ben.page);
  for (const words of ["Ada was here.", "Ben was, too."]) assert.ok(merged.includes(words), merged);

  // More than one message holds.
  const paragraph = `<p>${"Lorem ipsum dolor sit amet. ".repeat(40)}</p>`;
  await ben.page.evaluate((pasted) => window.editing!.editor.commands.insertContentAt(0, pasted), paragraph.repeat(190));
  const long = await same(ada.page, ben.page);
  assert.ok(long.length > 200_000, `${long.length}`);
  const bytes = await ben.page.evaluate(() => window.editing!.bytes());

  // What is stored: at most twice the document, once it is compacted.
  await Promise.all([ada, ben].map(({ page }) => page.evaluate(() => window.editing!.provider.compact())));
  const stored = async (): Promise<number> => {
    const answer = await fetch(`${cluster.url(0)}/api/v1/canvases/tiptap`);
    return ((await answer.json()) as { bytes: number }).bytes;
  };
  await eventually(`${bytes} bytes are stored in no more than twice as many`, async () => (await stored()) <= 2 * bytes);
  await ada.page.reload();
  await here(ada.page);
  assert.equal(await same(ada.page, ben.page), long);
  await ada.context.close();
  await ben.context.close();
});

test("each sees where the other writes, until the other is gone", LIMITED, async () => {
  const [ada, ben] = [await writer(0, "Ada"), await writer(1, "Ben")];
  const carets = (page: Page): Promise<string[]> => page.locator(".collaboration-carets__label").allTextContents();
  const sees = (page: Page, ...names: string[]): Promise<unknown> =>
    eventually(`${names.join() || "nobody"} is seen`, async () => (await carets(page)).join() === names.join());
  // Where the other's caret is: the text before it.
  const before = (page: Page): Promise<string> => page.evaluate(() => {
    const caret = document.querySelector(".collaboration-carets__caret")!;
    const range = document.createRange();
    range.setStart(document.querySelector(".tiptap")!, 0);
    range.setEndBefore(caret);
    return range.toString();
  });

  await type(ada.page, " Ada types.");
  await same(ada.page, ben.page);
  await type(ben.page, "");
  await sees(ben.page, "Ada");
  await sees(ada.page, "Ben");
  assert.ok(await ben.page.locator(".collaboration-carets__caret").isVisible());
  const whole = (await text(ben.page)).replaceAll("\n", "");
  await eventually("the caret is at the end", async () => (await before(ben.page)) === whole);
  for (let n = 0; n < 6; n++) await ada.page.keyboard.press("ArrowLeft");
  await eventually("the caret moves", async () => (await before(ben.page)) === whole.slice(0, -6));

  // One whose line is lost is not seen, and comes back with it.
  lines[0]!.cut();
  await ada.page.waitForFunction(() => window.editing!.room.status === "reconnecting");
  await sees(ada.page);
  await sees(ben.page);
  lines[0]!.mend();
  await sees(ben.page, "Ada");
  await sees(ada.page, "Ben");

  // A provider that ends shows nobody any more; a page that is closed goes.
  await ada.page.evaluate(() => window.editing!.provider.destroy());
  await sees(ben.page);
  await sees(ada.page);
  await ada.page.reload();
  await here(ada.page);
  await type(ada.page, "");
  await sees(ben.page, "Ada");
  await ada.context.close();
  await sees(ben.page);
  await ben.context.close();
});

test("thousands of updates are compacted, and whoever comes has all of them", LIMITED, async () => {
  const rooms: Room[] = [];
  const open = async (instance: number): Promise<{ doc: Y.Doc; provider: ScumbleProvider; room: Room }> => {
    const room = await connect({ url: cluster.url(instance), canvas: "many", WebSocket: WebSocket as never });
    rooms.push(room);
    const doc = new Y.Doc();
    return { doc, room, provider: new ScumbleProvider(room, "doc", doc, { flushMs: 1 }) };
  };
  const [ada, ben] = [await open(0), await open(1)];
  await Promise.all([ada.provider.whenSynced(), ben.provider.whenSynced()]);
  for (let i = 0; i < 2_000; i++) {
    for (const { doc } of [ada, ben]) doc.getText("t").insert(i % 7, `${i % 10}`);
    if (i % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const all = await eventually("both have all", () => {
    const [one, other] = [ada, ben].map(({ doc }) => doc.getText("t").toString());
    return one === other && one!.length === 4_000 && one;
  });
  await eventually("the log is short", () => ada.room.log("doc").entries.length < 250);
  const cy = await open(1);
  await cy.provider.whenSynced();
  assert.equal(cy.doc.getText("t").toString(), all);
  for (const room of rooms) room.close();
});

test("the example writes a text from two terminals", LIMITED, async () => {
  // As npm would set it up.
  const folder = mkdtempSync(join(tmpdir(), "scumble-notes-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(join(REPOSITORY, "web/client"), join(folder, "node_modules/scumble-client"));
  for (const name of ["ws", "yjs"]) symlinkSync(join(REPOSITORY, "web/node_modules", name), join(folder, "node_modules", name));
  copyFileSync(join(REPOSITORY, "examples/notes/notes.mjs"), join(folder, "notes.mjs"));
  const url = (n: number): string => cluster.url(n).replace("http", "ws");
  const notes = [0, 1].map((n) => new Child(`notes ${n}`, process.execPath, [join(folder, "notes.mjs"), "notes", url(n)]));
  const [one, other] = notes as [Child, Child];
  try {
    for (const child of notes) await child.said(/^""$/m);
    one.child.stdin!.write("milk\n");
    await other.said(/^"milk\\n"$/m);
    other.child.stdin!.end("bread\n");
    await one.said(/^"milk\\nbread\\n"$/m);
    await eventually("it ends with its input", () => other.ended);
  } finally {
    for (const child of notes) await child.end("SIGKILL");
    rmSync(folder, { recursive: true });
  }
});
