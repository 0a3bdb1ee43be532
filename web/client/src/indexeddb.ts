/**
 * Unacked ops and the confirmed canvas in IndexedDB. It may hang, be full, or be cleared under the page: then ops live in
 * memory, the application is told at once, and it is opened again until it works; what is not acked by then is written anew.
 */

import type { Entry } from "./entry.js";
import { beginningWith, done, ended, openDatabase, reasonOf, type Release, takeLock, within, withinFor } from "./idb.js";
import { forgetKept, Keeper, loadKept } from "./kept.js";
import { keepLastWrites, readLastWrites } from "./last-writes.js";
import { findSeat, lockName, newSeat, type Seat, type SeatOptions } from "./seats.js";
import type { Ground, Identity, KeptCanvas, Loaded, Store } from "./store.js";

/** Numbers set aside at once, so that a crash between sending and storing never leads to using one twice. */
const RESERVE = 2 ** 20;
/** Until it is opened again, doubling up to the last. */
const REOPEN_MS = 250;
const MAX_REOPEN_MS = 30_000;
/** Opens that never answered, at most: each waits in the browser. */
const MAX_OPENING = 4;

interface StoredOp {
  readonly room: string;
  readonly client: string;
  readonly key: number;
  readonly entry: Entry;
}

/** What the store needs to be opened. */
export interface OpenOptions extends SeatOptions {
  /** Something does not work, and what that means. */
  readonly problem: (message: string) => void;
  /** Whether ops outlive the page is another now. */
  readonly changed: () => void;
}

/** What is to be written, by table and key; `undefined` deletes. */
type Batch = Map<string, { table: "seats" | "ops"; key: IDBValidKey; value: unknown }>;

interface Opened {
  readonly db: IDBDatabase | undefined;
  readonly identity: Identity;
  readonly release: Release;
  readonly entries: readonly Entry[];
  /** Those among them that a former page may not have had on disk. */
  readonly last: readonly Entry[];
  readonly kept: KeptCanvas | undefined;
}

/** Opens the store and takes a seat. Where that does not work in time, it begins in memory, under another client id. */
export async function openIndexedDb(options: OpenOptions): Promise<{ store: Store; loaded: Loaded }> {
  const opening = openDatabase();
  opening.catch(() => {});
  let opened: Opened;
  let failure: unknown;
  try {
    opened = await read(await within(opening, "IndexedDB"), options);
  } catch (error) {
    failure = error;
    // Nobody knows which numbers a former page has used: those of a new client id are free.
    opened = { db: undefined, entries: [], last: [], kept: undefined, ...(await newSeat(options)) };
  }
  // What the tab's former page left on the shelf stays there for a page that can read it.
  const store = new IndexedDbStore(failure === undefined ? options : { ...options, shelf: undefined }, opened);
  const { identity: { client, nextOp }, entries, kept } = opened;
  if (failure === undefined) await store.written();
  else store.failed(failure, opening);
  return { store, loaded: { client, nextOp, entries, ...(kept && { kept }) } };
}

async function read(db: IDBDatabase, options: OpenOptions): Promise<Opened> {
  const { room } = options;
  const { identity, release } = await findSeat(db, options);
  const { client } = identity;
  const [known, stored] = await readSeat(db, room, client).catch((error: unknown) => {
    // Another page may do better.
    options.shelf?.put(identity);
    release();
    throw error;
  });
  const last = readLastWrites(room, client);
  const nextOp = Math.max(identity.nextOp, known?.nextOp ?? 1, last?.nextOp ?? 1);
  // A large canvas may take long to read; it is only in the way then.
  const kept = await within(loadKept(db, room), "IndexedDB").catch(() => undefined);
  const entries = new Map([...stored.map((op) => op.entry), ...(last?.entries ?? [])].map((entry) => [entry.key, entry]));
  const inOrder = [...entries.values()].sort((one, other) => one.key - other.key);
  return { db, identity: { client, nextOp }, release, entries: inOrder, last: last?.entries ?? [], kept };
}

async function readSeat(db: IDBDatabase, room: string, client: string): Promise<[Seat | undefined, StoredOp[]]> {
  const reading = db.transaction(["seats", "ops"]);
  const seat = done(reading.objectStore("seats").get([room, client])) as Promise<Seat | undefined>;
  const range = beginningWith(room, client);
  const [known, count] = await within(Promise.all([seat, done(reading.objectStore("ops").count(range))]), "IndexedDB");
  const ops = done(db.transaction("ops").objectStore("ops").getAll(range)) as Promise<StoredOp[]>;
  return [known, await within(ops, "IndexedDB", withinFor(count))];
}

