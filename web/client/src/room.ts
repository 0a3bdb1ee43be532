/** The room an application holds: the session's effects carried out, and calls carried in. */

import type * as api from "./types.js";
import { type Json, type Op, type RoomEvents, ScumbleError, type User } from "./types.js";
import { checkedToken, checkedUser, eventName } from "./bounds.js";
import { makeChat, makeObjects } from "./calls.js";
import { Connection } from "./connection.js";
import type { SessionEffect } from "./effects.js";
import { Emitter } from "./emitter.js";
import type { OpBody } from "./entry.js";
import type { Environment } from "./environment.js";
import { Ephemeral } from "./ephemeral.js";
import { Handles } from "./handles.js";
import { copyJson } from "./json.js";
import type { OpHandle } from "./op.js";
import { Session } from "./session.js";
import type { Loaded, Store } from "./store.js";

/** An op unanswered for this long means that the connection, or something behind it, hangs. */
const ACK_WITHIN_MS = 20_000;
/** Options of {@link connect}, checked, with everything filled in. */
export interface RoomOptions {
  readonly socketUrl: string;
  readonly canvas: string;
  readonly user: User;
  readonly token: string | (() => string | Promise<string>) | undefined;
  /** The client id was made here, so it may be changed. */
  readonly ownIdentity: boolean;
}

export class Room implements api.Room {
  readonly canvas: string;
  readonly objects: api.Objects;
  readonly chat: api.Chat;
  readonly cursors: api.Cursors;
  readonly cursor: api.Room["cursor"];
  readonly presence: api.Room["presence"];
  private readonly session: Session;
  private readonly connection: Connection;
  private readonly emitter = new Emitter();
  private readonly handles: Handles;
  private readonly ephemeral: Ephemeral;
  /** Pings under way, by the time they were sent at. */
  private readonly pings = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  /** Effects still to be carried out, while some are. */
  private readonly waiting: SessionEffect[] = [];
  private running = false;
  private token: RoomOptions["token"];
  /** What {@link refreshToken} gave without a connection: goes before all others until it was taken or refused. */
  private newerToken: string | undefined;
  private cancelTick: (() => void) | undefined;
  private tickAt = Infinity;
  private framed = false;
  private readonly unwatch: () => void;
  private closed = false;

  constructor(
    private readonly env: Environment,
    options: RoomOptions,
    private readonly store: Store,
    loaded: Loaded,
  ) {
    this.canvas = options.canvas;
    this.token = options.token;
    this.handles = this.makeHandles();
    this.session = new Session({
      client: loaded.client,
      user: options.user,
      nextOp: loaded.nextOp,
      handleOf: (entry) => this.handles.of(entry),
      random: () => env.random(),
      date: () => env.date(),
    });
    this.connection = new Connection(env, options.socketUrl, this.connectionHandler(), {
      canRenewToken: typeof options.token === "function",
      canChangeIdentity: options.ownIdentity,
      hasToken: () => this.token !== undefined,
    });
    this.objects = makeObjects(this.session.canvas, (body) => this.perform(body), env.makeId, () => this.levels);
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
    this.unwatch = env.watch({
      wakened: () => this.connection.wakened(),
      offline: () => this.connection.offline(),
      left: () => store.leave(),
      cameBack: () => store.comeBack(),
    });
    for (const entry of [...loaded.entries].sort((a, b) => a.key - b.key)) this.handles.add(entry);
    this.run(this.session.restore(loaded.entries));
    this.connection.connect();
  }

  // ---- what there is ----

  get client(): string {
    return this.session.client;
  }
  get user(): User {
    return this.session.self.user;
  }
  get role(): "read" | "write" {
    return this.session.role;
  }
  get instance(): string {
    return this.session.instance;
  }
  get epoch(): string {
    return this.session.epoch;
  }
  get seq(): number {
    return this.session.seq;
  }
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

