/** The window: ops that were sent on this connection and are not answered. Pure. */

/** Ops in flight. With 64 KiB messages and a slow line more would only delay what comes after them. */
export const WINDOW_OPS = 32;
/** Characters in flight, for windows full of large ops; one op may always fly. */
export const WINDOW_CHARS = 512 * 1024;

export class Flight {
  /** In the order in which they were sent. */
  private readonly ops = new Map<number, { chars: number; sentAt: number }>();
  private chars = 0;

  get size(): number {
    return this.ops.size;
  }

  /** Whether the next op has to wait. */
  get full(): boolean {
    return this.ops.size >= WINDOW_OPS || (this.ops.size > 0 && this.chars >= WINDOW_CHARS);
  }

  /** When the oldest of them was sent. */
  get since(): number | undefined {
    for (const { sentAt } of this.ops.values()) return sentAt;
    return undefined;
  }

  has(op: number): boolean {
    return this.ops.has(op);
  }

  launch(op: number, chars: number, now: number): void {
    this.ops.set(op, { chars, sentAt: now });
    this.chars += chars;
  }

  /** It is answered; nothing if it did not fly. */
  land(op: number): void {
    this.chars -= this.ops.get(op)?.chars ?? 0;
    this.ops.delete(op);
  }

  clear(): void {
    this.ops.clear();
    this.chars = 0;
  }
}
