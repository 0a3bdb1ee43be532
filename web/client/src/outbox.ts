/**
 * The outbox: one's own ops from the call to the ack. Pure: every method takes an event (and the time, where it
 * matters) and returns effects; no clock, no socket, no storage.
 *
 * Four rules carry it. Ops are numbered when they are made and sent in that order. An op that was ever handed to a
 * socket keeps its number and content until its fate is known, since the server recognises a resend by its number.
 * After a refusal that may pass nothing is sent until everything in flight is answered, then from the refused op on.
 * A number is never used for two contents.
 */

import type { ErrorCode, OpResult } from "./types.js";
import { fits } from "./bounds.js";
import { type Entry, messageOf, objectIdOf, type OpBody, type OutboxEffect } from "./entry.js";
import { Flight } from "./flight.js";
import { composePatches } from "./json.js";
import { Pacer } from "./pacer.js";

/** Refusals that may pass before an op is given up. */
export const MAX_REFUSALS = 3;
/** Updates alone are sent at most this often: 30 a second look smooth, and what waits is merged. */
export const UPDATE_INTERVAL_MS = 33;
const BASE_BACKOFF_MS = 250;
const RETRYABLE: readonly string[] = ["overloaded", "rate-limited", "not-ready"];

const wireKey = (client: string, op: number): string => `${client}/${op}`;

/** Bounds the server gave. */
export interface OutboxLimits {
  readonly maxMessageBytes: number;
  /** 0 for no limit. */
  readonly opsPerS: number;
}

export class Outbox {
  /** Ops to be sent or answered, in order of their numbers. */
  private queue = new Map<number, Entry>();
  /** Failed ops, and ops of a former client id whose fate is not known, by client and number. */
  private readonly aside = new Map<string, Entry>();
  /** The latest queued op of each object: what an update may merge into. */
  private readonly latest = new Map<string, Entry>();
  private readonly flight = new Flight();
  private connected = false;
  private orphans: Entry[] = [];
  private blockedAt: number | undefined;
  private retryAt = 0;
  private readonly pacer = new Pacer();
  private updatesNotBefore = 0;
  /** Unsent ops other than updates: they do not wait for {@link UPDATE_INTERVAL_MS}. */
  private urgent = 0;
  private wake: number | undefined;
  private limits: OutboxLimits = { maxMessageBytes: 64 * 1024, opsPerS: 0 };
  private nextKey = 1;

  constructor(
    public client: string,
    private nextOp = 1,
  ) {}

  /** The first number that was never given out. */
  get next(): number {
    return this.nextOp;
  }

  /** All that is not acked: failed and unresolved first by age, then the queue. O(n). */
  entries(): Entry[] {
    return [...this.aside.values(), ...this.queue.values()].sort((a, b) => a.key - b.key);
  }

  get size(): number {
    return this.aside.size + this.queue.size;
  }

  /** When {@link flush} should run again although nothing happens; `undefined`: only after an event. */
  get wakeAt(): number | undefined {
    return this.connected ? this.wake : undefined;
  }

  /** When the oldest unanswered op was sent. */
  get waitingSince(): number | undefined {
    return this.flight.since;
  }

  /** Takes up what a former page left. Their numbers are fixed: nobody knows which of them were sent. */
  restore(entries: readonly Entry[]): void {
    // By number, not by age: an old op that was retried has a new number.
    for (const entry of [...entries].sort((a, b) => a.op - b.op)) {
      this.nextKey = Math.max(this.nextKey, entry.key + 1);
      entry.attempted = true;
      const former = entry.client !== this.client;
      if (!former) this.nextOp = Math.max(this.nextOp, entry.op + 1);
      if (former || entry.state === "failed") this.aside.set(wireKey(entry.client, entry.op), entry);
      else this.enqueue(entry);
      // The page went before it learnt what became of an op sent under another client id.
      if (former && entry.state !== "failed") this.orphans.push(entry);
    }
  }

