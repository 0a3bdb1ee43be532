/**
 * The canvas: confirmed objects, which are the server's, and one's own pending ops laid over them. Pure.
 *
 * Only objects with pending ops have an overlay, whose value is those ops applied to the confirmed object. So a remote
 * change shows at once, except in properties that an own unacked op has set, and taking an op away is the rollback.
 */

import type { CanvasObject, ObjectChange, ObjectsEvent } from "./types.js";
import { type Entry, objectIdOf, type OpBody } from "./entry.js";
import type { Moved } from "./store.js";
import { patchOf, updated } from "./edits.js";
import { sameJson, sameMembers } from "./json.js";

interface Overlay {
  ops: Entry[];
  value: CanvasObject | undefined;
  /**
   * The ops make the object anew: it is shown after the confirmed ones, where it will be once confirmed. An object that
   * is created over an existing one takes its place instead, as at the server.
   */
  created: boolean;
}

type Value = CanvasObject | undefined;
/** What a change is told with. */
type Cause = Pick<ObjectChange, "client" | "own" | "cause" | "patch">;
type ObjectBody = Extract<OpBody, { type: `object-${string}` }>;

function apply(value: Value, body: ObjectBody): Value {
  switch (body.type) {
    case "object-create":
      return body.object;
    case "object-update":
      // Delete wins over a later update.
      return value && (updated(value, body) as CanvasObject);
    case "object-delete":
      return undefined;
  }
}

/** A snapshot tells nobody's name. */
const NOBODY: Cause = { client: "", own: false, cause: "snapshot" };
const ownCause = (entry: Entry, cause: Cause["cause"]): Cause => ({ client: entry.client, own: true, cause });

/** Only ops on objects are ever put into an overlay. */
const bodyOf = (entry: Entry): ObjectBody => entry.body as ObjectBody;

export class Canvas {
  private objects = new Map<string, CanvasObject>();
  private readonly overlays = new Map<string, Overlay>();
  private changes: ObjectChange[] = [];
  private reset = false;
  private moved: { all: boolean; ids: Set<string>; made: Set<string> } = { all: false, ids: new Set(), made: new Set() };
  private list: readonly CanvasObject[] | undefined;

  get(id: string): Value {
    const overlay = this.overlays.get(id);
    return overlay ? overlay.value : this.objects.get(id);
  }

  confirmed(id: string): Value {
    return this.objects.get(id);
  }

  /** Shown objects in creation order. */
  private *values(): Generator<CanvasObject> {
    for (const [id, object] of this.objects) {
      const overlay = this.overlays.get(id);
      if (!overlay) yield object;
      else if (overlay.value && !overlay.created) yield overlay.value;
    }
    for (const overlay of this.overlays.values()) if (overlay.created && overlay.value) yield overlay.value;
  }

  /** All shown objects; the same array until one of them changes. */
  all(): readonly CanvasObject[] {
    return (this.list ??= [...this.values()]);
  }

  get size(): number {
    let size = this.objects.size;
    for (const [id, overlay] of this.overlays) size += (overlay.value ? 1 : 0) - (this.objects.has(id) ? 1 : 0);
    return size;
  }

  /** Lays an own op on top. */
  push(entry: Entry, cause: Cause["cause"] = "call"): void {
    const id = objectIdOf(entry.body);
    if (id === undefined) return;
    const before = this.get(id);
    const overlay = this.overlays.get(id) ?? { ops: [], value: before, created: false };
    overlay.ops.push(entry);
    overlay.value = apply(before, bodyOf(entry));
    if (!before && overlay.value) {
      overlay.created = true;
      this.overlays.delete(id);
    }
    this.overlays.set(id, overlay);
    this.note(id, before, overlay.value, ownCause(entry, cause));
  }

  /** The object as it is before an own op that is laid on top. */
  below(entry: Entry): Value {
    const id = objectIdOf(entry.body) ?? "";
    let value = this.objects.get(id);
    for (const op of this.overlays.get(id)?.ops ?? []) {
      if (op === entry) break;
      value = apply(value, bodyOf(op));
    }
    return value;
  }

  /** An op in the overlay has taken in another patch. */
  remerged(entry: Entry): void {
    const id = objectIdOf(entry.body);
    if (id !== undefined) this.refresh(id, ownCause(entry, "call"));
  }

  /** Takes an own op away without effect: refused, discarded, ignored, or contained in the confirmed state already. */
  drop(entry: Entry, cause: "rollback" | "remote"): void {
    const id = objectIdOf(entry.body);
    if (id === undefined || !this.take(id, entry)) return;
    this.refresh(id, ownCause(entry, cause));
  }

  private take(id: string, entry: Entry): boolean {
    const overlay = this.overlays.get(id);
    const at = overlay ? overlay.ops.indexOf(entry) : -1;
    if (!overlay || at < 0) return false;
    overlay.ops.splice(at, 1);
    return true;
  }

