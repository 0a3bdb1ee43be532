/** Two pages draw together behind an nginx that lets no WebSocket through, whatever process gets their posts. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, LIMITED } from "./cluster.js";
import { assertTruthful, Person, stage } from "./person.js";

const { browser, cluster } = await stage(2);
const url = await cluster.behindNginx((conf) => conf.replaceAll(/^ *proxy_set_header Upgrade .*\n/gm, ""));

const way = (who: Person): Promise<string | undefined> => who.page.evaluate(() => window.scumbleDemo!.room.transport);

test("pages draw together where no WebSocket gets through, over a reload and a kill -9", LIMITED, async () => {
  const canvas = `${url}/c/no-upgrade`;
  const [ada, ben] = await Promise.all([Person.at(browser, canvas, "Ada"), Person.at(browser, canvas, "Ben")]);
  await Promise.all([ada.watchBadge(), ben.watchBadge()]);
  await Promise.all([ada.badge("Saved"), ben.badge("Saved")]);
  assert.deepEqual(await Promise.all([way(ada), way(ben)]), ["sse", "sse"]);

  const made = [await ada.drag("r", [300, 200], [400, 260])];
  await ben.shows(made);
  made.push(await ben.drag("o", [450, 200], [550, 300]));
  await ada.shows(made);
  await ada.page.mouse.move(200, 220);
  await ada.page.mouse.move(260, 320);
  await ben.see("cursor").waitFor();
  await ada.say("hello over HTTP");
  await ben.openChat();
  await ben.page.getByText("hello over HTTP").waitFor();
  // It would be in the way of what is drawn.
  await ada.see("chat-toggle").click();
  await Promise.all([ada.badge("Saved"), ben.badge("Saved")]);
  assert.match((await ada.see("badge").getAttribute("title")) ?? "", /over HTTP/);
  for (const who of [ada, ben]) assertTruthful(await who.claims);

  const client = await ben.client;
  await ben.page.reload();
  await ben.arrived();
  await ben.badge("Saved");
  await ben.shows(made);
  assert.deepEqual([await ben.client, await way(ben)], [client, "sse"]);

  // The process with Ada's stream dies while she draws.
  await ben.watchBadge();
  const killed = await ada.instance;
  const drawing = (async () => {
    for (let i = 0; i < 6; i++) await ada.stroke();
  })();
  await cluster.kill(killed);
  await drawing;
  await eventually("Ada is with the other", async () => (await ada.instance) !== killed && (await ada.page.evaluate(() => window.scumbleDemo!.room.status)) === "connected");
  await ada.badge("Saved");
  await ada.drag("r", [300, 420], [400, 500]);
  await ada.badge("Saved");
  const all = await ada.objects;
  assert.equal(all.length, made.length + 7);
  await ben.shows(all);
  for (const who of [ada, ben]) assertTruthful(await who.claims);
  await cluster.again(killed);
  await Promise.all([ada.leave(), ben.leave()]);
});
