/**
 * The convergence suite on the model server in virtual time: over a perfect line, and over bad ones while people look at
 * other tabs; over WebSockets, and over streams of events with posts that are lost. A failure names its seed;
 * SCUMBLE_SEED=<n> plays that one alone, SCUMBLE_SEEDS=<n> more.
 */

import { test } from "node:test";
import { type Conditions, ModelGround } from "./model-ground.js";
import type { TransportOption } from "../src/types.js";
import { Simulation } from "./simulation.js";

const STEPS = 250;
const one = process.env.SCUMBLE_SEED;
const seeds = (count: number): number[] => (one ? [Number(one)] : Array.from({ length: Number(process.env.SCUMBLE_SEEDS ?? count) }, (_, i) => i + 1));

async function play(seed: number, line?: Conditions, transport?: TransportOption): Promise<void> {
  try {
    await new Simulation(new ModelGround(seed, line, transport)).play({ steps: STEPS, pauseMs: line ? 400 : 60 });
  } catch (error) {
    console.error(`replay with SCUMBLE_SEED=${seed}`);
    throw error;
  }
}

for (const seed of seeds(40)) test(`random interleavings, seed ${seed}`, () => play(seed));

for (const seed of seeds(40)) test(`random interleavings over streams of events, seed ${seed}`, () => play(seed, undefined, "sse"));

const LINES: Record<string, Conditions> = {
  "200 KB/s": { bytesPerS: 200_000, roundTripMs: 60, loss: 0.01, tabs: true },
  "60 KB/s, far away": { bytesPerS: 60_000, roundTripMs: 300, loss: 0.02, tabs: true },
  "20 KB/s with many losses": { bytesPerS: 20_000, roundTripMs: 150, loss: 0.08, tabs: true },
};
for (const [name, line] of Object.entries(LINES)) {
  for (const seed of seeds(8)) test(`random interleavings and other tabs at ${name}, seed ${seed}`, () => play(seed, line));
  for (const seed of seeds(4)) test(`the same over streams of events at ${name}, seed ${seed}`, () => play(seed, line, "sse"));
}
