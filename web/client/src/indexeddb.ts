/**
 * Unacked ops in IndexedDB. Every client id of a canvas has a seat there, with its ops and its numbers. A tab owns one
 * seat, by a Web Lock that ends with the tab, whatever kills it; a seat whose tab is gone and that still has ops is
 * taken over by the next tab that comes, under the same client id, so that the server recognises what it has.
 */

import type { Entry } from "./entry.js";
import type { Identity, IdentityShelf, Loaded, Store } from "./store.js";

const DATABASE = "scumble";
/** Numbers set aside at once, so that a crash between sending and storing never leads to using one twice. */
const RESERVE = 2 ** 20;
/** The former page of this tab lets its lock go a moment after the new one begins. */
const OWN_LOCK_WITHIN_MS = 2_000;

interface Seat {
  room: string;
  client: string;
  nextOp: number;
}

interface StoredOp {
  room: string;
  client: string;
  key: number;
  entry: Entry;
}

/** What the store needs to be opened. */
export interface OpenOptions {
  /** Server and canvas. */
  readonly room: string;
  readonly shelf: IdentityShelf | undefined;
  /** A client id the application fixed. */
  readonly client: string | undefined;
  readonly makeId: () => string;
  /** Writing failed: from here on ops do not survive the page. */
  readonly problem: (message: string) => void;
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
  });
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("seats", { keyPath: ["room", "client"] });
    request.result.createObjectStore("ops", { keyPath: ["room", "client", "key"] });
  };
  return done(request);
}

/** Keys that begin with these parts: in IndexedDB's order an array is greater than every number and string. */
const beginningWith = (...parts: string[]): IDBKeyRange => IDBKeyRange.bound(parts, [...parts, []]);

type Release = () => void;

