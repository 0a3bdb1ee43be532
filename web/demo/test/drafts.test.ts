/** What others are doing: shown while they do it, and not after they went. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { annAndBen } from "./desk";

const RECT = { id: "a", kind: "rect", x: 0, y: 0, w: 100, h: 60 };
const map = (dx: number, dy: number): object => ({ k: "map", ids: ["a"], f: [0, 0, 100, 60], t: [dx, dy, 100, 60] });

test("whoever goes in the middle of a drag leaves no preview behind", async () => {
  const { ann } = await annAndBen(RECT);
  ann.drafts.receive("ben-client", map(40, 0));
  ann.drafts.receive("cy-client", { k: "shape", o: { id: "new", kind: "rect" } });
  ann.drafts.forgetUnless(() => true);
  assert.deepEqual([ann.scene.get("a")?.x, ann.scene.order().length], [40, 2]);
  ann.drafts.forgetUnless((client) => client === "cy-client");
  assert.deepEqual([ann.scene.get("a")?.x, ann.scene.order().length], [0, 2]);
  ann.drafts.forgetUnless(() => false);
  assert.equal(ann.scene.order().length, 1);
});

test("what two do to one object is shown together, and what one of them wrote takes the place of theirs alone", async () => {
  const { h, ann, ben } = await annAndBen(RECT);
  ann.drafts.receive("ben-client", map(40, 0));
  ann.drafts.receive("cy-client", map(0, 30));
  assert.deepEqual([ann.scene.get("a")?.x, ann.scene.get("a")?.y], [40, 30]);
  ben.seat.room.objects.update("a", { x: 45 });
  await h.world.run(100);
  assert.deepEqual([ann.scene.get("a")?.x, ann.scene.get("a")?.y], [45, 30]);
});
