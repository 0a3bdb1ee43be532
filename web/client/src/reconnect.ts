/** When to connect, when to wait, when to give up. Pure: events and the time in, what to do out. */

import type { ErrorCode } from "./types.js";

/** Full jitter between nothing and a ceiling that doubles from here … */
export const MIN_CEILING_MS = 250;
/** … to here. */
export const MAX_CEILING_MS = 10_000;
/** A connection that lived this long was a good one: the next loss starts again with the smallest ceiling. */
export const STABLE_AFTER_MS = 5_000;
/** A place that is full is not asked again after a quarter of a second: the ceiling starts at four. */
const FULL_ATTEMPT = 4;
/** Tokens refused in a row, a fresh one asked for each time. */
const MAX_TOKENS = 3;
/** New identities within {@link REPLACED_WITHIN_MS}: more would be two pages fighting for ever. */
const MAX_IDENTITIES = 3;
const REPLACED_WITHIN_MS = 60_000;

/** However long a server asks one to wait: by then it may have forgotten, or meant something else. */
const MAX_PATIENCE_MS = 300_000;

/** What a server asks one to wait, as far as that is a time. */
export function patience(askedMs: unknown): number {
  return typeof askedMs === "number" && askedMs > 0 ? Math.min(askedMs, MAX_PATIENCE_MS) : 0;
}

export type Decision =
  /** Connect after that many ms. */
  | { readonly type: "wait"; readonly ms: number; readonly newIdentity?: boolean; readonly problem?: Problem }
  /** Stay away: for good, if it is final, else until there is another token. */
  | ({ readonly type: "stop"; readonly final: boolean } & Problem);

/** What to tell the application. */
export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What the caller can do about a refusal. */
export interface Abilities {
  /** The token comes from a function, which may have a newer one. */
  readonly canRenewToken: boolean;
  /** The client id was made here and may be changed. */
  readonly canChangeIdentity: boolean;
  /** There is a token, so another one may allow what this one does not. */
  readonly hasToken: () => boolean;
}

export class Reconnect {
  private attempt = 0;
  private notBefore = -Infinity;
  private welcomedAt: number | undefined;
  private refusedTokens = 0;
  private replacedAt: number[] = [];

  constructor(private readonly abilities: Abilities) {}

  welcomed(now: number): void {
    this.welcomedAt = now;
    this.refusedTokens = 0;
  }

  /** `goaway`, or a deliberate cut: not before that time, whatever else happens. */
  stayAway(ms: number, now: number): void {
    this.notBefore = Math.max(this.notBefore, now + ms);
  }

  /** For how many ms it must not be tried. */
  away(now: number): number {
    return Math.max(0, this.notBefore - now);
  }

  /** The network came back, the tab became visible, or there is a new token: in how many ms to connect. */
  wakened(now: number): number {
    this.attempt = 0;
    return this.away(now);
  }

  /** The connection ended. `random` is in [0, 1). */
  closed(code: number, reason: string, now: number, random: number): Decision {
    const lived = this.welcomedAt === undefined ? 0 : now - this.welcomedAt;
    this.welcomedAt = undefined;
    if (lived >= STABLE_AFTER_MS) this.attempt = 0;
    const said = reason ? `: ${reason}` : "";
    if (code === 4401) return this.unauthorized(said, now, random);
    if (code === 4409) return this.replaced(now, random);
    if (code === 4413) {
      this.attempt = Math.max(this.attempt, FULL_ATTEMPT);
      return { ...this.wait(now, random), problem: { code: "full", message: reason || "the canvas or the server is full" } };
    }
    if (code === 1009 || (code >= 4400 && code < 4500)) {
      const final = code !== 4403 || !this.abilities.hasToken();
      return { type: "stop", final, code: "refused", message: `closed with ${code}${said}` };
    }
    return this.wait(now, random);
  }

  private wait(now: number, random: number): Decision & { type: "wait" } {
    const ceiling = Math.min(MAX_CEILING_MS, MIN_CEILING_MS * 2 ** this.attempt);
    this.attempt++;
    return { type: "wait", ms: Math.max(random * ceiling, this.notBefore - now) };
  }

  private unauthorized(said: string, now: number, random: number): Decision {
    this.refusedTokens++;
    if (!this.abilities.canRenewToken || this.refusedTokens >= MAX_TOKENS) {
      return { type: "stop", final: false, code: "unauthorized", message: `the token is missing, wrong or expired${said}` };
    }
    return this.wait(now, random);
  }

  private replaced(now: number, random: number): Decision {
    this.replacedAt = this.replacedAt.filter((at) => now - at < REPLACED_WITHIN_MS);
    this.replacedAt.push(now);
    if (!this.abilities.canChangeIdentity || this.replacedAt.length > MAX_IDENTITIES) {
      return { type: "stop", final: true, code: "replaced", message: "another connection uses the same client id" };
    }
    return { ...this.wait(now, random), newIdentity: true };
  }
}
