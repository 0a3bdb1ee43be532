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
import { Aside } from "./aside.js";
import { fits } from "./bounds.js";
import { composedTails } from "./edits.js";
import { type Entry, messageOf, objectIdOf, type OpBody, type OutboxEffect } from "./entry.js";
import { Flight } from "./flight.js";
import { composePatches } from "./json.js";
import { BASE_BACKOFF_MS, committedOf, isEdit, MAX_BACKOFF_MS, MAX_BATCH_OPS, type OutboxLimits, RETRYABLE, UPDATE_INTERVAL_MS } from "./outbox-limits.js";
import { Pacer } from "./pacer.js";
import { patience } from "./reconnect.js";

export class Outbox {
  /** Ops to be sent or answered, in order of their numbers. */
  private queue = new Map<number, Entry>();
  private readonly aside = new Aside();
  /** The latest queued op of each object: what an update may merge into. */
  private readonly latest = new Map<string, Entry>();
  private readonly flight = new Flight();
  private connected = false;
  private orphans: Entry[] = [];
  private blockedAt: number | undefined;
  private retryAt = 0;
  private readonly pacer = new Pacer();
  private updatesNotBefore = 0;
  /** Updates up to this number belong to the round that was begun: they go as soon as the window lets them. */
  private roundEnd = 0;
  /** Unsent ops other than updates: they do not wait for {@link UPDATE_INTERVAL_MS}. */
  private urgent = 0;
  private wake: number | undefined;
  private limits: OutboxLimits = { maxMessageBytes: 256 * 1024, opsPerS: 0 };
  private nextKey = 1;
  /** Between {@link begin} and {@link end}, and the key of the first op since. */
  private grouping = false;
  private group: number | undefined;
  /** There was an update with edits. */
  private edited = false;

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

  /** Bytes without an answer, in characters. */
  get unansweredBytes(): number {
    return this.flight.bytes;
  }

