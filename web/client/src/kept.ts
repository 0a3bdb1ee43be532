/**
 * The confirmed canvas in IndexedDB, so that a page shows it before it has a connection, and joins with it as its base.
 * One row an object, so that only what changed is written. Of several tabs on a canvas one writes, and another goes on
 * when that one is gone.
 */

import type { CanvasObject } from "./types.js";
import { beginningWith, done, ended, hasLocks, reasonOf, within } from "./idb.js";
import type { WireChat } from "./chat.js";
import type { Ground, KeptCanvas, Moved } from "./store.js";

/** A canvas that is larger as JSON is not kept. */
export const MAX_CHARS = 16 * 1024 * 1024;
/** Canvases kept on a device; beyond it the one that was not looked at for longest goes. */
export const MAX_CANVASES = 8;
/** How soon what changed is written; larger canvases, which take longer, less often. */
const WRITE_AFTER_MS = 300;
const PAUSE_PER_MS = 10;
/** A large canvas on a slow disk takes its time, and nobody waits for it. */
const WRITTEN_WITHIN_MS = 30_000;
/** A tab that has not written for this long although there was something to write is gone, or asleep. */
const WRITER_GONE_MS = 30_000;

interface Meta {
  readonly room: string;
  readonly epoch: string;
  readonly seq: number;
  readonly chat: readonly WireChat[];
  readonly logs?: boolean;
  readonly writer: string;
  /** Wall clock, ms since the epoch. */
  readonly at: number;
}

interface Row {
  readonly room: string;
  readonly id: string;
  readonly place: number;
  readonly text: string;
}

/** What is kept of a canvas. */
export async function loadKept(db: IDBDatabase, room: string): Promise<KeptCanvas | undefined> {
  const reading = db.transaction(["canvases", "objects"]);
  const meta = done(reading.objectStore("canvases").get(room)) as Promise<Meta | undefined>;
  const rows = done(reading.objectStore("objects").getAll(beginningWith(room))) as Promise<Row[]>;
  const [kept, all] = await Promise.all([meta, rows]);
  const inOrder = all.sort((a, b) => a.place - b.place);
  if (!kept) return undefined;
  const { epoch, seq, chat, logs } = kept;
  return { epoch, seq, chat, logs, objects: inOrder.map(({ text }) => JSON.parse(text) as CanvasObject) };
}

/** Deletes what is kept of one canvas, or of all. */
export async function forgetKept(db: IDBDatabase, room?: string): Promise<void> {
  const writing = db.transaction(["canvases", "objects"], "readwrite");
  if (room === undefined) {
    writing.objectStore("canvases").clear();
    writing.objectStore("objects").clear();
  } else {
    writing.objectStore("canvases").delete(room);
    writing.objectStore("objects").delete(beginningWith(room));
  }
  return within(ended(writing), "IndexedDB");
}

export class Keeper {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private writing = false;
  private readonly stopped = new AbortController();
  /** This tab writes, and no other. Without Web Locks nobody can tell. */
  private alone = false;
  /** What is there is not known: all of it has to be written. */
  private whole = true;
  private readonly sizes = new Map<string, number>();
  private readonly places = new Map<string, number>();
  private chars = 0;
  private nextPlace = 1;
  private written = -1;
  /** The application knows that there is no room. */
  private full = false;

  constructor(
    private readonly room: string,
    private readonly writer: string,
    private readonly database: () => IDBDatabase | undefined,
    private readonly ground: Ground,
    private readonly problem: (message: string) => void,
  ) {
    if (hasLocks()) this.waitForTurn();
  }

  /** The turn comes when the tab that has it is gone. */
  private waitForTurn(): void {
    const { signal } = this.stopped;
    navigator.locks.request(`scumble:kept:${this.room}`, { signal }, () => {
      this.alone = true;
      this.moved();
      return new Promise<void>((release) => signal.addEventListener("abort", () => release()));
    }).catch(() => {});
  }

  /** The confirmed canvas changed. */
  moved(inMs = WRITE_AFTER_MS): void {
    if (this.stopped.signal.aborted || this.timer !== undefined || this.writing || (hasLocks() && !this.alone)) return;
    this.timer = setTimeout(() => void this.write(), inMs);
  }

  /** The page goes: what is not written yet is, at once. */
  leave(): void {
    if (this.timer !== undefined && !this.checks) void this.write();
  }

  /** Another database is open, or what was in it may be gone. */
  renewed(): void {
    this.whole = true;
    this.moved();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.stopped.abort();
  }

