/**
 * Undo and redo of one's own changes of objects only. Pure: changes and messages in, bodies of ops out.
 *
 * A change remembers what it wrote and what stood there before, value by value. Undo writes the latter back, but only
 * where the former still stands: what somebody else wrote since is theirs and stays. Two facts arrive late:
 *   - While an own op is unacked, somebody else's value is confirmed but masked on one's own screen. It was committed before
 *     ours, so it is what stood before: undo must restore it, not the older value one saw.
 *   - The same for a delete: the copy kept for bringing the object back takes up changes committed before the delete.
 */

import type { CanvasObject, JsonObject, UndoStep } from "./types.js";
import { patchOf } from "./edits.js";
import type { OpBody } from "./entry.js";
import { sameJson } from "./json.js";
import { type Change, changeOf, composed, forget, leavesOf, placesOf, put, standing, stoodBefore, written } from "./changes.js";

/** What history needs of an op. */
export interface OwnOp {
  readonly state: string;
}

/** What history needs of the room. */
export interface Doc {
  get(id: string): CanvasObject | undefined;
  /** Makes an op that is not recorded. */
  perform(body: OpBody): OwnOp;
}

interface Own {
  readonly id: string;
  /** The latest op of the action, */
  op: OwnOp;
  /** and the first, where several writes became one action. */
  first?: OwnOp;
  /** Counts own ops as they are made. */
  readonly order: number;
}

type Action = Own & (
  | { readonly type: "create"; readonly object: CanvasObject; replaced: CanvasObject | undefined }
  | { readonly type: "delete"; object: CanvasObject }
  | { readonly type: "update"; change: Change }
);

interface Entry {
  readonly label: string;
  readonly actions: Action[];
  /** Steps with the same key within a moment become one: nudges, strokes of typing. */
  readonly mergeKey: string | undefined;
  at: number;
}

/** Steps kept; older ones cannot be undone any more. */
const MAX_STEPS = 200;
/** Changes kept in all steps together: an import of thousands of objects must not be kept two hundred times. */
const MAX_ACTIONS = 20_000;
const MERGE_WITHIN_MS = 900;
export const DEFAULT_LABEL = "Edit";

const unacked = (op: OwnOp): boolean => op.state === "pending" || op.state === "sent";
const refused = ({ actions }: Entry): boolean => actions.every(({ op }) => op.state === "failed");

export class History {
  onChange: () => void = () => {};
  private undos: Entry[] = [];
  private redos: Entry[] = [];
  private open: Entry | undefined;
  private made = 0;

  constructor(
    private readonly doc: Doc,
    private readonly now: () => number,
  ) {}

  /** Refused changes were rolled back already, and are no steps. */
  get canUndo(): boolean {
    return !!this.open?.actions.length || this.undos.some((entry) => !refused(entry));
  }

  get canRedo(): boolean {
    return this.redos.some((entry) => !refused(entry));
  }

  /** Everything recorded between this and {@link end} is undone as one. */
  begin(label = DEFAULT_LABEL, mergeKey?: string): void {
    this.end();
    this.open = { label, actions: [], mergeKey, at: this.now() };
  }

  get grouping(): boolean {
    return this.open !== undefined;
  }

  end(): void {
    const entry = this.open;
    this.open = undefined;
    if (!entry || entry.actions.length === 0) return;
    const last = this.undos.at(-1);
    if (last && entry.mergeKey && last.mergeKey === entry.mergeKey && entry.at - last.at < MERGE_WITHIN_MS) {
      for (const action of entry.actions) merge(last, action);
      last.at = entry.at;
    } else this.undos.push(entry);
    let actions = this.undos.reduce((sum, step) => sum + step.actions.length, 0);
    while (this.undos.length > MAX_STEPS || (actions > MAX_ACTIONS && this.undos.length > 1)) {
      actions -= this.undos.shift()?.actions.length ?? 0;
    }
    this.redos = [];
    this.onChange();
  }

  clear(): void {
    this.undos = [];
    this.redos = [];
    if (this.open) this.open = { ...this.open, actions: [] };
    this.onChange();
  }

  /** An own op was made; `before` is the object as it was shown. */
  record(body: OpBody, before: CanvasObject | undefined, op: OwnOp): void {
    const action = this.actionOf(body, before, op);
    if (!action) return;
    if (this.open) return merge(this.open, action);
    this.begin();
    merge(this.open as unknown as Entry, action);
    this.end();
  }

  private actionOf(body: OpBody, before: CanvasObject | undefined, op: OwnOp): Action | undefined {
    const order = this.made++;
    if (body.type === "object-create") return { type: "create", id: body.object.id, op, order, object: body.object, replaced: before };
    if (body.type === "object-delete") return before && { type: "delete", id: body.id, op, order, object: before };
    if (body.type !== "object-update" || !before) return undefined;
    return { type: "update", id: body.id, op, order, change: changeOf(before, patchOf(before, body)) };
  }

  /** Takes back what is left of the newest step, and drops it. `undefined` when there is none. */
  undo(): UndoStep | undefined {
    this.end();
    return this.step(this.undos, this.redos);
  }

