/** The demo in WebKit: what Safari would do with it, as far as that can be had here. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, LIMITED, withCluster } from "./cluster.js";
import { makeMuch } from "./much.js";
import { WebKit } from "./webkit.js";

let page: WebKit;
before(async () => {
  page = await WebKit.start();
});
after(() => page?.quit());

test("WebKit: what is drawn and written is heard on the other process, and undone", LIMITED, () => withCluster(async (cluster) => {
  const witness = await cluster.witness(1, "webkit");
  await page.open(`${cluster.url(0)}/c/webkit`);
  await page.badge("Saved");
  await page.stroke();
  await page.keys("n");
  await page.keys("\uE007");
  await eventually("the editor is open", () => page.ask<boolean>("document.querySelector('.text-editor') !== null"));
  await page.keys("words");
  await page.keys("\uE00C");
  await page.badge("Saved");
  await eventually("both arrived", () => witness.created.length === 2);
  const text = await page.ask<string>("[...window.scumbleDemo.room.objects].at(-1).text");
  assert.equal(text, "words");
  await page.ask("document.getElementById('undo').click()");
  await page.badge("Saved");
  await eventually("the note is gone", () => witness.deleted.length === 1);
}));

test("WebKit: offline, strokes, a reload, online: all arrive once", LIMITED, () => withCluster(async (cluster) => {
  const line = await cluster.line(0);
  const witness = await cluster.witness(1, "offline");
  await page.open(`${line.url}/c/offline`);
  await page.badge("Saved");
  const client = await page.ask<string>("window.scumbleDemo.room.client");
  line.cut();
  await page.badge("Offline");
  for (let i = 0; i < 5; i++) await page.stroke();
  await page.badge("Offline · 5");
  const drawn = await page.objects;
  await page.reload();
  await page.badge("Offline · 5");
  assert.deepEqual(await page.objects, drawn, "kept in this browser's storage");
  line.mend();
  await page.badge("Saved");
  assert.equal(await page.ask("window.scumbleDemo.room.client"), client);
  await eventually("all of them arrived", () => witness.created.length >= 5);
  assert.deepEqual(witness.created, drawn);
}));

test("WebKit: kill -9 of its process: the page goes on with the other one", LIMITED, () => withCluster(async (cluster) => {
  const url = await cluster.behindNginx();
  await page.open(`${url}/c/killed`);
  await page.badge("Saved");
  const killed = await page.ask<string>("window.scumbleDemo.room.instance");
  const survivor = cluster.survivor(killed);
  const witness = await cluster.witness(cluster.instances.indexOf(survivor), "killed");
  for (let i = 0; i < 4; i++) {
    if (i === 2) await cluster.kill(killed);
    await page.stroke();
  }
  await page.badge("Saved");
  assert.equal(await page.ask("window.scumbleDemo.room.instance"), survivor.name);
  await eventually("all arrived", () => witness.created.length >= 4);
  assert.equal(new Set(witness.created).size, witness.created.length);
}));

test("WebKit: a large canvas comes compressed, and as it is", LIMITED, () => withCluster(async (cluster) => {
  await makeMuch(cluster.url(1), "much", 1_500);
  await page.open(`${cluster.url(0)}/c/much`);
  await page.badge("Saved");
  await eventually("all of it is there", () => page.ask<boolean>("window.scumbleDemo.room.objects.size === 1500"));
  assert.equal(await page.ask("window.scumbleDemo.room.objects.get('o1499').text"), "Wörter 😀 1499");
  assert.equal(await page.ask("typeof DecompressionStream"), "function");
}));
