/**
 * One canvas as this client knows it: the stream, the canvas, the chat, the people and the outbox, put together.
 * Pure: messages and calls in (with the time), effects out. The shell around it owns the socket, the clock and the store.
 */

import type { ChatMessage, OpResult, SyncState } from "./types.js";
import { DEFAULT_LIMITS } from "./bounds.js";
import { Canvas } from "./canvas.js";
import { Logs } from "./logs.js";
import { ChatLog } from "./chat.js";
import { patchOf } from "./edits.js";
import type { SessionEffect } from "./effects.js";
import type { Entry, OpBody, OutboxEffect } from "./entry.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { Self } from "./self.js";
import { groundOf } from "./ground.js";
import type { Ground, KeptCanvas } from "./store.js";
import type { SessionOptions } from "./session-options.js";
import { type Position, type SnapshotPart, Stream } from "./stream.js";
import { type Ack, type Durable, readMessage, type ServerMessage, type Welcome } from "./wire.js";

type Ordered = Durable | Ack;

export class Session {
  readonly canvas = new Canvas();
  readonly logs = new Logs();
  readonly people = new People();
  readonly chat: ChatLog;
  readonly outbox: Outbox;
  readonly self: Self;
  role: "read" | "write" = "write";
  instance = "";
  limits = DEFAULT_LIMITS;
  sync: SyncState = "synchronizing";
  private readonly stream = new Stream<Ordered>();
  private readonly random: () => number;
  private readonly date: () => number;
  /** Acked before their message came in the stream: shown on top until it does. By client and number. */
  private readonly lingering = new Map<string, { entry: Entry; seq: number }>();
  private bySnapshot = false;
  /** This connection cannot go on; another one is asked for. */
  private broken = false;
  private outboxDirty = false;
  /** The position that the store was last told of. */
  private told: Position | undefined;
  /** Between {@link batch} and {@link batched}. */
  private batching = false;
  private effects: SessionEffect[] = [];

  constructor(private readonly options: SessionOptions) {
    this.self = new Self(options.user);
    this.random = options.random;
    this.date = options.date;
    this.outbox = new Outbox(options.client, options.nextOp);
    this.chat = new ChatLog(options.handleOf, () => ({ client: this.outbox.client, user: this.self.user }));
  }

  get client(): string {
    return this.outbox.client;
  }

  get seq(): number {
    return this.stream.seq;
  }

  /** The confirmed canvas, for a store. */
  get ground(): Ground {
    return groundOf(this.canvas, this.logs, this.chat, this.stream);
  }

  get epoch(): string {
    return this.stream.position?.epoch ?? "";
  }

  /** The first message of a connection. */
  hello(token: string | undefined, compress: readonly string[] = []): string {
    const user = this.self.joining(token);
    const since = this.stream.position;
    // A snapshot may then tell only what changed since.
    const features = ["set", "batch", "log", ...(since ? ["base"] : [])];
    return JSON.stringify({ type: "hello", v: 1, client: this.client, user, token, since, features, ...(compress.length > 0 && { compress }) });
  }

  /** Takes up the ops a former page left, and the canvas as it knew it. */
  restore(entries: readonly Entry[], kept?: KeptCanvas): SessionEffect[] {
    this.outbox.restore(entries);
    if (kept) {
      if (kept.logs === false) this.stream.position = { epoch: kept.epoch, seq: kept.seq };
      this.canvas.replace(kept.objects);
      this.chat.replace(kept.chat);
      // Another tab may have kept it, after it heard of ops whose acks this one's former page never got.
      this.outbox.jumped();
    }
    for (const entry of entries) if (entry.state !== "failed" || entry.body.type === "chat") this.show(entry);
    this.outboxDirty = true;
    return this.drain();
  }

  /** A call: shows at once and goes out as soon as the outbox lets it. */
  perform(body: OpBody, now: number): { entry: Entry; effects: SessionEffect[] } {
    const { entry, merged, effects } = this.outbox.add(body);
    if (merged) this.canvas.remerged(entry);
    else this.show(entry);
    this.follow(effects);
    if (this.batching) return { entry, effects: [] };
    this.flush(now);
    return { entry, effects: this.drain() };
  }

