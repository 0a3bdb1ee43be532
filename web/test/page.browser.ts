/** The page itself: what it weighs and fetches, what its policy allows, and every way to work on it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CDPSession } from "playwright-core";
import { eventually, LIMITED } from "./cluster.js";
import { Person, stage, watchRequests } from "./person.js";

const { browser, cluster } = await stage(1);

test("the page is below 150 KB on the wire, from this server alone", LIMITED, async (t) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const fetched = watchRequests(page);
  await page.goto(cluster.url(0));
  await page.waitForFunction(() => window.scumbleDemo?.room.status === "connected");
  t.diagnostic(`${fetched.bytes} bytes`);
  assert.deepEqual([...fetched.hosts], [new URL(cluster.url(0)).host]);
  assert.ok(fetched.bytes > 20_000 && fetched.bytes < 150_000, `${fetched.bytes} bytes`);
  assert.match(new URL(page.url()).pathname, /^\/c\/[a-z]+-[a-z]+-\w+$/, "a canvas of one's own, in the address");
  await context.close();
});

test("everything on the page works under its strict policy", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/policy`, "Ada");
  await ada.page.evaluate(() => {
    const refused: string[] = [];
    Object.assign(window, { refused });
    document.addEventListener("securitypolicyviolation", (event) => refused.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  for (const key of ["r", "o", "l"]) await ada.drag(key, [300, 200], [420, 280]);
  await ada.stroke();
  for (const key of ["n", "t"]) {
    await ada.page.keyboard.press(key);
    await ada.page.mouse.click(560, 240);
    await ada.page.keyboard.type("words");
    await ada.page.keyboard.press("Escape");
  }
  await ada.page.keyboard.press("d");
  await ada.say("hello");
  await ada.see("drawer-toggle").click();
  await ada.see("bots").fill("2");
  await ada.see("bots-state").getByText("2 of 2 connected").waitFor();
  await ada.see("help").click();
  await ada.see("help-dialog").waitFor();
  await ada.badge("Saved");
  assert.equal((await ada.objects).length, 6);
  assert.deepEqual(await ada.page.evaluate(() => (window as unknown as { refused: string[] }).refused), []);
  await ada.leave();
});

test("by keyboard alone: choose, insert, move, write, delete, undo", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/keyboard`, "Ada");
  const { keyboard } = ada.page;
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  assert.equal(await ada.page.evaluate(() => document.activeElement?.id), "overlay", "the skip link leads to the canvas");
  await keyboard.press("r");
  await keyboard.press("Enter");
  const [id] = await eventually("a rectangle is there", async () => ((await ada.objects).length === 1 ? ada.objects : undefined));
  const { x } = (await ada.object(id!)) as { x: number };
  await keyboard.press("ArrowRight");
  assert.ok(((await ada.object(id!)) as { x: number }).x > x);
  await keyboard.press("Delete");
  assert.equal((await ada.objects).length, 0);
  await keyboard.press("Control+z");
  await ada.shows([id!]);
  await ada.badge("Saved");
  await ada.leave();
});

test("marquee, copies and resizing act on all that is selected", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/many`, "Ada");
  const [one, two] = [await ada.drag("r", [200, 200], [300, 260]), await ada.drag("o", [360, 220], [440, 300])];
  await ada.page.keyboard.press("v");
  await ada.pull([150, 150], [500, 350]);
  const selected = (): Promise<string[]> => ada.page.evaluate(() => [...window.scumbleDemo!.selection.ids]);
  assert.deepEqual((await selected()).sort(), [one, two].sort());
  const { w } = (await ada.object(one)) as { w: number };
  await ada.pull([440, 300], [560, 400]);
  assert.ok(((await ada.object(one)) as { w: number }).w > w * 1.3, "the corner handle of both");
  await ada.page.keyboard.press("Control+d");
  assert.equal((await ada.objects).length, 4);
  await ada.page.keyboard.press("Delete");
  await ada.shows([one, two]);
  await ada.badge("Saved");
  await ada.leave();
});

test("neither panel lies under the style bar or the tools, however wide the window is", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/widths`, "Ada");
  const id = await ada.drag("r", [300, 200], [420, 280]);
  for (const panel of ["chat", "drawer"]) {
    await ada.see(`${panel}-toggle`).click();
    await ada.page.evaluate((wanted) => window.scumbleDemo!.selection.set([wanted]), id);
    for (let width = 320; width <= 1600; width += 20) {
      await ada.page.setViewportSize({ width, height: 640 });
      const covered = await ada.page.evaluate((name) => {
        const box = (element: string): DOMRect => document.getElementById(element)!.getBoundingClientRect();
        const p = box(name);
        return ["stylebar", "toolbar"].map(box).some((bar) => bar.width > 0 && p.left < bar.right && bar.left < p.right && p.top < bar.bottom && bar.top < p.bottom);
      }, panel);
      assert.equal(covered, false, `the ${panel} at ${width} px`);
    }
    await ada.see(`${panel}-close`).click();
  }
  await ada.badge("Saved");
  await ada.leave();
});

test("by touch: one finger draws, two zoom", LIMITED, async () => {
  const options = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
  const ada = await Person.at(browser, `${cluster.url(0)}/c/touch`, "Ada", options);
  const cdp = await ada.context.newCDPSession(ada.page);
  await ada.see("tool-draw").tap();
  await fingers(cdp, [[[100, 300]], [[160, 340]], [[220, 300]]]);
  await eventually("a stroke is there", async () => (await ada.objects).length === 1);
  const zoom = (): Promise<number> => ada.page.evaluate(() => window.scumbleDemo!.camera.zoom);
  const before = await zoom();
  await fingers(cdp, [[[150, 350], [240, 350]], [[120, 350], [270, 350]], [[80, 350], [310, 350]]]);
  assert.ok((await zoom()) > before * 1.5);
  assert.equal((await ada.objects).length, 1, "a second finger draws nothing");
  const [width, needed] = await ada.page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
  assert.ok(needed! <= width!, "nothing sticks out at the side");
  await ada.badge("Saved");
  await ada.leave();
});

/** Fingers go down at the first positions, along the others, and up. */
async function fingers(cdp: CDPSession, path: [number, number][][]): Promise<void> {
  for (const [i, points] of path.entries()) {
    const touchPoints = points.map(([x, y], id) => ({ x, y, id }));
    await cdp.send("Input.dispatchTouchEvent", { type: i === 0 ? "touchStart" : "touchMove", touchPoints });
  }
  await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
}
