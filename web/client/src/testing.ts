/**
 * `scumble-client/testing`: a relay in memory, for an application's own tests. No network, no timers of its own: what is
 * sent arrives in the next microtasks, or after `latencyMs`.
 *
 *   const relay = new FakeRelay();
 *   const room = await connect({ url: "ws://fake", canvas: "c", WebSocket: relay.WebSocket });
 */

import type { CanvasObject, Json, JsonObject, WebSocketConstructor } from "./types.js";
import { type Update, updated } from "./edits.js";
import { mergePatch } from "./json.js";

type Message = Record<string, Json | undefined> & { readonly type: string };

const LIMITS = {
  max_message_bytes: 256 * 1024, cursor_interval_ms: 33, ops_per_s: 0, max_objects: 10_000, max_clients: 1_000,
  max_canvas_bytes: 64 * 1024 * 1024, max_json_depth: 16, max_state_bytes: 32 * 1024,
};
const TOO_LATE = new Set(["object-update", "object-delete", "log-append", "log-compact"]);

interface Canvas {
  seq: number;
  objects: Map<string, CanvasObject>;
  /** Entries by object. */
  logs: Map<string, { seq: number; data: Json }[]>;
  chat: Message[];
  readonly lastOp: Map<string, number>;
  readonly people: Map<string, { user: Json; state: JsonObject }>;
}

class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly bufferedAmount = 0;
  readonly canvas: string;
  client = "";
  open = true;
  /** Refused for now: what comes behind it waits for it. */
  blocked: { readonly op: number; readonly code: string } | undefined;

  constructor(private readonly relay: FakeRelay, url: string) {
    this.canvas = decodeURIComponent(new URL(url).pathname.split("/").pop() ?? "");
    relay.soon(() => relay.taken(this));
  }

  send(text: string): void {
    this.relay.soon(() => this.open && this.relay.heard(this, JSON.parse(text) as Message));
  }

  close(code = 1000, reason = ""): void {
    this.relay.soon(() => this.end(code, reason));
  }

  tell(message: object): void {
    this.relay.soon(() => this.open && this.onmessage?.({ data: JSON.stringify(message) }));
  }

  end(code: number, reason = ""): void {
    if (!this.open) return;
    this.open = false;
    this.relay.left(this);
    this.onclose?.({ code, reason });
  }
}

export class FakeRelay {
  /** To be given to `connect`. Every canvas name is a canvas of its own, empty at first; clients of the same meet. */
  readonly WebSocket: WebSocketConstructor;
  /** How long everything that is said takes. 0: no timer at all. */
  latencyMs = 0;
  /** Refuses an op with this code when it gives one: `overloaded` may pass, `forbidden` and `too-large` are final. */
  refuse: (op: Message, client: string) => string | undefined = () => undefined;
  private readonly canvases = new Map<string, Canvas>();
  private readonly sockets = new Set<FakeSocket>();
  private up = true;

