/** What goes wrong between a page and its process: nothing is lost, nothing is doubled, and the badge says so. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { eventually, LIMITED, withCluster } from "./cluster.js";
import { assertTruthful, launch, Person } from "./person.js";

let browser: Browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("kill -9 of the page's process while it draws: it goes on with the other one", LIMITED, () => withCluster(async (cluster) => {
  const url = await cluster.behindNginx();
  const ada = await Person.at(browser, `${url}/c/killed`, "Ada");
  await ada.badge("Saved");
  const killed = await ada.instance;
  const survivor = cluster.survivor(killed);
  const witness = await cluster.witness(cluster.instances.indexOf(survivor), "killed");
  const ben = await Person.at(browser, `${survivor.url}/c/killed`, "Ben");
  await ada.watchBadge();
  for (let i = 0; i < 12; i++) {
    // In the middle of the seventh stroke; the pen goes on.
    const dead = i === 6 ? cluster.kill(killed) : undefined;
    await ada.stroke();
    await dead;
  }
  await ada.badge("Saved");
  assert.equal(await ada.instance, survivor.name);
  await eventually("all twelve arrived", () => witness.created.length >= 12);
  assert.deepEqual([witness.created.length, new Set(witness.created).size], [12, 12]);
  await ada.shows(witness.created);
  await ben.shows(witness.created);
  // Back within the grace: away for a moment at most, never gone.
  assert.deepEqual(await ben.page.evaluate(() => window.scumbleDemo!.room.others.map((other) => [other.user.name, other.away])
    .filter(([name]) => name === "Ada")), [["Ada", false]]);
  const claims = await ada.claims;
  assertTruthful(claims);
  for (const word of [/^Offline/, /^Saving…$/, /^Saved$/]) {
    assert.ok(claims.some(({ text }) => word.test(text)), `${word} in ${JSON.stringify(claims)}`);
  }
  await ada.leave();
  await ben.leave();
}));

test("offline, twenty strokes, a reload, online: all twenty arrive once", LIMITED, () => withCluster(async (cluster) => {
  const line = await cluster.line(0);
  const witness = await cluster.witness(1, "offline");
  const ada = await Person.at(browser, `${line.url}/c/offline`, "Ada");
  await ada.badge("Saved");
  const client = await ada.client;
  line.cut();
  await ada.badge("Offline");
  for (let i = 0; i < 20; i++) await ada.stroke();
  await ada.badge("Offline · 20");
  const drawn = await ada.objects;
  assert.deepEqual([drawn.length, witness.created.length], [20, 0]);
  await ada.see("badge").click();
  assert.ok(await ada.see("outbox-op").first().evaluate((row) => {
    const { left, top } = row.getBoundingClientRect();
    return row.contains(document.elementFromPoint(left + 4, top + 4));
  }), "the badge leads to what waits");
  await ada.see("drawer-close").click();

  await ada.page.reload();
  await ada.arrived();
  await ada.badge("Offline · 20");
  await ada.shows(drawn);
  await ada.watchBadge();

  line.mend();
  await ada.badge("Saved");
  assert.equal(await ada.client, client);
  await eventually("all of them arrived", () => witness.created.length >= 20);
  assert.deepEqual(witness.created, drawn, "in the order they were drawn, each once");
  assertTruthful(await ada.claims);
  await ada.page.reload();
  await ada.arrived();
  await ada.badge("Saved");
  await ada.shows(drawn);
  assert.equal(witness.created.length, 20);
  await ada.leave();
}));

test("letters typed in the moment before a reload are there after it", LIMITED, () => withCluster(async (cluster) => {
  const line = await cluster.line(0);
  const ada = await Person.at(browser, `${line.url}/c/letters`, "Ada");
  for (const text of ["online", "offline"]) {
    await ada.badge("Saved");
    if (text === "offline") line.cut();
    const before = await ada.objects;
    await ada.page.keyboard.press("n");
    await ada.page.mouse.click(450, 320);
    const [loaded] = await Promise.all([
      ada.page.waitForEvent("load"),
      ada.page.evaluate((typed) => {
        const area = document.querySelector<HTMLTextAreaElement>(".text-editor")!;
        area.value = typed;
        area.dispatchEvent(new Event("input"));
        location.reload();
      }, text),
    ]);
    assert.ok(loaded);
    await ada.arrived();
    const id = (await eventually("the note is there", async () => (await ada.objects).find((one) => !before.includes(one))))!;
    await eventually("it has its letters", async () => (await ada.object(id))?.text === text);
  }
  line.mend();
  await ada.badge("Saved");
  await ada.leave();
}));

test("a view somebody works in stays when the canvas comes at last; an untouched one shows all", LIMITED, () => withCluster(async (cluster) => {
  const line = await cluster.line(0);
  const view = (who: Person): Promise<number[]> => who.page.evaluate(() => {
    const { x, y, zoom } = window.scumbleDemo!.camera;
    return [x, y, zoom];
  });
  line.cut();
  const ada = await Person.at(browser, `${line.url}/c/view`, "Ada");
  const before = await view(ada);
  await ada.stroke();
  line.mend();
  await ada.badge("Saved");
  assert.deepEqual(await view(ada), before);
  const ben = await Person.at(browser, `${cluster.url(1)}/c/view`, "Ben");
  await eventually("Ben is shown Ada's stroke", async () => (await view(ben)).join() !== before.join());
  await ada.leave();
  await ben.leave();
}));

test("a double click on send sends once, and so do two lost acks", LIMITED, () => withCluster(async (cluster) => {
  const line = await cluster.line(0);
  const witness = await cluster.witness(1, "double");
  const ada = await Person.at(browser, `${line.url}/c/double`, "Ada");
  await ada.openChat();
  await ada.see("chat-input").fill("once");
  await ada.see("chat-send").dblclick();
  await ada.see("chat-state").getByText("Sent", { exact: true }).waitFor();
  assert.deepEqual(witness.chat, ["once"]);
  for (const text of ["second", "third"]) {
    // Sent and cut in one turn of the page's loop: whether it was committed, nobody told the page.
    await ada.see("chat-input").fill(text);
    await ada.page.evaluate(() => {
      document.querySelector<HTMLFormElement>("#chat-form")!.requestSubmit();
      window.scumbleDemo!.room.cut();
    });
    await ada.badge("Saved");
  }
  await eventually("all arrived", () => witness.chat.length >= 3);
  assert.deepEqual(witness.chat, ["once", "second", "third"]);
  assert.equal(await ada.see("chat-message").count(), 3);
  await ada.leave();
}));

test("while the server can't write, nothing leaves the page, which says so; then all is saved without a click", LIMITED, () => withCluster(async (cluster) => {
  const witness = await cluster.witness(1, "refused");
  const ada = await Person.at(browser, `${cluster.url(0)}/c/refused`, "Ada");
  await ada.badge("Saved");
  await ada.watchBadge();
  // Writes wait five seconds and are refused.
  const goOn = await cluster.stallWrites();
  await ada.say("do you read me?");
  await ada.stroke();
  await ada.badge("Saving…");
  await ada.see("badge").getByText("Not saved yet · 2").waitFor({ timeout: 60_000 });
  assert.deepEqual([await ada.see("chat-retry").count(), witness.chat], [0, []]);
  assert.equal(await ada.page.evaluate(() => window.scumbleDemo!.room.objects.size), 1);
  await goOn();
  await ada.badge("Saved");
  await eventually("it arrived", () => witness.chat.length > 0);
  await ada.say("twice?");
  await eventually("so did the next", () => witness.chat.includes("twice?"));
  assert.deepEqual(witness.chat, ["do you read me?", "twice?"]);
  assertTruthful(await ada.claims);
  await ada.leave();
}));

test("a link without permission asks for a new one, and nothing is drawn that could not be saved", LIMITED, async () => {
  const folder = mkdtempSync(join(tmpdir(), "scumble-secret-"));
  const secret = join(folder, "secret");
  writeFileSync(secret, "a secret of thirty-two bytes at least", { mode: 0o600 });
  await withCluster(async (cluster) => {
    const ada = await Person.at(browser, `${cluster.url(0)}/c/closed`, "Ada");
    await ada.badge("New link needed");
    assert.match((await ada.see("badge").getAttribute("title"))!, /permission.*Ask for a new link$/);
    await ada.stroke();
    await ada.page.keyboard.press("n");
    await ada.page.mouse.click(450, 320);
    assert.deepEqual([await ada.objects, await ada.page.evaluate(() => window.scumbleDemo!.room.outbox.length)], [[], 0]);
    await ada.see("toast").getByText("Drawing is off").waitFor();
    await ada.leave();
  }, "--auth-secret-file", secret);
  rmSync(folder, { recursive: true });
});

test("the drawer cuts the connection and kills the instance; the page goes on", LIMITED, () => withCluster(async (cluster) => {
  const url = await cluster.behindNginx();
  const ada = await Person.at(browser, `${url}/c/drawer`, "Ada");
  await ada.badge("Saved");
  await ada.watchBadge();
  await ada.see("drawer-toggle").click();
  await ada.see("cut").click();
  await eventually("it was away, and is back", async () => {
    const claims = await ada.claims;
    return claims.some(({ text }) => text === "Offline") && claims.at(-1)!.text === "Saved";
  });
  await ada.see("kill").click();
  const gone = await eventually("one of the two is dead", () => cluster.instances.find(({ process: child }) => child.ended));
  await eventually("the page is on the other one", async () => (await ada.instance) !== gone.name);
  await ada.badge("Saved");
  await ada.see("hood-instance").getByText(cluster.survivor(gone.name).name).waitFor();
  assertTruthful(await ada.claims);
  await ada.leave();
}, "--demo-controls"));
