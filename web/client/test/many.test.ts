/** Many objects at once: what others see of a drag of hundreds, and how long an import takes, by the window alone. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Harness } from "./harness.js";

for (const [roundTripMs, hertz] of [[2, 25], [100, 12]] as const) {
  test(`of 300 dragged objects others see each ${hertz} times a second and more, at a round trip of ${roundTripMs} ms`, async () => {
    const h = new Harness();
    h.server.keepsStates = false;
    h.world.latency = () => roundTripMs / 2;
    const [a, b] = [h.open("alpha-0001"), h.open("bravo-0001")];
    await h.world.run(500);
    const ids = Array.from({ length: 300 }, (_, i) => `o${i}`);
    a.room.batch(() => ids.forEach((id) => a.room.objects.create({ id, kind: "rect", x: 0 })));
    await h.world.run(1_000);
    let seen = 0;
    let torn = 0;
    b.room.on("objects", ({ changes }) => (seen += changes.length));
    const SECONDS = 1;
    for (let ms = 0; ms < SECONDS * 1000; ms += 16) {
      for (const id of ids) a.room.objects.update(id, { x: ms + 1, t: ms });
      await h.world.run(16);
      const times = [...b.room.objects].map(({ t }) => Number(t ?? 0));
      if (ms > 300) torn = Math.max(torn, Math.max(...times) - Math.min(...times));
    }
    assert.ok(seen / SECONDS / 300 >= hertz, `${(seen / SECONDS / 300).toFixed(1)} a second`);
    assert.ok(torn <= 100, `what belongs together is ${torn} ms apart`);
    await h.world.run(500);
    assert.deepEqual(a.room.outbox, []);
  });
}

test("2,000 objects are imported in less than a second at a round trip of 100 ms", async () => {
  const h = new Harness();
  h.server.keepsStates = false;
  h.world.latency = () => 50;
  const { room } = h.open("alpha-0001");
  await h.world.run(500);
  room.batch(() => {
    for (let i = 0; i < 2_000; i++) room.objects.create({ kind: "rect", x: i, y: i, w: 100, h: 50, fill: "#ff0000" });
  });
  await h.world.run(990);
  assert.deepEqual([h.server.objects.size, room.outbox.length], [2_000, 0]);
});
