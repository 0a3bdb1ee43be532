/** The page's changes, each a step of the library's undo, and only for those who may write. */

import type { Room } from "./room";
import type { Patch, Wire } from "./types";

/** Objects of one message. A few hundred usual ones are within the bytes that a message may have. */
const TOGETHER = 250;

export type Step = NonNullable<ReturnType<Room["undo"]>>;

export class History {
  onChange: () => void = () => {};

  constructor(private readonly room: Room, private readonly mayWrite: () => boolean) {
    room.on("history", () => this.onChange());
  }

  get canUndo(): boolean {
    return this.room.canUndo;
  }

  get canRedo(): boolean {
    return this.room.canRedo;
  }

  /** Everything done between `begin` and `commit` is undone as one. */
  begin(label: string, mergeKey?: string): void {
    this.room.history.begin({ label, ...(mergeKey !== undefined && { mergeKey }) });
  }

  commit(): void {
    this.room.history.end();
  }

  group(label: string, fn: () => void, mergeKey?: string): void {
    this.begin(label, mergeKey);
    this.room.batch(fn);
    this.commit();
  }

  /** Creates objects as one step. They travel in as few messages as may be, each done as one. */
  createAll(label: string, objects: readonly Wire[]): void {
    this.begin(label);
    for (let at = 0; at < objects.length; at += TOGETHER) {
      this.room.batch(() => objects.slice(at, at + TOGETHER).forEach((object) => this.create(object)));
    }
    this.commit();
  }

  create(object: Wire): void {
    if (this.mayWrite()) this.room.objects.create(object as never);
  }

  update(id: string, patch: Patch): void {
    if (this.room.objects.has(id) && this.mayWrite()) this.room.objects.update(id, patch as never);
  }

  remove(id: string): void {
    if (this.room.objects.has(id) && this.mayWrite()) this.room.objects.delete(id);
  }

  /** Takes back what is left of the newest step, and drops it. Undefined when there is none. */
  undo(): Step | undefined {
    return this.mayWrite() ? this.room.undo() : undefined;
  }

  redo(): Step | undefined {
    return this.mayWrite() ? this.room.redo() : undefined;
  }
}