/** Owns a name until released. `undefined`: somebody else does. Where there are no Web Locks, nobody is asked. */
function takeLock(name: string, options: LockOptions): Promise<Release | undefined> {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks;
  if (!locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    locks
      .request(name, options, (lock) => {
        if (!lock) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(() => resolve(undefined));
  });
}

const lockName = (room: string, client: string): string => `scumble:${room}:${client}`;

/** Whether a seat's owner can be told to be gone: only a Web Lock says so. */
const canAdopt = (): boolean => (globalThis.navigator as Navigator | undefined)?.locks !== undefined;

/** The seat of this tab's former page, one that a closed tab left with ops in it, or a new one; and its lock. */
async function findSeat(db: IDBDatabase, options: OpenOptions): Promise<{ identity: Identity; release: Release }> {
  const { room } = options;
  const own = options.client === undefined ? options.shelf?.take() : { client: options.client, nextOp: 1 };
  if (own) {
    const signal = AbortSignal.timeout(OWN_LOCK_WITHIN_MS);
    const release = await takeLock(lockName(room, own.client), { signal });
    if (release) return { identity: own, release };
  }
  if (canAdopt()) {
    const adopted = await adoptSeat(db, room);
    if (adopted) return adopted;
  }
  const client = options.makeId();
  const release = await takeLock(lockName(room, client), { ifAvailable: true });
  return { identity: { client, nextOp: 1 }, release: release ?? (() => {}) };
}

async function adoptSeat(db: IDBDatabase, room: string): Promise<{ identity: Identity; release: Release } | undefined> {
  const seats = (await done(db.transaction("seats").objectStore("seats").getAll(beginningWith(room)))) as Seat[];
  for (const { client, nextOp } of seats) {
    const release = await takeLock(lockName(room, client), { ifAvailable: true });
    if (!release) continue;
    const count = await done(db.transaction("ops").objectStore("ops").count(beginningWith(room, client)));
    if (count > 0) return { identity: { client, nextOp }, release };
    // Nobody's, and nothing in it.
    await done(db.transaction("seats", "readwrite").objectStore("seats").delete([room, client]));
    release();
  }
  return undefined;
}

/** Opens the store and takes a seat. Rejects where IndexedDB is missing or forbidden. */
export async function openIndexedDb(options: OpenOptions): Promise<{ store: Store; loaded: Loaded }> {
  const { room } = options;
  const db = await openDatabase();
  // Another version of this library must be able to upgrade; losing the store is told as a problem by the next write.
  db.onversionchange = () => db.close();
  const { identity, release } = await findSeat(db, options);
  const { client } = identity;
  const reading = db.transaction(["seats", "ops"]);
  const seat = done(reading.objectStore("seats").get([room, client])) as Promise<Seat | undefined>;
  const ops = done(reading.objectStore("ops").getAll(beginningWith(room, client))) as Promise<StoredOp[]>;
  const nextOp = Math.max(identity.nextOp, (await seat)?.nextOp ?? 1);
  const entries = (await ops).map((op) => op.entry);
  const store = new IndexedDbStore(db, options, { client, nextOp }, release);
  await store.reserved();
  return { store, loaded: { client, nextOp, entries } };
}

class IndexedDbStore implements Store {
  durable = true;
  private reserve: number;
  /** What is to be written: the latest state of each op, `undefined` to delete it. */
  private writes = new Map<string, { table: "seats" | "ops"; key: IDBValidKey; value: unknown }>();
  /** Whether something among them must not wait. */
  private urgent = false;
  /** A batch begins at the end of this turn. */
  private begun = false;
  /** Batches under way, and the end of the latest; IndexedDB keeps their order. */
  private underWay = 0;
  private latest: Promise<void> = Promise.resolve();

  constructor(
    private readonly db: IDBDatabase,
    private readonly options: OpenOptions,
    private identity: Identity,
    private release: Release,
  ) {
    this.reserve = identity.nextOp + RESERVE;
    this.writeSeat();
  }

  /** The numbers are set aside on disk. */
  reserved(): Promise<void> {
    this.begin();
    return this.latest;
  }

  save(entry: Entry): void {
    const { room } = this.options;
    const { client } = this.identity;
    this.write("ops", [room, client, entry.key], { room, client, key: entry.key, entry });
  }

  forget(entry: Entry): void {
    this.write("ops", [this.options.room, this.identity.client, entry.key], undefined);
  }

  numbered(nextOp: number): void {
    this.identity = { client: this.identity.client, nextOp };
    if (nextOp < this.reserve - RESERVE / 2) return;
    this.reserve = nextOp + RESERVE;
    this.writeSeat();
  }

  private writeSeat(): void {
    const { room } = this.options;
    const { client } = this.identity;
    this.write("seats", [room, client], { room, client, nextOp: this.reserve });
  }

  private write(table: "seats" | "ops", key: string[] | (string | number)[], value: unknown): void {
    this.writes.set(`${table}/${key.join("/")}`, { table, key, value });
    // The page may go at any moment. What is to be kept must not wait for an earlier write; what is to be forgotten may,
    // since the server recognises an op that it is sent again.
    this.urgent ||= value !== undefined;
    if (this.begun || (this.underWay > 0 && !this.urgent)) return;
    this.begun = true;
    // Everything that one call or message changes goes into one transaction.
    void Promise.resolve().then(() => this.begin());
  }

  private begin(): void {
    this.begun = this.urgent = false;
    if (this.writes.size === 0) return;
    this.underWay++;
    this.latest = this.writeBatch().catch((error) => this.failed(error)).then(() => {
      this.underWay--;
      if (this.underWay === 0) this.begin();
    });
  }

  private failed(error: unknown): void {
    if (this.durable) this.options.problem(String(error));
    this.durable = false;
  }

  private async writeBatch(): Promise<void> {
    const batch = this.writes;
    this.writes = new Map();
    const transaction = this.db.transaction(["seats", "ops"], "readwrite");
    for (const { table, key, value } of batch.values()) {
      const store = transaction.objectStore(table);
      if (value === undefined) store.delete(key);
      else store.put(value);
    }
    const ended = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB aborted"));
    });
    // At once: left to itself, it is committed only after the page has heard of every put, and a page that goes does not.
    transaction.commit();
    return ended;
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
    await this.reserved();
    letGo();
  }

  leave(): void {
    this.options.shelf?.put(this.identity);
  }

  comeBack(): void {
    this.options.shelf?.take();
  }

  close(): void {
    this.leave();
    void this.reserved().then(() => {
      this.db.close();
      this.release();
    });
  }
}
