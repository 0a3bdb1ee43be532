/** Speaks the bare protocol, without the library: what it hears of a canvas is what the relay says. */

import assert from "node:assert/strict";
import WebSocket from "ws";

/** What was committed, as the relay tells it. */
export interface Heard {
  type: string;
  seq: number;
  client: string;
  op: number;
  object: { id: string; [key: string]: unknown };
  id: string;
  patch: Record<string, unknown>;
  text: string;
}

interface Message extends Heard {
  epoch: string;
  objects: { id: string }[];
  chat: { text: string }[];
  last: boolean;
}

export class Witness {
  /** Ids in the order their creation was heard, so a doubled one is there twice. */
  readonly created: string[] = [];
  readonly updated: string[] = [];
  readonly deleted: string[] = [];
  readonly objects = new Set<string>();
  readonly chat: string[] = [];
  epoch = "";
  /** Told of every committed message after the snapshot. */
  onHeard: (message: Heard) => void = () => {};
  private seq = -1;
  /** Whether the snapshot is complete. */
  settled = false;
  private readonly socket: WebSocket;

  constructor(instance: string, canvas: string) {
    this.socket = new WebSocket(`${instance.replace("http", "ws")}/ws/${canvas}`, "scumble.v1");
    this.socket.on("error", () => {});
    this.socket.on("message", (data) => this.heard(JSON.parse(String(data)) as Message));
    const client = `witness-${Math.random().toString(36).slice(2, 12).padEnd(10, "0")}`;
    const hello = { type: "hello", v: 1, client, user: { name: "Witness" } };
    this.socket.on("open", () => this.socket.send(JSON.stringify(hello)));
  }

  private heard(message: Message): void {
    if (message.type === "snapshot") {
      for (const { id } of message.objects) this.objects.add(id);
      this.chat.push(...message.chat.map(({ text }) => text));
      this.seq = message.seq;
      this.epoch = message.epoch;
      this.settled = message.last;
      return;
    }
    if (!(message.seq > 0) || message.type === "welcome") return;
    assert.equal(message.seq, this.seq + 1, `the stream has a hole or a repeat at ${JSON.stringify(message)}`);
    this.seq = message.seq;
    this.onHeard(message);
    if (message.type === "object-create") this.created.push(message.object.id), this.objects.add(message.object.id);
    else if (message.type === "object-update") this.updated.push(message.id);
    else if (message.type === "object-delete") this.deleted.push(message.id), this.objects.delete(message.id);
    else if (message.type === "chat") this.chat.push(message.text);
  }

  close(): void {
    this.socket.terminate();
  }
}
