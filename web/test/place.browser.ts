/** Where the page stands: below a path, with a slash at the end, and beside panels; who is who on it. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { eventually, LIMITED, withCluster } from "./cluster.js";
import { launch, Person } from "./person.js";

let browser: Browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("behind a proxy that has the relay below a path everything works, with a slash at the end too", LIMITED, () => withCluster(async (cluster) => {
  const url = await cluster.behindPath("/some/relay/");
  const missing: string[] = [];
  const ada = await Person.at(browser, `${url}c/board/`, "Ada");
  ada.page.on("response", (response) => response.status() >= 400 && missing.push(response.url()));
  assert.equal(ada.page.url(), `${url}c/board`);
  const ben = await Person.at(browser, `${cluster.url(1)}/c/board/`, "Ben");
  assert.equal(ben.page.url(), `${cluster.url(1)}/c/board`);
  await ada.badge("Saved");
  const id = await ada.drag("r", [300, 200], [460, 300]);
  await ben.shows([id]);
  await ada.see("drawer-toggle").click();
  await ada.see("bots").fill("3");
  await ada.see("bots-state").getByText("3 of 3 connected").waitFor();
  await ada.see("kill").waitFor();
  await ada.page.reload();
  await ada.arrived();
  await ada.shows([id]);
  // At the folder itself one gets a canvas of one's own, below the same path.
  const cy = await Person.at(browser, url, "Cy");
  assert.match(cy.page.url(), new RegExp(`^${url}c/[a-z]+-[a-z]+-\\w+$`));
  await cy.badge("Saved");
  assert.deepEqual(missing, []);
  for (const person of [ada, ben, cy]) await person.leave();
}, "--demo-controls"));

test("a name that no canvas can have is told, and what one can have", LIMITED, () => withCluster(async (cluster) => {
  for (const [hash, shown] of [["my%20board", "my board"], ["50%", "50%"], [".hidden", ".hidden"]] as const) {
    const ada = await Person.at(browser, `${cluster.url(0)}/#${hash}`, "Ada");
    await ada.see("toast").getByText(`can't be named “${shown}”: a name has letters, digits`).waitFor();
    assert.match(ada.page.url(), /\/c\/[a-z]+-[a-z]+-\w+$/);
    await ada.badge("Saved");
    await ada.leave();
  }
  const ben = await Person.at(browser, `${cluster.url(0)}/#good-name`, "Ben");
  await ben.badge("Saved");
  assert.equal(ben.page.url(), `${cluster.url(0)}/c/good-name`);
  assert.notEqual(await ben.see("toast").getAttribute("data-shown"), "true");
  await ben.leave();
}));

test("the button kills the process it names, whichever one the load balancer asks", LIMITED, () => withCluster(async (cluster) => {
  const url = await cluster.behindNginx();
  const ada = await Person.at(browser, `${url}/c/named`, "Ada");
  await ada.badge("Saved");
  const here = await ada.instance;
  await ada.see("drawer-toggle").click();
  await ada.see("kill").getByText(`Kill ${here}`).waitFor();
  // The other one is asked, as a load balancer may choose to.
  const other = cluster.survivor(here);
  await ada.page.route("**/api/v1/demo/kill**", async (route) => {
    const asked = new URL(route.request().url());
    const answer = await fetch(new URL(asked.pathname + asked.search, other.url), { method: "POST" });
    await route.fulfill({ status: answer.status, body: await answer.text() });
  });
  await ada.see("kill").click();
  await eventually("it is dead", () => cluster.instances.find(({ name }) => name === here)!.process.ended);
  await ada.see("toast").getByText(`${here} is gone`).waitFor();
  await eventually("the page is on the other one", async () => (await ada.instance) === other.name);
  assert.equal(other.process.ended, false);
  await ada.badge("Saved");
  await ada.leave();
}, "--demo-controls"));

test("where nothing answers, the button does not say that the process is going", LIMITED, () => withCluster(async (cluster) => {
  const line = await cluster.line(0);
  const ada = await Person.at(browser, `${line.url}/c/unkilled`, "Ada");
  await ada.badge("Saved");
  await ada.see("drawer-toggle").click();
  await ada.see("kill").waitFor();
  await ada.page.route("**/api/v1/demo/kill**", (route) => route.abort());
  await ada.see("kill").click();
  await ada.see("toast").getByText("was not killed: nothing answers").waitFor();
  line.cut();
  await ada.badge("Offline");
  await ada.see("toast").evaluate((toast) => (toast.textContent = ""));
  await ada.see("kill").click();
  await ada.see("toast").getByText("was not killed: nothing answers").waitFor();
  assert.ok(cluster.instances.every(({ process }) => !process.ended));
  await ada.leave();
}, "--demo-controls"));

test("people who come with one colour get different ones, and who chose a colour keeps it", LIMITED, () => withCluster(async (cluster) => {
  const profile = (name: string, chosen: boolean): string => JSON.stringify({ name, color: "#c2413b", chosen });
  const people: Person[] = [];
  for (let i = 0; i < 4; i++) {
    const person = await Person.at(browser, `${cluster.url(i % 2)}/c/colors`, `P${i}`, {}, profile(`P${i}`, i === 2));
    await person.badge("Saved");
    people.push(person);
  }
  const shown = async (who: Person): Promise<string[]> => who.page.evaluate(() => {
    const { room } = window.scumbleDemo!;
    return [room.user.color!, ...room.others.map((other) => other.user.color!)].sort();
  });
  await eventually("all see four colours", async () => {
    const seen = await Promise.all(people.map(shown));
    return seen.every((colors) => new Set(colors).size === 4 && colors.join() === seen[0]!.join());
  });
  assert.equal(await people[2]!.page.evaluate(() => window.scumbleDemo!.room.user.color), "#c2413b");
  for (const person of people) await person.leave();
}));

test("show everything shows it beside the drawer and the chat, and goes on to when one of them opens", LIMITED, () => withCluster(async (cluster) => {
  for (const [width, height] of [[1440, 900], [1024, 700], [390, 780]] as const) {
    const ada = await Person.at(browser, `${cluster.url(0)}/c/free-${width}`, "Ada", { viewport: { width, height } });
    await ada.badge("Saved");
    await ada.page.evaluate(() => {
      const { room } = window.scumbleDemo!;
      for (const [x, y] of [[-900, -700], [900, 700], [0, 0]] as const) room.objects.create({ kind: "rect", x, y, w: 120, h: 80 });
    });
    const covered = (panel: string): Promise<boolean> => ada.page.evaluate((name) => {
      const { scene, camera } = window.scumbleDemo!;
      const box = scene.bounds(scene.ids())!;
      const [a, b] = [camera.toScreen(box), camera.toScreen({ x: box.x + box.w, y: box.y + box.h })];
      const out = a.x < 0 || a.y < 0 || b.x > innerWidth || b.y > innerHeight;
      const p = document.getElementById(name)!.getBoundingClientRect();
      return out || (p.width > 0 && a.x < p.right && p.left < b.x && a.y < p.bottom && p.top < b.y);
    }, panel);
    await ada.see("drawer-toggle").click();
    await ada.page.locator("#overlay").focus();
    await ada.page.keyboard.press("1");
    assert.equal(await covered("drawer"), false, `${width} px, the drawer`);
    await ada.see("drawer-close").click();
    await ada.see("chat-toggle").click();
    assert.equal(await covered("chat"), false, `${width} px, the chat that opened after it`);
    await ada.leave();
  }
}));
