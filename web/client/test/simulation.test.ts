/**
 * Seeded random interleavings of calls, acks, drops, reloads, remote edits, refusals, resumes, snapshots and gaps
 * against the model server. A failure names its seed; SCUMBLE_SEED=<n> plays that one alone, SCUMBLE_SEEDS=<n> more.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpBody } from "../src/entry.js";
import type { Op } from "../src/types.js";
import { Harness, type Seat } from "./harness.js";
import { seeded } from "./world.js";

const STEPS = 250;
const SEEDS = process.env.SCUMBLE_SEED ? [Number(process.env.SCUMBLE_SEED)] : Array.from({ length: Number(process.env.SCUMBLE_SEEDS ?? 40) }, (_, i) => i + 1);

interface Told {
  token: string;
  client: number;
  op: Op;
}

function tokenOf(body: OpBody): string {
  return body.type === "chat" ? body.text : body.type === "broadcast" ? String(body.data) : "";
}

class Simulation {
  readonly random: () => number;
  readonly harness: Harness;
  readonly seats: Seat[];
  readonly told: Told[] = [];
  /** Tokens the server refused for good. The refusal may be lost with the connection. */
  private readonly refusedForGood = new Set<string>();
  private faults = true;
  private tokens = 0;
  private readonly ids = ["a", "b", "c", "d", "e"];

  constructor(seed: number) {
    this.random = seeded(seed);
    this.harness = new Harness(this.random);
    const { world, server } = this.harness;
    world.latency = () => 1 + Math.floor(this.random() * 40);
    server.refuse = (op) => this.maybeRefuse(op);
    server.loseAck = () => this.faults && this.random() < 0.04;
    server.skip = () => this.faults && this.random() < 0.01;
    server.snapshotLag = () => Math.floor(this.random() * 4);
    this.seats = ["alpha-0001", "bravo-0001", "gamma-0001"].map((client) => this.harness.open(client));
  }

  private maybeRefuse(body: OpBody): { code: string; retry_after_ms?: number } | undefined {
    if (!this.faults) return undefined;
    const dice = this.random();
    if (dice < 0.08) return { code: this.random() < 0.5 ? "overloaded" : "rate-limited", retry_after_ms: Math.floor(this.random() * 200) };
    if (dice >= 0.1) return undefined;
    this.refusedForGood.add(tokenOf(body));
    return { code: "forbidden" };
  }

  private pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)] as T;
  }

  private call(index: number): void {
    const { room } = this.seats[index] as Seat;
    const token = `t${++this.tokens}`;
    const id = this.pick(this.ids);
    const dice = this.random();
    if (dice < 0.2) room.objects.create({ id, kind: "rect", by: token });
    else if (dice < 0.65) room.objects.update(id, { [this.pick(["x", "y", "deep"])]: this.random() < 0.2 ? { [token]: 1 } : token });
    else if (dice < 0.75) room.objects.delete(id);
    else this.told.push({ token, client: index, op: dice < 0.9 ? room.chat.send(token) : room.broadcast("event", token) });
  }

  private disturb(index: number): void {
    const { server } = this.harness;
    const seat = this.seats[index] as Seat;
    const dice = this.random();
    if (dice < 0.3) seat.page.line?.cut();
    else if (dice < 0.45) this.harness.reload(seat);
    else if (dice < 0.6) server.forget(server.head - Math.floor(this.random() * 3));
    else if (dice < 0.7) server.resync(seat.room.client);
    else if (dice < 0.8) server.connOf(seat.room.client)?.line.closeAfter(this.pick([4503, 4504, 4413, 1001]));
    else if (dice < 0.9) seat.room.outbox.filter((op) => op.state === "failed").forEach((op) => op.retry());
    else server.commit("somebody-else", { type: "object-update", id: this.pick(this.ids), patch: { x: `s${++this.tokens}` } });
  }

  async play(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      const index = Math.floor(this.random() * this.seats.length);
      if (this.random() < 0.85) this.call(index);
      else this.disturb(index);
      await this.harness.world.run(Math.floor(this.random() * 60));
      this.checkConfirmed();
    }
    this.faults = false;
    await this.harness.world.run(60_000);
    this.checkEnd();
  }

  /** What a client holds as confirmed is the server's state at exactly that seq, whatever happens. */
  private checkConfirmed(): void {
    const { states } = this.harness.server;
    for (const { room } of this.seats) {
      if (!room.epoch) continue;
      const held = this.ids.map((id) => room.objects.confirmed(id));
      const all = JSON.parse(states.get(`${room.epoch}/${room.seq}`) ?? "null") as { id: string }[];
      assert.deepEqual(held, this.ids.map((id) => all.find((object) => object.id === id)), `confirmed at ${room.seq}`);
    }
  }

  private checkEnd(): void {
    const { server } = this.harness;
    const texts = server.history.map(({ body }) => tokenOf(body));
    for (const { room } of this.seats) {
      assert.equal(room.sync, "synchronized");
      assert.deepEqual(room.outbox.filter((op) => op.state !== "failed"), []);
      assert.deepEqual([...room.objects], [...server.objects.values()], "shown, in the server's order");
      assert.equal(room.objects.size, server.objects.size);
      const shown = room.chat.messages.filter((m) => m.state === "acked").map((m) => m.text);
      assert.deepEqual(shown, (server.chat as { text: string }[]).map((m) => m.text).slice(-shown.length));
      assert.equal(shown.length, server.chat.length);
    }
    for (const { token, op } of this.told) {
      const times = texts.filter((text) => text === token).length;
      // The handle of an op does not survive a reload: what it says last is then "pending", "sent" or "failed".
      assert.ok(times <= 1, `${token} is there ${times} times`);
      // Where a snapshot hides the lost refusal, the server itself answers "dup".
      if (op.state === "acked" && !this.refusedForGood.has(token)) assert.equal(times, 1, `${token} was acked`);
    }
    this.checkNothingLost(texts);
    this.checkNumbers();
  }

  /** Whatever is neither in the log nor failed in somebody's outbox is lost. */
  private checkNothingLost(texts: string[]): void {
    const failed = new Set<string>();
    for (const { store } of this.seats) {
      for (const { body, state } of store.ops.values()) {
        assert.equal(state, "failed", "nothing but failed ops is left in the store");
        failed.add(tokenOf(body));
      }
    }
    for (const { token } of this.told) {
      if (this.refusedForGood.has(token)) assert.ok(!(texts.includes(token) && failed.has(token)), `${token} is both`);
      else assert.ok(texts.includes(token) !== failed.has(token), `${token} is lost or both`);
    }
  }

  private checkNumbers(): void {
    const last = new Map<string, number>();
    for (const { client, op } of this.harness.server.history) {
      assert.ok(op > (last.get(client) ?? 0), "numbers increase");
      last.set(client, op);
    }
  }
}

for (const seed of SEEDS) {
  test(`random interleavings, seed ${seed}`, async () => {
    try {
      await new Simulation(seed).play();
    } catch (error) {
      console.error(`replay with SCUMBLE_SEED=${seed}`);
      throw error;
    }
  });
}
