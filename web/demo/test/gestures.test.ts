/** Two people with their hands on one object: each gesture writes what it changed, and shows what it will write. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { nudge } from "../src/edit";
import { lineEndGesture, moveGesture, resizeGesture } from "../src/gestures";
import { annAndBen, at, type Desk } from "./desk";

const RECT = { id: "a", kind: "rect", x: 0, y: 0, w: 100, h: 60 };

function select(desk: Desk): Desk["app"] {
  desk.app.selection.set(["a"]);
  return desk.app;
}

/** What everybody has in the end. */
async function agreed({ h, ann, ben }: Awaited<ReturnType<typeof annAndBen>>): Promise<Record<string, unknown>> {
  await h.world.run(1_000);
  const [a, b] = [ann, ben].map(({ seat }) => seat.room.objects.get("a"));
  assert.deepEqual(a, b);
  for (const { scene } of [ann, ben]) assert.deepEqual({ ...scene.get("a"), ...a }, scene.get("a"), "it is shown as it is");
  const { id, kind, ...rest } = a!;
  return rest;
}

test("a move leaves the size that somebody else gave meanwhile", async () => {
  const both = await annAndBen(RECT);
  const move = moveGesture(select(both.ann), at(50, 30), "a");
  move.move(at(70, 30));
  const resize = resizeGesture(select(both.ben), at(100, 60), { sx: 1, sy: 1 });
  resize.move(at(150, 90));
  resize.end(at(150, 90));
  await both.h.world.run(200);
  assert.deepEqual(both.ann.scene.get("a")?.w, 150, "it shows through while the move goes on");
  move.move(at(90, 30));
  move.end(at(90, 30));
  assert.deepEqual(await agreed(both), { x: 40, y: 0, w: 150, h: 90 });
});

test("one drags sideways, one down: both count", async () => {
  const both = await annAndBen(RECT);
  const [ann, ben] = [moveGesture(select(both.ann), at(50, 30), "a"), moveGesture(select(both.ben), at(40, 20), "a")];
  ann.move(at(130, 30));
  ben.move(at(40, 90));
  ann.end(at(130, 30));
  await both.h.world.run(200);
  ben.end(at(40, 90));
  assert.deepEqual(await agreed(both), { x: 80, y: 70, w: 100, h: 60 });
});

test("both drag the same way: it is where the last one put it, not the sum", async () => {
  const both = await annAndBen(RECT);
  const [ann, ben] = [moveGesture(select(both.ann), at(50, 30), "a"), moveGesture(select(both.ben), at(40, 20), "a")];
  ann.move(at(150, 30));
  ben.move(at(70, 20));
  ann.end(at(150, 30));
  await both.h.world.run(200);
  assert.equal(both.ben.scene.get("a")?.x, 30, "it does not jump under Ben's hand");
  ben.move(at(80, 20));
  ben.end(at(80, 20));
  assert.deepEqual(await agreed(both), { x: 40, y: 0, w: 100, h: 60 });
});

test("a side is pulled while somebody drags the object away: it is there, and that wide", async () => {
  const both = await annAndBen(RECT);
  const drag = moveGesture(select(both.ben), at(50, 30), "a");
  drag.move(at(250, 80));
  // Ann sees Ben's drag, and takes hold of the side where she sees it.
  both.ann.drafts.receive("ben-client", { k: "map", ids: ["a"], f: [0, 0, 100, 60], t: [200, 50, 100, 60] });
  const resize = resizeGesture(select(both.ann), at(300, 80), { sx: 1, sy: 0 });
  resize.move(at(350, 80));
  const { x, y, w } = both.ann.scene.get("a")!;
  assert.deepEqual([x, y, w], [200, 50, 150], "both are shown");
  resize.end(at(350, 80));
  await both.h.world.run(200);
  drag.move(at(260, 80));
  drag.end(at(260, 80));
  assert.deepEqual(await agreed(both), { x: 210, y: 50, w: 150, h: 60 });
});

test("pulling one end of a line leaves the other where somebody put the line, and odd numbers as they are", async () => {
  const both = await annAndBen({ id: "a", kind: "line", x: 0.123, y: 0, w: 100, h: 0.456 });
  const end = lineEndGesture(both.ann.app, both.ann.scene.get("a")!, 1);
  both.ben.seat.room.objects.update("a", { y: 40 });
  end.move(at(150.123, 0.456));
  end.end(at(150.123, 0.456));
  assert.deepEqual(await agreed(both), { x: 0.123, y: 40, w: 150, h: 0.456 });
});

test("an arrow key moves along its axis only", async () => {
  const both = await annAndBen(RECT);
  both.ben.seat.room.objects.update("a", { y: 40 });
  nudge(select(both.ann), 10, 0);
  assert.deepEqual(await agreed(both), { x: 10, y: 40, w: 100, h: 60 });
});