  constructor() {
    const relay = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url: string) {
        super(relay, url);
      }
    };
  }

  /** What is committed on a canvas, in the order of creation. */
  objects(canvas: string): CanvasObject[] {
    return [...this.at(canvas).objects.values()];
  }

  /** The texts of its chat. */
  chat(canvas: string): string[] {
    return this.at(canvas).chat.map(({ text }) => String(text));
  }

  /** Commits an op as if somebody else had sent it. */
  commit(canvas: string, op: JsonObject & { readonly type: string }, client = "somebody-else"): void {
    this.committed(this.at(canvas), canvas, client, { ...op, op: (this.at(canvas).lastOp.get(client) ?? 0) + 1 });
  }

  /** Everybody's connection breaks. They come back by themselves. */
  cut(): void {
    for (const socket of [...this.sockets]) socket.end(1006);
  }

  /** The same, and nobody gets in until {@link online}. */
  offline(): void {
    this.up = false;
    this.cut();
  }

  online(): void {
    this.up = true;
  }

  /** @internal */
  soon(task: () => void): void {
    if (this.latencyMs > 0) setTimeout(task, this.latencyMs);
    else queueMicrotask(task);
  }

  /** @internal */
  taken(socket: FakeSocket): void {
    if (!this.up) return socket.end(1006);
    this.sockets.add(socket);
    socket.onopen?.();
  }

  /** @internal */
  left(socket: FakeSocket): void {
    if (!this.sockets.delete(socket) || !socket.client) return;
    this.at(socket.canvas).people.delete(socket.client);
    this.others(socket, { type: "user-disconnected", client: socket.client, reason: "left" });
  }

  private at(name: string): Canvas {
    const canvas = this.canvases.get(name) ?? { seq: 0, objects: new Map(), logs: new Map(), chat: [], lastOp: new Map(), people: new Map() };
    this.canvases.set(name, canvas);
    return canvas;
  }

  private members(canvas: string): FakeSocket[] {
    return [...this.sockets].filter((socket) => socket.client && socket.canvas === canvas);
  }

  private others(from: FakeSocket, message: object): void {
    for (const socket of this.members(from.canvas)) if (socket !== from) socket.tell(message);
  }

  /** @internal */
  heard(socket: FakeSocket, message: Message): void {
    const { client } = socket;
    if (message.type === "hello") return this.hello(socket, message);
    if (message.type === "bye") return socket.end(1000);
    if (message.type === "ping") return socket.tell({ type: "pong", ts: message.ts, server_ts: Date.now() });
    if (typeof message.op === "number") return this.op(socket, message, message.op);
    if (message.type === "cursor") {
      const { type: _type, ...point } = message;
      return this.others(socket, { type: "cursor-batch", cursors: [{ ...point, client }] });
    }
    if (message.type === "signal") return this.others(socket, { ...message, client });
    const person = this.at(socket.canvas).people.get(client);
    if (message.type !== "presence" || !person) return;
    person.state = mergePatch(person.state, message.state as Json) as JsonObject;
    this.others(socket, { type: "presence", client, state: person.state });
  }

  private hello(socket: FakeSocket, { client, user = {} }: Message): void {
    for (const other of this.members(socket.canvas)) if (other.client === client) other.end(4409);
    socket.client = String(client);
    const { seq, objects, logs, chat, lastOp, people } = this.at(socket.canvas);
    const entries = [...logs].flatMap(([id, log]) => log.map((entry) => ({ id, ...entry })));
    people.set(socket.client, { user, state: {} });
    const users = [...people].map(([id, person]) => ({ client: id, ...person }));
    const base = { epoch: "fake", seq };
    socket.tell({
      type: "welcome", v: 1, instance: "fake", canvas: socket.canvas, client, user, role: "write", ...base, mode: "snapshot",
      acked_op: lastOp.get(socket.client) ?? 0, users, limits: LIMITS, heartbeat_ms: 25_000,
    });
    socket.tell({ type: "snapshot", ...base, part: 0, last: true, objects: [...objects.values()], logs: entries, chat: chat.slice(-200) });
    this.others(socket, { type: "user-connected", client, user, state: {} });
  }

  private op(socket: FakeSocket, message: Message, op: number): void {
    const canvas = this.at(socket.canvas);
    if (op <= (canvas.lastOp.get(socket.client) ?? 0)) return socket.tell({ type: "ack", op, seq: 0, status: "dup" });
    if (socket.blocked?.op === op) socket.blocked = undefined;
    const code = socket.blocked?.code ?? this.refuse(message, socket.client);
    if (code === "overloaded" || code === "rate-limited") socket.blocked ??= { op, code };
    if (code !== undefined) return socket.tell({ type: "error", code, message: "refused by the test", op, retry_after_ms: 10 });
    const committed = this.committed(canvas, socket.canvas, socket.client, message, socket);
    socket.tell({ type: "ack", op, seq: committed ? canvas.seq : 0, status: committed ? "ok" : "ignored" });
  }

  /** False for a compaction that covers nothing. */
  private logged({ seq, logs }: Canvas, id: string, { type, upto, data }: Message): boolean {
    const log = logs.get(id) ?? [];
    if (type === "log-append") logs.set(id, [...log, { seq: seq + 1, data: data as Json }]);
    if (type !== "log-compact") return true;
    const rest = log.filter((entry) => entry.seq > Number(upto));
    const entry = data === undefined ? [] : [{ seq: Number(upto), data }];
    if (rest.length < log.length) logs.set(id, [...entry, ...rest]);
    return rest.length < log.length;
  }

  /** False when it concerned an object that is not there. */
  private committed(canvas: Canvas, name: string, client: string, message: Message, author?: FakeSocket): boolean {
    canvas.lastOp.set(client, Number(message.op));
    const { objects } = canvas;
    const id = String(message.id);
    if (TOO_LATE.has(message.type) && !objects.has(id)) return false;
    if (message.type === "object-create") {
      const object = message.object as unknown as CanvasObject;
      objects.set(object.id, object);
    } else if (message.type === "object-update") objects.set(id, updated(objects.get(id) as CanvasObject, { patch: {}, ...message } as unknown as Update) as CanvasObject);
    else if (message.type === "object-delete") {
      objects.delete(id);
      canvas.logs.delete(id);
    } else if (!this.logged(canvas, id, message)) return false;
    const user = message.type === "chat" && { user: canvas.people.get(client)?.user ?? {} };
    const told = { ...message, seq: ++canvas.seq, client, at: Date.now(), ...user };
    if (message.type === "chat") canvas.chat.push(told);
    for (const socket of this.members(name)) if (socket !== author) socket.tell(told);
    return true;
  }
}
