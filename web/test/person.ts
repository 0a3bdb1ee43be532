/** Somebody at a demo page: what they do by hand, and what they see. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after } from "node:test";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import type {} from "../demo/src/main.js";
import { PEOPLE } from "../demo/src/palette.js";
import { Cluster, eventually, WITHIN_MS } from "./cluster.js";

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.SCUMBLE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
      // A page that a test hands over comes from nowhere, as the browser sees it, and might not ask loopback for anything.
      ...(process.env.SCUMBLE_DIST ? ["--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"] : [])],
  });
}

/** So many processes and a browser, until the tests of the file have ended. */
export async function stage(count: number, ...flags: string[]): Promise<{ browser: Browser; cluster: Cluster }> {
  const cluster = await Cluster.start(count, ...flags);
  const browser = await launch();
  after(async () => {
    await browser.close();
    await cluster.stop();
  });
  return { browser, cluster };
}

/** Files to serve in place of those in the binary, so that a change of the page needs no new one: `SCUMBLE_DIST=yes`. */
const FROM_DISK: Record<string, string> = process.env.SCUMBLE_DIST
  ? { "/demo.js": "demo/dist/demo.js", "/demo.css": "demo/dist/demo.css", "/client.js": "client/dist/client.js" }
  : {};

async function serveFromDisk(context: BrowserContext): Promise<void> {
  for (const [path, file] of Object.entries(FROM_DISK)) await context.route(`**${path}`, (route) => route.fulfill({ path: file }));
  if (!process.env.SCUMBLE_DIST) return;
  await context.route(/\/c\/[^/]+\/?$/, (route) => {
    const way = route.request().url().endsWith("/") ? "../../" : "../";
    const body = readFileSync("demo/dist/index.html", "utf8").replaceAll("=\"./", `="${way}`);
    return route.fulfill({ body, contentType: "text/html" });
  });
}

/** What the badge said, and what was true at that moment. */
export interface Claim {
  text: string;
  status: string;
  waiting: number;
  failed: number;
  /** Refused so often for now that nobody should wait for it. */
  stuck: boolean;
}

export class Person {
  /** Errors of the page and refusals of its policy. That a connection failed is the browser's own remark, and fine. */
  readonly complaints: string[] = [];
  private drawn = 0;

  private constructor(readonly page: Page, readonly context: BrowserContext) {
    page.setDefaultTimeout(WITHIN_MS);
    page.on("pageerror", (error) => this.complaints.push(error.stack ?? error.message));
    page.on("console", (message) => {
      const text = message.text();
      const network = text.startsWith("WebSocket connection to") || text.startsWith("Failed to load resource");
      if (message.type() === "error" && !network) this.complaints.push(text);
    });
  }

  /** A browser profile of their own with one tab open at `url`. */
  static async at(browser: Browser, url: string, name: string, options: BrowserContextOptions = {}, stored?: string): Promise<Person> {
    const context = await browser.newContext({ viewport: { width: 900, height: 640 }, ...options });
    const profile = stored ?? JSON.stringify({ name, color: PEOPLE[name.charCodeAt(0) % PEOPLE.length], chosen: true });
    await serveFromDisk(context);
    await context.addInitScript((value) => localStorage.setItem("scumble.profile", value), profile);
    const person = new Person(await context.newPage(), context);
    await person.page.goto(url);
    await person.arrived();
    return person;
  }

  /** Another tab of the same profile that the page opened itself. */
  static async in(page: Page): Promise<Person> {
    const person = new Person(page, page.context());
    await person.arrived();
    return person;
  }

  async arrived(): Promise<void> {
    await this.page.waitForFunction(() => document.documentElement.dataset.ready === "true");
  }

  see(testid: string): Locator {
    return this.page.getByTestId(testid);
  }

  get client(): Promise<string> {
    return this.page.evaluate(() => window.scumbleDemo!.room.client);
  }

  get instance(): Promise<string> {
    return this.page.evaluate(() => window.scumbleDemo!.room.instance);
  }

  get objects(): Promise<string[]> {
    return this.page.evaluate(() => [...window.scumbleDemo!.room.objects.ids()]);
  }

  object(id: string): Promise<Record<string, unknown> | undefined> {
    return this.page.evaluate((wanted) => window.scumbleDemo!.room.objects.get(wanted), id);
  }

  /** The page shows the same objects, whatever their order. */
  async shows(ids: readonly string[]): Promise<void> {
    const wanted = [...ids].sort().join();
    await eventually(`${ids.length} objects are shown`, async () => [...(await this.objects)].sort().join() === wanted);
  }

  async badge(text: string): Promise<void> {
    let said: string | null = "";
    const look = async (): Promise<boolean> => (said = await this.see("badge-text").textContent()) === text;
    await eventually(() => `the badge says ${text} (it says ${said})`, look);
  }

