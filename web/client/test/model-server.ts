/** A model of the relay, straight from the protocol: one canvas, any number of connections, and faults on demand. */

import { updated } from "../src/edits.js";
import { objectIdOf, type OpBody } from "../src/entry.js";
import { mergePatch } from "../src/json.js";
import type { CanvasObject, JsonObject, User } from "../src/types.js";
import type { Line, Peer } from "./world.js";

export interface Logged {
  readonly seq: number;
  readonly client: string;
  readonly op: number;
  readonly at: number;
  readonly body: OpBody;
}

interface Hello {
  client: string;
  token?: string;
  user?: User;
  since?: { epoch: string; seq: number };
  features?: string[];
}

interface Conn {
  line: Line;
  client: string | undefined;
  blocked: { op: number; code: string } | undefined;
}

type Op = OpBody & { op: number };

const bytes = (text: string): number => Buffer.byteLength(text);

/** Two parts at least, and as many as it takes for none to be over 256 KiB. */
function inParts(objects: readonly CanvasObject[]): CanvasObject[][] {
  const half = Math.ceil(objects.length / 2);
  const parts: CanvasObject[][] = [[]];
  let size = 0;
  objects.forEach((object, i) => {
    const length = JSON.stringify(object).length;
    if (size + length > 256 * 1024 || i === half) parts.push([]), (size = 0);
    size += length;
    parts.at(-1)?.push(object);
  });
  return parts.length > 1 ? parts : [...parts, []];
}

export class ModelServer {
  epoch = "e1";
  head = 0;
  log: Logged[] = [];
  /** Everything ever committed, which the log forgets. */
  readonly history: Logged[] = [];
  /** Messages before this are not retained. */
  oldest = 1;
  objects = new Map<string, CanvasObject>();
  chat: object[] = [];
  /** Whether the objects at every seq are kept. */
  keepsStates = true;
  /** The objects at every seq; an object that changes is another one. */
  readonly states = new Map<string, readonly CanvasObject[]>([["e1/0", []]]);
  readonly conns = new Set<Conn>();
  readonly lastOp = new Map<string, number>();
  /** Every number that was ever sent, as client/op. */
  private readonly numbers = new Set<string>();
  /** Who everybody is and their presence, kept over connections as within the server's grace. */
  private readonly people = new Map<string, { user: User; state: JsonObject }>();
  hellos: Hello[] = [];
  limits: { max_message_bytes: number; max_state_bytes?: number; [more: string]: number | undefined } = { max_message_bytes: 65536, cursor_interval_ms: 33, ops_per_s: 0, max_objects: 10_000, max_clients: 100 };
  /** What it says that it has. */
  features: string[] = [];
  /** Bytes of durable messages that came. */
  received_bytes = 0;
  /** How to refuse an op that is new, if at all. */
  refuse: (op: Op, client: string) => { code: string; retry_after_ms?: number } | undefined = () => undefined;
  /** Acks are kept back, as by a queue that can't commit while there is room in the spill file. */
  silent = false;
  private kept: (() => void)[] = [];
  /** Whether to leave a message out of somebody's stream: a fault no server should have. */
  skip: (client: string) => boolean = () => false;
  /** Whether the connection that sent an op is lost before the ack. */
  loseAck: (op: Op, client: string) => boolean = () => false;
  /** The snapshot to send may be older than the head. */
  snapshotLag: () => number = () => 0;
  /** Whether a client that holds an older state gets what changed since, where it can read that. */
  bases: () => boolean = () => false;
  /** Object by object, the last change, and the last time that it was deleted. */
  private readonly changedAt = new Map<string, number>();
  private readonly deletedAt = new Map<string, number>();
  /** The close that somebody finds at the door, if any. */
  turnAway: (hello: Hello) => { code: number; reason?: string; error?: object } | undefined = () => undefined;
  /** What a token says of its bearer. */
  vouch: (client: string) => User = () => ({});
  now: () => number = () => 0;
  private olderSnapshots: { seq: number; objects: CanvasObject[]; chat: object[] }[] = [];

  listen = (line: Line): Peer => {
    const conn: Conn = { line, client: undefined, blocked: undefined };
    this.conns.add(conn);
    return {
      received: (text) => this.frame(conn, text),
      closed: () => this.conns.delete(conn),
    };
  };

  /** Forgets messages up to `seq`. */
  forget(seq: number): void {
    this.oldest = Math.max(this.oldest, Math.min(seq, this.head) + 1);
    this.log = this.log.filter((m) => m.seq >= this.oldest);
  }

  /** What was kept back is committed and answered. */
  speak(): void {
    this.silent = false;
    for (const answer of this.kept.splice(0)) answer();
  }

