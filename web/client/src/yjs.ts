/**
 * `scumble-client/yjs`: a Yjs document in the log of an object. Needs the package `yjs`, and no other.
 *
 *   const room = await connect({ canvas: "board" });
 *   const doc = new Y.Doc();
 *   const provider = new ScumbleProvider(room, "notes", doc);
 *
 * Each change of the document is an entry of the log. Whoever comes reads the entries, in any order and as often as they
 * come: that is what a CRDT allows. Now and then a client puts the whole document in the place of the entries.
 */

import * as Y from "yjs";
import { Carets } from "./carets.js";
import { entryOf, Pieces, piecesOf } from "./pieces.js";
import type { LogEntry, LogEvent, ObjectLog, Op, Room } from "./types.js";

/** Options of a {@link ScumbleProvider}. */
export interface ProviderOptions {
  /** The `kind` of the object, where the provider has to create it. Default `"yjs"`. */
  readonly kind?: string;
  /** Changes within so many milliseconds are one entry. Default 30. */
  readonly flushMs?: number;
  /** From so many entries on the log is compacted. Default 200. */
  readonly compactEntries?: number;
  /** Carets and names of others: `new Awareness(doc)` of the package `y-protocols`. It is in the presence of the room's clients. */
  readonly awareness?: AwarenessLike;
}

/** What is needed of an `Awareness` of `y-protocols`. */
export interface AwarenessLike {
  readonly clientID: number;
  readonly states: Map<number, any>;
  readonly meta: Map<number, { clock: number; lastUpdated: number }>;
  getLocalState(): object | null;
  on(event: any, listener: (...given: any[]) => void): void;
  off(event: any, listener: (...given: any[]) => void): void;
  emit(event: any, given: any): void;
}

/** The types of rooms do not matter here. */
type AnyRoom = Pick<Room, "log" | "on" | "sync" | "role" | "client" | "status" | "limits" | "batch"> & {
  readonly others: readonly { readonly client: string; readonly away: boolean; readonly state: object }[];
  readonly presence: { update(patch: any): void };
  readonly objects: { has(id: string): boolean; create(object: { readonly id: string; readonly kind: string }): unknown };
};

/** What a message has beside the bytes of an entry. */
const MESSAGE_BYTES = 512;
/** A log of fewer bytes is not compacted for its bytes. */
const COMPACT_FROM_BYTES = 64 * 1024;
/** Who compacts when the client whose turn it is does not. */
const PATIENCE_MS = 5_000;

export class ScumbleProvider {
  /** The log holds all that the document has, as far as is known here: nothing of one's own waits. */
  synced = false;
  /** As it was given; editors look for it here. */
  readonly awareness: AwarenessLike | undefined;
  private readonly carets: Carets | undefined;
  private readonly log: ObjectLog;
  private readonly flushMs: number;
  private readonly compactEntries: number;
  private readonly kind: string;
  private readonly pieces = new Pieces();
  private readonly stops: (() => void)[] = [];
  private readonly waiting = new Set<() => void>();
  /** Changes that are not appended yet. */
  private pending: Uint8Array[] = [];
  private unacked = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private compactTimer: ReturnType<typeof setTimeout> | undefined;
  private compacting = false;
  /** The log may lack something that the document has. */
  private lacking = true;
  private destroyed = false;

  constructor(
    private readonly room: AnyRoom,
    private readonly id: string,
    readonly doc: Y.Doc,
    options: ProviderOptions = {},
  ) {
    this.kind = options.kind ?? "yjs";
    this.flushMs = options.flushMs ?? 30;
    this.compactEntries = options.compactEntries ?? 200;
    this.log = room.log(id);
    this.awareness = options.awareness;
    this.carets = this.awareness && new Carets(room, id, this.awareness);
    const changed = (update: Uint8Array, origin: unknown): void => {
      if (origin !== this) this.changed(update);
    };
    const gone = (): void => this.destroy();
    doc.on("update", changed);
    doc.on("destroy", gone);
    const hidden = (): void => this.flush();
    globalThis.addEventListener?.("pagehide", hidden);
    this.stops.push(
      () => doc.off("update", changed),
      () => doc.off("destroy", gone),
      () => globalThis.removeEventListener?.("pagehide", hidden),
      this.log.on("append", (event) => this.heard(event)),
      this.log.on("compact", (event) => this.heard(event)),
      this.log.on("reset", (event) => this.restarted(event.entries)),
      room.on("sync", () => this.settle()),
      room.on("objects", ({ changes }) => {
        // Somebody took a deletion back: the log does not come back with the object.
        if (changes.some((change) => change.id === id && change.type === "create")) this.lack();
      }),
    );
    this.restarted(this.log.entries);
    this.settle();
  }

  /** Resolves when all has come that was there, and all of one's own is committed. */
  whenSynced(): Promise<void> {
    return this.synced ? Promise.resolve() : new Promise((resolve) => this.waiting.add(resolve));
  }

  /** Appends what waits, and stops. The document stays as it is, and its carets go. */
  destroy(): void {
    if (this.destroyed) return;
    this.flush();
    this.destroyed = true;
    this.carets?.destroy();
    clearTimeout(this.timer);
    clearTimeout(this.compactTimer);
    for (const stop of this.stops) stop();
  }

  // ---- from the log ----

  private heard({ type, entries, own }: LogEvent): void {
    this.take(entries);
    if (type === "append" && !own) this.settle();
    this.compactSoon();
  }

  private restarted(entries: readonly LogEntry[]): void {
    this.pieces.clear();
    this.take(entries);
    this.lack();
    this.compactSoon();
  }

