/** The Op an application holds: a view of an outbox entry, and a promise. */

import { type ErrorCode, type Op, type OpResult, type OpState, ScumbleError } from "./types.js";
import { type Entry, objectIdOf } from "./entry.js";

export interface OpActions {
  retry(entry: Entry): void;
  discard(entry: Entry): boolean;
}

export class OpHandle implements Op {
  private promise!: Promise<OpResult>;
  private resolve!: (result: OpResult) => void;
  private reject!: (error: ScumbleError) => void;

  constructor(
    private readonly entry: Entry,
    private readonly actions: OpActions,
  ) {
    this.renew();
    if (entry.error) this.fail(entry.error.code, entry.error.message);
  }

  get key(): number {
    return this.entry.key;
  }

  get type(): Op["type"] {
    return this.entry.body.type;
  }

  get objectId(): string {
    return objectIdOf(this.entry.body) as string;
  }

  get state(): OpState {
    return this.entry.state;
  }

  get error(): NonNullable<Op["error"]> {
    return this.entry.error as NonNullable<Op["error"]>;
  }

  get refusals(): number {
    return this.entry.refusals;
  }

  get done(): Promise<OpResult> {
    return this.promise;
  }

  retry(): void {
    if (this.entry.state !== "failed") return;
    this.renew();
    this.actions.retry(this.entry);
  }

  discard(): boolean {
    return this.actions.discard(this.entry);
  }

  /** The op is acked. */
  settle(result: OpResult): void {
    this.resolve(result);
  }

  /** The op failed, or will not be followed any more. */
  fail(code: ErrorCode, message: string): void {
    this.reject(new ScumbleError(code, message, this));
  }

  private renew(): void {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Fire and forget: whoever does not look at the promise sees failures in the outbox, not as a crash of Node.
    this.promise.catch(() => {});
  }
}
