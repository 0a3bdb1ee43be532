/** The room an application holds: the session's effects carried out, and calls carried in. */

import type * as api from "./types.js";
import { type Json, type Op, type RoomEvents, ScumbleError, type User } from "./types.js";
import { checkedToken, checkedUser, eventName } from "./bounds.js";
import { type AssetQueue, inMemory } from "./asset-queue.js";
import { Assets } from "./assets.js";
import { makeChat, makeObjects } from "./calls.js";
import { Connection, type WireOptions } from "./connection.js";
import { EffectQueue } from "./effect-queue.js";
import type { SessionEffect } from "./effects.js";
import { Emitter } from "./emitter.js";
import { objectIdOf, type OpBody } from "./entry.js";
import type { Environment } from "./environment.js";
import { Ephemeral } from "./ephemeral.js";
import { Handles } from "./handles.js";
import { copyJson } from "./json.js";
import { makeLog } from "./logs.js";
import { Steps } from "./steps.js";
import type { OpHandle } from "./op.js";
import { Pings } from "./pings.js";
import type { Problem } from "./reconnect.js";
import { Session } from "./session.js";
import type { Loaded, Store } from "./store.js";
import { whenSynced } from "./synced.js";
import { Tokens } from "./tokens.js";

/**
 * Without a single answer to ops for this long, though the server answers pings, something behind it hangs, and another
 * process may do better. A queue that can't commit for a while is waited for.
 */
const ACK_WITHIN_MS = 300_000;
/** Options of {@link connect}, checked, with everything filled in. */
export interface RoomOptions extends WireOptions {
  readonly socketUrl: string;
  readonly canvas: string;
  readonly user: User;
  readonly token: string | (() => string | Promise<string>) | undefined;
  /** The client id was made here, so it may be changed. */
  readonly ownIdentity: boolean;
  readonly uploads?: AssetQueue;
}

export class Room implements api.Room {
  readonly canvas: string;
  readonly objects: api.Objects;
  readonly chat: api.Chat;
  readonly cursors: api.Cursors;
  readonly cursor: api.Room["cursor"];
  readonly presence: api.Room["presence"];
  readonly history: api.History;
  readonly assets: Assets;
  private readonly steps: Steps;
  private readonly session: Session;
  private readonly connection: Connection;
  private readonly emitter: Emitter;
  private readonly handles: Handles;
  private readonly ephemeral: Ephemeral;
  private readonly pings: Pings;
  private readonly queue = new EffectQueue((effect) => this.carryOut(effect));
  private readonly tokens: Tokens;
  private cancelTick: (() => void) | undefined;
  private tickAt = Infinity;
  private framed = false;
  private storageTold: api.Storage;
  private readonly unwatch: () => void;
  private closed = false;