  private take(entries: readonly LogEntry[]): void {
    const updates = entries.flatMap((entry) => this.pieces.update(entry) ?? []);
    if (updates.length === 0) return;
    this.doc.transact(() => {
      for (const update of updates) Y.applyUpdate(this.doc, update, this);
    }, this);
  }

  /** The log may lack something: that is looked for once all of it has come. */
  private lack(): void {
    this.lacking = true;
    this.settle();
  }

  // ---- to the log ----

  private changed(update: Uint8Array): void {
    this.pending.push(update);
    this.synced = false;
    this.timer ??= setTimeout(() => this.flush(), this.flushMs);
  }

  private get arrived(): boolean {
    return this.room.sync === "synchronized" && this.room.status === "connected";
  }

  /** What waits for the canvas to have come, or for an answer. */
  private settle(): void {
    if (this.destroyed || !this.arrived || this.pending.length > 0 || this.unacked > 0) return;
    if (this.lacking) {
      this.lacking = false;
      const missing = this.missing();
      if (missing) return this.append(missing);
    }
    this.synced = true;
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }

  /** What the document has and the log has not. */
  private missing(): Uint8Array | undefined {
    const logged = new Y.Doc();
    const pieces = new Pieces();
    for (const entry of this.log.entries) {
      const update = pieces.update(entry);
      if (update) Y.applyUpdate(logged, update);
    }
    const same = Y.equalSnapshots(Y.snapshot(this.doc), Y.snapshot(logged));
    const missing = same ? undefined : Y.encodeStateAsUpdate(this.doc, Y.encodeStateVector(logged));
    logged.destroy();
    return missing;
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.destroyed || this.pending.length === 0) return;
    // Before all has come nobody knows whether the object is there.
    if (!this.arrived && !this.room.objects.has(this.id)) {
      this.timer = setTimeout(() => this.flush(), Math.max(this.flushMs, 100));
      return;
    }
    const update = this.pending.length === 1 ? (this.pending[0] as Uint8Array) : Y.mergeUpdates(this.pending);
    this.pending = [];
    this.append(update);
  }

  private append(update: Uint8Array): void {
    if (this.room.role === "read" || this.room.status === "disconnected") return;
    if (!this.room.objects.has(this.id)) {
      // Taking an edit back must not take the document away.
      this.room.batch(() => this.room.objects.create({ id: this.id, kind: this.kind }), { undo: false });
    }
    const ops = this.entriesOf(update).map((data) => this.log.append(data));
    for (const op of ops) this.follow(op);
    if (ops.length > 1) void this.check(ops);
  }

  private entriesOf(update: Uint8Array): Uint8Array[] {
    const most = Math.floor(((this.room.limits.max_message_bytes - MESSAGE_BYTES) / 4) * 3) - 64;
    return update.length < most ? [entryOf(update)] : piecesOf(update, most);
  }

  private follow(op: Op): void {
    this.unacked++;
    this.synced = false;
    const answered = (committed: boolean): void => {
      this.unacked--;
      if (!committed) this.lacking = true;
      this.settle();
    };
    op.done.then(
      ({ status }) => answered(status !== "ignored" || !this.room.objects.has(this.id)),
      ({ code }: { code: string }) => {
        // A log that is full has room when it is compacted. What else is refused for good would be again.
        if (code === "too-large") void this.compact().then(() => answered(false));
        else answered(["forbidden", "unknown-type", "closed", "bad-message"].includes(code));
      },
    );
  }

  /** Pieces mean something together only: another client may have compacted some of them away meanwhile. */
  private async check(ops: readonly Op[]): Promise<void> {
    const results = await Promise.allSettled(ops.map((op) => op.done));
    const places = results.flatMap((result) => (result.status === "fulfilled" ? result.value.seq : []));
    const there = new Set(this.log.entries.map(({ seq }) => seq));
    if (places.some((seq) => seq > 0 && !there.has(seq))) this.lack();
  }

  // ---- compaction ----

  private get isFull(): boolean {
    const { entries } = this.log;
    if (entries.length >= this.compactEntries) return true;
    const bytes = entries.reduce((sum, { data }) => sum + data.length, 0);
    return entries.length > 1 && bytes > COMPACT_FROM_BYTES && bytes > 1.5 * Y.encodeStateAsUpdate(this.doc).length;
  }

  /** One client of those that are here does it: the first by its name. The others, if it does not. */
  private compactSoon(): void {
    if (this.destroyed || this.compactTimer !== undefined || this.compacting || this.log.entries.length < 2) return;
    const here = this.room.others.filter(({ away }) => !away).map(({ client }) => client);
    const turn = [...here, this.room.client].sort().indexOf(this.room.client);
    this.compactTimer = setTimeout(() => {
      this.compactTimer = undefined;
      if (this.arrived && this.isFull) void this.compact();
    }, 100 + Math.min(turn, 3) * PATIENCE_MS);
  }

  /** Puts the whole document in the place of the entries that are there. Done by itself when the log is long. */
  async compact(): Promise<void> {
    if (this.destroyed || this.compacting || this.room.role === "read") return;
    // What a part of is missing must stay: its rest is to come.
    const upto = this.log.entries.filter(({ seq }) => seq < this.pieces.firstOpen).at(-1)?.seq;
    if (upto === undefined) return;
    this.compacting = true;
    try {
      const entries = this.entriesOf(Y.encodeStateAsUpdate(this.doc));
      if (entries.length === 1) await this.log.compact(upto, entries[0]).done;
      else {
        // It is too large for one message: it is put behind, then what it covers goes.
        const ops = entries.map((data) => this.log.append(data));
        const results = await Promise.all(ops.map((op) => op.done));
        if (results.every(({ status }) => status === "ok")) await this.log.compact(upto).done;
      }
    } catch {
      // Nothing is lost: the entries are there.
    } finally {
      this.compacting = false;
    }
  }
}