class IndexedDbStore implements Store {
  durable: boolean;
  private db: IDBDatabase | undefined;
  private identity: Identity;
  private release: Release;
  private reserve: number;
  /** Everything that is to be there, by key: for writing it anew. */
  private readonly held = new Map<number, Entry>();
  /** What is to be written: the latest state of each op, `undefined` to delete it. */
  private writes: Batch = new Map();
  /** Whether something among them must not wait. */
  private urgent = false;
  /** A batch begins at the end of this turn. */
  private begun = false;
  /** Batches under way, and the end of the latest; IndexedDB keeps their order. */
  private readonly underWay = new Set<Batch>();
  private latest: Promise<void> = Promise.resolve();
  private keeper: Keeper | undefined;
  private opening = 0;
  private reopenMs = REOPEN_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;
  /** The page is hidden and may never come back: what it writes may never get to the disk. */
  private left = false;
  /** Something may lie in localStorage. */
  private keepsLast = false;

  constructor(private readonly options: OpenOptions, opened: Opened) {
    this.identity = opened.identity;
    this.release = opened.release;
    this.reserve = opened.identity.nextOp + RESERVE;
    this.durable = opened.db !== undefined;
    for (const entry of opened.entries) this.held.set(entry.key, entry);
    if (opened.db) this.attach(opened.db);
    for (const entry of opened.last) this.save(entry);
    this.keepsLast = opened.last.length > 0;
    this.writeSeat();
  }

  private attach(db: IDBDatabase): void {
    this.db = db;
    const gone = (why: string): void => {
      if (this.db === db) this.failed(new Error(why));
    };
    // The user cleared it, or the browser did.
    db.onclose = () => gone("the browser closed the storage of this page");
    // Another version of this library must be able to upgrade; or it is about to be deleted.
    db.onversionchange = () => gone("another page changes or deletes the storage");
  }

  /** Ops live in memory from here on, until it works again. */
  failed(error: unknown, opening?: Promise<IDBDatabase>): void {
    const { db } = this;
    this.db = undefined;
    this.writes.clear();
    try {
      db?.close();
    } catch {
      // Closed is what it is to be.
    }
    if (this.closed) return;
    if (this.durable || opening) {
      this.options.problem(`unsaved changes do not outlive this page: ${reasonOf(error)}. It is tried again`);
    }
    this.durable = false;
    this.options.changed();
    if (opening) this.await(opening);
    this.reopenLater((error as Error | null)?.name === "QuotaExceededError");
  }

  private reopenLater(full = false): void {
    clearTimeout(this.timer);
    if (this.closed || this.db) return;
    this.timer = setTimeout(() => {
      if (this.opening < MAX_OPENING) this.await(openDatabase(), full);
      this.reopenLater(full);
    }, this.reopenMs);
    this.reopenMs = Math.min(MAX_REOPEN_MS, this.reopenMs * 2);
  }

  private await(opening: Promise<IDBDatabase>, full = false): void {
    this.opening++;
    opening.then((db) => this.reopened(db, full)).catch(() => {}).finally(() => this.opening--);
  }

  private async reopened(db: IDBDatabase, full: boolean): Promise<void> {
    if (this.closed || this.db) return db.close();
    this.attach(db);
    clearTimeout(this.timer);
    // Work goes before what can be fetched again.
    if (full) await forgetKept(db).catch(() => {});
    try {
      await this.writeAll(db);
    } catch (error) {
      if (this.db === db) this.failed(error);
      return;
    }
    if (this.db !== db) return;
    this.durable = true;
    this.reopenMs = REOPEN_MS;
    this.options.changed();
    this.begin();
    this.keeper?.renewed();
  }

  /** Whatever was there of this seat: what is not acked now is. */
  private writeAll(db: IDBDatabase): Promise<void> {
    const { room } = this.options;
    const { client } = this.identity;
    const writing = db.transaction(["seats", "ops"], "readwrite");
    const ops = writing.objectStore("ops");
    ops.delete(beginningWith(room, client));
    for (const entry of this.held.values()) ops.put({ room, client, key: entry.key, entry } satisfies StoredOp);
    writing.objectStore("seats").put({ room, client, nextOp: this.reserve } satisfies Seat);
    return within(ended(writing), "IndexedDB", withinFor(this.held.size));
  }

  /** Everything so far is on disk, or has failed. */
  written(): Promise<void> {
    this.begin();
    return this.latest;
  }

  save(entry: Entry): void {
    const { room } = this.options;
    const { client } = this.identity;
    this.held.set(entry.key, entry);
    this.write("ops", [room, client, entry.key], { room, client, key: entry.key, entry } satisfies StoredOp);
  }