  /** An own op took its place in the order. */
  confirm(entry: Entry): void {
    const id = objectIdOf(entry.body);
    if (id === undefined) return;
    const overlay = this.overlays.get(id);
    const first = overlay?.ops[0] === entry;
    this.store(id, apply(this.objects.get(id), bodyOf(entry)));
    this.take(id, entry);
    this.noteAbsence(id);
    if (overlay && first && overlay.ops.length === 0) {
      // What is shown stays the same, the very object: it has only sunk from the overlay into the ground.
      this.overlays.delete(id);
      if (overlay.value) this.objects.set(id, overlay.value);
      return;
    }
    this.refresh(id, ownCause(entry, "remote"));
  }

  /** Somebody's op took its place in the order. */
  remote(body: OpBody, client: string): void {
    const id = objectIdOf(body);
    if (id === undefined) return;
    const before = this.get(id);
    const ground = this.objects.get(id);
    this.noteAbsence(id);
    this.store(id, apply(ground, body as ObjectBody));
    this.noteAbsence(id);
    const cause: Cause = { client, own: false, cause: "remote", ...(ground && body.type === "object-update" && { patch: patchOf(ground, body) }) };
    if (this.overlays.has(id)) this.refresh(id, cause);
    else this.note(id, before, this.objects.get(id), cause);
  }

  /** Before the stream goes on: what is under way may have met the canvas as it is now. */
  resuming(): void {
    for (const id of this.overlays.keys()) this.noteAbsence(id);
  }

  /** An op that comes while its object is not there is ignored. That it was, an answer says, which may be lost. */
  private noteAbsence(id: string): void {
    let there = this.objects.has(id);
    for (const entry of this.overlays.get(id)?.ops ?? []) {
      if (entry.body.type === "object-create") there = true;
      else if (!there && entry.attempted) entry.mayBeIgnored = true;
      if (entry.body.type === "object-delete") there = false;
    }
  }

  private store(id: string, value: Value): void {
    this.list = undefined;
    this.moved.ids.add(id);
    if (value && !this.objects.has(id)) this.noteMade(id);
    if (value) this.objects.set(id, value);
    else this.objects.delete(id);
  }

  /** Makes the overlay's value anew after the ground or its ops changed. */
  private refresh(id: string, cause: Cause): void {
    const overlay = this.overlays.get(id);
    if (!overlay) return;
    const before = overlay.value;
    let value = this.objects.get(id);
    overlay.created = false;
    for (const op of overlay.ops) {
      const next = apply(value, bodyOf(op));
      overlay.created ||= !value && next !== undefined;
      value = next;
    }
    if (overlay.ops.length === 0) this.overlays.delete(id);
    // A change that own ops mask is none on the screen.
    else if (before && value && sameMembers(before, value)) value = before;
    overlay.value = value;
    this.note(id, before, value, cause);
  }

  /** Replaces the confirmed state. Objects that did not change keep their identity. */
  replace(objects: Iterable<CanvasObject>): void {
    this.moved = { all: true, ids: new Set(), made: new Set() };
    this.renew(new Map([...objects].map((object) => [object.id, object])));
  }

  /** Brings the confirmed state up to date: whole objects, new ones at the end, and what is gone. */
  catchUp(objects: Iterable<CanvasObject>, deleted: Iterable<string>): void {
    const next = new Map(this.objects);
    for (const id of deleted) {
      next.delete(id);
      this.moved.ids.add(id);
    }
    for (const object of objects) {
      this.moved.ids.add(object.id);
      if (!next.has(object.id)) this.noteMade(object.id);
      next.set(object.id, object);
    }
    this.renew(next);
  }

  private renew(next: Map<string, CanvasObject>): void {
    const old = this.objects;
    this.objects = next;
    this.reset = true;
    this.list = undefined;
    for (const [id, object] of next) {
      const known = old.get(id);
      if (known && known !== object && sameJson(known, object)) next.set(id, known);
    }
    for (const [id, object] of next) {
      if (!this.overlays.has(id) && object !== old.get(id)) this.note(id, old.get(id), object, NOBODY);
    }
    for (const [id, object] of old) {
      if (!this.overlays.has(id) && !next.has(id)) this.note(id, object, undefined, NOBODY);
    }
    for (const id of [...this.overlays.keys()]) this.refresh(id, NOBODY);
  }

  /** A set has the order of what was added first: made again, it is the last. */
  private noteMade(id: string): void {
    this.moved.made.delete(id);
    this.moved.made.add(id);
  }

  /** What changed of the confirmed state since the last call. */
  takeMoved(): Moved {
    const { moved } = this;
    this.moved = { all: false, ids: new Set(), made: new Set() };
    return moved;
  }

  confirmedObjects(): Iterable<CanvasObject> {
    return this.objects.values();
  }

  private note(id: string, before: Value, after: Value, cause: Cause): void {
    this.list = undefined;
    // A patch that own ops mask is told all the same: undoing them has to restore what it wrote.
    if (before === after && !cause.patch) return;
    const type = before === after ? "update" : after === undefined ? "delete" : before === undefined ? "create" : "update";
    this.changes.push({ id, type, ...cause });
  }

  /** What changed since the last call. */
  takeChanges(): ObjectsEvent | undefined {
    const { changes, reset } = this;
    if (changes.length === 0 && !reset) return undefined;
    const event = { ids: [...new Set(changes.map((change) => change.id))], changes, reset };
    this.changes = [];
    this.reset = false;
    return event;
  }
}
