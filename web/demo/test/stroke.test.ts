/** What a stroke of the pencil costs: its points go out once while it is drawn, and once when it is done. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { strokeGesture } from "../src/stroke";
import { annAndBen, at } from "./desk";

test("a stroke of 20 KB costs a few times its size, not its size with every frame", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { h, ann, ben } = await annAndBen();
  Object.assign(ann.app, { style: { color: "ink", fill: "none", stroke: 4 } });
  const before = h.server.received_bytes;
  // A hand that trembles: nothing of it can be left out.
  const place = (i: number): [number, number] => [200 + 150 * Math.cos(i * 0.7) + i / 10, 200 + 150 * Math.sin(i * 0.9)];
  const stroke = strokeGesture(ann.app, at(...place(0)));
  for (let i = 1; i < 1_900; i++) {
    stroke.move(at(...place(i)));
    context.mock.timers.tick(16);
  }
  stroke.end(at(...place(1_900)));
  await h.world.run(1_000);
  const [made] = [...ben.seat.room.objects];
  const size = JSON.stringify(made).length;
  const shown = ann.told.reduce((sum: number, draft) => sum + JSON.stringify({ type: "signal", event: "draft", data: draft }).length, 0);
  const saved = h.server.received_bytes - before;
  console.log(`a stroke of ${size} bytes: ${shown} bytes while it is drawn, ${saved} to save it`);
  assert.ok(size > 20_000, `${size}`);
  assert.ok(shown + saved < 6 * size, `${shown} + ${saved} for ${size}`);
  assert.ok(ann.told.length > 300, "others see it grow");
});
