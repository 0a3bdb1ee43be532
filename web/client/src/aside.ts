/** Ops that are not in the queue: failed ones, and those of a former client id whose fate is not known. Pure. */

import { hasEdits } from "./edits.js";
import { type Entry, objectIdOf, type OpBody } from "./entry.js";

const wireKey = (client: string, op: number): string => `${client}/${op}`;

function writesAll(newer: OpBody, older: OpBody): boolean {
  if (newer.type !== "object-update" || older.type !== "object-update" || hasEdits(older)) return false;
  return Object.keys(older.patch).every((key) => Object.hasOwn(newer.patch, key));
}

export class Aside {
  /** By client and number. */
  private readonly entries = new Map<string, Entry>();
  /** Updates that failed for good, by object. */
  private readonly failed = new Map<string, Set<Entry>>();

  get size(): number {
    return this.entries.size;
  }

  values(): Iterable<Entry> {
    return this.entries.values();
  }

  get(client: string, op: number): Entry | undefined {
    return this.entries.get(wireKey(client, op));
  }

  has({ client, op }: Entry): boolean {
    return this.entries.has(wireKey(client, op));
  }

  put(entry: Entry): void {
    this.entries.set(wireKey(entry.client, entry.op), entry);
    if (entry.body.type !== "object-update" || entry.state !== "failed") return;
    const { id } = entry.body;
    this.failed.set(id, (this.failed.get(id) ?? new Set()).add(entry));
  }

  take(entry: Entry): void {
    this.entries.delete(wireKey(entry.client, entry.op));
    const id = objectIdOf(entry.body) ?? "";
    const failed = this.failed.get(id);
    if (failed?.delete(entry) && failed.size === 0) this.failed.delete(id);
  }

  /** Failed updates of which a newer one writes everything: they would only pile up. */
  rewrittenBy(body: OpBody): Entry[] {
    const failed = body.type === "object-update" ? this.failed.get(body.id) : undefined;
    return failed ? [...failed].filter((old) => writesAll(body, old.body)) : [];
  }

  /** Failed updates that are older than an op of their object: tried again, they would undo what it did. */
  outlivedBy(entry: Entry): Entry[] {
    const failed = this.failed.get(objectIdOf(entry.body) ?? "");
    return failed ? [...failed].filter((old) => old.key < entry.key) : [];
  }
}
