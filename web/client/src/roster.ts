/** Who else is here. Pure. */

import type { JsonObject, Other, User } from "./types.js";
import { MAX_USER_CHARS } from "./bounds.js";
import { isObject } from "./json.js";

/** A person as `welcome.users` and `user-connected` tell. */
export interface WireUser {
  readonly client: string;
  readonly user?: User;
  readonly state?: JsonObject | null;
  readonly away?: boolean;
}

interface Seat {
  joinedAs: User;
  other: Other;
}

const NOTHING: JsonObject = {};

/**
 * Name and colour given at joining, overlaid by `state.user`, where a client tells that they changed. The server does
 * not look into the state: what is not such a text is left out.
 */
function shownUser(joinedAs: User, state: JsonObject): User {
  if (!isObject(state.user)) return joinedAs;
  const { name, color } = state.user;
  const fits = (text: unknown): text is string => typeof text === "string" && [...text].length <= MAX_USER_CHARS;
  // What a token vouches for nobody says otherwise.
  const vouched: readonly unknown[] = Array.isArray(joinedAs.vouched) ? joinedAs.vouched : [];
  const told = { ...(fits(name) && !vouched.includes("name") && { name }), ...(fits(color) && !vouched.includes("color") && { color }) };
  return { ...joinedAs, ...told };
}

export class Roster {
  private readonly seats = new Map<string, Seat>();
  private list: readonly Other[] | undefined = [];
  private dirty = false;

  /** In order of joining; the same array until something changes. */
  get others(): readonly Other[] {
    return (this.list ??= [...this.seats.values()].map((seat) => seat.other));
  }

  get size(): number {
    return this.seats.size;
  }

  get(client: string): Other | undefined {
    return this.seats.get(client)?.other;
  }

  /**
   * The full list after a (re)connect. Those who are still there keep their place and, unchanged, their identity, so
   * nobody's avatar flickers. Returns who is gone.
   */
  replace(users: readonly WireUser[], self: string): string[] {
    const here = new Set(users.map((user) => user.client));
    const gone = [...this.seats.keys()].filter((client) => !here.has(client) || client === self);
    for (const client of gone) this.leave(client);
    for (const user of users) if (user.client !== self) this.join(user);
    return gone;
  }

  join(user: WireUser): void {
    this.put(user.client, user.user ?? {}, user.state ?? NOTHING, user.away ?? false);
  }

  /** A `presence` message: what it does not say stays. */
  update(client: string, state: JsonObject | undefined, away: boolean | undefined): void {
    const seat = this.seats.get(client);
    this.put(client, seat?.joinedAs ?? {}, state ?? seat?.other.state ?? NOTHING, away ?? seat?.other.away ?? false);
  }

  leave(client: string): void {
    if (this.seats.delete(client)) this.changed();
  }

  private put(client: string, joinedAs: User, state: JsonObject, away: boolean): void {
    const old = this.seats.get(client);
    const other: Other = { client, user: shownUser(joinedAs, state), state, away };
    if (old && JSON.stringify(old.other) === JSON.stringify(other)) return;
    this.seats.set(client, { joinedAs, other });
    this.changed();
  }

  private changed(): void {
    this.list = undefined;
    this.dirty = true;
  }

  /** Whether anything changed since the last call. */
  takeDirty(): boolean {
    const { dirty } = this;
    this.dirty = false;
    return dirty;
  }
}