  /** Calls from here on go out and are told together, by {@link batched}. False where they are in a batch already. */
  batch(): boolean {
    if (this.batching) return false;
    this.outbox.begin();
    return (this.batching = true);
  }

  batched(now: number): SessionEffect[] {
    this.batching = false;
    this.outbox.end();
    this.flush(now);
    return this.drain();
  }

  private show(entry: Entry): void {
    if (entry.body.type === "chat") this.chat.push(entry, this.date());
    else this.canvas.push(entry);
  }

  /** `op.retry()` */
  retry(entry: Entry, now: number): SessionEffect[] {
    const effects = this.outbox.retry(entry);
    if (effects.length > 0) this.show(entry);
    this.follow(effects);
    this.flush(now);
    return this.drain();
  }

  /** Nothing will be sent any more: what is shown is the confirmed state. The ops stay as they are, for a later page. */
  giveUp(): SessionEffect[] {
    for (const entry of this.outbox.entries()) {
      if (entry.body.type === "chat") this.chat.touch(entry);
      else this.canvas.drop(entry, "rollback");
    }
    this.outboxDirty = true;
    return this.drain();
  }

  /** `op.discard()`: no effects when it is too late. */
  discard(entry: Entry): SessionEffect[] {
    this.follow(this.outbox.discard(entry));
    return this.drain();
  }

  /** Another client id, since somebody else uses this one. */
  changeClient(client: string): SessionEffect[] {
    this.follow(this.outbox.changeClient(client));
    return this.drain();
  }

  /** The connection is gone. */
  lost(): SessionEffect[] {
    this.broken = false;
    this.stream.lost();
    this.outbox.lost();
    return this.drain();
  }

  /** Time has passed: what waited for it may go. */
  tick(now: number): SessionEffect[] {
    this.flush(now);
    return this.drain();
  }

  private flush(now: number): void {
    // A server that lacks `set` gets patches instead.
    for (const entry of this.outbox.unspeakable()) {
      if (entry.body.type !== "object-update") continue;
      const { type, id } = entry.body;
      entry.body = { type, id, patch: patchOf(this.canvas.below(entry) ?? {}, entry.body) };
      this.canvas.remerged(entry);
      this.follow([{ type: "changed", entry }]);
    }
    this.follow(this.outbox.flush(now));
  }

  /** A message arrived. */
  frame(value: unknown, now: number): SessionEffect[] {
    try {
      const message = readMessage(value);
      if (message) this.handle(message, now);
    } catch (error) {
      return this.garbled(error);
    }
    this.flush(now);
    return this.drain();
  }

  /** What arrived is nothing that a server says. */
  garbled(error: unknown): SessionEffect[] {
    this.effects.push({ type: "error", code: "bad-frame", message: String(error) });
    this.reconnect();
    return this.drain();
  }

  private handle(message: ServerMessage, now: number): void {
    if (this.broken) return;
    switch (message.type) {
      case "welcome": return this.welcome(message, now);
      case "snapshot":
        return this.snapshotPart(message, now);
      case "ack":
        return message.status === "ok" ? this.ordered(message, now) : this.answered(message, now);
      case "object-create": case "object-update": case "object-delete": case "chat":
      case "broadcast": case "log-append": case "log-compact":
        return this.ordered(message, now);
      case "resync":
        return this.stream.resync();
      case "error":
        return this.refused(message, now);
      case "goaway":
        this.effects.push({ type: "goaway", retryAfterMs: message.retry_after_ms ?? 0 });
        return;
      case "pong":
        this.effects.push({ type: "pong", ts: message.ts });
        return;
      default:
        this.people.hear(message, this.client, now);
    }
  }

  private welcome(welcome: Welcome, now: number): void {
    if (!this.stream.welcome(welcome.epoch, welcome.seq, welcome.mode)) {
      return this.gap(`the server resumes epoch ${welcome.epoch}, which is not held here`);
    }
    this.bySnapshot = welcome.mode !== "resume";
    this.canvas.resuming();
    this.instance = welcome.instance;
    this.role = welcome.role;
    this.limits = { ...DEFAULT_LIMITS, ...welcome.limits };
    if (this.self.welcomed(welcome.user)) this.chat.renamed();
    this.people.welcome(welcome.users, this.client, now);
    const { max_message_bytes: maxMessageBytes, ops_per_s: opsPerS } = this.limits;
    this.effects.push({ type: "welcomed", welcome });
    const [set, batch] = ["set", "batch"].map((word) => welcome.features?.includes(word) ?? false);
    this.follow(this.outbox.welcome(welcome.acked_op, { maxMessageBytes, opsPerS, set, batch }, now));
    this.arrived();
  }

