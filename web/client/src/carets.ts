/**
 * Where others are in a Yjs document: the state of an `Awareness`, in the presence of its client. The room knows who is
 * here, so nothing has to be told again and again, and nobody stays who is gone.
 */

import type { AwarenessLike } from "./yjs.js";

/** Characters of a state as JSON. A caret with a name has some hundred; a larger state is not shown to others. */
const STATE_CHARS = 4_096;
/** In everybody's presence state: what they have in each document. */
const KEY = "yjs";

interface CaretRoom {
  readonly status: string;
  readonly others: readonly { readonly client: string; readonly away: boolean; readonly state: object }[];
  readonly presence: { update(patch: any): void };
  on(event: "others" | "status", listener: () => void): () => void;
}

/** What somebody told. */
interface Told {
  readonly text: string;
  /** Their number in Yjs, and their state; `undefined` for what is neither. */
  readonly read: readonly [number, Record<string, unknown>] | undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A state of other people's making. */
function read(text: string): Told["read"] {
  try {
    const [client, state] = JSON.parse(text) as [unknown, unknown];
    return Number.isSafeInteger(client) && (client as number) >= 0 && isObject(state) ? [client as number, state] : undefined;
  } catch {
    return undefined;
  }
}

export class Carets {
  /** By client of the room. */
  private told = new Map<string, Told>();
  /** By number in Yjs: what is in the awareness. */
  private shown = new Map<number, string>();
  private own: string | null = null;
  private readonly stops: (() => void)[];

  constructor(
    private readonly room: CaretRoom,
    private readonly id: string,
    private readonly awareness: AwarenessLike,
  ) {
    const changed = (_: unknown, origin: unknown): void => {
      if (origin === "local") this.tell(this.local());
    };
    awareness.on("change", changed);
    this.stops = [
      () => awareness.off("change", changed),
      room.on("others", () => this.show(this.here())),
      room.on("status", () => this.show(this.here())),
    ];
    this.tell(this.local());
    this.show(this.here());
  }

  /** Nobody sees this one here any more, and it sees nobody. */
  destroy(): void {
    for (const stop of this.stops) stop();
    this.tell(null);
    this.show(new Map());
  }

  private local(): string | null {
    const state = this.awareness.getLocalState();
    const text = state && JSON.stringify([this.awareness.clientID, state]);
    return text && text.length <= STATE_CHARS ? text : null;
  }

  /** As one text: patches of presence are merged, and a state is to be replaced. */
  private tell(text: string | null): void {
    if (text === this.own) return;
    try {
      this.room.presence.update({ [KEY]: { [this.id]: text } });
      this.own = text;
    } catch (error) {
      // The application's own presence leaves no room. The next state may be smaller.
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** Who is here, by number in Yjs. Nobody may take another's, or this one's. */
  private here(): Map<number, Told> {
    const here = new Map<number, Told>();
    const told = new Map<string, Told>();
    if (this.room.status === "connected") {
      for (const { client, away, state } of this.room.others) {
        const all = (state as Record<string, unknown>)[KEY];
        const text = isObject(all) && Object.hasOwn(all, this.id) ? all[this.id] : undefined;
        if (away || typeof text !== "string" || text.length > STATE_CHARS) continue;
        const before = this.told.get(client);
        const now = before?.text === text ? before : { text, read: read(text) };
        told.set(client, now);
        const number = now.read?.[0];
        if (number !== undefined && number !== this.awareness.clientID && !here.has(number)) here.set(number, now);
      }
    }
    this.told = told;
    return here;
  }

  private show(here: Map<number, Told>): void {
    const { states, meta } = this.awareness;
    const removed = [...this.shown.keys()].filter((number) => !here.has(number));
    for (const number of removed) {
      states.delete(number);
      meta.delete(number);
    }
    const [added, updated]: [number[], number[]] = [[], []];
    for (const [number, { text, read }] of here) {
      if (!read || this.shown.get(number) === text) continue;
      (this.shown.has(number) ? updated : added).push(number);
      states.set(number, read[1]);
      // It ends when the client goes, and not by a clock.
      meta.set(number, { clock: (meta.get(number)?.clock ?? -1) + 1, lastUpdated: Infinity });
    }
    this.shown = new Map([...here].map(([number, { text }]) => [number, text]));
    if (added.length + updated.length + removed.length === 0) return;
    for (const event of ["change", "update"]) this.awareness.emit(event, [{ added, updated, removed }, this]);
  }
}
