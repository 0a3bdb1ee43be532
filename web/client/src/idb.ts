/** IndexedDB with bounds: in some browsers, on some days, a request never answers. */

const DATABASE = "scumble";
const VERSION = 2;
/** An open, a transaction or a lock that takes longer is taken for hanging. */
export const STEP_WITHIN_MS = 2_000;
/** What a row adds to that: 64 KB on a slow disk. */
const ROW_WITHIN_MS = 5;
/** For a transaction of so many rows. */
export const withinFor = (rows: number): number => STEP_WITHIN_MS + rows * ROW_WITHIN_MS;
/** A page that stands still hears of its timers first: the time is counted in steps, of which it misses at most one. */
const STEPS = 8;

/** Whether there is one at all. Some browsers throw where storage is forbidden. */
export function hasIndexedDb(): boolean {
  try {
    return typeof indexedDB !== "undefined" && indexedDB !== null;
  } catch {
    return false;
  }
}

/** What is wrong, and what would help, as far as the browser says it. */
export function reasonOf(error: unknown): string {
  switch ((error as Error | null)?.name) {
    case "QuotaExceededError":
      return "the disk, or the part of it that this site may use, is full: free some space";
    case "VersionError":
      return "a newer version of this library has the storage: reload this page";
    case "SecurityError":
    case "NotAllowedError":
      return "the browser's settings forbid this page to store anything";
    default:
      return String(error);
  }
}

/** Rejects when the promise does not settle in time. */
export function within<T>(promise: Promise<T>, what: string, ms = STEP_WITHIN_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    let left = STEPS;
    let timer: ReturnType<typeof setTimeout>;
    const tick = (): void => {
      if (left-- > 0) timer = setTimeout(tick, ms / STEPS);
      else reject(new Error(`${what} did not answer within ${ms / 1000} s`));
    };
    tick();
    promise.finally(() => clearTimeout(timer)).then(resolve, reject);
  });
}

export function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
  });
}

/** The end of a transaction: what it wrote is kept. */
export function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB aborted"));
  });
}

/** Not bounded: who gives up may still use it when it comes. */
export async function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, VERSION);
  request.onupgradeneeded = () => {
    const db = request.result;
    const make = (name: string, keyPath: string | string[]): void => {
      if (!db.objectStoreNames.contains(name)) db.createObjectStore(name, { keyPath });
    };
    make("seats", ["room", "client"]);
    make("ops", ["room", "client", "key"]);
    make("canvases", "room");
    make("objects", ["room", "id"]);
  };
  return done(request);
}

/** Keys that begin with these parts: in IndexedDB's order an array is greater than every number and string. */
export const beginningWith = (...parts: string[]): IDBKeyRange => IDBKeyRange.bound(parts, [...parts, []]);

export type Release = () => void;

/** Whether a seat's owner can be told to be gone: only a Web Lock says so. */
export const hasLocks = (): boolean => (globalThis.navigator as Navigator | undefined)?.locks !== undefined;

/** Owns a name until released. `undefined`: somebody else does. Where there are no Web Locks, nobody is asked. */
export function takeLock(name: string, options: LockOptions): Promise<Release | undefined> {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks;
  if (!locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    let waits = true;
    const timer = setTimeout(() => {
      waits = false;
      resolve(undefined);
    }, STEP_WITHIN_MS);
    const answer = (release: Release | undefined): void => {
      clearTimeout(timer);
      if (waits) resolve(release);
      else release?.();
    };
    locks
      .request(name, options, (lock) => {
        if (!lock) return answer(undefined);
        return new Promise<void>((release) => answer(release));
      })
      .catch(() => answer(undefined));
  });
}
