/** Two pages on two real processes over one file: each sees what the other does. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, LIMITED } from "./cluster.js";
import { pair, Person, stage } from "./person.js";

const { browser, cluster } = await stage(2);

test("pages on two processes see each other's objects, cursors, chat and presence", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "together");

  // Presence: who is here, by name.
  await ada.page.getByRole("button", { name: "Ben: follow" }).waitFor();
  await ben.page.getByRole("button", { name: "Ada: follow" }).waitFor();

  // Objects: made there, changed here, gone for both.
  const id = await ada.drag("r", [300, 200], [460, 300]);
  await ben.shows([id]);
  assert.deepEqual(await ben.object(id), await ada.object(id));
  const selected = await ben.page.waitForFunction(() => window.scumbleDemo!.room.others[0]?.state.selection);
  assert.deepEqual(await selected.jsonValue(), [id], "Ada's selection is outlined at Ben's");
  const at = await ben.page.evaluate((wanted) => {
    const { camera, room } = window.scumbleDemo!;
    const { x, y, w, h } = room.objects.get(wanted) as unknown as { x: number; y: number; w: number; h: number };
    return camera.toScreen({ x: x + w / 2, y: y + h / 2 });
  }, id);
  await ben.pull([at.x, at.y], [at.x + 100, at.y + 50]);
  const { x, y } = (await ben.object(id)) as { x: number; y: number };
  await eventually("Ada sees it where Ben put it", async () => {
    const there = (await ada.object(id)) as { x: number; y: number };
    return there.x === x && there.y === y;
  });

  // Cursors: a labelled one, where the other points.
  await ada.page.mouse.move(200, 220);
  await ada.page.mouse.move(260, 320);
  const [cursor, adaIs] = [ben.see("cursor"), await ada.client];
  const pointed = await ada.page.evaluate(() => window.scumbleDemo!.camera.toWorld({ x: 260, y: 320 }));
  await eventually("Ben sees Ada's cursor where she points", () => ben.page.evaluate(([client, px, py]) => {
    const seen = window.scumbleDemo!.room.cursors.at(client);
    return seen !== undefined && Math.hypot(seen.x - px, seen.y - py) < 2;
  }, [adaIs, pointed.x, pointed.y] as const));
  assert.deepEqual([await cursor.count(), await cursor.textContent()], [1, "Ada"]);

  // Chat: across, and counted while it is closed.
  await ada.say("hello from the north");
  await eventually("Ben has one unread", async () => (await ben.see("chat-unread").textContent()) === "1");
  await ben.openChat();
  await ben.page.getByText("hello from the north").waitFor();
  await ada.see("chat-state").getByText("Sent", { exact: true }).waitFor();

  // A new name and colour are told; who leaves is gone.
  await ada.see("me").click();
  await ada.see("profile-name").fill("Ada Lovelace");
  await ada.see("profile-name").press("Enter");
  await ben.page.getByRole("button", { name: "Ada Lovelace: follow" }).waitFor();
  for (const [who, name] of [[ada, "Ada Lovelace (you)"], [ben, "Ada Lovelace"]] as const) {
    await who.see("chat-message").getByText(name, { exact: true }).waitFor();
  }
  await ada.leave();
  await ben.see("avatars").getByRole("button").waitFor({ state: "detached" });
  await ben.leave();
});

test("undo takes back one's own actions only", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "undo");
  const first = await ada.drag("r", [250, 180], [350, 260]);
  await ben.shows([first]);
  const second = await ben.drag("o", [450, 180], [560, 280]);
  await ada.shows([first, second]);
  // Ada moves hers; Ben recolours it; Ada's undo moves it back and leaves Ben's colour.
  const { x } = (await ada.object(first)) as { x: number };
  await ada.page.keyboard.press("v");
  await ada.pull([300, 220], [300, 400]);
  await ada.badge("Saved");
  const moved = (await ada.object(first)) as { y: number };
  await eventually("Ben sees it moved", async () => (await ben.object(first))?.y === moved.y);
  await ben.page.evaluate((id) => window.scumbleDemo!.selection.set([id]), first);
  await ben.see("swatch-violet").click();
  await eventually("Ada sees it in violet", async () => (await ada.object(first))?.color === "violet");

  await ada.page.keyboard.press("Control+z");
  const back = (await ada.object(first)) as { x: number; y: number; color: string };
  assert.deepEqual([back.x, back.color], [x, "violet"]);
  assert.notEqual(back.y, moved.y);
  await ada.page.keyboard.press("Control+z");
  await ben.shows([second]);
  // Nothing of hers is left: Ben's stays, however often she asks.
  assert.equal(await ada.see("undo").isDisabled(), true);
  await ada.page.keyboard.press("Control+z");
  await ada.shows([second]);
  await ada.page.keyboard.press("Control+Shift+z");
  await ben.shows([first, second]);
  await ben.page.keyboard.press("Control+z");
  await ben.page.keyboard.press("Control+z");
  await ada.shows([first]);
  await Promise.all([ada.badge("Saved"), ben.badge("Saved")]);
  await Promise.all([ada.leave(), ben.leave()]);
});

test("a page that is reloaded in the middle of a drag leaves the object where it is", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "reloaded");
  const id = await ada.drag("r", [300, 200], [460, 300]);
  await ben.shows([id]);
  const shown = (who: Person): Promise<number> => who.page.evaluate((wanted) => window.scumbleDemo!.scene.get(wanted)!.x, id);
  const x = await shown(ben);
  // Silence ends a preview, too, but only after a while: here it never does.
  await ben.page.evaluate(() => {
    const after = window.setTimeout;
    Object.assign(window, { setTimeout: (task: () => void, ms: number) => (ms >= 800 ? 0 : after(task, ms)) });
  });
  const { mouse } = ada.page;
  await mouse.move(380, 250);
  await mouse.down();
  await mouse.move(480, 250);
  await eventually("Ben sees the drag", async () => (await shown(ben)) === x + 100);
  await ada.page.reload();
  await ada.arrived();
  await ada.badge("Saved");
  await mouse.up();
  await eventually("Ben sees it where it was", async () => (await shown(ben)) === x);
  assert.equal(await shown(ada), x);
  await Promise.all([ada.leave(), ben.leave()]);
});

test("following somebody shows what they see, until one moves the view oneself", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "follow");
  const view = (who: Person): Promise<string> => who.page.evaluate(() => {
    const { camera } = window.scumbleDemo!;
    return [camera.x, camera.y].map(Math.round).join() + ` ${camera.zoom.toFixed(2)}`;
  });
  await ben.page.getByRole("button", { name: "Ada: follow" }).click();
  await ben.see("follow-banner").waitFor();
  await ada.page.mouse.move(450, 320);
  await ada.page.mouse.wheel(400, 250);
  await ada.page.keyboard.down("Control");
  await ada.page.mouse.wheel(0, -60);
  await ada.page.keyboard.up("Control");
  const wanted = await view(ada);
  assert.notEqual(wanted, "-450,-320 1.00");
  const near = (a: string, b: string): boolean => {
    const [p, q] = [a, b].map((text) => text.split(/[ ,]/).map(Number));
    return p!.every((value, i) => Math.abs(value - q![i]!) <= 2);
  };
  await eventually("Ben looks where Ada looks", async () => near(await view(ben), wanted));
  await ben.page.mouse.move(450, 320);
  await ben.page.mouse.wheel(0, 100);
  await ben.see("follow-banner").waitFor({ state: "hidden" });
  await Promise.all([ada.leave(), ben.leave()]);
});

test("fifty bots are seen from the other process, and go again", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "bots");
  await ada.see("drawer-toggle").click();
  await ada.see("bots").fill("50");
  await ada.see("bots-state").getByText("50 of 50 connected").waitFor();
  await eventually("Ben sees fifty cursors", async () => (await ben.see("cursor").count()) === 50);
  const before = await ben.page.evaluate(() => window.scumbleDemo!.room.cursors.sample().map(({ client, x, y }) => [client, x, y].join()));
  await eventually("they all move", async () => {
    const now = new Set(await ben.page.evaluate(() => window.scumbleDemo!.room.cursors.sample().map(({ client, x, y }) => [client, x, y].join())));
    return before.every((one) => !now.has(one));
  });
  // Ada hears from Ben across processes, and from her bots within her own.
  for (const kind of ["same", "cross"]) {
    for (const p of ["p50", "p95"]) await ada.see(`latency-${kind}-${p}`).getByText(/^\d.* ms$/).waitFor();
  }
  assert.equal(await ada.see("hood-instance").textContent(), "north");
  // Drawing goes on among them.
  const id = await ben.drag("r", [300, 200], [460, 300]);
  await ada.shows([id]);
  await ada.see("bots").fill("0");
  await eventually("the bots are gone", async () => (await ben.see("cursor").count()) <= 1);
  await eventually("for everybody", () => ben.page.evaluate(() => window.scumbleDemo!.room.others.length === 1));
  await Promise.all([ada.leave(), ben.leave()]);
});

test("a copied tab gets an identity of its own", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/copied`, "Ada");
  const witness = await cluster.witness(1, "copied");
  await ada.stroke();
  await ada.badge("Saved");
  const client = await ada.client;
  const [opened] = await Promise.all([ada.context.waitForEvent("page"), ada.page.evaluate(() => void window.open(location.href))]);
  const copy = await Person.in(opened);
  await copy.badge("Saved");
  assert.notEqual(await copy.client, client);
  assert.equal(await ada.client, client, "the first one keeps its own");
  await eventually("each sees the other", async () => {
    const [a, b] = await Promise.all([ada, copy].map((who) => who.page.evaluate(() => window.scumbleDemo!.room.others.map((other) => other.client))));
    return a!.includes(await copy.client) && b!.includes(client);
  });
  await copy.stroke();
  await ada.page.bringToFront();
  await ada.stroke();
  await Promise.all([ada.badge("Saved"), copy.badge("Saved")]);
  await eventually("all three strokes arrived", () => witness.created.length >= 3);
  assert.equal(witness.created.length, 3);
  assert.equal(await ada.client, client);
  await ada.leave();
});