  /** Draws with the pencil, somewhere else each time. Returns when the pen is up, whatever the network does. */
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

  /** Pulls a shape open with a tool, and leaves it selected. Returns its id. */
  async drag(key: string, from: [number, number], to: [number, number]): Promise<string> {
    const before = new Set(await this.objects);
    await this.page.keyboard.press(key);
    await this.pull(from, to);
    const made = (await this.objects).filter((id) => !before.has(id));
    assert.equal(made.length, 1, "one object was made");
    return made[0]!;
  }

  async pull(from: [number, number], to: [number, number]): Promise<void> {
    const { mouse } = this.page;
    await mouse.move(...from);
    await mouse.down();
    await mouse.move((from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
    await mouse.move(...to);
    await mouse.up();
  }

  async openChat(): Promise<void> {
    if (!(await this.see("chat").isVisible())) await this.see("chat-toggle").click();
  }

  async say(text: string): Promise<void> {
    await this.openChat();
    await this.see("chat-input").fill(text);
    await this.see("chat-send").click();
  }

  /** Notes what the badge claims at every change and on every frame. `claims` gives it. */
  async watchBadge(): Promise<void> {
    await this.page.evaluate(() => {
      const claims: Claim[] = [];
      Object.assign(window, { claims });
      const note = (): void => {
        const { room } = window.scumbleDemo!;
        const text = document.getElementById("badge-text")!.textContent!;
        const failed = room.outbox.filter((op) => op.state === "failed").length;
        const stuck = room.outbox.some((op) => op.state === "pending" && op.refusals >= 3);
        const claim = { text, status: room.status, waiting: room.outbox.length - failed, failed, stuck };
        if (JSON.stringify(claim) !== JSON.stringify(claims.at(-1))) claims.push(claim);
      };
      new MutationObserver(note).observe(document.getElementById("badge")!, { subtree: true, childList: true, characterData: true, attributes: true });
      const frame = (): void => (note(), void requestAnimationFrame(frame));
      frame();
    });
  }

  get claims(): Promise<Claim[]> {
    return this.page.evaluate(() => (window as unknown as { claims: Claim[] }).claims);
  }

  async leave(): Promise<void> {
    await this.context.close();
    assert.deepEqual(this.complaints, [], "the page had nothing to complain of");
  }
}

/** Ada on the first process and Ben on the second, on one canvas, with all of it. */
export async function pair(browser: Browser, cluster: Cluster, canvas: string): Promise<[Person, Person]> {
  const pages = [0, 1].map((i) => Person.at(browser, `${cluster.url(i)}/c/${canvas}`, ["Ada", "Ben"][i]!));
  const both = (await Promise.all(pages)) as [Person, Person];
  await Promise.all(both.map((who) => who.badge("Saved")));
  assert.deepEqual(await Promise.all(both.map((who) => who.instance)), cluster.instances.map(({ name }) => name));
  return both;
}

/** What the badge may say in each state, and nothing else. */
export function assertTruthful(claims: readonly Claim[]): void {
  for (const claim of claims) {
    const { text, status, waiting, failed, stuck } = claim;
    let right = failed > 0 ? `Not saved · ${failed}` : stuck ? `Not saved yet · ${waiting}` : waiting > 0 ? "Saving…" : "Saved";
    if (status !== "connected") right = waiting > 0 ? `Offline · ${waiting}` : status === "connecting" ? "Connecting…" : "Offline";
    assert.equal(text, right, JSON.stringify(claim));
  }
}

/** What a page fetches from now on: from which hosts, and its weight on the wire. */
export function watchRequests(page: Page): { hosts: Set<string>; bytes: number } {
  const fetched = { hosts: new Set<string>(), bytes: 0 };
  page.on("request", (request) => request.url().startsWith("data:") || fetched.hosts.add(new URL(request.url()).host));
  page.on("requestfinished", async (request) => {
    const { responseBodySize, responseHeadersSize } = await request.sizes();
    fetched.bytes += responseBodySize + responseHeadersSize;
  });
  page.on("websocket", (socket) => fetched.hosts.add(new URL(socket.url()).host));
  return fetched;
}

/** Runs in the demo's page: pastes 2,000 rectangles. The milliseconds until all of them are acked. */
export async function pasteMany(): Promise<number> {
  const objects = Array.from({ length: 2_000 }, (_, i) => (
    { id: `o${i}`, kind: "rect", x: (i % 50) * 30, y: Math.floor(i / 50) * 30, w: 24, h: 20, color: "teal", z: i }));
  const data = new DataTransfer();
  data.setData("application/x-scumble+json", JSON.stringify({ scumble: 1, objects }));
  const { room } = window.scumbleDemo!;
  const began = performance.now();
  document.getElementById("overlay")!.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  await Promise.all(room.outbox.map((op) => op.done));
  return performance.now() - began;
}
