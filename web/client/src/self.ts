/** Who one is to others: what the application says, and what a token vouches for, which wins. Pure. */

import type { JsonObject, User } from "./types.js";
import { MAX_USER_CHARS } from "./bounds.js";
import { isObject } from "./json.js";

const FIELDS = ["name", "color"] as const;

/**
 * What a token says, as the server would read it. Not verified, since only the server can: it is used to understand the
 * server's answer, and what cannot be read says nothing.
 */
function claimsOf(token: string | undefined): JsonObject {
  try {
    const payload = (token?.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isObject(claims) ? claims : {};
  } catch {
    return {};
  }
}

export class Self {
  /** As others see one. */
  user: User;
  private vouched: User = {};
  private said: User;
  private claims: JsonObject = {};

  constructor(private wanted: User) {
    this.user = this.said = wanted;
  }

  /** What to say at joining, with that token. */
  joining(token: string | undefined): User {
    this.claims = claimsOf(token);
    return (this.said = this.wanted);
  }

  /** `welcome.user`. True when others see one differently from before. */
  welcomed(told: unknown): boolean {
    const before = this.user;
    this.vouched = {};
    for (const field of FIELDS) {
      const text = isObject(told) ? told[field] : undefined;
      if (typeof text !== "string") continue;
      const claim = this.claims[field];
      const named = typeof claim === "string" && [...claim].slice(0, MAX_USER_CHARS).join("") === text;
      // A token that happens to say the same as the application vouches for it all the same.
      if (named || text !== this.said[field]) this.vouched = { ...this.vouched, [field]: text };
    }
    this.user = { ...this.wanted, ...this.vouched };
    return FIELDS.some((field) => this.user[field] !== before[field]);
  }

  /** The user with these changes, and a patch that tells others: what is vouched for they know from the server. */
  changed(change: User): { wanted: User; patch: JsonObject } {
    const wanted = { ...this.wanted, ...change };
    return { wanted, patch: { ...wanted, ...this.silence } };
  }

  /** Takes what {@link changed} gave. */
  take(wanted: User): void {
    this.wanted = wanted;
    this.user = { ...wanted, ...this.vouched };
  }

  /** A patch that takes back what one told of oneself and somebody else vouches for. */
  get silence(): JsonObject {
    return Object.fromEntries(FIELDS.filter((field) => this.vouched[field] !== undefined).map((field) => [field, null]));
  }
}
