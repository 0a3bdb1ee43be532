/** The chat: confirmed messages in order, then one's own that are not confirmed. Pure. */

import type { ChatMessage, Op, User } from "./types.js";
import type { Entry } from "./entry.js";

/** Confirmed messages kept; the oldest go. A page that shows more has a scrollbar nobody drags to the top. */
export const MAX_MESSAGES = 1000;

/** Those kept on a device, as many as a snapshot has. */
const MAX_KEPT = 200;

/** A chat message as the wire has it. */
export interface WireChat {
  readonly seq: number;
  readonly client: string;
  readonly at: number;
  readonly op?: number;
  readonly text: string;
  readonly reply_to?: number | null;
  readonly user?: User;
}

const keyOf = (client: string, op: number | undefined, seq: number): string => `${client}/${op ?? `#${seq}`}`;

export class ChatLog {
  private confirmed: ChatMessage[] = [];
  private readonly pending = new Map<Entry, { at: number; key: string }>();
  private list: readonly ChatMessage[] | undefined = [];
  private dirty = false;

  constructor(
    private readonly handleOf: (entry: Entry) => Op,
    private readonly own: () => { client: string; user: User },
  ) {}

  /** Confirmed, then pending; the same array until something changes. */
  get messages(): readonly ChatMessage[] {
    return (this.list ??= [...this.confirmed, ...[...this.pending].map(([entry, { at, key }]) => this.shown(entry, 0, at, key))]);
  }

  private shown(entry: Entry, seq: number, at: number, key: string): ChatMessage {
    const body = entry.body as { text: string; reply_to?: number };
    const op = this.handleOf(entry);
    return {
      key,
      seq,
      client: entry.client,
      user: this.own().user,
      at,
      text: body.text,
      ...(body.reply_to !== undefined && { replyTo: body.reply_to }),
      own: true,
      state: op.state,
      op,
    };
  }

  private received(message: WireChat, mine: (client: string) => boolean): ChatMessage {
    return {
      key: keyOf(message.client, message.op, message.seq),
      seq: message.seq,
      client: message.client,
      ...(message.user && { user: message.user }),
      at: message.at,
      text: message.text,
      ...(typeof message.reply_to === "number" && { replyTo: message.reply_to }),
      own: mine(message.client),
      state: "acked",
    };
  }

  /** An own message was written, or is tried again. */
  push(entry: Entry, at: number): void {
    // The number may change before it is first sent; the key must not.
    this.pending.set(entry, this.pending.get(entry) ?? { at, key: keyOf(entry.client, entry.op, 0) });
    this.changed();
  }

  /** One's name or colour changed. */
  renamed(): void {
    if (this.pending.size > 0) this.changed();
  }

  /** An own message's state changed. */
  touch(entry: Entry): void {
    if (this.pending.has(entry)) this.changed();
  }

  /** Takes an own message away that is not to be shown as pending any more. */
  drop(entry: Entry): void {
    if (this.pending.delete(entry)) this.changed();
  }

  /** An own message took its place. `at` is the server's time where known. */
  confirm(entry: Entry, seq: number, at: number): void {
    const key = this.pending.get(entry)?.key ?? keyOf(entry.client, entry.op, seq);
    this.pending.delete(entry);
    this.append(this.shown(entry, seq, at, key));
  }

  /** Somebody's message took its place. */
  remote(message: WireChat): void {
    this.append(this.received(message, (client) => client === this.own().client));
  }

  private append(message: ChatMessage): void {
    this.confirmed.push(message);
    if (this.confirmed.length > MAX_MESSAGES) this.confirmed.shift();
    this.changed();
  }

  /** Replaces the confirmed messages. Those known already stay as they are, with their handles. */
  replace(messages: readonly WireChat[]): void {
    const known = new Map(this.confirmed.map((message) => [message.seq, message]));
    const mine = (client: string): boolean => client === this.own().client;
    this.confirmed = messages.slice(-MAX_MESSAGES).map((message) => {
      const old = known.get(message.seq);
      const fresh = this.received(message, mine);
      return old && old.client === fresh.client && old.text === fresh.text ? old : fresh;
    });
    this.changed();
  }

  /** The latest confirmed ones, as a snapshot has them. */
  latest(): WireChat[] {
    return this.confirmed.slice(-MAX_KEPT).map(({ key, seq, client, at, text, replyTo, user }) => {
      const op = Number(key.slice(key.lastIndexOf("/") + 1));
      const reply = replyTo !== undefined && { reply_to: replyTo };
      return { seq, client, at, text, ...(Number.isFinite(op) && { op }), ...reply, ...(user && { user }) };
    });
  }

  private changed(): void {
    this.list = undefined;
    this.dirty = true;
  }

  /** Whether anything changed since the last call. */
  takeDirty(): boolean {
    const { dirty } = this;
    this.dirty = false;
    return dirty;
  }
}