  /** Takes a new op. An update merges into the object's latest op if that is an update nobody has sent. */
  add(body: OpBody): { entry: Entry; effects: OutboxEffect[] } {
    const merged = this.mergeInto(body);
    if (merged) return { entry: merged, effects: [{ type: "changed", entry: merged }] };
    const entry = this.made(body, this.nextOp++);
    this.enqueue(entry);
    return { entry, effects: [{ type: "changed", entry }] };
  }

  /** An entry for it. Without a number it is not taken: nothing else will know it. */
  made(body: OpBody, op = 0): Entry {
    const fresh = { attempted: false, committed: false, mayBeContained: false, refusals: 0 };
    return { key: this.nextKey++, client: this.client, op, body, state: "pending", ...fresh };
  }

  private mergeInto(body: OpBody): Entry | undefined {
    if (body.type !== "object-update") return undefined;
    const last = this.latest.get(body.id);
    if (!last || last.attempted || last.body.type !== "object-update") return undefined;
    const patch = composePatches(last.body.patch, body.patch);
    if (!patch) return undefined;
    last.body = { ...last.body, patch };
    return last;
  }

  private enqueue(entry: Entry): void {
    this.queue.set(entry.op, entry);
    const id = objectIdOf(entry.body);
    if (id !== undefined) this.latest.set(id, entry);
    if (!entry.attempted && entry.body.type !== "object-update") this.urgent++;
  }

  private dequeue(entry: Entry): void {
    if (this.queue.get(entry.op) === entry && this.queue.delete(entry.op)) {
      if (!entry.attempted && entry.body.type !== "object-update") this.urgent--;
    }
    const id = objectIdOf(entry.body);
    if (id !== undefined && this.latest.get(id) === entry) this.latest.delete(id);
  }

  /** The connection is up and the server has committed this client's ops up to `ackedOp`. */
  welcome(ackedOp: number, limits: OutboxLimits, now: number): OutboxEffect[] {
    this.lost();
    this.connected = true;
    this.limits = limits;
    this.pacer.start(limits.opsPerS, now);
    this.nextOp = Math.max(this.nextOp, ackedOp + 1);
    let stale = false;
    for (const entry of this.queue.values()) {
      if (entry.op > ackedOp) break;
      if (entry.attempted) entry.committed = true;
      else stale = true;
    }
    // Somebody used these numbers before us under the same id; ours were never sent, so others will do.
    return stale ? this.renumber([...this.queue.values()].filter((entry) => !entry.attempted)) : [];
  }

  /** Gives these entries new numbers at the end, in the order given. */
  private renumber(entries: readonly Entry[]): OutboxEffect[] {
    for (const entry of entries) {
      this.dequeue(entry);
      this.aside.delete(wireKey(entry.client, entry.op));
    }
    return entries.map((entry) => {
      entry.client = this.client;
      entry.op = this.nextOp++;
      entry.attempted = entry.committed = entry.mayBeContained = false;
      entry.state = "pending";
      this.enqueue(entry);
      return { type: "changed", entry };
    });
  }

  /** The connection is gone: everything unanswered will be sent again. */
  lost(): void {
    this.connected = false;
    this.flight.clear();
    this.blockedAt = undefined;
  }

  /** Sends what the window, the server's rate and its refusals allow. */
  flush(now: number): OutboxEffect[] {
    this.wake = undefined;
    const effects: OutboxEffect[] = [];
    if (!this.connected || this.orphans.length > 0 || this.waitsAfterRefusal(now)) return effects;
    let updated = false;
    for (const entry of this.queue.values()) {
      if (this.flight.has(entry.op) || entry.committed) continue;
      if (this.flight.full) break;
      const isUpdate = entry.body.type === "object-update";
      if (isUpdate && !entry.attempted && this.urgent === 0 && now < this.updatesNotBefore) {
        this.wake = this.updatesNotBefore;
        break;
      }
      const waitMs = this.pacer.take(now);
      if (waitMs > 0) {
        this.wake = now + waitMs;
        break;
      }
      this.launch(entry, now, effects);
      updated ||= isUpdate;
    }
    if (updated) this.updatesNotBefore = now + UPDATE_INTERVAL_MS;
    return effects;
  }