  on<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void): () => void {
    return this.emitter.on(event, listener);
  }

  // ---- durable calls ----

  private perform(body: OpBody): OpHandle {
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
    this.run(effects);
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
    // A function is asked again at the next connection and knows better than this one.
    if (typeof this.token !== "function") this.token = token;
    if (this.connection.send(text)) return;
    this.newerToken = token;
    this.connection.restart();
  }

  private async tokenToSay(): Promise<string | undefined> {
    const token: unknown = this.newerToken ?? (typeof this.token === "function" ? await this.token() : this.token);
    return token === undefined || token === null ? undefined : checkedToken(token);
  }

  ping(): Promise<number> {
    return new Promise((resolve, reject) => {
      const now = this.env.now();
      // Two in one tick of the clock still are two; the connection's own pings are whole numbers.
      let ts = Math.floor(now) + 0.5;
      while (this.pings.has(ts)) ts += 0.0625;
      if (!this.connection.send(JSON.stringify({ type: "ping", ts }))) {
        return reject(new ScumbleError("closed", "there is no connection"));
      }
      this.pings.set(ts, { resolve: () => resolve(this.env.now() - now), reject });
    });
  }

  cut(awayMs = 0): void {
    this.connection.cut(awayMs);
  }

  // ---- coming and going ----

  private connectionHandler(): ConstructorParameters<typeof Connection>[2] {
    return {
      token: () => this.tokenToSay(),
      hello: (token) => this.session.hello(token),
      message: (text) => this.run(this.session.frame(text, this.env.now())),
      lost: (code) => {
        if (code === 4401) this.newerToken = undefined;
        this.run(this.session.lost());
        for (const { reject } of this.pings.values()) reject(new ScumbleError("closed", "the connection was lost"));
        this.pings.clear();
      },
      status: (status) => this.emitter.emit("status", status),
      newIdentity: async () => {
        this.run(this.session.changeClient(this.env.makeId()));
        await this.store.changeClient(this.session.client, this.session.outbox.entries());
      },
      problem: ({ code, message }) => this.emitter.emit("error", new ScumbleError(code, message)),
      ended: ({ code, message }) => this.giveUp(code, message),
    };
  }

  /** The store does not work: ops do not outlive the page. */
  storageFailed(message: string): void {
    this.emitter.emit("error", new ScumbleError("storage", message));
  }

  whenSynced(): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop: (() => void)[] = [];
      const check = (): void => {
        const gone = this.status === "disconnected";
        if (!gone && this.sync !== "synchronized") return;
        for (const off of stop) off();
        const { stopped } = this.connection;
        if (gone) reject(new ScumbleError("closed", `the room is disconnected${stopped ? `: ${stopped.message}` : ""}`));
        else resolve();
      };
      stop.push(this.on("sync", check), this.on("status", check));
      check();
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.giveUp("closed", "the room was closed before the op was acked");
    this.connection.close();
    this.cancelTick?.();
    this.unwatch();
    this.env.guard(false);
    this.store.close();
  }

  // ---- carrying out ----

  /**
   * Carries effects out in the order they arose. A listener called on the way may make calls of its own: what follows
   * from them waits its turn, else its ops would be sent before older ones, and the server refuses those as `bad-op`.
   */
  private run(effects: readonly SessionEffect[]): void {
    this.waiting.push(...effects);
    if (this.running) return;
    this.running = true;
    let done = 0;
    try {
      // Taken away at the end: one by one from the front would be slow when a listener has made thousands.
      while (done < this.waiting.length) this.carryOut(this.waiting[done++] as SessionEffect);
    } finally {
      this.waiting.splice(0, done);
      this.running = false;
    }
    this.schedule();
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
        this.newerToken = undefined;
        this.ephemeral.welcomed(effect.welcome.limits, effect.welcome.users.find(({ client }) => client === this.client)?.state ?? {});
        this.connection.welcomed(effect.welcome.heartbeat_ms);
        this.tick();
        break;
      case "goaway":
        this.connection.goaway(effect.retryAfterMs);
        break;
      case "pong":
        this.pings.get(effect.ts ?? -1)?.resolve();
        this.pings.delete(effect.ts ?? -1);
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
        this.env.guard(!this.store.durable && this.session.outbox.size > 0 && !this.closed);
        this.emitter.tell("outbox", () => this.outbox);
        break;
      case "chat":
        this.emitter.tell("chat", () => this.chat.messages);
        break;
      case "emit":
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