  constructor(
    private readonly env: Environment,
    options: RoomOptions,
    private readonly store: Store,
    loaded: Loaded,
  ) {
    this.canvas = options.canvas;
    this.storageTold = store.durable ? "indexeddb" : "memory";
    this.emitter = new Emitter((task) => env.nextFrame(task));
    this.pings = new Pings(() => env.now(), (text) => this.connection.send(text), (ms, task) => env.after(ms, task));
    this.tokens = new Tokens(env, options.token, (problem) => this.tell(problem));
    this.handles = this.makeHandles();
    this.history = this.steps = new Steps({
      get: (id) => this.session.canvas.get(id),
      now: () => env.now(),
      perform: (body) => this.take(body),
      mayWrite: () => this.role === "write" && !this.closed && !this.connection.stopped?.final,
      batch: () => this.session.batch(),
      batched: () => this.run(this.session.batched(env.now()), true),
      changed: (event) => this.emitter.emit("history", event),
    });
    this.session = new Session({
      client: loaded.client,
      user: options.user,
      nextOp: loaded.nextOp,
      handleOf: (entry) => this.handles.of(entry),
      random: () => env.random(),
      date: () => env.date(),
      remote: (id, patch) => this.steps.remote(id, patch),
    });
    this.connection = new Connection(env, options.socketUrl, this.connectionHandler(), {
      canRenewToken: this.tokens.renewable,
      canChangeIdentity: options.ownIdentity,
      hasToken: () => this.tokens.any,
    }, options);
    this.objects = makeObjects(this.session.canvas, (body) => this.perform(body), (body) => this.unchanged(body), env.makeId, () => this.levels);
    this.chat = makeChat(this.session.chat, (body) => this.perform(body));
    this.cursors = {
      sample: (now = env.now()) => this.session.people.cursors.sample(now),
      at: (client, now = env.now()) => this.session.people.cursors.at(client, now),
    };
    this.ephemeral = new Ephemeral(this.session.self, {
      limits: () => this.limits,
      moved: () => this.sampleCursor(),
      due: () => this.tick(),
    });
    this.cursor = this.ephemeral.cursor;
    this.presence = this.ephemeral.presence;
    this.assets = new Assets(env, {
      socketUrl: options.socketUrl,
      hasToken: () => this.tokens.any,
      token: (renew) => this.tokens.beside(renew),
      limits: () => this.limits,
      changed: (waiting) => this.emitter.emit("assets", waiting),
      problem: (problem) => this.tell(problem),
    }, options.uploads ?? inMemory);
    this.unwatch = env.watch({
      wakened: () => (this.connection.wakened(), this.assets.wakened()),
      offline: () => this.connection.offline(),
      left: () => store.leave(),
      cameBack: () => store.comeBack(),
    });
    for (const entry of [...loaded.entries].sort((a, b) => a.key - b.key)) this.handles.add(entry);
    this.run(this.session.restore(loaded.entries, loaded.kept));
    store.follow?.(this.session.ground);
    this.connection.connect();
  }

  // ---- what there is ----

  get client(): string { return this.session.client; }
  get user(): User {
    return this.session.self.user;
  }
  get role(): "read" | "write" { return this.session.role; }
  get instance(): string {
    return this.session.instance;
  }
  get transport(): api.Transport | undefined {
    return this.connection.transport;
  }
  get epoch(): string { return this.session.epoch; }
  get seq(): number { return this.session.seq; }
  get limits(): api.Limits {
    return this.session.limits;
  }
  get status(): api.Status {
    return this.connection.status;
  }
  get sync(): api.SyncState {
    return this.session.sync;
  }
  get others(): readonly api.Other[] {
    return this.session.people.roster.others;
  }
  get outbox(): readonly Op[] {
    return this.handles.outbox;
  }

  /** Levels that a message may have below its own braces. */
  private get levels(): number {
    return this.limits.max_json_depth - 1;
  }

