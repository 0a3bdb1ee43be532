/**
 * Undo and redo of one's own actions only.
 *
 * An entry remembers, for each property it wrote, the value that stood before and the value it wrote. Undo writes the
 * former back, but only where the latter still stands: what somebody else changed since is theirs and stays. Two facts
 * arrive late, and `remoteChange` takes them in:
 *   - While an own op is unacked, somebody else's value is confirmed but masked on our screen. It was committed before
 *     ours, so it is what stood before: undo must restore it, not the older value we saw.
 *   - The same for a delete: the copy kept for bringing the object back takes up changes committed before the delete.
 */

import type { Patch, Wire } from "./types";

/** What history needs of an op. */
export interface OwnOp {
  readonly state: string;
}

/** What history needs of the room. */
export interface Doc {
  get(id: string): Readonly<Wire> | undefined;
  create(object: Wire): OwnOp;
  update(id: string, patch: Patch): OwnOp;
  remove(id: string): OwnOp;
  /** False for those who may only look; asked before every change. */
  mayWrite(): boolean;
}

interface Own {
  id: string;
  /** The latest op of the action, */
  op: OwnOp;
  /** and the first, where several writes became one action. */
  first?: OwnOp;
  /** Counts own ops as they are made. */
  order: number;
}

type Action = Own & (
  | { type: "create" }
  | { type: "delete"; object: Wire }
  | { type: "update"; before: Patch; after: Patch }
);

export interface Entry {
  label: string;
  actions: Action[];
  /** Nudges and strokes of typing with the same key within a moment become one entry. */
  mergeKey?: string | undefined;
  at: number;
}

/** What a step back or forth came to. */
export interface Step {
  label: string;
  /** False when nothing of it was left to do, since others changed all of it. */
  done: boolean;
}

const MAX_ENTRIES = 200;
const MERGE_WITHIN_MS = 900;

const clone = <T>(value: T): T => structuredClone(value);
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
const unacked = (op: OwnOp): boolean => op.state === "pending" || op.state === "sent";

export class History {
  onChange: () => void = () => {};
  private undos: Entry[] = [];
  private redos: Entry[] = [];
  private open: Entry | undefined;
  private made = 0;

  constructor(private readonly doc: Doc, private readonly now: () => number = () => performance.now()) {}

  get canUndo(): boolean {
    return this.undos.length > 0;
  }

  get canRedo(): boolean {
    return this.redos.length > 0;
  }

  /** Everything done between `begin` and `commit` is undone as one. */
  begin(label: string, mergeKey?: string): void {
    this.commit();
    this.open = { label, actions: [], mergeKey, at: this.now() };
  }

  commit(): void {
    const entry = this.open;
    this.open = undefined;
    if (!entry || entry.actions.length === 0) return;
    const last = this.undos.at(-1);
    if (last && entry.mergeKey && last.mergeKey === entry.mergeKey && entry.at - last.at < MERGE_WITHIN_MS) {
      for (const action of entry.actions) merge(last, action);
      last.at = entry.at;
    } else this.undos.push(entry);
    if (this.undos.length > MAX_ENTRIES) this.undos.shift();
    this.redos = [];
    this.onChange();
  }

  group(label: string, fn: () => void, mergeKey?: string): void {
    this.begin(label, mergeKey);
    fn();
    this.commit();
  }

  create(object: Wire): void {
    if (!this.doc.mayWrite()) return;
    this.record({ type: "create", id: object.id, op: this.doc.create(object), order: this.made++ });
  }

  update(id: string, patch: Patch): void {
    const object = this.doc.get(id);
    if (!object || !this.doc.mayWrite()) return;
    const before: Patch = {};
    for (const key of Object.keys(patch)) before[key] = clone(object[key] ?? null);
    this.record({ type: "update", id, op: this.doc.update(id, patch), order: this.made++, before, after: clone(patch) });
  }

  remove(id: string): void {
    const object = this.doc.get(id);
    if (!object || !this.doc.mayWrite()) return;
    this.record({ type: "delete", id, object: clone(object) as Wire, op: this.doc.remove(id), order: this.made++ });
  }

  /** Takes back what is left of the newest entry, and drops it. Undefined when there is none. */
  undo(): Step | undefined {
    this.commit();
    return this.step(this.undos, this.redos);
  }

  redo(): Step | undefined {
    this.commit();
    return this.step(this.redos, this.undos);
  }

