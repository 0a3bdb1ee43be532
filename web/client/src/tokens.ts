/** Where the next token comes from. */

import type { Environment } from "./environment.js";
import type { Problem } from "./reconnect.js";

type Source = string | (() => string | Promise<string>) | undefined;

/** After this long without a token the application is told. */
const TELL_AFTER_MS = 4_000;
/** A function that has not answered for this long is asked again, at growing intervals; its first answer counts. */
const ASK_AGAIN_MS = 10_000;
const MAX_ASK_AGAIN_MS = 60_000;

export class Tokens {
  /** Given without a connection: goes before all others until it was taken or refused. */
  private newer: string | undefined;
  private cancelAsking: () => void = () => {};
  /** The one that was got last. */
  private last: string | undefined;

  constructor(
    private readonly env: Environment,
    private source: Source,
    private readonly tell: (problem: Problem) => void,
  ) {}

  get any(): boolean {
    return this.source !== undefined;
  }

  get renewable(): boolean {
    return typeof this.source === "function";
  }

  /** The application gives one. A function is asked again at the next connection and knows better than this one. */
  refreshed(token: string): void {
    if (typeof this.source !== "function") this.source = token;
    this.last = token;
  }

  /** One for a request beside the connection: the last one, or a new one if that was refused. */
  async beside(renew: boolean): Promise<string | undefined> {
    const { source } = this;
    if (renew || this.last === undefined) {
      const token: unknown = typeof source === "function" ? await source() : source;
      this.last = typeof token === "string" ? token : undefined;
    }
    return this.last;
  }

  /** The one for the next attempts. */
  next(token: string): void {
    this.newer = token;
  }

  /** The newer one was taken, or refused. */
  used(): void {
    this.newer = undefined;
  }

  stop(): void {
    this.cancelAsking();
  }

  async get(): Promise<string | undefined> {
    this.cancelAsking();
    const { source } = this;
    const token: unknown = this.newer ?? (typeof source === "function" ? await this.ask(source) : source);
    if (token === undefined || token === null) return undefined;
    if (typeof token !== "string") throw new TypeError(`the function must return a string, or a promise of one, not ${Array.isArray(token) ? "array" : typeof token}`);
    return (this.last = token);
  }

  private ask(source: () => string | Promise<string>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let open = 0;
      let waitMs = ASK_AGAIN_MS;
      let cancelAgain = (): void => {};
      const problem: Problem = { code: "unauthorized", message: "no token yet: the function that gets it does not answer. It is asked again" };
      const cancelTelling = this.env.after(TELL_AFTER_MS, () => this.tell(problem));
      this.cancelAsking = () => (cancelAgain(), cancelTelling());
      const settled = (): void => this.cancelAsking();
      const again = (): void => {
        open++;
        cancelAgain = this.env.after(waitMs, again);
        waitMs = Math.min(MAX_ASK_AGAIN_MS, waitMs * 2);
        Promise.resolve().then(source).then(
          (token) => (settled(), resolve(token)),
          (error: unknown) => {
            if (--open > 0) return;
            settled();
            reject(error);
          },
        );
      };
      again();
    });
  }
}