  private async write(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const [db, position] = [this.database(), this.ground.position()];
    if (!db || !position || this.writing) return;
    this.writing = true;
    const begun = performance.now();
    let again: number | undefined;
    try {
      again = await this.writeTo(db, position);
      if (this.chars > MAX_CHARS) await this.giveUp(db);
    } catch (error) {
      this.whole = true;
      again = WRITER_GONE_MS;
      if ((error as Error).name === "QuotaExceededError") {
        // What is unsaved needs the room more.
        await forgetKept(db, this.room).catch(() => {});
        if (!this.full) this.problem(`the canvas is not kept on this device: ${reasonOf(error)}`);
        this.full = true;
      }
    }
    this.writing = false;
    const took = performance.now() - begun;
    if (again !== undefined) this.moved(again);
    else if (this.ground.position()?.seq !== this.written) this.moved(Math.max(WRITE_AFTER_MS, took * PAUSE_PER_MS));
  }

  private giveUp(db: IDBDatabase): Promise<void> {
    this.stop();
    return forgetKept(db, this.room);
  }

  /** Whether what is there has to be looked at first: somebody else may have written it. */
  private get checks(): boolean {
    return this.whole || !this.alone;
  }

  /** In how many ms to look again, when it is another tab's turn. */
  private async writeTo(db: IDBDatabase, { epoch, seq }: { epoch: string; seq: number }): Promise<number | undefined> {
    const writing = db.transaction(["canvases", "objects"], "readwrite");
    const end = within(ended(writing), "IndexedDB", WRITTEN_WITHIN_MS);
    // A failure is met below as well.
    end.catch(() => {});
    const canvases = writing.objectStore("canvases");
    const { whole, checks } = this;
    if (checks) {
      const meta = (await within(done(canvases.get(this.room)), "IndexedDB")) as Meta | undefined;
      const theirs = meta !== undefined && meta.writer !== this.writer;
      const silentMs = Math.abs(Date.now() - (meta?.at ?? 0));
      if (theirs && meta.epoch === epoch && meta.seq >= seq) return end.then(() => void (this.written = seq));
      if (theirs && meta.epoch === epoch && !this.alone && silentMs < WRITER_GONE_MS) return end.then(() => WRITER_GONE_MS - silentMs);
      this.whole ||= theirs || !meta;
    }
    this.put(writing.objectStore("objects"), this.ground.take(), this.whole);
    canvases.put({ room: this.room, epoch, seq, chat: this.ground.chat(), logs: this.ground.logs(), writer: this.writer, at: Date.now() } satisfies Meta);
    // At once, for a page that goes.
    writing.commit();
    await end;
    this.written = seq;
    this.whole = this.full = false;
    if (whole) await dropOldest(db, this.room);
    return undefined;
  }

  private put(rows: IDBObjectStore, moved: Moved, whole: boolean): void {
    if (whole || moved.all) {
      rows.delete(beginningWith(this.room));
      this.sizes.clear();
      this.places.clear();
      this.chars = 0;
      this.nextPlace = 1;
      for (const object of this.ground.objects()) this.putRow(rows, object);
      return;
    }
    // What was removed and made again stands at the end.
    for (const id of moved.made) this.places.set(id, this.nextPlace++);
    for (const id of moved.ids) {
      const object = this.ground.get(id);
      if (object) this.putRow(rows, object);
      else this.drop(rows, id);
    }
  }

  private putRow(rows: IDBObjectStore, object: CanvasObject): void {
    const { id } = object;
    const text = JSON.stringify(object);
    const place = this.places.get(id) ?? this.nextPlace++;
    this.chars += text.length - (this.sizes.get(id) ?? 0);
    this.sizes.set(id, text.length);
    this.places.set(id, place);
    rows.put({ room: this.room, id, place, text } satisfies Row);
  }

  private drop(rows: IDBObjectStore, id: string): void {
    this.chars -= this.sizes.get(id) ?? 0;
    this.sizes.delete(id);
    this.places.delete(id);
    rows.delete([this.room, id]);
  }
}

async function dropOldest(db: IDBDatabase, room: string): Promise<void> {
  const all = (await within(done(db.transaction("canvases").objectStore("canvases").getAll()), "IndexedDB")) as Meta[];
  const others = all.filter((meta) => meta.room !== room).sort((a, b) => b.at - a.at);
  for (const { room: old } of others.slice(MAX_CANVASES - 1)) await forgetKept(db, old);
}
