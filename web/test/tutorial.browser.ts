/** The tutorial as its reader follows it: each step's code is in the page, and does what the step says. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { Cluster, REPOSITORY, WITHIN_MS } from "./cluster.js";
import { launch } from "./person.js";

let browser: Browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** The blocks of one language, in order. */
function blocks(language: string, text: string): string[] {
  return [...text.matchAll(new RegExp("^```" + language + "\\n([^]*?)^```$", "gm"))].map((found) => found[1]!);
}

/** Serves the tutorial's two files, with the relay's address in place of the one in the text. */
async function serve(relay: string): Promise<{ url: string; close: () => void }> {
  const text = readFileSync(join(REPOSITORY, "docs/tutorial.md"), "utf8");
  const [html] = blocks("html", text);
  const script = blocks("js", text).join("\n").replaceAll("127.0.0.1:8080", new URL(relay).host);
  assert.ok(html && script.includes(new URL(relay).host), "the tutorial has a page, and a script that names the relay");
  const server = createServer((request, response) => {
    const isScript = request.url === "/whiteboard.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html").end(isScript ? script : html);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

async function drag(page: Page, from: [number, number], to: [number, number]): Promise<void> {
  await page.mouse.move(...from);
  await page.mouse.down();
  await page.mouse.move(...to, { steps: 5 });
  await page.mouse.up();
}

/** The rectangles as the page shows them. */
function shapes(page: Page): Promise<string[]> {
  return page.evaluate(() => [...document.querySelectorAll("rect")].map((rect) =>
    ["x", "y", "width", "height"].map((name) => rect.getAttribute(name)).join(" ")));
}

async function shows(page: Page, expected: string[]): Promise<void> {
  await page.waitForFunction((wanted) => wanted === JSON.stringify([...document.querySelectorAll("rect")].map((rect) =>
    ["x", "y", "width", "height"].map((name) => rect.getAttribute(name)).join(" "))), JSON.stringify(expected))
    .catch(async () => assert.deepEqual(await shapes(page), expected));
}

test("the tutorial's whiteboard draws, moves, points, undoes, and survives its server", { timeout: 120_000 }, async () => {
  const cluster = await Cluster.start(1);
  const line = await cluster.line(0);
  const site = await serve(line.url);
  try {
    const complaints: string[] = [];
    const open = async (name: string): Promise<Page> => {
      const page = await browser.newPage({ viewport: { width: 800, height: 600 } });
      page.setDefaultTimeout(WITHIN_MS);
      page.on("pageerror", (error) => complaints.push(error.stack ?? error.message));
      await page.goto(`${site.url}/?name=${name}`);
      await page.waitForFunction(() => document.getElementById("status")?.textContent === "connected");
      return page;
    };
    const [ada, ben] = [await open("Ada"), await open("Ben")];

    await drag(ada, [100, 100], [220, 180]);
    for (const page of [ada, ben]) await shows(page, ["100 100 120 80"]);

    await drag(ben, [150, 150], [250, 170]);
    for (const page of [ada, ben]) await shows(page, ["200 120 120 80"]);

    await ada.waitForFunction(() => document.querySelector("text")?.textContent === "➤ Ben");

    await drag(ada, [400, 400], [450, 450]);
    await shows(ben, ["200 120 120 80", "400 400 50 50"]);
    await ada.click("#undo"); // the whole drag is one step
    for (const page of [ada, ben]) await shows(page, ["200 120 120 80"]);

    line.cut();
    await ada.waitForFunction(() => /reconnecting|Saving/.test(document.getElementById("status")!.textContent!));
    await drag(ada, [500, 100], [540, 140]);
    await shows(ada, ["200 120 120 80", "500 100 40 40"]);
    line.mend();
    await shows(ben, ["200 120 120 80", "500 100 40 40"]);
    await ada.waitForFunction(() => document.getElementById("status")!.textContent === "connected");
    assert.deepEqual(complaints, []);
  } finally {
    site.close();
    await cluster.stop();
  }
});