  private waitsAfterRefusal(now: number): boolean {
    if (this.blockedAt === undefined) return false;
    // Answers to what was sent behind the refused op are still coming; sent again now, they would be taken for new ones.
    if (this.flight.size > 0) return true;
    if (now < this.retryAt) {
      this.wake = this.retryAt;
      return true;
    }
    this.blockedAt = undefined;
    return false;
  }

  private launch(entry: Entry, now: number, effects: OutboxEffect[]): void {
    const text = messageOf(entry);
    if (text === undefined) {
      effects.push(...this.fail(entry, "bad-message", "it has a value that JSON cannot hold"));
      return;
    }
    if (!fits(text, this.limits.maxMessageBytes)) {
      effects.push(...this.fail(entry, "too-large", `over ${this.limits.maxMessageBytes} bytes`));
      return;
    }
    if (!entry.attempted && entry.body.type !== "object-update") this.urgent--;
    this.flight.launch(entry.op, text.length, now);
    const changed = entry.state !== "sent";
    entry.attempted = true;
    entry.state = "sent";
    effects.push({ type: "send", entry, text });
    if (changed) effects.push({ type: "changed", entry });
  }

  /** The op as the current connection knows it. */
  find(op: number): Entry | undefined {
    return this.queue.get(op) ?? this.aside.get(wireKey(this.client, op));
  }

  /** An `ack` came. */
  ack(op: number, result: OpResult): OutboxEffect[] {
    this.flight.land(op);
    const entry = this.find(op);
    return entry ? this.settle(entry, result) : [];
  }

  /** A whole message of an own op came in the stream. */
  met(client: string, op: number, seq: number): OutboxEffect[] {
    const entry = client === this.client ? this.find(op) : this.aside.get(wireKey(client, op));
    return entry ? this.settle(entry, { seq, status: "ok" }) : [];
  }

  private settle(entry: Entry, result: OpResult): OutboxEffect[] {
    this.remove(entry);
    entry.state = "acked";
    entry.error = undefined;
    return [{ type: "settled", entry, result }];
  }

  private remove(entry: Entry): void {
    this.dequeue(entry);
    this.aside.delete(wireKey(entry.client, entry.op));
    this.orphans = this.orphans.filter((orphan) => orphan !== entry);
  }

  /** An `error` naming an op came. `jitter` is a random number in [0, 1). */
  refused(
    op: number,
    refusal: { code: ErrorCode; message: string; retryAfterMs?: number | undefined },
    now: number,
    jitter: number,
  ): OutboxEffect[] {
    this.flight.land(op);
    const entry = this.queue.get(op);
    if (!entry) return [];
    if (!RETRYABLE.includes(refusal.code)) return this.fail(entry, refusal.code, refusal.message);
    entry.state = "pending";
    // What was in flight behind a refused op is refused with it, through no fault of its own.
    const follows = this.blockedAt !== undefined && op > this.blockedAt;
    if (follows) return [{ type: "changed", entry }];
    entry.refusals++;
    this.blockedAt = op;
    if (entry.refusals >= MAX_REFUSALS) return this.fail(entry, refusal.code, refusal.message);
    const backoff = jitter * BASE_BACKOFF_MS * 2 ** (entry.refusals - 1);
    this.retryAt = now + (refusal.retryAfterMs ?? BASE_BACKOFF_MS) + backoff;
    return [{ type: "changed", entry }];
  }

  private fail(entry: Entry, code: ErrorCode, message: string): OutboxEffect[] {
    this.remove(entry);
    entry.state = "failed";
    entry.committed = false;
    entry.error = { code, message };
    this.aside.set(wireKey(entry.client, entry.op), entry);
    return [{ type: "failed", entry }, ...this.unblockFrom(entry)];
  }

