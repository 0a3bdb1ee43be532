/** Where unacked ops and the client's identity live: in memory, or (see indexeddb.ts) beyond the page. */

import type { CanvasObject } from "./types.js";
import type { WireChat } from "./chat.js";
import type { Entry } from "./entry.js";
import type { Position } from "./stream.js";

/** A canvas as it was confirmed at a place in its order. */
export interface KeptCanvas extends Position {
  /** In the order of their creation. */
  readonly objects: readonly CanvasObject[];
  readonly chat: readonly WireChat[];
  /** Whether objects had logs, which are not kept: then it is only shown, and not continued. Older versions did not know. */
  readonly logs?: boolean | undefined;
}

/** What changed of the confirmed canvas since it was asked for the last time. */
export interface Moved {
  /** All of it was replaced. */
  readonly all: boolean;
  readonly ids: ReadonlySet<string>;
  /** Those among them that were not there before: they stand at the end, in this order. */
  readonly made: ReadonlySet<string>;
}

/** The confirmed canvas, for a store that keeps it. */
export interface Ground {
  position(): Position | undefined;
  take(): Moved;
  get(id: string): CanvasObject | undefined;
  objects(): Iterable<CanvasObject>;
  chat(): readonly WireChat[];
  /** Whether any object has a log. */
  logs(): boolean;
}

/** What a page starts from. */
export interface Loaded {
  readonly client: string;
  /** The first op number that no former page can have used. */
  readonly nextOp: number;
  readonly entries: readonly Entry[];
  /** The canvas as a former page knew it. */
  readonly kept?: KeptCanvas;
}

export interface Store {
  /** Ops outlive the page: it may be left while some are unacked. */
  readonly durable: boolean;
  save(entry: Entry): void;
  forget(entry: Entry): void;
  /** The highest number in use grew: a later page must not use it again. */
  numbered(nextOp: number): void;
  /** Keeps the confirmed canvas, where it can. */
  follow?(ground: Ground): void;
  /** The confirmed canvas changed. */
  moved?(): void;
  /** One may not look at this canvas any more: what is kept of it goes. */
  refused?(): void;
  /** Goes on under another client id, with these entries. */
  changeClient(client: string, entries: readonly Entry[]): Promise<void>;
  /** The page is hidden for good or for a while: leaves the identity for the next page of this tab. */
  leave(): void;
  /** The page is back. */
  comeBack(): void;
  close(): void;
}

/** A tab's identity between two pages. */
export interface Identity {
  readonly client: string;
  readonly nextOp: number;
}

/** Where a tab leaves its identity: sessionStorage, where there is one. */
export interface IdentityShelf {
  take(): Identity | undefined;
  put(identity: Identity): void;
}

const CLIENT_ID = /^[A-Za-z0-9_-]{8,64}$/;

/** Whether a text is a client id the server takes. */
export function isClientId(text: unknown): text is string {
  return typeof text === "string" && CLIENT_ID.test(text);
}

/**
 * The shelf in sessionStorage. The identity lies there only between two pages: a page takes it away when it comes and
 * puts it back when it goes. So a tab that is copied finds nothing and makes an identity of its own.
 */
export function sessionShelf(name: string): IdentityShelf {
  const storage = (): Storage | undefined => {
    try {
      return globalThis.sessionStorage;
    } catch {
      // Some browsers throw where storage is forbidden.
      return undefined;
    }
  };
  return {
    take() {
      try {
        const text = storage()?.getItem(name);
        storage()?.removeItem(name);
        const { client, nextOp } = JSON.parse(text ?? "{}") as Partial<Identity>;
        return isClientId(client) && Number.isSafeInteger(nextOp) ? { client, nextOp: nextOp as number } : undefined;
      } catch {
        return undefined;
      }
    },
    put(identity) {
      try {
        storage()?.setItem(name, JSON.stringify(identity));
      } catch {
        // A full or forbidden storage costs the identity, nothing else.
      }
    },
  };
}

/** Keeps nothing but the identity. */
export class MemoryStore implements Store {
  readonly durable = false;
  private identity: Identity;
  /** The page is hidden, and the identity lies on the shelf. */
  private left = false;

  constructor(
    loaded: Identity,
    private readonly shelf: IdentityShelf | undefined,
  ) {
    this.identity = loaded;
  }

  save(): void {}
  forget(): void {}

  numbered(nextOp: number): void {
    this.identity = { client: this.identity.client, nextOp };
    // A number that is used after that must not be used again by the next page.
    if (this.left) this.shelf?.put(this.identity);
  }

  changeClient(client: string): Promise<void> {
    this.identity = { client, nextOp: 1 };
    return Promise.resolve();
  }

  leave(): void {
    this.left = true;
    this.shelf?.put(this.identity);
  }

  comeBack(): void {
    this.left = false;
    this.shelf?.take();
  }

  close(): void {
    this.leave();
  }
}
