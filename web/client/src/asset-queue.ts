/** Uploads that wait, in IndexedDB where they are to outlive the page. A database of its own: old pages know nothing of it. */

import { done, ended, hasIndexedDb, within } from "./idb.js";

const DATABASE = "scumble-assets";
const TABLE = "uploads";
/** Uploads of one room that wait at most, and their bytes. */
export const MAX_WAITING = 64;
export const MAX_WAITING_BYTES = 128 * 1024 * 1024;
/** What waited for longer is given up: its objects may be gone, and the disk is the user's. */
const MAX_AGE_MS = 14 * 86_400_000;
/** A large blob takes its time. */
const WITHIN_MS = 30_000;

/** A blob that the server is to get. */
export interface Waiting {
  readonly id: string;
  readonly blob: Blob;
  readonly type: string;
}

interface Row extends Waiting {
  readonly room: string;
  /** Wall clock. */
  readonly at: number;
}

/** Keeps what waits. Failing to do so costs no more than that it does not outlive the page. */
export interface AssetQueue {
  /** What a former page left. */
  load(): Promise<readonly Waiting[]>;
  add(waiting: Waiting): Promise<void>;
  remove(id: string): Promise<void>;
}

export const inMemory: AssetQueue = {
  load: async () => [],
  add: async () => {},
  remove: async () => {},
};

async function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: ["room", "id"] });
  return done(request);
}

/** Each step opens anew and closes: uploads are rare, and an open database is in the way of whoever deletes it. */
async function step<T>(mode: IDBTransactionMode, work: (table: IDBObjectStore) => IDBRequest<T> | undefined): Promise<T | undefined> {
  const db = await within(open(), "IndexedDB");
  try {
    const transaction = db.transaction(TABLE, mode);
    const request = work(transaction.objectStore(TABLE));
    await within(ended(transaction), "IndexedDB", WITHIN_MS);
    return request?.result;
  } finally {
    db.close();
  }
}

export function assetQueue(room: string, durable: boolean, date: () => number): AssetQueue {
  if (!durable || !hasIndexedDb()) return inMemory;
  const range = (): IDBKeyRange => IDBKeyRange.bound([room], [room, []]);
  return {
    load: async () => {
      const rows = ((await step("readonly", (table) => table.getAll(range()))) ?? []) as Row[];
      const old = rows.filter(({ at }) => at < date() - MAX_AGE_MS);
      for (const { id } of old) await step("readwrite", (table) => table.delete([room, id]));
      return rows.filter((row) => !old.includes(row)).slice(0, MAX_WAITING);
    },
    add: async (waiting) => void (await step("readwrite", (table) => table.put({ ...waiting, room, at: date() } satisfies Row))),
    remove: async (id) => void (await step("readwrite", (table) => table.delete([room, id]))),
  };
}