  private snapshotPart(part: SnapshotPart, now: number): void {
    const snapshot = this.stream.part(part);
    if (snapshot === "gap") return this.gap(`snapshot part ${part.part} is out of place, or its base is not held here`);
    if (!snapshot) return;
    this.bySnapshot = true;
    this.outbox.jumped();
    if (snapshot.deleted) this.canvas.catchUp(snapshot.objects, snapshot.deleted);
    else this.canvas.replace(snapshot.objects);
    this.logs.snapshot(snapshot.logs, snapshot.deleted && [...snapshot.deleted, ...snapshot.compacted]);
    this.chat.replace(snapshot.chat);
    this.arrived();
    for (const message of snapshot.held) this.handle(message, now);
  }

  /** A durable message, or the ack that stands in the place of one's own. */
  private ordered(message: Ordered, now: number): void {
    const place = this.stream.place(message.seq, message);
    if (place === "gap") return this.gap(`seq ${message.seq} came after ${this.seq}`);
    if (place === "held") return;
    const entry = this.takeOwn(message, now);
    if (place === "repeat") {
      if (entry) this.contained(entry);
    } else if (entry) this.confirmed(entry, message);
    else if (message.type !== "ack") this.remote(message);
    else {
      // Something of ours was committed, and we do not know what: only the server can tell.
      this.stream.position = undefined;
      return this.gap(`op ${message.op} was acked but is not known here`);
    }
    this.arrived();
  }

  /** The own op that a message tells of, settled. */
  private takeOwn(message: Ordered, now: number): Entry | undefined {
    const client = message.type === "ack" ? this.client : message.client;
    if (message.op === undefined) return undefined;
    const key = `${client}/${message.op}`;
    const lingering = this.lingering.get(key);
    if (lingering) {
      this.lingering.delete(key);
      return lingering.entry;
    }
    const effects =
      message.type === "ack"
        ? this.outbox.ack(message.op, { seq: message.seq, status: "ok" }, now)
        : this.outbox.met(client, message.op, message.seq);
    const [first, ...others] = effects;
    this.follow(others);
    return first?.type === "settled" ? this.settled(first.entry, first.result) : undefined;
  }

  private settled(entry: Entry, result: OpResult): Entry {
    this.outboxDirty = true;
    this.effects.push({ type: "forget", entry }, { type: "settle", entry, result });
    return entry;
  }

  /** An own op at its place in the order. */
  private confirmed(entry: Entry, message: Ordered): void {
    const { seq } = message;
    const at = message.type === "ack" ? this.date() : message.at;
    if (entry.body.type === "chat") this.chat.confirm(entry, seq, at);
    else if (entry.body.type === "broadcast") {
      const { event, data } = entry.body;
      this.effects.push({ type: "emit", event: "broadcast", value: { event, data, client: entry.client, own: true, seq, at } });
    } else this.canvas.confirm(entry);
    this.logs.heard(entry.body, seq, entry.client, true);
  }

  private remote(message: Durable): void {
    const { client, seq, at } = message;
    const own = client === this.client;
    if (message.type === "chat") this.chat.remote(message);
    else if (message.type === "broadcast") {
      const { event, data } = message;
      this.effects.push({ type: "emit", event: "broadcast", value: { event, data, client, own, seq, at } });
    } else {
      const ground = message.type === "object-update" && !own && this.canvas.confirmed(message.id);
      if (ground && message.type === "object-update") this.options.remote?.(message.id, patchOf(ground, message));
      this.canvas.remote(message, client);
      this.logs.heard(message, seq, client, own);
    }
  }

  /** The confirmed state contains this op, or never will: nothing of it stays on top. */
  private contained(entry: Entry, cause: "rollback" | "remote" = "remote"): void {
    if (entry.body.type === "chat") this.chat.drop(entry);
    else this.canvas.drop(entry, cause);
  }