  /** Since when something is unanswered, and nothing was answered. */
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
      if (former || entry.state === "failed") this.aside.put(entry);
      else this.enqueue(entry);
      // The page went before it learnt what became of an op sent under another client id.
      if (former && entry.state !== "failed") this.orphans.push(entry);
    }
  }

  /** Takes a new op. An update merges into the object's latest op if that is an update nobody has sent. */
  add(body: OpBody): { entry: Entry; merged: boolean; effects: OutboxEffect[] } {
    const merged = this.mergeInto(body);
    const entry = merged ?? this.made(body, this.nextOp++);
    if (!merged) {
      if (this.grouping) entry.group = this.group ??= entry.key;
      this.enqueue(entry);
    }
    const superseded = this.supersede(this.aside.rewrittenBy(entry.body));
    return { entry, merged: merged !== undefined, effects: [{ type: "changed", entry }, ...superseded] };
  }

  /** What is added from here on is done as one, or not at all. */
  begin(): void {
    this.grouping = true;
    this.group = undefined;
  }

  end(): void {
    this.grouping = false;
    this.group = undefined;
  }

  /** Updates that this server does not take as they are. None was sent. */
  unspeakable(): Entry[] {
    if (!this.connected || this.limits.set || !this.edited) return [];
    return [...this.queue.values()].filter((entry) => !entry.attempted && isEdit(entry.body));
  }

  /** The latest op of an object, if it is not acked. */
  latestOf(id: string): Entry | undefined {
    return this.latest.get(id);
  }

  private supersede(entries: readonly Entry[]): OutboxEffect[] {
    return entries.map((entry) => {
      this.remove(entry);
      return { type: "superseded", entry };
    });
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
    // What is done as one with others stays so.
    if (last.group !== this.group || (this.grouping && this.group === undefined)) return undefined;
    if (isEdit(last.body) || isEdit(body)) {
      const both = composedTails(last.body, body);
      if (both) last.body = { ...last.body, ...both };
      return both && last;
    }
    const patch = composePatches(last.body.patch, body.patch);
    if (!patch) return undefined;
    last.body = { ...last.body, patch };
    return last;
  }

  private enqueue(entry: Entry): void {
    this.queue.set(entry.op, entry);
    this.edited ||= isEdit(entry.body);
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
      this.aside.take(entry);
    }
    return entries.map((entry) => {
      entry.client = this.client;
      entry.op = this.nextOp++;
      entry.attempted = entry.committed = entry.mayBeContained = entry.mayBeIgnored = false;
      entry.state = "pending";
      entry.group = undefined;
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
    // Nothing can go: going through the queue at every one of thousands of calls would be slow.
    if (this.flight.full) return effects;
    for (const entry of this.queue.values()) {
      if (this.flight.has(entry.op) || entry.committed) continue;
      if (this.flight.full) break;
      const fresh = entry.body.type === "object-update" && !entry.attempted && entry.op > this.roundEnd;
      if (fresh && this.urgent === 0 && now < this.updatesNotBefore) {
        this.wake = this.updatesNotBefore;
        break;
      }
      const waitMs = this.pacer.take(now);
      if (waitMs > 0) {
        this.wake = now + waitMs;
        break;
      }
      if (fresh) {
        this.roundEnd = this.nextOp - 1;
        this.updatesNotBefore = now + UPDATE_INTERVAL_MS;
      }
      if (!this.launchGroup(entry, now, effects)) this.launch(entry, now, effects);
    }
    return effects;
  }

  /**
   * Sends an op together with those that are done as one with it. False where there are none, or they can't be one
   * message. What is left of a batch that is answered in part was done, and each of it is answered alone.
   */
  private launchGroup(first: Entry, now: number, effects: OutboxEffect[]): boolean {
    const { group } = first;
    if (group === undefined || first.key !== group || !this.limits.batch) return false;
    const entries = [...this.queue.values()].filter((entry) => entry.group === group);
    if (entries.length < 2 || entries.length > MAX_BATCH_OPS || entries[0] !== first) return false;
    if (entries.some((entry) => entry.committed || this.flight.has(entry.op))) return false;
    const texts = entries.map(messageOf);
    const text = `{"type":"batch","ops":[${texts.join(",")}]}`;
    if (texts.includes(undefined) || !fits(text, this.limits.maxMessageBytes)) return false;
    for (const [at, entry] of entries.entries()) this.launched(entry, texts[at] as string, now, effects, at === 0 ? text : undefined);
    return true;
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
    this.launched(entry, text, now, effects, text);
  }

  /** It flies. `sent` is the message that carries it, for the first one in there. */
  private launched(entry: Entry, text: string, now: number, effects: OutboxEffect[], sent: string | undefined): void {
    if (!entry.attempted && entry.body.type !== "object-update") this.urgent--;
    this.flight.launch(entry.op, text.length, now);
    const changed = entry.state !== "sent";
    entry.attempted = true;
    entry.state = "sent";
    if (sent !== undefined) effects.push({ type: "send", entry, text: sent });
    if (changed) effects.push({ type: "changed", entry });
  }

  /** The op as the current connection knows it. */
  find(op: number): Entry | undefined {
    return this.queue.get(op) ?? this.aside.get(this.client, op);
  }

  /** An `ack` came. */
  ack(op: number, result: OpResult, now: number): OutboxEffect[] {
    this.flight.land(op, now);
    const entry = this.find(op);
    return entry ? this.settle(entry, result) : [];
  }

  /** A whole message of an own op came in the stream. */
  met(client: string, op: number, seq: number): OutboxEffect[] {
    const entry = client === this.client ? this.find(op) : this.aside.get(client, op);
    return entry ? this.settle(entry, { seq, status: "ok" }) : [];
  }

  private settle(entry: Entry, result: OpResult): OutboxEffect[] {
    this.remove(entry);
    entry.state = "acked";
    entry.error = undefined;
    return [{ type: "settled", entry, result }, ...this.supersede(this.aside.outlivedBy(entry))];
  }

  private remove(entry: Entry): void {
    this.dequeue(entry);
    this.aside.take(entry);
    this.orphans = this.orphans.filter((orphan) => orphan !== entry);
  }

  /** An `error` naming an op came. `jitter` is a random number in [0, 1). */
  refused(
    op: number,
    refusal: { code: ErrorCode; message: string; retryAfterMs?: number | undefined },
    now: number,
    jitter: number,
  ): OutboxEffect[] {
    this.flight.land(op, now);
    const entry = this.queue.get(op);
    if (!entry) return [];
    if (!RETRYABLE.includes(refusal.code)) return this.fail(entry, refusal.code, refusal.message);
    entry.state = "pending";
    // What was in flight behind a refused op is refused with it, through no fault of its own.
    const follows = this.blockedAt !== undefined && op > this.blockedAt;
    if (follows) return [{ type: "changed", entry }];
    // However often: a full disk, a locked file or a lost Redis may last for hours, and giving up would undo the work.
    entry.refusals++;
    this.blockedAt = op;
    const backoff = jitter * Math.min(MAX_BACKOFF_MS, BASE_BACKOFF_MS * 2 ** (entry.refusals - 1));
    this.retryAt = now + (refusal.retryAfterMs === undefined ? BASE_BACKOFF_MS : patience(refusal.retryAfterMs)) + backoff;
    return [{ type: "changed", entry }];
  }

  private fail(entry: Entry, code: ErrorCode, message: string): OutboxEffect[] {
    this.remove(entry);
    entry.state = "failed";
    entry.committed = false;
    entry.error = { code, message };
    this.aside.put(entry);
    return [{ type: "failed", entry }, ...this.unblockFrom(entry)];
  }

  private unblockFrom(entry: Entry): OutboxEffect[] {
    if (this.blockedAt !== entry.op || entry.client !== this.client) return [];
    this.blockedAt = undefined;
    return this.connected ? [{ type: "unblock" }] : [];
  }

  /** Puts a failed op at the end, under a new number: its old one may be behind others by now. */
  retry(entry: Entry): OutboxEffect[] {
    if (entry.state !== "failed" || !this.aside.has(entry)) return [];
    entry.refusals = 0;
    entry.error = undefined;
    return this.renumber([entry]);
  }

  /** Takes an op back. Nothing happens when it may be on its way already. */
  discard(entry: Entry): OutboxEffect[] {
    const known = this.find(entry.op) === entry || this.aside.has(entry);
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
    // Whose creation was refused may not have been there for what came after it.
    const unmade = new Set<string>();
    const missing = committedOf(this.queue.values()).flatMap((entry) => {
      if (entry.mayBeContained) return this.settle(entry, { seq: 0, status: "dup" });
      // The last one of these is nothing to be missed: others have compacted more.
      const change = "id" in entry.body ? entry.body : undefined;
      if (change?.type === "log-compact") return this.settle(entry, { seq: 0, status: "ignored" });
      if (change && (entry.mayBeIgnored || unmade.has(change.id) || !exists(change.id))) return this.settle(entry, { seq: 0, status: "ignored" });
      if (entry.body.type === "object-create") unmade.add(entry.body.object.id);
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
    const settled = [...committedOf(this.queue.values()), ...this.orphans.filter(contains)].flatMap(settle);
    const told = (entry: Entry): boolean => entry.body.type === "object-create" || entry.body.type === "chat";
    return [...settled, ...this.requeueOrphans((entry) => !told(entry))];
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
    this.roundEnd = 0;
    const queued = [...this.queue.values()];
    const sent = queued.filter((entry) => entry.attempted);
    for (const entry of sent) {
      this.dequeue(entry);
      this.aside.put(entry);
    }
    this.orphans.push(...sent);
    this.client = client;
    this.nextOp = 1;
    return this.renumber(queued.filter((entry) => !entry.attempted));
  }
}
