/** What is sent for the moment and never again: one's cursor, presence and signals, and when each of them is due. */

import type * as api from "./types.js";
import type { Json, JsonObject, Limits, User } from "./types.js";
import { eventName, fits } from "./bounds.js";
import { CursorSender } from "./cursors.js";
import { copyJson, copyObject, differing, isObject } from "./json.js";
import { PresenceSender } from "./presence.js";
import type { Self } from "./self.js";

export interface EphemeralShell {
  limits(): Limits;
  /** A new point is there: it is looked at before the next frame. */
  moved(): void;
  /** Something may be due. */
  due(): void;
}

export class Ephemeral {
  readonly cursor: api.Room["cursor"];
  readonly presence: api.Room["presence"];
  private readonly cursorSender = new CursorSender();
  private readonly presenceSender = new PresenceSender();

  constructor(
    private readonly self: Self,
    private readonly shell: EphemeralShell,
  ) {
    const { cursorSender, presenceSender } = this;
    this.cursor = {
      set: (point) => {
        cursorSender.set(point, shell.limits().max_json_depth);
        shell.moved();
      },
      clear: () => {
        cursorSender.clear();
        shell.moved();
      },
    };
    this.presence = {
      get state() {
        return presenceSender.state;
      },
      update: (patch) => this.update(differing(presenceSender.state, copyObject(patch, "a patch", this.levels))),
    };
  }

  private get levels(): number {
    return this.shell.limits().max_json_depth - 1;
  }

  private update(patch: JsonObject): void {
    if (Object.keys(patch).length === 0) return;
    this.presenceSender.update(patch, this.shell.limits());
    this.shell.due();
  }

  /** The message of a signal. Throws `RangeError` for one that would make the server close. */
  signal(event: string, data: Json): string {
    const text = JSON.stringify({ type: "signal", event: eventName(event), data: copyJson(data, this.levels) });
    const { max_message_bytes: max } = this.shell.limits();
    if (!fits(text, max)) throw new RangeError(`a signal has at most ${max} bytes as a message`);
    return text;
  }

  /** The wire tells a user at joining only; what changes later travels in the presence state. */
  setUser(user: User): void {
    const { wanted, patch } = this.self.changed(user);
    this.update({ user: patch });
    this.self.take(wanted);
  }

  /** A new connection, on which the server has kept this state of ours. */
  welcomed(limits: Limits, kept: JsonObject): void {
    this.cursorSender.intervalMs = Math.max(33, limits.cursor_interval_ms ?? 0);
    this.cursorSender.reconnected();
    // A token's name wins, also over one that was told when there was no such token.
    if (isObject(this.presence.state.user)) this.presenceSender.update({ user: this.self.silence });
    this.presenceSender.reconnected(kept);
  }

  /** What to send now, and in how many ms to ask again. */
  tick(now: number, conditions: { connected: boolean; alone: boolean; bufferedBytes: number }): { send: string[]; againInMs: number } {
    const cursor = this.cursorSender.tick(now, conditions);
    const presence = this.presenceSender.tick(now, conditions.connected, this.shell.limits());
    return {
      send: [...(cursor.send === undefined ? [] : [cursor.send]), ...(presence.send ?? [])],
      againInMs: Math.min(cursor.againInMs ?? Infinity, presence.againInMs ?? Infinity),
    };
  }
}