  /** Sends a snapshot to somebody in the middle of a connection. */
  resync(client: string): void {
    for (const conn of this.conns) {
      if (conn.client !== client) continue;
      conn.line.deliver({ type: "resync", reason: "model" });
      this.snapshot(conn);
    }
  }

  connOf(client: string): Conn | undefined {
    return [...this.conns].find((conn) => conn.client === client);
  }

  private frame(conn: Conn, text: string): void {
    if (bytes(text) > this.limits.max_message_bytes) return conn.line.closeAfter(1009);
    const message = JSON.parse(text) as { type: string };
    // Not the ten in a row of the protocol: one is one too many for this library.
    if (message.type === "cursor" && bytes(text) - '{},"type":"cursor"'.length > 512) return conn.line.closeAfter(4400);
    this.received(conn, message);
  }

  private received(conn: Conn, message: { type: string } & Record<string, unknown>): void {
    if (!this.conns.has(conn)) return;
    if (message.type === "hello") return this.hello(conn, message as never);
    if (message.type === "bye") return;
    if (message.type === "ping") return conn.line.deliver({ type: "pong", ts: message.ts, server_ts: this.now() });
    if (message.type === "batch" || typeof message.op === "number") this.received_bytes += bytes(JSON.stringify(message));
    if (message.type === "batch") return this.batch(conn, message.ops as Op[]);
    if (typeof message.op === "number") {
      if (this.silent) return void this.kept.push(() => this.op(conn, message as unknown as Op));
      return this.op(conn, message as unknown as Op);
    }
    const person = this.people.get(conn.client ?? "");
    if (message.type !== "presence" || !person) return;
    const state = mergePatch(person.state, message.state as JsonObject) as JsonObject;
    if ([state, message.state].some((value) => bytes(JSON.stringify(value)) > (this.limits.max_state_bytes ?? 8192))) {
      return conn.line.deliver({ type: "error", code: "too-large", message: "the state is too large after the merge" });
    }
    person.state = state;
    this.others(conn, { type: "presence", client: conn.client, state: person.state });
  }

  private hello(conn: Conn, hello: Hello): void {
    this.hellos.push(hello);
    const away = this.turnAway(hello);
    if (away?.error) conn.line.deliver({ type: "error", ...away.error });
    if (away) return conn.line.closeAfter(away.code, away.reason);
    for (const other of [...this.conns]) if (other.client === hello.client) other.line.closeAfter(4409), this.conns.delete(other);
    conn.client = hello.client;
    const user = { ...hello.user, ...this.vouch(hello.client) };
    const known = this.people.get(hello.client);
    const state = known?.state ?? {};
    if (JSON.stringify(known?.user) !== JSON.stringify(user)) this.others(conn, { type: "user-connected", client: hello.client, user, state });
    this.people.set(hello.client, { user, state });
    const { since } = hello;
    const resume = since?.epoch === this.epoch && this.oldest - 1 <= since.seq && since.seq <= this.head;
    conn.line.deliver({
      type: "welcome", v: 1, instance: "model", canvas: "c", client: hello.client, user, role: "write",
      epoch: this.epoch, seq: this.head, mode: resume ? "resume" : "snapshot", acked_op: this.lastOp.get(hello.client) ?? 0,
      users: [...this.conns].filter((c) => c.client).map((c) => ({ client: c.client, ...this.people.get(c.client ?? "") })),
      limits: this.limits, heartbeat_ms: 25_000, features: this.features,
    });
    if (!resume) return this.snapshot(conn, hello);
    for (const m of this.log) if (m.seq > since.seq) this.whole(conn, m);
  }

  private snapshot(conn: Conn, { since, features }: Partial<Hello> = {}): void {
    const usable = this.olderSnapshots.filter((s) => s.seq >= this.oldest - 1);
    const lag = this.snapshotLag();
    const { seq, objects, chat } = (lag > 0 && usable.at(-1 - lag)) || { seq: this.head, objects: [...this.objects.values()], chat: this.chat };
    const base = since?.epoch === this.epoch && since.seq <= seq && seq === this.head && features?.includes("base") && this.bases() ? since : undefined;
    const recent = (at: Map<string, number>, id: string): boolean => (at.get(id) ?? 0) > (base?.seq ?? 0);
    const parts = inParts(base ? objects.filter(({ id }) => recent(this.changedAt, id)) : objects);
    const deleted = [...this.deletedAt.keys()].filter((id) => recent(this.deletedAt, id));
    parts.forEach((some, part) => {
      const last = part === parts.length - 1;
      conn.line.deliver({ type: "snapshot", epoch: this.epoch, seq, part, last, objects: some, chat: last ? chat : [], ...(base && { base, ...(part === 0 && { deleted }) }) });
    });
    for (const m of this.log) if (m.seq > seq) this.whole(conn, m);
  }