  /** `ack` with `dup` or `ignored`: outside the order. */
  private answered(ack: Ack, now: number): void {
    this.follow(this.outbox.ack(ack.op, { seq: ack.seq, status: ack.status }, now));
  }

  private refused(error: Extract<ServerMessage, { type: "error" }>, now: number): void {
    const { op, code, message } = error;
    if (op === undefined && error.retry_after_ms) this.effects.push({ type: "away", ms: error.retry_after_ms });
    if (op === undefined || !this.outbox.find(op)) {
      this.effects.push({ type: "error", code, message });
      return;
    }
    this.follow(this.outbox.refused(op, { code, message, retryAfterMs: error.retry_after_ms }, now, this.random()));
  }

  private gap(message: string): void {
    this.stream.gap();
    this.effects.push({ type: "error", code: "gap", message });
    this.reconnect();
  }

  private reconnect(): void {
    this.broken = true;
    this.outbox.lost();
    this.effects.push({ type: "reconnect" });
  }

  /** After every step of the stream: what waited for this position. */
  private arrived(): void {
    for (const [key, { entry, seq }] of this.lingering) {
      if (seq > this.seq) continue;
      this.lingering.delete(key);
      this.contained(entry);
    }
    if (this.sync === "synchronized" || !this.stream.caughtUp) return;
    const shows = (entry: Entry): boolean =>
      entry.body.type === "object-create"
        ? this.canvas.confirmed(entry.body.object.id) !== undefined
        : this.chat.messages.some((m: ChatMessage) => m.seq > 0 && m.key === `${entry.client}/${entry.op}`);
    const exists = (id: string): boolean => this.canvas.confirmed(id) !== undefined;
    this.follow(this.bySnapshot ? this.outbox.snapshotTaken(shows) : this.outbox.caughtUp(exists));
  }

  private follow(effects: readonly OutboxEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "send":
          this.effects.push({ type: "send", text: effect.text });
          break;
        case "changed":
          this.chat.touch(effect.entry);
          this.outboxDirty = true;
          this.effects.push({ type: "save", entry: effect.entry });
          break;
        case "settled":
          this.settledOutside(effect.entry, effect.result);
          break;
        case "failed":
          this.failed(effect.entry);
          break;
        case "discarded":
          this.outboxDirty = true;
          this.contained(effect.entry, "rollback");
          this.effects.push({ type: "forget", entry: effect.entry });
          break;
        case "superseded":
          this.outboxDirty = true;
          this.effects.push({ type: "supersede", entry: effect.entry }, { type: "forget", entry: effect.entry });
          break;
        case "unblock":
          this.reconnect();
      }
    }
  }

  private settledOutside(entry: Entry, result: OpResult): void {
    this.settled(entry, result);
    if (result.status === "dup" && result.seq > this.seq) {
      this.lingering.set(`${entry.client}/${entry.op}`, { entry, seq: result.seq });
      this.chat.touch(entry);
    } else this.contained(entry);
  }

  private failed(entry: Entry): void {
    const { code, message } = entry.error ?? { code: "failed", message: "" };
    this.outboxDirty = true;
    // A failed chat message stays in view, with its retry button; a failed change of an object is rolled back.
    if (entry.body.type === "chat") this.chat.touch(entry);
    else this.canvas.drop(entry, "rollback");
    this.effects.push({ type: "save", entry }, { type: "reject", entry, code, message }, { type: "error", code, message, entry });
  }

  /** Everything that has to be done outside, with at most one event of each kind of state. */
  private drain(): SessionEffect[] {
    const { effects } = this;
    this.effects = [];
    const objects = this.canvas.takeChanges();
    if (objects) effects.push({ type: "emit", event: "objects", value: objects });
    for (const value of this.logs.take()) effects.push({ type: "emit", event: "log", value });
    if (this.chat.takeDirty()) effects.push({ type: "chat" });
    effects.push(...this.people.take());
    if (this.stream.position !== this.told) effects.push({ type: "moved" });
    this.told = this.stream.position;
    if (this.outboxDirty) effects.push({ type: "outbox" });
    this.outboxDirty = false;
    const sync: SyncState = this.stream.caughtUp ? "synchronized" : "synchronizing";
    if (sync !== this.sync) effects.push({ type: "emit", event: "sync", value: sync });
    this.sync = sync;
    return effects;
  }
}