  /**
   * Somebody else's confirmed change. Where an own op is still on its way, theirs came before it; where ours was
   * confirmed, theirs came after it and the property is no longer ours to take back.
   */
  remoteChange(id: string, patch: Patch): void {
    const entries = this.open ? [...this.undos, ...this.redos, this.open] : [...this.undos, ...this.redos];
    const actions = entries.flatMap((entry) => entry.actions).filter((action) => action.id === id);
    actions.sort((a, b) => a.order - b.order);
    for (const key of Object.keys(patch)) {
      for (const action of actions) {
        if (unacked(action.op)) {
          // Only the oldest: what stood before the later ones is what the earlier ones wrote.
          // Anything may be named in a patch of somebody else's; as a computed name even `__proto__` is a property.
          if (action.type === "delete") action.object = { ...action.object, [key]: clone(patch[key]) };
          else if (action.type === "update" && Object.hasOwn(action.before, key)) action.before[key] = clone(patch[key]);
          else if (action.type === "update") continue;
          break;
        }
        if (action.type !== "update") continue;
        delete action.before[key];
        delete action.after[key];
      }
    }
  }

  /**
   * After a reconnect everything others did meanwhile is confirmed and own ops are not yet: what stands confirmed is
   * what undo has to give back for the oldest own write of each property.
   */
  rebase(confirmed: (id: string) => Readonly<Wire> | undefined): void {
    const entries = this.open ? [...this.undos, ...this.redos, this.open] : [...this.undos, ...this.redos];
    const actions = entries.flatMap((entry) => entry.actions).sort((a, b) => a.order - b.order);
    const written = new Set<string>();
    for (const action of actions) {
      const { id, op, first = op } = action;
      if (!unacked(op) || written.has(id)) continue;
      const object = confirmed(id);
      if (action.type === "update") {
        for (const key of Object.keys(action.before)) {
          const place = `${id} ${key}`;
          if (object && unacked(first) && !written.has(place)) action.before[key] = clone(object[key] ?? null);
          written.add(place);
        }
      } else {
        const touched = [...written].some((place) => place.startsWith(`${id} `));
        if (action.type === "delete" && object && !touched) action.object = clone(object) as Wire;
        written.add(id);
      }
    }
  }

  private record(action: Action): void {
    if (this.open) merge(this.open, action);
    else this.group("Edit", () => merge(this.open!, action));
  }

  /**
   * One entry and no more: going on to the one before, because nothing of this is left, would take back what nobody asked
   * for, such as a creation that others have worked on since. Refused entries were rolled back already and are no steps.
   */
  private step(from: Entry[], to: Entry[]): Step | undefined {
    let entry = from.pop();
    while (entry?.actions.every(({ op }) => op.state === "failed")) entry = from.pop();
    const inverse: Entry = { label: entry?.label ?? "", actions: [], at: 0 };
    // Backwards, so that an object comes back before its later change is looked at.
    for (const action of [...(entry?.actions ?? [])].reverse()) {
      const done = this.invert(action);
      if (done) inverse.actions.push(done);
    }
    const done = inverse.actions.length > 0;
    if (done) to.push(inverse);
    this.onChange();
    return entry && { label: entry.label, done };
  }

  private invert(action: Action): Action | undefined {
    const { id } = action;
    const order = this.made++;
    const object = this.doc.get(id);
    // A refused op was rolled back already: there is nothing of it to undo.
    if (action.op.state === "failed") return undefined;
    switch (action.type) {
      case "create":
        return object && { type: "delete", id, order, object: clone(object) as Wire, op: this.doc.remove(id) };
      case "delete":
        return object ? undefined : { type: "create", id, order, op: this.doc.create(withoutNulls(action.object)) };
      case "update": {
        if (!object) return undefined;
        const keys = Object.keys(action.after).filter((key) => same(object[key], action.after[key]));
        if (keys.length === 0) return undefined;
        const pick = (patch: Patch): Patch => Object.fromEntries(keys.map((key) => [key, clone(patch[key])]));
        const after = pick(action.before);
        return { type: "update", id, order, op: this.doc.update(id, clone(after)), before: pick(action.after), after };
      }
    }
  }
}

/** A patch may have left nulls; in a create they would be properties. */
function withoutNulls(object: Wire): Wire {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null)) as Wire;
}

/** Adds to an entry; a second write of a property keeps the first `before`, and a changed creation stays a creation. */
function merge(entry: Entry, action: Action): void {
  if (action.type === "update") {
    if (entry.actions.some((other) => other.type === "create" && other.id === action.id)) return;
    const earlier = entry.actions.find((other) => other.type === "update" && other.id === action.id);
    if (earlier?.type === "update") {
      earlier.before = { ...action.before, ...earlier.before };
      earlier.after = { ...earlier.after, ...action.after };
      earlier.first ??= earlier.op;
      earlier.op = action.op;
      return;
    }
  }
  if (action.type === "delete") {
    const at = entry.actions.findIndex((other) => other.type === "create" && other.id === action.id);
    if (at >= 0) {
      // Made and removed within one entry, such as a note left empty: nothing happened.
      entry.actions.splice(at, 1);
      return;
    }
  }
  entry.actions.push(action);
}