  private whole(conn: Conn, m: Logged): void {
    if (this.skip(conn.client ?? "")) return;
    conn.line.deliver({ ...m.body, seq: m.seq, client: m.client, at: m.at, op: m.op, ...this.author(m) });
  }

  private author({ body, client }: { body: OpBody; client: string }): { user?: User } {
    return body.type === "chat" ? { user: this.people.get(client)?.user ?? {} } : {};
  }

  private others(conn: Conn, message: object): void {
    for (const other of this.conns) if (other !== conn && other.client) other.line.deliver(message);
  }

  /** All or nothing: each op has an answer of its own. */
  private batch(conn: Conn, ops: Op[]): void {
    const refusal = ops.map((op) => this.refuse(op, conn.client ?? "")).find((found) => found);
    if (!refusal) return ops.forEach((op) => this.op(conn, op));
    for (const { op } of ops) {
      this.lastOp.set(conn.client ?? "", op);
      conn.line.deliver({ type: "error", message: "model", op, ...refusal });
    }
  }

  private op(conn: Conn, message: Op): void {
    const client = conn.client;
    if (client === undefined) return;
    const { op, ...body } = message;
    const { blocked } = conn;
    if (blocked && op > blocked.op) return conn.line.deliver({ type: "error", code: blocked.code, message: "behind", op, retry_after_ms: 50 });
    if (blocked && op === blocked.op) conn.blocked = undefined;
    const key = `${client}/${op}`;
    const fresh = !this.numbers.has(key);
    this.numbers.add(key);
    if (fresh && op <= (this.lastOp.get(client) ?? 0)) {
      return conn.line.deliver({ type: "error", code: "bad-op", message: "never sent before a higher one", op });
    }
    const seen = op <= (this.lastOp.get(client) ?? 0) ? this.log.find((m) => m.client === client && m.op === op) : undefined;
    if (op <= (this.lastOp.get(client) ?? 0)) {
      return conn.line.deliver({ type: "ack", op, seq: seen?.seq ?? 0, status: "dup" });
    }
    const refusal = this.refuse(message, client);
    if (refusal) {
      if (refusal.code === "overloaded" || refusal.code === "rate-limited") conn.blocked = { op, code: refusal.code };
      return conn.line.deliver({ type: "error", message: "model", op, ...refusal });
    }
    this.lastOp.set(client, op);
    if (!this.apply(body as OpBody)) {
      return this.loseAck(message, client) ? conn.line.cut() : conn.line.deliver({ type: "ack", op, seq: 0, status: "ignored" });
    }
    const logged = this.append(client, op, body as OpBody);
    if (this.loseAck(message, client)) return conn.line.cut();
    conn.line.deliver({ type: "ack", op, seq: logged.seq, status: "ok" });
  }

  /** Somebody's op, as if through another process. */
  commit(client: string, body: OpBody): Logged | undefined {
    if (!this.apply(body)) return undefined;
    const op = (this.lastOp.get(client) ?? 0) + 1;
    this.lastOp.set(client, op);
    return this.append(client, op, body);
  }

  private append(client: string, op: number, body: OpBody): Logged {
    const logged = { seq: ++this.head, client, op, at: this.now(), body };
    const id = objectIdOf(body);
    if (id !== undefined) (body.type === "object-delete" ? this.deletedAt : this.changedAt).set(id, this.head);
    this.log.push(logged);
    this.history.push(logged);
    if (body.type === "chat") this.chat = [...this.chat, { ...body, type: undefined, seq: logged.seq, client, at: logged.at, op, ...this.author(logged) }];
    if (this.keepsStates) this.states.set(`${this.epoch}/${this.head}`, [...this.objects.values()]);
    this.olderSnapshots = [...this.olderSnapshots.slice(-8), { seq: this.head, objects: [...this.objects.values()], chat: this.chat }];
    for (const conn of this.conns) {
      if (!conn.client || conn.client === client) continue;
      this.whole(conn, logged);
    }
    return logged;
  }

  private apply(body: OpBody): boolean {
    if (body.type === "object-create") this.objects.set(body.object.id, body.object);
    else if (body.type === "object-update") {
      const object = this.objects.get(body.id);
      if (!object) return false;
      this.objects.set(body.id, updated(object, { ...body, patch: body.patch ?? {} }) as CanvasObject);
    } else if (body.type === "object-delete") return this.objects.delete(body.id);
    return true;
  }
}
