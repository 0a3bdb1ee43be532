/**
 * The text of one object while somebody writes on it here: what is typed goes out in pieces, what others write comes in.
 * It outlives the editor until everything is confirmed, so that what was merged on the way is written, too.
 */

import type { App } from "./app";
import type { Op } from "./room";
import { SharedText, type Version } from "./shared-text";
import { measureText } from "./text";
import type { Merged } from "./text-merge";
import type { Patch, Wire } from "./types";

const SEND_EVERY_MS = 300;
/** Two wrote at once, and neither writes what came of it: gone, perhaps. Then anybody does. */
const MEND_AFTER_MS = 1_500;

const randomLetters = (): string => Math.floor(Math.random() * 36 ** 5).toString(36).padStart(5, "0");

export class TextSession {
  readonly shared: SharedText;
  /** Told when the text changed otherwise than by {@link typed}. */
  onMerged: (merged: Merged) => void = () => {};
  private readonly stops: (() => void)[];
  /** Writes under way, by their names. */
  private readonly writes = new Map<string, Op>();
  /** Own changes from before: until they are confirmed, what is confirmed is older than what one sees. */
  private earlier: readonly Op[];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private mending: ReturnType<typeof setTimeout> | undefined;
  private closed = false;
  /** The server refused a write: the next one waits until something is typed. */
  private refused = false;

  constructor(private readonly app: App, readonly id: string, private readonly onEnd: () => void) {
    const { room } = app;
    this.shared = new SharedText(versionOf(room.objects.get(id)), randomLetters);
    this.earlier = room.outbox.filter((op) => op.objectId === id);
    this.stops = [
      room.on("objects", ({ ids, reset }) => (reset || ids.includes(id)) && this.look()),
      room.on("outbox", () => this.look()),
    ];
  }

  /** What somebody typed here. */
  typed(text: string): void {
    this.shared.mine = text;
    this.refused = false;
    this.timer ??= setTimeout(() => this.flush(), SEND_EVERY_MS);
  }

  /** Writes what was typed and not sent yet. */
  flush(urgent = false): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.app.room.objects.has(this.id)) return;
    if (!this.refused && this.app.mayWrite()) this.write(urgent);
  }

  /** The editor is closed. What is still to be said is said without it. */
  close(): void {
    this.flush();
    this.closed = true;
    this.endIfDone();
  }

  /** Somebody writes on it again before it ended. */
  reopen(): void {
    this.closed = false;
  }

  end(): void {
    clearTimeout(this.timer);
    clearTimeout(this.mending);
    for (const stop of this.stops) stop();
    this.onEnd();
  }

  private write(urgent: boolean): void {
    const { room, history } = this.app;
    const write = this.shared.write(urgent);
    if (!write) return;
    const patch: Patch = { text: write.text, rev: write.rev };
    const shape = this.app.scene.settled(this.id);
    if (shape?.kind === "text") Object.assign(patch, measureText(write.text, shape.size, shape.wrap ? shape.w : undefined));
    // What is mended is nobody's own step.
    if (this.closed) room.batch(() => room.objects.update(this.id, patch as never), { undo: false });
    else history.update(this.id, patch);
    const op = room.outbox.filter((one) => one.objectId === this.id).at(-1);
    if (!op) return this.shared.dropped(write.id);
    // Not sent yet, the one before took this one in.
    for (const [name, before] of this.writes) if (before === op) this.forget(name);
    this.writes.set(write.id, op);
  }

  private forget(name: string): void {
    this.writes.delete(name);
    this.shared.dropped(name);
  }

  /** Something was confirmed, refused, or heard. */
  private look(): void {
    const { room } = this.app;
    const state = (op: Op): boolean => op.state === "pending" || op.state === "sent";
    if (!room.objects.has(this.id)) return this.closed ? this.end() : undefined;
    if (this.earlier.some(state)) return;
    this.earlier = [];
    const confirmed = room.objects.confirmed(this.id);
    const merged = confirmed && this.shared.confirmed(versionOf(confirmed));
    if (merged) this.onMerged(merged);
    for (const [name, op] of this.writes) {
      if (state(op)) continue;
      this.refused ||= op.state === "failed";
      this.forget(name);
    }
    if (this.shared.settled) return this.endIfDone();
    if (!this.shared.waits && this.writes.size === 0) this.mend();
  }

  private mend(): void {
    clearTimeout(this.mending);
    // What one typed meanwhile waited for this.
    const after = this.shared.astray && this.shared.mine === this.shared.confirmedHead ? MEND_AFTER_MS * (0.7 + Math.random()) : 0;
    this.mending = setTimeout(() => this.flush(), after);
  }

  private endIfDone(): void {
    if (this.closed && (this.shared.settled || this.refused)) this.end();
  }
}

export const versionOf = (object: Readonly<Partial<Wire>> | undefined): Version => ({
  text: typeof object?.text === "string" ? object.text : "",
  rev: object?.rev,
});