  redo(): UndoStep | undefined {
    this.end();
    return this.step(this.redos, this.undos);
  }

  private actions(): Action[] {
    const entries = this.open ? [...this.undos, ...this.redos, this.open] : [...this.undos, ...this.redos];
    return entries.flatMap((entry) => entry.actions).sort((a, b) => a.order - b.order);
  }

  /**
   * Somebody else's confirmed change. Where an own op is still on its way, theirs came before it; where ours was
   * confirmed, theirs came after it and the value is no longer ours to take back.
   */
  remote(id: string, patch: JsonObject): void {
    const actions = this.actions().filter((action) => action.id === id);
    if (actions.length === 0) return;
    for (const [path, value] of leavesOf(patch)) {
      for (const action of actions) {
        if (unacked(action.op)) {
          // Only the oldest: what stood before the later ones is what the earlier ones wrote.
          if (action.type === "delete") action.object = put(action.object, path, value) as CanvasObject;
          else if (action.type === "create") action.replaced &&= put(action.replaced, path, value) as CanvasObject;
          else if (action.type === "update" && written(action.change, path)) action.change = stoodBefore(action.change, path, value);
          else continue;
          break;
        }
        if (action.type === "update") action.change = forget(action.change, path);
      }
    }
  }

  /**
   * After a reconnect everything others did meanwhile is confirmed and own ops are not yet: what stands confirmed is
   * what undo has to give back for the oldest own write of each value.
   */
  rebase(confirmed: (id: string) => CanvasObject | undefined): void {
    const done = new Set<string>();
    for (const action of this.actions()) {
      const { id, op, first = op } = action;
      if (!unacked(op) || done.has(id)) continue;
      const object = confirmed(id);
      if (action.type === "update") {
        for (const path of placesOf(action.change)) {
          const place = JSON.stringify([id, ...path]);
          if (object && unacked(first) && !done.has(place)) action.change = stoodBefore(action.change, path, standing(object, path));
          done.add(place);
        }
      } else {
        const touched = [...done].some((place) => place.startsWith(`[${JSON.stringify(id)},`));
        if (action.type === "delete" && object && !touched) action.object = object;
        done.add(id);
      }
    }
  }

  /**
   * One step and no more: going on to the one before, because nothing of this is left, would take back what nobody asked
   * for, such as a creation that others have worked on since.
   */
  private step(from: Entry[], to: Entry[]): UndoStep | undefined {
    let entry = from.pop();
    while (entry && refused(entry)) entry = from.pop();
    const inverse: Entry = { label: entry?.label ?? "", actions: [], mergeKey: undefined, at: 0 };
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
    const object = this.doc.get(id);
    // A refused op was rolled back already: there is nothing of it to undo.
    if (action.op.state === "failed") return undefined;
    const body = inverseOf(action, object);
    return body && this.actionOf(body, object, this.doc.perform(body));
  }
}

/** The op that takes an action back, as the object stands now. */
function inverseOf(action: Action, object: CanvasObject | undefined): OpBody | undefined {
  const { id } = action;
  switch (action.type) {
    case "create":
      if (!object) return undefined;
      if (!action.replaced) return { type: "object-delete", id };
      return sameJson(object, action.object) ? { type: "object-create", object: action.replaced } : undefined;
    case "delete":
      return object ? undefined : { type: "object-create", object: action.object };
    case "update": {
      const patch = object && standingInverse(action.change, object);
      return patch && { type: "object-update", id, patch };
    }
  }
}

function standingInverse(change: Change, object: CanvasObject): JsonObject | undefined {
  let back: JsonObject = {};
  for (const path of placesOf(change)) {
    if (sameJson(standing(object, path) ?? null, standing(change.after, path) ?? null)) {
      back = put(back, path, standing(change.before, path) ?? null, true);
    }
  }
  return Object.keys(back).length > 0 ? back : undefined;
}

function latest(actions: readonly Action[], id: string): Action | undefined {
  for (let i = actions.length - 1; i >= 0; i--) if (actions[i]?.id === id) return actions[i];
  return undefined;
}

/** Adds to an entry; a second write of a value keeps the first `before`, and a changed creation stays a creation. */
function merge(entry: Entry, action: Action): void {
  const { actions } = entry;
  if (action.type === "update") {
    // Only the latest: what was removed and made again meanwhile is another object.
    const earlier = latest(actions, action.id);
    if (earlier?.type === "create" && !earlier.replaced) return;
    const change = earlier?.type === "update" ? composed(earlier.change, action.change) : undefined;
    if (earlier?.type === "update" && change) {
      earlier.change = change;
      earlier.first ??= earlier.op;
      earlier.op = action.op;
      return;
    }
  }
  if (action.type === "delete") {
    const made = latest(actions, action.id);
    // Made and removed within one step, such as a note left empty: nothing happened.
    if (made?.type === "create" && !made.replaced) return void actions.splice(actions.indexOf(made), 1);
  }
  actions.push(action);
}
