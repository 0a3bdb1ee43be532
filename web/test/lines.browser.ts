/**
 * The convergence suite on two real processes: straight, and over lines of 20 to 200 KB/s that are far, lose packets, stall
 * and break, while people reload, look at other tabs, and a process is killed. SCUMBLE_LINES_S=<n> plays for n seconds
 * in place of a few, SCUMBLE_SEED=<n> another play.
 */

import { after, before, describe, test } from "node:test";
import { Simulation } from "../client/test/simulation.js";
import { Cluster } from "./cluster.js";
import type { Conditions } from "./line.js";
import { LineGround } from "./line-ground.js";

const SECONDS = Number(process.env.SCUMBLE_LINES_S ?? 6);
const SEED = Number(process.env.SCUMBLE_SEED ?? 1);
/** A step every 30 ms. */
const PAUSE_MS = 60;
const STEPS = Math.ceil((SECONDS * 1000) / (PAUSE_MS / 2));
const LIMITED = { timeout: SECONDS * 1000 + 90_000 };

const LINES: Record<string, Conditions | undefined> = {
  "straight": undefined,
  "at 200 KB/s": { bytesPerS: 200_000, delayMs: 15, loss: 0.01 },
  "at 60 KB/s, far away": { bytesPerS: 60_000, delayMs: 100, loss: 0.01 },
  "at 20 KB/s with losses": { bytesPerS: 20_000, delayMs: 40, loss: 0.03 },
};

let cluster: Cluster;
before(async () => {
  cluster = await Cluster.start(2);
});
after(() => cluster?.stop());

// All at once: most of the time is waiting.
describe("everybody ends with the same, and nothing is lost or doubled", { concurrency: true }, () => {
  for (const [name, conditions] of Object.entries(LINES)) {
    test(name, LIMITED, async () => {
      const ground = await LineGround.prepare(cluster, SEED, conditions);
      try {
        await new Simulation(ground).play({ steps: STEPS, pauseMs: PAUSE_MS });
      } catch (error) {
        console.error(`replay with SCUMBLE_SEED=${SEED}`);
        throw error;
      } finally {
        ground.leave();
      }
    });
  }

  test("while one of the two is killed and comes again", LIMITED, async () => {
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 400));
    await cluster.kill("north");
    await new Promise((resolve) => setTimeout(resolve, 500));
    await cluster.again("north");
  });
});
