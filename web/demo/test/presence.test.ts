/** Others' words about themselves: what is not what it should be counts as not said. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { freeColor } from "../src/colors";
import { probeFor } from "../src/latency";
import { inkOf, PEOPLE, personColor } from "../src/palette";
import { nameOf } from "../src/people";
import { cleanName, shortName, stateOf } from "../src/presence";
import { toShape } from "../src/scene";
import type { Other } from "../src/room";
import { annAndBen } from "./desk";

const state = (text: string): ReturnType<typeof stateOf> => stateOf({ state: JSON.parse(text) as Other["state"] });
const NOTHING = { selection: [], view: undefined, instance: "", bot: false };

test("a presence state of anything gives values of the right types, or none", () => {
  for (const hostile of ['{"valueOf":1,"toString":1}', "1", '"x"', "null", "[]", "[[[[[[[[]]]]]]]]", "true", '{"length":5}', "1e308", '{"x":{"valueOf":1}}']) {
    const all = JSON.stringify({ selection: 0, view: 0, instance: 0, bot: 0 }).replaceAll("0", hostile);
    const { selection, view, instance, bot } = state(all);
    assert.deepEqual([selection, view], [[], undefined], hostile);
    assert.equal(typeof instance, "string");
    assert.equal(bot, hostile === "true");
  }
  for (const whole of ["null", "[]", "1", '"x"', '{"__proto__":{"bot":true,"instance":"north","selection":["a"]}}']) {
    assert.deepEqual(state(whole), NOTHING, whole);
  }
  assert.deepEqual(state('{"selection":["a",1,{"toString":1},"",null,"b"]}').selection, ["a", "b"]);
  assert.equal(state(JSON.stringify({ selection: Array.from({ length: 5_000 }, () => "a") })).selection.length, 100);
  assert.deepEqual(state('{"view":{"x":1e300,"y":-2,"w":10,"h":5}}').view, { x: 1e6, y: -2, w: 10, h: 5 });
  for (const view of ['{"x":0,"y":0,"w":0,"h":5}', '{"x":"0","y":0,"w":1,"h":5}', '{"x":null,"y":0,"w":1,"h":5}']) assert.equal(state(`{"view":${view}}`).view, undefined, view);
  assert.equal(state(`{"instance":"${"x".repeat(5_000)}"}`).instance.length, 40);
});

test("names are one line of text that reads from left to right, and colours can be seen", () => {
  assert.equal(cleanName(" Ada\n\tLovelace "), "Ada Lovelace");
  assert.equal(cleanName("Ada\u202eevE"), "Ada evE");
  assert.equal(cleanName("\u200b\u2066 "), undefined);
  for (const no of [1, null, {}, [], { toString: 1 }]) assert.equal(cleanName(no), undefined);
  assert.equal([...cleanName("😀".repeat(100))!].length, 40);
  assert.equal(nameOf({ client: "c", user: { name: { toString: 1 } } as never }), "Guest");
  for (const no of ["red", "#ffffff00", "#1234", "url(x)", "constructor", 1, null, "#12345", "__proto__"]) assert.ok(PEOPLE.includes(personColor(no, "key")), String(no));
  assert.equal(personColor("#AbCdEf", "key"), "#abcdef");
  for (const name of ["constructor", "__proto__", "toString"]) assert.equal(inkOf(name).line, inkOf("ink").line);
});

test("a process's name is short", () => {
  assert.equal(shortName("north"), "north");
  assert.equal(shortName("0f8b2c1e-1111-4222-8333-444455556666"), "0f8b2c1e");
  assert.equal(shortName("relay-of-the-far-east-17"), "relay-of…ast-17");
});

const other = (client: string, color: string, bot = false): Other => ({ client, user: { color }, state: { bot }, away: false });

test("who has somebody else's colour gets one that nobody has, while there is one", () => {
  const [a, b] = PEOPLE as [string, string];
  assert.equal(freeColor(a, [other("x", b)], 0), undefined, "nobody else has it");
  const free = freeColor(a, [other("x", a), other("y", b)], 3)!;
  assert.ok(PEOPLE.includes(free) && ![a, b].includes(free));
  const all = PEOPLE.map((color, i) => other(`c${i}`, color));
  assert.equal(freeColor(a, all, 0), undefined, "all are taken alike");
  assert.notEqual(freeColor(a, [...all, other("z", a)], 0), a, "one that fewer have");
  const bots = PEOPLE.slice(1).map((color, i) => other(`b${i}`, color, true));
  assert.ok(freeColor(a, [other("x", a), ...bots], 0), "a bot's rather than a person's");
});

test("whom a probe asks is named in a short list", () => {
  assert.ok(probeFor("me", { n: 1, t: 2, to: ["me"] }));
  for (const no of [null, 1, [], {}, { n: 1, t: 2, to: "me" }, { n: "1", t: 2, to: ["me"] }, { n: 1, t: null, to: ["me"] }, { n: 1, t: 2, to: [...Array(50).fill("x"), "me"] }]) {
    assert.equal(probeFor("me", no), false, JSON.stringify(no));
  }
});

test("drafts of anything show what is sound in them, and never throw", async () => {
  const { ann } = await annAndBen({ id: "a", kind: "rect", x: 0, y: 0, w: 100, h: 60 });
  const trap = { toString: 1, valueOf: 1 };
  for (const data of [
    null, 1, "map", [], trap, { k: trap }, { k: "map", ids: [trap, "a"], f: [0, 0, 1, 1], t: [0, 0, NaN, 1] }, { k: "map", ids: trap, f: [0, 0, 1, 1], t: [0, 0, 1, 1] },
    { k: "map", ids: ["a"], f: [0, 0, 1e-300, 1e-300], t: [1e308, 0, 1e308, 1e308] }, { k: "shape", o: { id: trap, kind: "rect" } }, { k: "shape", o: { id: "a", kind: trap } },
    { k: "stroke", o: { id: "g", kind: "draw" }, at: trap, p: [trap, null, "1", 1e308] }, { k: "end", extra: trap },
  ]) {
    ann.drafts.receive("evil-client", data);
    for (const { shape, painted } of ann.scene.order()) {
      for (const value of [shape.x, shape.y, shape.w, shape.h, painted.x, painted.w]) assert.ok(Number.isFinite(value) && Math.abs(value) < 1e8, JSON.stringify(data));
    }
  }
  for (let i = 0; i < 100; i++) ann.drafts.receive("evil-client", { k: "stroke", o: { id: "g", kind: "draw" }, at: 1, p: Array(9_000).fill(i) });
  const ghost = ann.scene.order().find(({ shape }) => shape.id === "g")!;
  assert.ok(ghost.shape.points.length <= 12_000, "a preview has a bound");
});

test("objects of anything are shown as something", () => {
  for (const raw of [
    { id: "a" }, { id: "a", kind: { toString: 1 } }, { id: "a", kind: "toString", x: "1", y: null, w: 1e308, h: -1e308, z: 1e308 },
    { id: "a", kind: "draw", points: [1, { a: 1 }, null, 1e308, "7"] }, { id: "a", kind: "note", text: { length: 5 }, color: [], size: "big", stroke: { valueOf: 1 }, fill: {} },
  ]) {
    const shape = toShape(raw);
    for (const value of [shape.x, shape.y, shape.w, shape.h, shape.size, shape.stroke, shape.z, ...shape.points]) assert.ok(Number.isFinite(value), JSON.stringify(raw));
    assert.deepEqual([typeof shape.text, typeof shape.color], ["string", "string"]);
  }
});