  on<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void, options?: api.ListenOptions): () => void {
    return this.emitter.on(event, listener, options);
  }

  // ---- durable calls ----

  private perform(body: OpBody): OpHandle {
    return this.steps.recorded(body, (record) => this.take(body, record));
  }

  batch<T>(changes: () => T, options: Parameters<api.Room["batch"]>[1] = {}): T {
    return this.steps.batch(changes, options);
  }

  get canUndo(): boolean { return this.history.canUndo; }
  get canRedo(): boolean { return this.history.canRedo; }
  undo(): api.UndoStep | undefined { return this.history.undo(); }
  redo(): api.UndoStep | undefined { return this.history.redo(); }

  /** All its values are there already: the op under way that brings them, or one that is acked without being sent. */
  private unchanged(body: OpBody): OpHandle {
    if (this.closed) throw new ScumbleError("closed", "the room is closed");
    const { outbox } = this.session;
    const underWay = outbox.latestOf(objectIdOf(body) ?? "");
    if (underWay) return this.handles.of(underWay);
    const handle = this.handles.of({ ...outbox.made(body), state: "acked" });
    handle.settle({ seq: 0, status: "unchanged" });
    return handle;
  }

  /** `made` hears of the op before anybody else does. */
  private take(body: OpBody, made: (op: OpHandle) => void = () => {}): OpHandle {
    if (this.closed) throw new ScumbleError("closed", "the room is closed");
    const { stopped } = this.connection;
    if (stopped?.final) {
      // It will never be sent, and taking it would leave its author waiting for ever.
      const refused = this.handles.of(this.session.outbox.made(body));
      refused.end(stopped.code, stopped.message);
      return refused;
    }
    const { entry, effects } = this.session.perform(body, this.env.now());
    const handle = this.handles.add(entry);
    made(handle);
    this.run(effects, true);
    return handle;
  }

  private makeHandles(): Handles {
    return new Handles({
      retry: (failed) => this.run(this.session.retry(failed, this.env.now())),
      discard: (unwanted) => {
        const effects = this.closed ? [] : this.session.discard(unwanted);
        if (effects.length === 0) return false;
        this.handles.of(unwanted).end("discarded", "the op was discarded");
        this.handles.remove(unwanted);
        this.run(effects);
        return true;
      },
    });
  }

  /** Nothing will be sent any more: nobody is to wait for it, or to take it for saved. */
  private giveUp(code: api.ErrorCode, message: string): void {
    this.handles.end(code, message);
    if (this.closed) this.handles.clear();
    this.run(this.session.giveUp());
  }

  log(id: string): api.ObjectLog { return makeLog(id, this.session, (body) => this.perform(body), (heard) => this.on("log", heard)); }

  broadcast(event: string, data: Json = null): Op {
    return this.perform({ type: "broadcast", event: eventName(event), data: copyJson(data, this.levels) });
  }

  // ---- ephemeral calls ----

  signal(event: string, data: Json = null): boolean {
    return this.connection.send(this.ephemeral.signal(event, data));
  }

  /** Movements between two frames are one. */
  private sampleCursor(): void {
    if (this.framed) return;
    this.framed = true;
    this.env.nextFrame(() => {
      this.framed = false;
      this.tick();
    });
  }

  setUser(user: User): void {
    this.ephemeral.setUser(checkedUser(user));
  }

  refreshToken(token: string): void {
    const text = JSON.stringify({ type: "refresh", token: checkedToken(token) });
    this.tokens.refreshed(token);
    if (this.connection.send(text)) return;
    this.tokens.next(token);
    this.connection.restart();
  }

  ping(): Promise<number> {
    return this.pings.ping();
  }

  cut(awayMs = 0): void {
    this.connection.cut(awayMs);
  }

  // ---- coming and going ----

  private connectionHandler(): ConstructorParameters<typeof Connection>[2] {
    return {
      token: () => this.tokens.get(),
      hello: (token, compress) => this.session.hello(token, compress),
      line: () => ({ joining: this.sync !== "synchronized", unanswered: this.session.outbox.unansweredBytes }),
      message: (value) => this.run(this.session.frame(value, this.env.now())),
      garbled: (error) => this.run(this.session.garbled(error)),
      lost: (code) => {
        if (code === 4401) this.tokens.used();
        this.run(this.session.lost());
        this.pings.lost();
      },
      status: (status) => this.emitter.emit("status", status),
      newIdentity: async () => {
        this.run(this.session.changeClient(this.env.makeId()));
        await this.store.changeClient(this.session.client, this.session.outbox.entries());
      },
      problem: (problem) => this.tell(problem),
      ended: ({ code, message }) => {
        if (code === "refused") this.store.refused?.();
        this.giveUp(code, message);
      },
    };
  }

  private tell({ code, message }: Problem): void {
    this.emitter.emit("error", new ScumbleError(code, message));
  }

  /** The store does not work: ops do not outlive the page. */
  get storage(): api.Storage {
    return this.store.durable ? "indexeddb" : "memory";
  }

  storageChanged(): void {
    if (this.storage === this.storageTold) return;
    this.storageTold = this.storage;
    this.guard();
    this.emitter.emit("storage", this.storage);
  }

  private guard(): void {
    this.env.guard(!this.store.durable && this.session.outbox.size > 0 && !this.closed);
  }

  storageFailed(message: string): void {
    this.tell({ code: "storage", message });
  }

  whenSynced(): Promise<void> {
    return whenSynced(this, () => this.connection.stopped?.message);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.giveUp("closed", "the room was closed before the op was acked");
    this.connection.close();
    this.assets.close();
    this.tokens.stop();
    this.cancelTick?.();
    this.unwatch();
    this.env.guard(false);
    this.store.close();
  }

  // ---- carrying out ----

  private run(effects: readonly SessionEffect[], ofCall = false): void {
    if (this.queue.run(effects, ofCall)) this.schedule();
  }

  private carryOut(effect: SessionEffect): void {
    switch (effect.type) {
      case "send":
        this.connection.send(effect.text);
        break;
      case "reconnect":
        this.connection.drop();
        break;
      case "welcomed":
        this.tokens.used();
        this.ephemeral.welcomed(effect.welcome.limits, effect.welcome.users.find(({ client }) => client === this.client)?.state ?? {});
        this.connection.welcomed(effect.welcome.heartbeat_ms);
        this.assets.wakened();
        this.tick();
        break;
      case "goaway":
        this.connection.goaway(effect.retryAfterMs);
        break;
      case "away":
        this.connection.stayAway(effect.ms);
        break;
      case "pong":
        this.connection.ponged();
        this.pings.ponged(effect.ts);
        break;
      case "save":
        if (!this.closed) this.handles.add(effect.entry);
        this.store.save(effect.entry);
        this.store.numbered(this.session.outbox.next);
        break;
      case "forget":
        this.handles.remove(effect.entry);
        this.store.forget(effect.entry);
        break;
      case "supersede":
        this.handles.of(effect.entry).end("superseded", "a newer op of the object stands in its place");
        break;
      case "settle":
        this.handles.of(effect.entry).settle(effect.result);
        break;
      case "reject":
        this.handles.of(effect.entry).fail(effect.code, effect.message);
        break;
      case "error":
        this.emitter.emit("error", new ScumbleError(effect.code, effect.message, effect.entry && this.handles.of(effect.entry)));
        break;
      case "outbox":
        this.handles.touch();
        this.guard();
        this.emitter.tell("outbox", () => this.outbox);
        break;
      case "moved":
        this.store.moved?.();
        break;
      case "chat":
        this.emitter.tell("chat", () => this.chat.messages);
        break;
      case "emit":
        if (effect.event === "sync" && effect.value === "synchronized") {
          this.connection.arrived();
          this.steps.rebase((id) => this.session.canvas.confirmed(id));
        }
        this.emitter.emit(effect.event, effect.value as never);
    }
  }

  /** What is due now: the outbox, cursor and presence, and a look at ops that nobody answers. */
  private tick(): void {
    const now = this.env.now();
    this.run(this.session.tick(now));
    const { connected, bufferedBytes } = this.connection;
    const alone = this.session.people.roster.size === 0;
    const { send, againInMs } = this.ephemeral.tick(now, { connected, alone, bufferedBytes });
    for (const text of send) this.connection.send(text);
    this.schedule(now + againInMs);
    const { waitingSince } = this.session.outbox;
    if (connected && waitingSince !== undefined && now - waitingSince >= ACK_WITHIN_MS) this.connection.drop();
  }

  /** Makes sure of a tick at the next time something is due. */
  private schedule(at = Infinity): void {
    const { wakeAt, waitingSince } = this.session.outbox;
    const due = Math.min(at, wakeAt ?? Infinity, waitingSince === undefined ? Infinity : waitingSince + ACK_WITHIN_MS);
    if (this.closed || due >= this.tickAt) return;
    this.cancelTick?.();
    this.tickAt = due;
    this.cancelTick = this.env.after(Math.max(0, due - this.env.now()), () => {
      this.tickAt = Infinity;
      this.tick();
    });
  }
}
