/**
 * What a page had not on disk when it went: IndexedDB may not commit what is written in a page's last moment, and nobody is
 * left to hear of it. localStorage takes it at once. It lies there until the seat's next owner has it in IndexedDB.
 */

import type { Entry } from "./entry.js";
import { isClientId } from "./store.js";

export interface LastWrites {
  /** The first op number that the page has not used. */
  readonly nextOp: number;
  /** In the order of their keys. */
  readonly entries: readonly Entry[];
}

/** All applications of an origin share 5 MiB. What is beyond is left to IndexedDB. */
const MAX_LENGTH = 1024 * 1024;

const prefixOf = (room: string): string => `scumble:last:${room}:`;
const nameOf = (room: string, client: string): string => prefixOf(room) + client;

/** A storage that is full, forbidden or was written to by somebody else has nothing, and that is all. */
function tried<T>(use: (storage: Storage) => T): T | undefined {
  try {
    return use(globalThis.localStorage);
  } catch {
    return undefined;
  }
}

const isEntry = (value: unknown): value is Entry => {
  const { key, op, client, body } = (value ?? {}) as Partial<Entry>;
  return Number.isSafeInteger(key) && Number.isSafeInteger(op) && isClientId(client) && typeof body?.type === "string";
};

/** Only for the owner of the seat. */
export function readLastWrites(room: string, client: string): LastWrites | undefined {
  return tried((storage) => {
    const { nextOp, entries } = JSON.parse(storage.getItem(nameOf(room, client)) ?? "{}") as Partial<LastWrites>;
    if (!Number.isSafeInteger(nextOp) || !Array.isArray(entries) || !entries.every(isEntry)) return undefined;
    return { nextOp: nextOp as number, entries };
  });
}

/** Puts them in the place of what is there; none of them, and nothing is there. */
export function keepLastWrites(room: string, client: string, { nextOp, entries }: LastWrites): void {
  const name = nameOf(room, client);
  const kept: string[] = [];
  let length = 0;
  for (const entry of entries) {
    const text = JSON.stringify(entry);
    length += text.length;
    // What comes later may need what came before, not the other way round.
    if (length > MAX_LENGTH) break;
    kept.push(text);
  }
  tried((storage) => {
    if (kept.length === 0) storage.removeItem(name);
    else storage.setItem(name, `{"nextOp":${nextOp},"entries":[${kept.join()}]}`);
  });
}

/** The client ids that left something, whether or not they have a seat in IndexedDB. */
export function clientsWithLastWrites(room: string): string[] {
  const prefix = prefixOf(room);
  return tried((storage) => Object.keys(storage)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))) ?? [];
}
