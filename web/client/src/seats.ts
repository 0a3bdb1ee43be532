/**
 * Who one is, in IndexedDB. Every client id of a canvas has a seat there, with its ops and its numbers. A tab owns one
 * seat, by a Web Lock that ends with the tab, whatever kills it; a seat whose tab is gone and that still has ops is
 * taken over by the next tab that comes, under the same client id, so that the server recognises what it has.
 */

import { beginningWith, done, hasLocks, type Release, STEP_WITHIN_MS, takeLock, within } from "./idb.js";
import { clientsWithLastWrites, keepLastWrites, readLastWrites } from "./last-writes.js";
import type { Identity, IdentityShelf } from "./store.js";

export interface Seat {
  readonly room: string;
  readonly client: string;
  readonly nextOp: number;
}

export interface SeatOptions {
  /** Server and canvas. */
  readonly room: string;
  readonly shelf: IdentityShelf | undefined;
  /** A client id the application fixed. */
  readonly client: string | undefined;
  readonly makeId: () => string;
}

export interface Taken {
  readonly identity: Identity;
  readonly release: Release;
}

export const lockName = (room: string, client: string): string => `scumble:${room}:${client}`;

/** A seat that is nobody's yet. */
export async function newSeat({ room, client, makeId }: SeatOptions): Promise<Taken> {
  const identity = { client: client ?? makeId(), nextOp: 1 };
  const release = await takeLock(lockName(room, identity.client), { ifAvailable: true });
  return { identity, release: release ?? (() => {}) };
}

/** The seat of this tab's former page, one that a closed tab left with ops in it, or a new one; and its lock. */
export async function findSeat(db: IDBDatabase, options: SeatOptions): Promise<Taken> {
  const { room } = options;
  const own = options.client === undefined ? options.shelf?.take() : { client: options.client, nextOp: 1 };
  if (own) {
    // The former page of this tab lets its lock go a moment after the new one begins.
    const release = await takeLock(lockName(room, own.client), { signal: AbortSignal.timeout(STEP_WITHIN_MS) });
    if (release) return { identity: own, release };
  }
  const adopting = hasLocks() ? adoptSeat(db, room) : Promise.resolve(undefined);
  const adopted = await within(adopting, "IndexedDB").catch((error: unknown) => {
    // A seat that is found too late is the next tab's.
    adopting.then((late) => late?.release(), () => {});
    throw error;
  });
  return adopted ?? newSeat({ ...options, client: undefined });
}

async function adoptSeat(db: IDBDatabase, room: string): Promise<Taken | undefined> {
  const seats = (await done(db.transaction("seats").objectStore("seats").getAll(beginningWith(room)))) as Seat[];
  const known = new Set(seats.map(({ client }) => client));
  const others = clientsWithLastWrites(room).filter((client) => !known.has(client));
  for (const { client, nextOp } of [...seats, ...others.map((client) => ({ client, nextOp: 1 }))]) {
    const release = await takeLock(lockName(room, client), { ifAvailable: true });
    if (!release) continue;
    const count = await done(db.transaction("ops").objectStore("ops").count(beginningWith(room, client)));
    if (count > 0 || readLastWrites(room, client)) return { identity: { client, nextOp }, release };
    // Nobody's, and nothing in it.
    keepLastWrites(room, client, { nextOp, entries: [] });
    await done(db.transaction("seats", "readwrite").objectStore("seats").delete([room, client]));
    release();
  }
  return undefined;
}
