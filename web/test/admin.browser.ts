/** The dashboard over two processes behind nginx, in Chromium: logging in, looking, changing, by keyboard, on a phone. */

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from "playwright-core";
import type { Room } from "../client/src/types.js";
import { Cluster, eventually, REPOSITORY, WITHIN_MS } from "./cluster.js";
import { drawPicture, guest } from "./drawing.js";
import { launch, watchRequests } from "./person.js";

const LIMITED = { timeout: 90_000 };
const FOLDER = join(REPOSITORY, "target/screenshots");
const TOKEN = "the-token-of-the-operators-here";
const DESK = { viewport: { width: 1440, height: 900 } };
const PHONE = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };

let browser: Browser;
let cluster: Cluster;
let secrets: string;
let url: string;
let people: Room[];
let receiver: Server;
/** How the receiver of webhooks answers. */
let answers = 500;

async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${cluster.url(0)}/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text === "" ? (undefined as T) : (JSON.parse(text) as T);
}

interface Popped {
  messages: { transactionId: string; partitionId: string; leaseId?: string }[];
  leaseId?: string;
}

/** A queue with something in it, and a message that nobody could process. */
async function mails(): Promise<void> {
  await api("POST", "configure", { queue: "mails", options: { retryLimit: 0 } });
  const items = ["ada", "ben", "cleo"].map((name) => ({ queue: "mails", partition: name, payload: { to: `${name}@example.org`, html: "<img src=x onerror=alert(1)>" } }));
  await api("POST", "push", { items });
  const { messages, leaseId } = await api<Popped>("GET", "pop/queue/mails?consumerGroup=mailer&batch=1");
  const [first] = messages;
  assert.ok(first);
  await api("POST", "ack", { transactionId: first.transactionId, partitionId: first.partitionId, leaseId: first.leaseId ?? leaseId, consumerGroup: "mailer", status: "failed", error: "550 no such mailbox" });
}

interface Attempts {
  deliveries: { outcome: string }[];
}

/** A hook whose receiver refused an event until it was given up. */
async function refusedHook(): Promise<void> {
  receiver = createServer((asked, answer) => {
    asked.resume().on("end", () => answer.writeHead(answers).end());
  });
  await new Promise<void>((ready) => receiver.listen(0, "127.0.0.1", ready));
  const { port } = receiver.address() as AddressInfo;
  const hook = { name: "notify", canvases: ["road*"], events: ["chat.sent"], url: `http://127.0.0.1:${port}/`, secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], allow_private: true };
  await api("PUT", "hooks", { hooks: [hook] });
  await people[0]!.chat.send("for the back end").done;
  await eventually("it is given up", async () => {
    // Each process sets the options of the hook's queue when it begins to deliver.
    await api("POST", "configure", { queue: "scumble.hook.notify", options: { retryLimit: 0 } });
    const { deliveries } = await api<Attempts>("GET", "hooks/notify/deliveries");
    return deliveries[0]?.outcome === "dead";
  });
  answers = 204;
}

before(async () => {
  mkdirSync(FOLDER, { recursive: true });
  secrets = mkdtempSync(join(tmpdir(), "scumble-admin-"));
  const tokens = join(secrets, "tokens");
  writeFileSync(tokens, `ops admin ${TOKEN}\n`);
  chmodSync(tokens, 0o600);
  cluster = await Cluster.start(2, "--admin-writes", "--api-token-file", tokens);
  browser = await launch();
  url = await cluster.behindNginx();
  const names = [["Mira", "#7a4bc2"], ["Jonas", "#b8560f"], ["Priya", "#1f74a8"]] as const;
  people = await Promise.all(names.map(([name, color], i) => guest(cluster.url(i % 2), "roadmap", name, color)));
  await drawPicture(people[0]!);
  await people[0]!.chat.send("<b>hello</b>").done;
  await mails();
  await refusedHook();
});
after(async () => {
  receiver?.close();
  for (const room of people ?? []) room.close();
  await browser?.close();
  await cluster?.stop();
  if (secrets) rmSync(secrets, { recursive: true, force: true });
});

/** Somebody at the dashboard. */
class Operator {
  /** Errors of the page and refusals of its policy. */
  readonly complaints: string[] = [];

  private constructor(readonly page: Page, readonly context: BrowserContext) {
    page.setDefaultTimeout(WITHIN_MS);
    page.on("pageerror", (error) => this.complaints.push(error.stack ?? error.message));
    page.on("console", (message) => message.type() === "error" && !message.text().startsWith("Failed to load resource") && this.complaints.push(message.text()));
    page.on("dialog", (dialog) => this.complaints.push(`a dialog: ${dialog.message()}`));
  }

