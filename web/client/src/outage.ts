/** Says why there is no connection: once for each time that there is none, a few seconds after the first attempt. */

import type { Environment } from "./environment.js";
import type { Problem } from "./reconnect.js";

/** A restart of the server, or a moment without a network, is over before. */
const LOOK_AFTER_MS = 2_000;
/** A reason that takes longer to find is not waited for: that much is to be said within five seconds. */
const FOUND_WITHIN_MS = 2_000;

export class Outage {
  private cancel: (() => void) | undefined;
  private told = false;
  /** The socket is open: whatever is missing, the address is right. */
  private open = false;
  /** How the last socket that had been open was closed. */
  private closed: string | undefined;
  /** Counts outages: what is found out about an earlier one is not said of a later one. */
  private number = 0;

  constructor(
    private readonly env: Environment,
    private readonly url: string,
    private readonly tell: (problem: Problem) => void,
  ) {}

  attempt(): void {
    if (this.told || this.cancel) return;
    const { number } = this;
    this.cancel = this.env.after(LOOK_AFTER_MS, () => {
      if (!this.open) return void this.look(number);
      // Its welcome may be large, and the line slow; or nobody there knows what to say.
      this.cancel = this.env.after(FOUND_WITHIN_MS, () => {
        this.cancel = undefined;
        if (this.open) this.say("something takes the connection there, but has not said anything yet. It is waited for");
      });
    });
  }

  opened(): void {
    this.open = true;
  }

  lost(code: number, reason: string): void {
    if (this.open) this.closed = `the connection is closed before the server says anything (${code}${reason && `, ${reason}`})`;
    this.open = false;
  }

  /** There is a connection, or none is wanted any more. */
  over(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.told = this.open = false;
    this.closed = undefined;
    this.number++;
  }

  private async look(number: number): Promise<void> {
    const reason = this.closed ?? (await this.reason());
    if (number !== this.number || this.told) return;
    this.cancel = undefined;
    // It opened meanwhile: its welcome may be large, and the line slow.
    if (this.open) return;
    this.say(`${reason}. It is tried again`);
  }

  private say(what: string): void {
    this.told = true;
    const [address] = this.url.split("?");
    this.tell({ code: "unreachable", message: `no connection to ${address}: ${what}` });
  }

  private reason(): Promise<string> {
    return new Promise((resolve) => {
      this.env.after(FOUND_WITHIN_MS, () => resolve("nothing answers there"));
      this.env.diagnose(this.url).then(resolve, () => resolve("nothing answers there"));
    });
  }
}