  private unblockFrom(entry: Entry): OutboxEffect[] {
    if (this.blockedAt !== entry.op || entry.client !== this.client) return [];
    this.blockedAt = undefined;
    return this.connected ? [{ type: "unblock" }] : [];
  }

  /** Puts a failed op at the end, under a new number: its old one may be behind others by now. */
  retry(entry: Entry): OutboxEffect[] {
    if (entry.state !== "failed" || !this.aside.has(wireKey(entry.client, entry.op))) return [];
    entry.refusals = 0;
    entry.error = undefined;
    return this.renumber([entry]);
  }

  /** Takes an op back. Nothing happens when it may be on its way already. */
  discard(entry: Entry): OutboxEffect[] {
    const known = this.find(entry.op) === entry || this.aside.has(wireKey(entry.client, entry.op));
    if (!known || entry.committed || (entry.state !== "pending" && entry.state !== "failed")) return [];
    this.remove(entry);
    return [{ type: "discarded", entry }, ...this.unblockFrom(entry)];
  }

  /** A snapshot replaced what the stream had brought: what is not answered yet may be in it. */
  jumped(): void {
    for (const entry of this.queue.values()) {
      if (!entry.attempted) break;
      entry.mayBeContained = true;
    }
  }

  /**
   * The stream has come without a jump to the head that the welcome told, so it has brought every own op that was
   * committed. One that the server counts as done and that did not come was ignored, or refused for good in an answer
   * that was lost. `exists` says whether an object is there.
   */
  caughtUp(exists: (id: string) => boolean): OutboxEffect[] {
    const missing = this.committed().flatMap((entry) => {
      if (entry.mayBeContained) return this.settle(entry, { seq: 0, status: "dup" });
      const change = entry.body.type === "object-update" || entry.body.type === "object-delete" ? entry.body : undefined;
      if (change && !exists(change.id)) return this.settle(entry, { seq: 0, status: "ignored" });
      return this.fail(entry, "refused", "the server refused it for good; its reason was lost with the connection");
    });
    return [...missing, ...this.requeueOrphans(() => false)];
  }

  /**
   * The head is reached after a snapshot. `contains` says whether it shows an op of a former client id; of one it does
   * not show nobody can tell whether it was committed, and guessing would lose or double it.
   */
  snapshotTaken(contains: (entry: Entry) => boolean): OutboxEffect[] {
    const settle = (entry: Entry): OutboxEffect[] => this.settle(entry, { seq: 0, status: "dup" });
    const settled = [...this.committed(), ...this.orphans.filter(contains)].flatMap(settle);
    const told = (entry: Entry): boolean => entry.body.type === "object-create" || entry.body.type === "chat";
    return [...settled, ...this.requeueOrphans((entry) => !told(entry))];
  }

  private committed(): Entry[] {
    const committed: Entry[] = [];
    for (const entry of this.queue.values()) {
      if (!entry.attempted) break;
      if (entry.committed) committed.push(entry);
    }
    return committed;
  }

  private requeueOrphans(unknowable: (entry: Entry) => boolean): OutboxEffect[] {
    if (this.orphans.length === 0) return [];
    const effects = this.orphans
      .filter(unknowable)
      .flatMap((entry) => this.fail(entry, "unknown-outcome", "it may have been committed before the client id changed"));
    const unsent = [...this.queue.values()];
    const again = this.orphans;
    this.orphans = [];
    return [...effects, ...this.renumber([...again, ...unsent])];
  }

  /** Somebody else uses this client id: goes on under another. Ops that were sent wait until their fate is known. */
  changeClient(client: string): OutboxEffect[] {
    this.lost();
    const queued = [...this.queue.values()];
    const sent = queued.filter((entry) => entry.attempted);
    for (const entry of sent) {
      this.dequeue(entry);
      this.aside.set(wireKey(entry.client, entry.op), entry);
    }
    this.orphans.push(...sent);
    this.client = client;
    this.nextOp = 1;
    return this.renumber(queued.filter((entry) => !entry.attempted));
  }
}
