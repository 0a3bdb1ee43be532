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
  /** Why it is not followed any more. The entry keeps its state: in a store it may wait for another page. */
  private ended: NonNullable<Op["error"]> | undefined;

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
    const { body } = this.entry;
    return ("id" in body ? body.id : objectIdOf(body)) as string;
  }

  get state(): OpState {
    return this.ended ? "failed" : this.entry.state;
  }

  get error(): NonNullable<Op["error"]> {
    return (this.ended ?? this.entry.error) as NonNullable<Op["error"]>;
  }

  get refusals(): number {
    return this.entry.refusals;
  }

  get done(): Promise<OpResult> {
    return this.promise;
  }

  retry(): void {
    if (this.ended || this.entry.state !== "failed") return;
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

  /** The op failed, and may be tried again. */
  fail(code: ErrorCode, message: string): void {
    this.reject(new ScumbleError(code, message, this));
  }

  /** The op was discarded, or its room sends nothing any more. One that had failed before keeps its error. */
  end(code: ErrorCode, message: string): void {
    this.ended = (code === "discarded" ? undefined : this.ended ?? this.entry.error) ?? { code, message };
    this.fail(code, message);
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
