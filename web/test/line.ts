/** A line between a page and a process, which can be cut, and which may be slow, long and lossy. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Of WebSockets alone: pages and files pass as they are. Each direction of each connection for itself. */
export interface Conditions {
  readonly bytesPerS?: number;
  /** One way. */
  readonly delayMs?: number;
  /** The share of packets that are lost. TCP sends them again: what comes behind them waits so long. */
  readonly loss?: number;
  readonly random?: () => number;
}

/** What one packet carries. */
const PACKET_BYTES = 1400;
/** What waits in the line for its turn, as in the buffer of a router; then whoever sends has to wait. */
const BUFFER_BYTES = 64 * 1024;
/** Until a lost packet is sent again, beside the way there and back. */
const RESEND_MS = 200;

/** One direction. */
class Way {
  private readonly packets: { at: number; bytes: Buffer }[] = [];
  private waiting = 0;
  /** When the last packet has left. */
  private freeAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private stalledUntil = 0;
  private ended = false;

  constructor(private readonly from: Socket, private readonly to: Socket, private readonly conditions: () => Conditions) {
    from.on("data", (data: Buffer) => this.take(data));
    // What was said before the end arrives, too; a reset takes it along.
    from.on("end", () => {
      this.ended = true;
      this.arrange();
    });
    from.on("close", () => this.ended || to.destroy());
    to.on("close", () => clearTimeout(this.timer));
    to.on("drain", () => this.maybeResume());
  }

  take(data: Buffer): void {
    const { bytesPerS = Infinity, delayMs = 0, loss = 0, random = Math.random } = this.conditions();
    for (let at = 0; at < data.length; at += PACKET_BYTES) {
      const bytes = data.subarray(at, at + PACKET_BYTES);
      const resent = random() < loss ? RESEND_MS + 2 * delayMs : 0;
      this.freeAt = Math.max(this.freeAt, performance.now()) + (bytes.length / bytesPerS) * 1000 + resent;
      this.packets.push({ at: this.freeAt + delayMs, bytes });
      this.waiting += bytes.length;
    }
    if (this.waiting > BUFFER_BYTES) this.from.pause();
    this.arrange();
  }

  /** Nothing passes for so long. */
  stall(ms: number): void {
    this.stalledUntil = performance.now() + ms;
    this.arrange();
  }

  private arrange(): void {
    clearTimeout(this.timer);
    const [next] = this.packets;
    if (!next && this.ended) return void this.to.end();
    if (next) this.timer = setTimeout(() => this.pass(), Math.max(next.at, this.stalledUntil) - performance.now());
  }

  private pass(): void {
    const now = performance.now() + 1;
    while (this.packets[0] && Math.max(this.packets[0].at, this.stalledUntil) <= now) {
      const { bytes } = this.packets.shift()!;
      this.waiting -= bytes.length;
      if (!this.to.destroyed) this.to.write(bytes);
    }
    this.maybeResume();
    this.arrange();
  }

  private maybeResume(): void {
    if (this.waiting <= BUFFER_BYTES && !this.to.writableNeedDrain) this.from.resume();
  }
}

interface Connection {
  readonly socket: Socket;
  readonly ways: readonly Way[];
}

/** How the requests begin that stand in for a WebSocket. */
const STREAM = "POST /sse/";

/** A TCP line. Cut, it carries pages and files but no WebSocket, and no stream: a page may be reloaded while offline. */
export class Line {
  private down = false;
  private readonly streams = new Set<Socket>();
  private readonly connections = new Set<Connection>();

  private constructor(private readonly server: Server, private target: () => string, public conditions: Conditions) {
    server.on("connection", (socket) => this.accept(socket));
  }

  /** `target` is asked at every connection: a process that was started anew has another address. */
  static async to(target: () => string, conditions: Conditions = {}): Promise<Line> {
    const server = createServer({ noDelay: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Line(server, target, conditions);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private accept(socket: Socket): void {
    socket.on("error", () => {});
    socket.once("data", (first) => {
      const isWebSocket = first.toString("latin1").startsWith("GET /ws/");
      if (isWebSocket && this.down) return socket.destroy();
      const { port, hostname } = new URL(this.target());
      const upstream = connect({ port: Number(port), host: hostname, noDelay: true });
      upstream.on("error", () => socket.destroy());
      if (!isWebSocket) {
        for (const [end, other] of [[socket, upstream], [upstream, socket]] as const) end.on("close", () => other.destroy());
        // A browser asks for one thing after the other on it, so each request begins a piece of its own.
        const pass = (bytes: Buffer): void => {
          if (bytes.toString("latin1", 0, STREAM.length) === STREAM) {
            if (this.down) return void socket.destroy();
            this.streams.add(socket);
          }
          upstream.write(bytes);
        };
        pass(first);
        socket.on("data", pass).on("end", () => upstream.end()).on("close", () => this.streams.delete(socket));
        return void upstream.pipe(socket);
      }
      const conditions = (): Conditions => this.conditions;
      const ways = [new Way(socket, upstream, conditions), new Way(upstream, socket, conditions)] as const;
      ways[0].take(first);
      const connection = { socket, ways };
      this.connections.add(connection);
      socket.on("close", () => this.connections.delete(connection));
    });
  }

  /** What is connected stays; the next connection goes there. */
  leadTo(target: () => string): void {
    this.target = target;
  }

  /** Connections break, and may be made anew at once. */
  reset(): void {
    for (const { socket } of this.connections) socket.resetAndDestroy();
    for (const socket of this.streams) socket.resetAndDestroy();
  }

  /** Nothing passes for so long, and nobody is told. */
  stall(ms: number): void {
    for (const { ways } of this.connections) for (const way of ways) way.stall(ms);
  }

  cut(): void {
    this.down = true;
    this.reset();
  }

  mend(): void {
    this.down = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
