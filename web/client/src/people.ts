/** The others: who is here, where they point, and what they signal. Pure. */

import { CursorTracks, isCursor } from "./cursors.js";
import type { SessionEffect } from "./effects.js";
import { Roster } from "./roster.js";
import type { ServerMessage, WireMember } from "./wire.js";

export class People {
  readonly roster = new Roster();
  readonly cursors = new CursorTracks();
  private readonly moved = new Set<string>();
  private signals: SessionEffect[] = [];

  /** Everybody here, oneself (`self`) possibly among them. */
  welcome(users: readonly WireMember[], self: string, now: number): void {
    for (const client of this.roster.replace(users, self)) this.left(client);
    for (const { client, cursor, cursor_age_ms: ageMs } of users) {
      if (cursor && client !== self && this.cursors.receive(client, cursor, now, ageMs)) this.moved.add(client);
    }
  }

  /** A message of the ephemeral lane. Others are none of ours. */
  hear(message: ServerMessage, self: string, now: number): void {
    if (message.type === "cursor-batch") {
      for (const cursor of message.cursors) {
        if (!isCursor(cursor) || cursor.client === self) continue;
        if (this.cursors.receive(cursor.client, cursor, now)) this.moved.add(cursor.client);
      }
      return;
    }
    if (!("client" in message) || message.client === self) return;
    if (message.type === "presence") this.roster.update(message.client, message.state, message.away);
    else if (message.type === "user-connected") this.roster.join(message);
    else if (message.type === "user-disconnected") this.left(message.client);
    else if (message.type === "signal") {
      const { client, event, data } = message;
      this.signals.push({ type: "emit", event: "signal", value: { client, event, data: data ?? null } });
    }
  }

  private left(client: string): void {
    this.roster.leave(client);
    if (this.cursors.remove(client)) this.moved.add(client);
  }

  /** The events that follow from what was heard since the last call. */
  take(): SessionEffect[] {
    const effects = this.signals;
    this.signals = [];
    if (this.roster.takeDirty()) effects.push({ type: "emit", event: "others", value: this.roster.others });
    if (this.moved.size > 0) effects.push({ type: "emit", event: "cursors", value: [...this.moved] });
    this.moved.clear();
    return effects;
  }
}