  forget(entry: Entry): void {
    this.held.delete(entry.key);
    this.write("ops", [this.options.room, this.identity.client, entry.key], undefined);
  }

  numbered(nextOp: number): void {
    this.identity = { client: this.identity.client, nextOp };
    if (this.left) this.options.shelf?.put(this.identity);
    if (nextOp < this.reserve - RESERVE / 2) return;
    this.reserve = nextOp + RESERVE;
    this.writeSeat();
  }

  private writeSeat(): void {
    const { room } = this.options;
    const { client } = this.identity;
    this.write("seats", [room, client], { room, client, nextOp: this.reserve } satisfies Seat);
  }

  private write(table: "seats" | "ops", key: string[] | (string | number)[], value: unknown): void {
    if (this.db) this.writes.set(`${table}/${key.join("/")}`, { table, key, value });
    if (this.left) this.keepLast();
    if (!this.db) return;
    // The page may go at any moment. What is to be kept must not wait for an earlier write; what is to be forgotten may,
    // since the server recognises an op that it is sent again.
    this.urgent ||= value !== undefined;
    if (this.begun || (this.underWay.size > 0 && !this.urgent)) return;
    this.begun = true;
    // Everything that one call or message changes goes into one transaction.
    void Promise.resolve().then(() => this.begin());
  }

  private begin(): void {
    this.begun = this.urgent = false;
    const { db } = this;
    if (this.writes.size === 0 || !db) return;
    const batch = this.writes;
    this.writes = new Map();
    this.underWay.add(batch);
    this.latest = this.writeBatch(db, batch).catch((error) => {
      if (this.db === db) this.failed(error);
    }).then(() => {
      this.underWay.delete(batch);
      this.keepLast();
      if (this.underWay.size === 0) this.begin();
    });
  }

  /** A page that may be gone in a moment keeps what is not on disk elsewhere, too, for as long as it is not. */
  private keepLast(): void {
    if (!this.left && !this.keepsLast) return;
    const { room } = this.options;
    const { client } = this.identity;
    const unsure = this.unsure().filter((entry) => entry.client === client).sort((one, other) => one.key - other.key);
    keepLastWrites(room, client, { nextOp: this.identity.nextOp, entries: unsure });
    this.keepsLast = unsure.length > 0;
  }

  private unsure(): Entry[] {
    if (!this.durable) return [...this.held.values()];
    const entries = new Map<string, Entry | undefined>();
    for (const batch of [...this.underWay, this.writes]) {
      for (const [name, { table, value }] of batch) if (table === "ops") entries.set(name, (value as StoredOp | undefined)?.entry);
    }
    return [...entries.values()].filter((entry) => entry !== undefined);
  }

  private async writeBatch(db: IDBDatabase, batch: Batch): Promise<void> {
    const transaction = db.transaction(["seats", "ops"], "readwrite");
    for (const { table, key, value } of batch.values()) {
      const store = transaction.objectStore(table);
      if (value === undefined) store.delete(key);
      else store.put(value);
    }
    const end = ended(transaction);
    // At once: left to itself, it is committed only after the page has heard of every put, and a page that goes does not.
    transaction.commit();
    return within(end, "IndexedDB", withinFor(batch.size));
  }

  async changeClient(client: string, entries: readonly Entry[]): Promise<void> {
    const { room } = this.options;
    const former = this.identity.client;
    const letGo = this.release;
    this.release = (await takeLock(lockName(room, client), { ifAvailable: true })) ?? (() => {});
    this.identity = { client, nextOp: 1 };
    this.reserve = 1 + RESERVE;
    for (const entry of entries) {
      this.write("ops", [room, former, entry.key], undefined);
      this.save(entry);
    }
    this.writeSeat();
    await this.written();
    letGo();
  }

  follow(ground: Ground): void {
    const { room, makeId, problem } = this.options;
    this.keeper = new Keeper(room, makeId(), () => this.db, ground, problem);
  }

  moved(): void {
    this.keeper?.moved();
  }

  refused(): void {
    this.keeper?.stop();
    if (this.db) void forgetKept(this.db, this.options.room).catch(() => {});
  }

  leave(): void {
    this.left = true;
    this.keeper?.leave();
    this.options.shelf?.put(this.identity);
    this.keepLast();
  }

  comeBack(): void {
    this.left = false;
    this.options.shelf?.take();
  }

  close(): void {
    this.leave();
    this.closed = true;
    this.keeper?.stop();
    clearTimeout(this.timer);
    void this.written().then(() => {
      this.db?.close();
      this.release();
    });
  }
}
