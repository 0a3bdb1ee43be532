/**
 * The convergence suite: seeded random calls on several rooms at once, with whatever the ground disturbs them by, and what
 * must be true during and after. The ground is the model server in virtual time, or real processes over real lines.
 */

import assert from "node:assert/strict";
import type { OpBody } from "../src/entry.js";
import type { Room } from "../src/room.js";
import type { CanvasObject, Op } from "../src/types.js";
import type { DurableStore } from "./harness.js";

/** Somebody at a page. A reload puts another room here; the store stays. */
export interface Seated {
  room: Room;
  readonly store: DurableStore;
}

/** An op of the log. */
export interface Committed {
  readonly client: string;
  readonly op: number;
  readonly body: OpBody;
}

export interface Ground {
  readonly random: () => number;
  readonly seats: readonly Seated[];
  /** Ids that everybody works on. */
  readonly ids: readonly string[];
  /** Tokens that were refused for good. The refusal may be lost with the connection. */
  readonly refusedForGood: ReadonlySet<string>;
  /** The same of all ops, as client/op. */
  readonly refusedOps: ReadonlySet<string>;
  wait(ms: number): Promise<void>;
  /** Something happens to a seat, its line, or the server. */
  disturb(index: number): unknown;
  /** No more of that; returns when everybody has had the time to have everything. */
  settle(): Promise<void>;
  /** The canvas right after a message, where that is known. */
  stateAt(epoch: string, seq: number): readonly CanvasObject[] | undefined;
  /** The canvas now, in the server's order. */
  objects(): readonly CanvasObject[];
  /** Everything ever committed. */
  log(): readonly Committed[];
  /** Pads what is written, so that a slow line is felt. */
  padding(): string;
}

export interface Length {
  readonly steps: number;
  /** Between two of them at most, ms. */
  readonly pauseMs: number;
}

interface Told {
  token: string;
  op: Op;
}

/** What somebody held as confirmed, to be compared once the log is known so far. */
interface Held {
  epoch: string;
  seq: number;
  objects: (CanvasObject | undefined)[];
}

export function tokenOf(body: OpBody): string {
  return body.type === "chat" ? body.text : body.type === "broadcast" ? String(body.data) : "";
}

export class Simulation {
  private readonly told: Told[] = [];
  private readonly later: Held[] = [];
  private tokens = 0;

  constructor(private readonly ground: Ground) {}

  private pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.ground.random() * items.length)] as T;
  }

  private call({ room }: Seated): void {
    const { random } = this.ground;
    const token = `t${++this.tokens}`;
    const id = this.pick(this.ground.ids);
    const dice = random();
    const pad = this.ground.padding();
    if (dice < 0.2) room.objects.create({ id, kind: "rect", by: token, ...(pad && { pad }) });
    else if (dice < 0.65) room.objects.update(id, { [this.pick(["x", "y", "deep"])]: random() < 0.2 ? { [token]: 1 } : token + pad });
    else if (dice < 0.75) room.objects.delete(id);
    else this.told.push({ token, op: dice < 0.9 ? room.chat.send(token) : room.broadcast("event", token) });
  }

  async play({ steps, pauseMs }: Length): Promise<void> {
    const { ground } = this;
    for (let step = 0; step < steps; step++) {
      const index = Math.floor(ground.random() * ground.seats.length);
      if (ground.random() < 0.85) this.call(ground.seats[index] as Seated);
      else await ground.disturb(index);
      await ground.wait(Math.floor(ground.random() * pauseMs));
      this.checkConfirmed();
    }
    await ground.settle();
    this.checkEnd();
  }

  /** What a client holds as confirmed is the server's state at exactly that seq, whatever happens. */
  private checkConfirmed(): void {
    const { ground } = this;
    for (const { room } of ground.seats) {
      if (!room.epoch) continue;
      const held = { epoch: room.epoch, seq: room.seq, objects: ground.ids.map((id) => room.objects.confirmed(id)) };
      if (!this.isRight(held)) this.later.push(structuredClone(held));
    }
  }

  /** False where it is not known yet. */
  private isRight({ epoch, seq, objects }: Held): boolean {
    const { ground } = this;
    const all = ground.stateAt(epoch, seq);
    if (!all) return false;
    assert.deepEqual(objects, ground.ids.map((id) => all.find((object) => object.id === id)), `confirmed at ${seq}`);
    return true;
  }

  private checkEnd(): void {
    const { ground } = this;
    for (const held of this.later) assert.ok(this.isRight(held), `${held.seq} of ${held.epoch} is known`);
    const log = ground.log();
    const texts = log.map(({ body }) => tokenOf(body));
    const chat = log.filter(({ body }) => body.type === "chat").map(({ body }) => tokenOf(body));
    for (const { room } of ground.seats) {
      assert.equal(room.sync, "synchronized");
      assert.deepEqual(room.outbox.filter((op) => op.state !== "failed"), []);
      assert.deepEqual([...room.objects], ground.objects(), "shown, in the server's order");
      const shown = room.chat.messages.filter((m) => m.state === "acked").map((m) => m.text);
      assert.deepEqual(shown, chat);
    }
    for (const { token, op } of this.told) {
      const times = texts.filter((text) => text === token).length;
      // The handle of an op does not survive a reload: what it says last is then "pending", "sent" or "failed".
      assert.ok(times <= 1, `${token} is there ${times} times`);
      // Where a snapshot hides the lost refusal, the server itself answers "dup".
      if (op.state === "acked" && !ground.refusedForGood.has(token)) assert.equal(times, 1, `${token} was acked`);
    }
    this.checkNothingLost(texts);
    this.checkNumbers();
  }

  /** Whatever is neither in the log nor failed in somebody's outbox is lost. */
  private checkNothingLost(texts: string[]): void {
    const failed = new Set<string>();
    for (const { store } of this.ground.seats) {
      for (const { client, op, body, state, error } of store.ops.values()) {
        assert.equal(state, "failed", "nothing but failed ops is left in the store");
        const known = error?.code === "unknown-outcome" || this.ground.refusedOps.has(`${client}/${op}`);
        assert.ok(known, `${JSON.stringify(body).slice(0, 200)} failed for want of a refusal: ${JSON.stringify(error)}`);
        failed.add(tokenOf(body));
      }
    }
    for (const { token } of this.told) {
      if (this.ground.refusedForGood.has(token)) assert.ok(!(texts.includes(token) && failed.has(token)), `${token} is both`);
      else assert.ok(texts.includes(token) !== failed.has(token), `${token} is lost or both`);
    }
  }

  private checkNumbers(): void {
    const last = new Map<string, number>();
    for (const { client, op } of this.ground.log()) {
      assert.ok(op > (last.get(client) ?? 0), "numbers increase");
      last.set(client, op);
    }
  }
}
