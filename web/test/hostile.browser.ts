/** A member that sends what it likes: the page of somebody else goes on, and shows everybody else. */

import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { eventually, LIMITED } from "./cluster.js";
import { guest } from "./drawing.js";
import { Person, stage } from "./person.js";

const { browser, cluster } = await stage(2);

/** Speaks the bare protocol, and says anything. */
class Stranger {
  private op = 0;
  /** All that the server answered. */
  readonly heard: string[] = [];
  private constructor(private readonly socket: WebSocket) {}

  static async at(url: string, canvas: string, user: unknown): Promise<Stranger> {
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws/${canvas}`, "scumble.v1");
    socket.on("error", () => {});
    await new Promise((opened) => socket.on("open", opened));
    const stranger = new Stranger(socket);
    stranger.say({ type: "hello", v: 1, client: "stranger-1", user });
    await new Promise((welcome) => socket.on("message", (data) => welcome(stranger.heard.push(String(data)))));
    return stranger;
  }

  say(message: object | string): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  draw(object: object): void {
    this.say({ type: "object-create", op: ++this.op, object });
  }

  leave(): void {
    this.socket.terminate();
  }
}

const TRAP = { valueOf: 1, toString: 1 };

test("presence of anything: the list of people goes on telling who comes and goes", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/presence`, "Ada");
  const good = await guest(cluster.url(1), "presence", "Good Person", "#1f74a8");
  // The list has everybody. Of the faces in the bar a narrow page shows few.
  const names = (): Promise<string[]> => ada.see("person").evaluateAll((rows) => rows.map((row) => row.querySelector("b")!.textContent!));
  const evil = await Stranger.at(cluster.url(1), "presence", { name: "<img src=x onerror=alert(1)>", color: "red;background:url(http://x.test)" });
  await eventually("both are shown", async () => (await names()).length === 2);
  await ada.see("drawer-toggle").click();
  for (const state of [
    { bot: TRAP }, { bot: null, instance: TRAP }, { instance: null, selection: { length: 5 } }, { selection: [TRAP, null, 7] }, { view: { x: TRAP } }, { view: { x: "1", y: [], w: {}, h: null } },
    { user: TRAP }, { user: { name: TRAP, color: TRAP } }, { user: null }, '{"type":"presence","state":{"__proto__":{"bot":true},"constructor":{"prototype":{"bot":true}}}}',
  ]) {
    evil.say(typeof state === "string" ? state : { type: "presence", state });
    const late = await guest(cluster.url(1), "presence", "Late Comer", "#7a4bc2");
    await eventually(`Late Comer is shown after ${JSON.stringify(state)}`, async () => (await names()).includes("Late Comer"));
    late.close();
    await eventually("and is gone", async () => !(await names()).includes("Late Comer"));
  }
  assert.equal(await ada.page.evaluate(() => ({}) as Record<string, unknown>).then((o) => o.bot), undefined);
  // Following somebody without a view, or with an absurd cursor, leaves the camera where it can be.
  evil.say({ type: "cursor", x: 1e308, y: -1e308 });
  await ada.page.getByRole("button", { name: /onerror/ }).click();
  await ada.page.waitForTimeout(300);
  assert.ok(await ada.page.evaluate(() => [window.scumbleDemo!.camera.x, window.scumbleDemo!.camera.zoom].every(Number.isFinite)));
  evil.leave();
  good.close();
  await ada.leave();
});

test("objects and signals of anything: the page still answers at once, and draws", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/objects`, "Ada");
  await ada.badge("Saved");
  const evil = await Stranger.at(cluster.url(1), "objects", { name: "Eve" });
  evil.draw({ id: "x\"><img src=x onerror=alert(4)>", kind: "note", text: "<svg onload=alert(5)>", color: "url(javascript:alert(6))", x: 1e308, y: -1e308, w: 1e300, h: "1" });
  evil.say('{"type":"object-create","op":100,"object":{"id":"__proto__","kind":"draw","points":[1,{"a":1},null,1e308],"color":"__proto__","__proto__":{"kind":"note"}}}');
  evil.say({ type: "object-create", op: 101, object: { id: "constructor", kind: "toString", color: "constructor", fill: "__proto__", stroke: TRAP, rev: TRAP, from: TRAP, to: "constructor" } });
  for (let i = 0; i < 20; i++) evil.say({ type: "object-create", op: 102 + i, object: { id: `n${i}`, kind: "note", x: i, y: i, w: i % 2 ? 1e6 : 200, h: 20 * (i + 1), text: "W".repeat(8000) } });
  for (let i = 0; i < 300; i++) evil.say({ type: "signal", event: "draft", data: { k: "stroke", o: { id: `g${i % 7}`, kind: "draw" }, at: 1, p: Array(4_000).fill(i) } });
  for (const data of [null, TRAP, [], { k: "map", ids: [TRAP], f: TRAP, t: 1 }, { to: TRAP, n: TRAP, t: TRAP }]) {
    for (const event of ["draft", "probe", "echo"]) evil.say({ type: "signal", event, data });
  }
  await eventually(() => `all of it arrived: ${evil.heard.filter((one) => !one.includes("cursor")).slice(0, 5).join("\n").slice(0, 900)}`, async () => (await ada.objects).length >= 23);
  const longest = await ada.page.evaluate(async () => {
    const gaps: number[] = [];
    for (let i = 0, at = performance.now(); i < 20; i++) {
      await new Promise((done) => setTimeout(done, 20));
      gaps.push(performance.now() - at);
      at = performance.now();
    }
    return Math.max(...gaps);
  });
  assert.ok(longest < 1_000, `the page was stuck for ${longest} ms`);
  const id = await ada.drag("r", [300, 200], [460, 300]);
  await ada.page.keyboard.press("Control+a");
  for (const key of ["ArrowRight", "]", "["]) await ada.page.keyboard.press(key);
  await ada.page.keyboard.press("1");
  assert.ok((await ada.objects).includes(id));
  await ada.badge("Saved");
  evil.leave();
  await ada.leave();
});
