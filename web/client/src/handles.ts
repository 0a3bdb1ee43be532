/** The ops an application holds, and those of them that are not acked: `room.outbox`. */

import type { ErrorCode, Op } from "./types.js";
import type { Entry } from "./entry.js";
import { type OpActions, OpHandle } from "./op.js";

export class Handles {
  private readonly all = new WeakMap<Entry, OpHandle>();
  /** By age: an op keeps its place whatever happens to it. */
  private readonly unacked = new Set<OpHandle>();
  private list: readonly Op[] | undefined;

  constructor(private readonly actions: OpActions) {}

  /** One entry has one handle. */
  of(entry: Entry): OpHandle {
    let handle = this.all.get(entry);
    if (!handle) {
      handle = new OpHandle(entry, this.actions);
      this.all.set(entry, handle);
    }
    return handle;
  }

  /** The same array until something changes. Made when it is asked for: a burst of ops would copy it once for each. */
  get outbox(): readonly Op[] {
    return (this.list ??= [...this.unacked]);
  }

  /** The op is not acked. */
  add(entry: Entry): OpHandle {
    const handle = this.of(entry);
    this.unacked.add(handle);
    this.list = undefined;
    return handle;
  }

  /** The op is acked, or nobody wants it any more. */
  remove(entry: Entry): void {
    const handle = this.of(entry);
    if (!this.unacked.delete(handle)) return;
    this.list = undefined;
  }

  /** An op changed. */
  touch(): void {
    this.list = undefined;
  }

  /** None of them will be followed any more. */
  end(code: ErrorCode, message: string): void {
    for (const handle of this.unacked) handle.end(code, message);
    this.list = undefined;
  }

  clear(): void {
    this.unacked.clear();
    this.list = undefined;
  }
}
