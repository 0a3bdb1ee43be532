/** The page's undo among others, over the library with the model server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Harness, type Seat } from "../../client/test/harness.js";
import type { History } from "../src/history";
import { historyOf } from "./desk";

/** Ann and Ben see the object; every message takes 50 ms. */
async function annAndBen(): Promise<{ h: Harness; ann: Seat; ben: Seat; history: History }> {
  const h = new Harness();
  const [ann, ben] = [h.open("ann-client"), h.open("ben-client")];
  const history = historyOf(ann);
  await h.world.run(100);
  ben.room.objects.create({ id: "a", kind: "rect", x: 0, y: 0 });
  await h.world.run(100);
  h.world.latency = () => 50;
  return { h, ann, ben, history };
}

for (const how of ["at the same moment", "while one was away", "while one was away for longer than messages are kept"]) {
  test(`over the library: undo of a change made ${how} as somebody else's gives theirs back`, async () => {
    const { h, ann, ben, history } = await annAndBen();
    if (how !== "at the same moment") ann.room.cut(1_000);
    ben.room.objects.update("a", { x: 5 });
    await h.world.run(10);
    history.group("Move", () => history.update("a", { x: 10, y: 1 }));
    if (how.endsWith("kept")) await h.world.run(300), h.server.forget(h.server.head);
    await h.world.run(3_000);
    for (const { room } of [ann, ben]) assert.deepEqual([room.objects.get("a")?.x, room.outbox.length], [10, 0], "Ann's came later");
    assert.deepEqual(history.undo(), { label: "Move", done: true });
    await h.world.run(1_000);
    for (const { room } of [ann, ben]) assert.deepEqual(room.objects.get("a"), { id: "a", kind: "rect", x: 5, y: 0 });
    history.redo();
    await h.world.run(1_000);
    for (const { room } of [ann, ben]) assert.deepEqual(room.objects.get("a"), { id: "a", kind: "rect", x: 10, y: 1 });
  });
}

test("over the library: the same for a delete, and theirs stands when it was committed later", async () => {
  const { h, ann, ben, history } = await annAndBen();
  ben.room.objects.update("a", { x: 5 });
  await h.world.run(10);
  history.group("Delete", () => history.remove("a"));
  await h.world.run(1_000);
  assert.equal(ben.room.objects.size, 0);
  history.undo();
  await h.world.run(1_000);
  assert.deepEqual(ben.room.objects.get("a"), { id: "a", kind: "rect", x: 5, y: 0 });
  history.group("Move", () => history.update("a", { x: 10 }));
  await h.world.run(10);
  ben.room.objects.update("a", { x: 6 });
  await h.world.run(1_000);
  assert.deepEqual(history.undo(), { label: "Move", done: false }, "nothing of the move is left");
  await h.world.run(1_000);
  for (const { room } of [ann, ben]) assert.equal(room.objects.get("a")?.x, 6);
});