  static async at(options: BrowserContextOptions = DESK): Promise<Operator> {
    const context = await browser.newContext(options);
    const operator = new Operator(await context.newPage(), context);
    await operator.page.goto(`${url}/admin`);
    return operator;
  }

  static async inside(options: BrowserContextOptions = DESK): Promise<Operator> {
    const operator = await Operator.at(options);
    await operator.see("token").fill(TOKEN);
    await operator.page.keyboard.press("Enter");
    await operator.see("processes").waitFor();
    return operator;
  }

  see(testid: string): Locator {
    return this.page.getByTestId(testid);
  }

  async go(section: string): Promise<void> {
    await this.page.evaluate((to) => void (location.hash = `#/${to}`), section);
  }

  async leave(): Promise<void> {
    assert.deepEqual(this.complaints, []);
    await this.context.close();
  }
}

test("a wrong token is refused in words, a right one opens all of it, and a logout closes it", LIMITED, async () => {
  const ops = await Operator.at();
  await ops.page.getByText("“NAME admin TOKEN”").waitFor();
  await ops.see("token").fill("a token that is none of ours");
  await ops.see("login").click();
  await ops.see("wrong").getByText("no token of --api-token-file").waitFor();
  assert.equal(await ops.see("token").inputValue(), "");
  await ops.see("token").fill(TOKEN);
  await ops.see("login").click();
  await ops.see("processes").getByText("south").waitFor();
  assert.ok(!ops.page.url().includes(TOKEN));
  const [cookie] = await ops.context.cookies(`${url}/admin/api/session`);
  assert.deepEqual([cookie?.httpOnly, cookie?.sameSite, cookie?.path], [true, "Strict", "/admin/api"]);
  assert.equal(await ops.page.evaluate(() => `${document.cookie}${JSON.stringify(localStorage)}`.includes("the-token")), false);
  // Each answer may be another process's: the session is good on both.
  await ops.page.reload();
  await ops.see("processes").waitFor();
  await ops.see("logout").click();
  await ops.see("token").waitFor();
  await ops.page.reload();
  await ops.see("token").waitFor();
  await ops.leave();
});

test("it weighs less than 200 KB and comes from this server alone", LIMITED, async (t) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const fetched = watchRequests(page);
  await page.goto(`${url}/admin/`);
  await page.getByTestId("token").waitFor();
  t.diagnostic(`${fetched.bytes} bytes`);
  assert.deepEqual([...fetched.hosts], [new URL(url).host]);
  assert.ok(fetched.bytes > 5_000 && fetched.bytes < 200_000, `${fetched.bytes} bytes`);
  await context.close();
});

test("the overview has the numbers of both processes, and lines of a day", LIMITED, async () => {
  const ops = await Operator.inside();
  await ops.see("health").getByText("All is well: 2 processes").waitFor();
  await ops.see("tile-connections").getByText("3", { exact: true }).waitFor();
  await eventually("what both have delivered is in the lines", async () => {
    const values = await ops.see("chart-messages").getByRole("slider").getAttribute("aria-valuetext");
    return values !== null && /delivered/.test(values);
  });
  const range = ops.see("range-24h");
  await range.click();
  assert.equal(await range.getAttribute("aria-pressed"), "true");
  await ops.see("chart-messages").getByText("yesterday").waitFor();
  await ops.leave();
});

test("lines are read by keyboard", LIMITED, async () => {
  const ops = await Operator.inside();
  const chart = ops.see("chart-connections").getByRole("slider");
  await chart.focus();
  const last = Number(await chart.getAttribute("aria-valuenow"));
  await ops.page.keyboard.press("ArrowLeft");
  await ops.page.keyboard.press("ArrowLeft");
  assert.equal(Number(await chart.getAttribute("aria-valuenow")), last - 2);
  await ops.page.keyboard.press("Home");
  assert.equal(await chart.getAttribute("aria-valuenow"), "0");
  await ops.leave();
});

