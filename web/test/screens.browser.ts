/** Pictures of the page for a person to look at, under target/screenshots/. What is tested is that nothing sticks out. */

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, BrowserContextOptions } from "playwright-core";
import type { Room } from "../client/src/types.js";
import { Cluster, eventually, LIMITED, REPOSITORY } from "./cluster.js";
import { drawPicture, guest } from "./drawing.js";
import { launch, Person } from "./person.js";

const FOLDER = join(REPOSITORY, "target/screenshots");
const DESK = { viewport: { width: 1440, height: 900 } };
const TABLET = { viewport: { width: 768, height: 1024 }, hasTouch: true };
const PHONE = { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
let browser: Browser;
let cluster: Cluster;
let others: Room[];
/** A page on the other process, so that latencies across processes are there to be shown. */
let theo: Person;
let parts: Record<string, string>;
let turn = 0;

before(async () => {
  mkdirSync(FOLDER, { recursive: true });
  cluster = await Cluster.start(2, "--demo-controls");
  browser = await launch();
  const people = [["Mira", "#7a4bc2"], ["Jonas", "#b8560f"], ["Priya", "#1f74a8"]] as const;
  others = await Promise.all(people.map(([name, color], i) => guest(cluster.url(Math.min(i, 1)), "roadmap", name, color)));
  parts = await drawPicture(others[0]!);
  const said = [
    [0, "The picture is up, have a look"], [1, "Nice. Is Friday still the plan?"],
    [0, "Friday it is. I moved the cake to the left of the sun."], [2, "I am on the other process, by the way, and you would not know."],
  ] as const;
  for (const [who, text] of said) await others[who]!.chat.send(text).done;
  theo = await Person.at(browser, `${cluster.url(1)}/c/roadmap`, "Theo");
});
after(async () => {
  await theo?.leave();
  for (const room of others ?? []) room.close();
  await browser?.close();
  await cluster?.stop();
});

/** Others point, and one of them has something selected. */
async function pointers(ada: Person): Promise<void> {
  const points = [[-20, -60], [330, -150], [-330, 150]] as const;
  turn++;
  others.forEach((room, i) => {
    room.presence.update({ instance: room.instance, selection: i === 1 ? [parts.ship!] : [] });
    const [x, y] = points[i]!;
    // Elsewhere than the last time: who stays where they are is shown dim after a while.
    room.cursor.set({ x: x + (turn % 2) * 3, y });
  });
  // One alone tells its cursor once a second only, so the first point may take that long.
  for (const { user } of others) await ada.see("cursor").filter({ hasText: user.name! }).waitFor();
  // Interpolated cursors come to rest within a moment; bots do not.
  if (await ada.page.evaluate(() => window.scumbleDemo!.room.others.some((other) => other.state.bot === true))) return;
  let before = "";
  await eventually("they are at rest", async () => {
    const now = await ada.see("cursors").innerHTML();
    return now === before || void (before = now);
  });
}

async function picture(ada: Person, name: string): Promise<void> {
  const sideways = await ada.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(sideways <= 0, "nothing sticks out at the side");
  await ada.page.screenshot({ path: join(FOLDER, `${name}.png`) });
}

function visit(i: number, canvas: string, options: BrowserContextOptions): Promise<Person> {
  return Person.at(browser, `${cluster.url(i)}/c/${canvas}`, "Ada", options);
}

// Without the drawer: its latencies would be those of whatever machine takes the picture.
test("the README's picture", LIMITED, async () => {
  const ada = await visit(0, "roadmap", { viewport: { width: 1440, height: 810 } });
  await ada.badge("Saved");
  await ada.see("chat-toggle").click();
  await ada.see("fit").click();
  await ada.page.evaluate((id) => window.scumbleDemo!.selection.set([id]), parts.note2!);
  await pointers(ada);
  await eventually("nobody is dim", () => ada.page.evaluate(() => window.scumbleDemo!.room.cursors.sample().every(({ dim }) => !dim)));
  await picture(ada, "readme");
  await ada.leave();
});

for (const scheme of ["light", "dark"] as const) {
  test(`at a desk, ${scheme}`, LIMITED, async () => {
    const ada = await visit(0, "roadmap", { ...DESK, colorScheme: scheme });
    await ada.badge("Saved");
    await pointers(ada);
    await ada.page.evaluate((id) => window.scumbleDemo!.selection.set([id]), parts.note2!);
    await picture(ada, `desk-${scheme}`);
    await ada.see("chat-toggle").click();
    await ada.say("I will bring it. Chocolate?");
    await ada.see("chat-state").last().getByText("Sent", { exact: true }).waitFor();
    await picture(ada, `chat-${scheme}`);
    await ada.see("drawer-toggle").click();
    await ada.see("bots").fill("12");
    await eventually("bots are here", async () => (await ada.see("cursor").count()) >= 15);
    await ada.see("latency-cross-p95").getByText(/^\d.* ms$/).waitFor();
    await ada.see("latency-same-p95").getByText(/^\d.* ms$/).waitFor();
    await picture(ada, `drawer-${scheme}`);
    await ada.see("drawer-close").click();
    await ada.see("chat-close").click();
    await ada.see("help").click();
    await picture(ada, `help-${scheme}`);
    await ada.leave();
  });

  test(`on a tablet, ${scheme}`, LIMITED, async () => {
    const ada = await visit(0, "roadmap", { ...TABLET, colorScheme: scheme });
    await ada.badge("Saved");
    await pointers(ada);
    await picture(ada, `tablet-${scheme}`);
    for (const panel of ["chat", "drawer"]) {
      await ada.see(`${panel}-toggle`).tap();
      await picture(ada, `tablet-${panel}-${scheme}`);
      await ada.see(`${panel}-close`).tap();
    }
    await ada.see("export").tap();
    await picture(ada, `tablet-export-${scheme}`);
    await ada.leave();
  });

  test(`on a phone, ${scheme}`, LIMITED, async () => {
    const ada = await visit(1, "roadmap", { ...PHONE, colorScheme: scheme });
    await ada.badge("Saved");
    await pointers(ada);
    await picture(ada, `phone-${scheme}`);
    await ada.see("tool-rect").tap();
    await picture(ada, `phone-style-${scheme}`);
    await ada.see("chat-toggle").tap();
    await picture(ada, `phone-chat-${scheme}`);
    await ada.see("drawer-toggle").tap();
    await picture(ada, `phone-drawer-${scheme}`);
    await ada.see("drawer-close").tap();
    await ada.see("me").tap();
    await picture(ada, `phone-profile-${scheme}`);
    await ada.leave();
  });
}

test("an empty canvas, a message that failed, the words of the badge", LIMITED, async () => {
  const line = await cluster.line(0);
  const ada = await Person.at(browser, `${line.url}/c/empty`, "Ada", DESK);
  await ada.badge("Saved");
  await ada.see("empty").waitFor();
  await picture(ada, "empty");
  await ada.say("Is anybody here?");
  await ada.see("chat-state").getByText("Sent", { exact: true }).waitFor();
  line.cut();
  await ada.badge("Offline");
  await ada.stroke();
  await ada.say("This waits for the line");
  await ada.see("drawer-toggle").click();
  await ada.badge("Offline · 2");
  await picture(ada, "offline");
  await ada.leave();
});

test("fifty bots on a laptop", LIMITED, async () => {
  const ada = await visit(1, "roadmap", { viewport: { width: 1280, height: 720 } });
  await ada.see("drawer-toggle").click();
  await ada.see("bots").fill("50");
  await eventually("fifty bots are here", async () => (await ada.see("cursor").count()) >= 50);
  await picture(ada, "fifty-bots");
  await ada.see("drawer-close").click();
  await ada.see("avatar-more").click();
  await picture(ada, "people");
  await ada.leave();
});
