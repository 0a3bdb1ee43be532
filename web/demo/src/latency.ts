/**
 * How long others are away. A probe is a signal to a few named clients; each answers with its instance; half the round
 * trip is the way there. Sorted by whether they sit on the same server process or on another.
 */

import { idsIn, isPlain, own, stateOf } from "./presence";
import type { Room } from "./room";

const PROBE_EVERY_MS = 500;
/** Asked per round and kind: every answer goes to the whole canvas, so a crowd must not answer at once. */
const PEERS = 3;
const WINDOW = 240;
/** An answer later than this belongs to a connection that was lost in between. */
const LOST_AFTER_MS = 10_000;

export interface Summary {
  n: number;
  p50: number;
  p95: number;
  samples: readonly number[];
}

export interface Probe {
  n: number;
  t: number;
  to: string[];
}

export interface Echo {
  n: number;
  t: number;
  to: string;
  i: string;
}

/** Whether a signal's data is a probe for `client`; what comes from outside is looked at before it is believed. */
export function probeFor(client: string, data: unknown): data is Probe {
  if (!isPlain(data)) return false;
  // More than this page would ask at once is somebody who wants a crowd to shout.
  return idsIn(own(data, "to"), 4 * PEERS).includes(client) && [own(data, "n"), own(data, "t")].every(Number.isFinite);
}

export class Latency {
  private readonly same: number[] = [];
  private readonly cross: number[] = [];
  private timer: ReturnType<typeof setInterval> | undefined;
  private turn = 0;
  /** Told after every sample. */
  onSample: () => void = () => {};

  constructor(private readonly room: Room) {
    room.on("signal", ({ client, event, data }) => {
      if (event === "probe" && probeFor(room.client, data)) {
        room.signal("echo", { n: data.n, t: data.t, to: client, i: room.instance });
      } else if (event === "echo" && isPlain(data)) this.echo(data as unknown as Partial<Echo>);
    });
  }

  /** Probes only while somebody looks. */
  start(): void {
    this.timer ??= setInterval(() => this.probe(), PROBE_EVERY_MS);
    this.probe();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  summaries(): { same: Summary; cross: Summary } {
    return { same: summarize(this.same), cross: summarize(this.cross) };
  }

  private probe(): void {
    const near: string[] = [];
    const far: string[] = [];
    for (const other of this.room.others) {
      const { instance } = stateOf(other);
      if (instance && !other.away) (instance === this.room.instance ? near : far).push(other.client);
    }
    this.turn++;
    const to = [...this.some(near), ...this.some(far)];
    if (to.length > 0) this.room.signal("probe", { n: this.turn, t: round2(performance.now()), to });
  }

  /** A few of them, others each time. */
  private some(clients: string[]): string[] {
    if (clients.length <= PEERS) return clients;
    return Array.from({ length: PEERS }, (_, i) => clients[(this.turn * PEERS + i) % clients.length]!);
  }

  private echo(echo: Partial<Echo>): void {
    if (echo.to !== this.room.client || typeof echo.t !== "number" || typeof echo.i !== "string") return;
    const roundTrip = performance.now() - echo.t;
    if (!(roundTrip >= 0 && roundTrip < LOST_AFTER_MS)) return;
    const samples = echo.i === this.room.instance ? this.same : this.cross;
    samples.push(roundTrip / 2);
    if (samples.length > WINDOW) samples.shift();
    this.onSample();
  }
}

const round2 = (value: number): number => Math.round(value * 100) / 100;

/** Nearest-rank percentiles. */
function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = (p: number): number => sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? NaN;
  return { n: sorted.length, p50: rank(0.5), p95: rank(0.95), samples };
}