test("a canvas: found, looked at, followed live, exported; somebody is disconnected, and it is emptied", LIMITED, async () => {
  const ops = await Operator.inside();
  await ops.see("nav-canvases").click();
  await ops.see("search").fill("no such");
  await ops.page.getByText("No canvas has “no such” in its name.").waitFor();
  await ops.see("search").fill("ROAD");
  await ops.see("canvases").getByRole("link", { name: "roadmap" }).click();
  await ops.see("people").getByText("Priya").waitFor();
  await ops.see("picture").locator("img").waitFor();
  await ops.see("tail").getByText("<b>hello</b>").waitFor();
  await people[1]!.chat.send("are you looking?").done;
  await ops.see("tail").getByText("are you looking?").waitFor();
  const [download] = await Promise.all([ops.page.waitForEvent("download"), ops.see("export").click()]);
  assert.equal(download.suggestedFilename(), "roadmap.json");

  const priya = people[2]!;
  await ops.page.getByRole("button", { name: "Disconnect Priya" }).click();
  await ops.see("ask-yes").click();
  await ops.see("notice").getByText("Priya is disconnected").waitFor();
  await eventually("she is out", () => priya.status !== "connected");

  await ops.see("delete").click();
  await ops.page.keyboard.press("Escape");
  assert.ok([...people[0]!.objects.all()].length > 0, "Escape is no");
  await ops.see("delete").click();
  await ops.see("ask-yes").click();
  await ops.see("picture").getByText("There is nothing on it.").waitFor();
  await eventually("those on it see it empty", () => [...people[0]!.objects.all()].length === 0);
  await drawPicture(people[0]!);
  await ops.leave();
});

test("queues: what waits, who lags, and a dead letter is reviewed and replayed", LIMITED, async () => {
  const ops = await Operator.inside();
  await ops.see("nav-queues").click();
  await ops.see("queues").getByText("mails").waitFor();
  await ops.see("groups").getByText("mailer").waitFor();
  await ops.see("dead-of").selectOption("mails");
  await eventually("those of the hook are gone", async () => (await ops.see("letter").count()) === 1);
  const letter = ops.see("letter");
  await letter.getByText("550 no such mailbox").waitFor();
  await letter.getByText("Message", { exact: true }).click();
  await letter.getByText("onerror").waitFor();
  await ops.see("review").click();
  await ops.see("no-letters").waitFor();
  await ops.see("dead-which").selectOption("true");
  await ops.see("replay").click();
  await ops.see("ask-yes").click();
  await ops.see("notice").getByText("in its queue again").waitFor();
  await ops.see("no-letters").waitFor();
  await ops.leave();
});

test("hooks: what became of each attempt, and what was given up is sent again", LIMITED, async () => {
  const ops = await Operator.inside();
  await ops.see("nav-hooks").click();
  const attempts = ops.see("attempts");
  const dead = attempts.getByRole("row").filter({ hasText: "given up" });
  await dead.getByText("500", { exact: true }).waitFor();
  await dead.getByText("the receiver answered 500 Internal Server Error").waitFor();
  await dead.getByText("roadmap").waitFor();
  assert.match(await dead.locator("time").textContent() ?? "", /\d/);
  await ops.see("given-up").getByText("Send again").waitFor();
  // By keyboard, over a refresh: the button keeps its focus.
  await dead.getByRole("button").focus();
  await ops.page.waitForResponse((answer) => answer.url().includes("/deliveries"));
  await eventually("it has its focus again", () => ops.page.evaluate(() => document.activeElement?.textContent === "Send again"));
  const id = await dead.locator("code").first().textContent();
  await ops.page.keyboard.press("Enter");
  await ops.see("ask-yes").click();
  await ops.see("notice").getByText("It waits for its receiver again").waitFor();
  await attempts.getByRole("row").filter({ hasText: id! }).filter({ hasText: "delivered" }).waitFor();
  await ops.page.getByText("Nothing waits, and nothing was given up.").waitFor();
  assert.equal(await ops.see("send-again").count(), 0);
  await ops.leave();
});

test("pictures of all sections, light and dark, on a desk and on a phone; nothing sticks out", LIMITED, async () => {
  for (const [size, options] of [["desk", DESK], ["phone", PHONE]] as const) {
    for (const colorScheme of ["light", "dark"] as const) {
      const ops = await Operator.inside({ ...options, colorScheme });
      for (const [section, ready] of [["", "processes"], ["canvases", "canvases"], ["canvas/roadmap", "people"], ["queues", "queues"], ["hooks", "hooks"]] as const) {
        await ops.go(section);
        await ops.see(ready).waitFor();
        if (section.startsWith("canvas/")) await ops.see("picture").locator("img").waitFor();
        const sideways = await ops.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(sideways <= 0, `${section} on a ${size} sticks out by ${sideways} px`);
        await ops.page.screenshot({ path: join(FOLDER, `admin-${section.replace("/", "-") || "overview"}-${size}-${colorScheme}.png`), fullPage: true });
      }
      await ops.leave();
    }
  }
});
