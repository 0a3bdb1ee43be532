/** Real `scumble serve` processes over one SQLite file, a real nginx before them, and lines that can be cut. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Witness } from "./witness.js";

/** The tests run in `web/`. */
export const REPOSITORY = join(process.cwd(), "..");
const BINARY = process.env.SCUMBLE_BIN ?? join(REPOSITORY, "target/debug/scumble");
/** Every wait ends by then: generous, since it only decides how long a failure takes. */
export const WITHIN_MS = 20_000;
const NAMES = ["north", "south", "east"];

type Truthy<T> = Exclude<T, undefined | null | false>;

/** Waits until `look` gives something true, and returns it. */
export async function eventually<T>(what: string | (() => string), look: () => T | Promise<T>): Promise<Truthy<T>> {
  const until = performance.now() + WITHIN_MS;
  for (;;) {
    const found = await look();
    if (found) return found as Truthy<T>;
    if (performance.now() > until) assert.fail(`not within ${WITHIN_MS / 1000} s: ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A child whose output is kept, and which is ended by its own handle. */
export class Child {
  output = "";
  private readonly gone: Promise<unknown>;
  private readonly endWithUs = (): void => void this.child.kill("SIGKILL");

  constructor(readonly name: string, command: string, args: string[]) {
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.child.stdout!, this.child.stderr!]) stream.on("data", (data) => (this.output += data));
    this.gone = once(this.child, "close").catch((error) => (this.output += String(error)));
    process.on("exit", this.endWithUs);
  }
  readonly child: ChildProcess;

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits for a line of its output. */
  said(pattern: RegExp): Promise<RegExpExecArray> {
    return eventually(() => `${this.name} says ${pattern}:\n${this.output}`, () => {
      assert.ok(!this.ended, `${this.name} ended:\n${this.output}`);
      return pattern.exec(this.output);
    });
  }

  /** Does nothing more once it has ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.ended) this.child.kill(signal);
    await this.gone;
    process.off("exit", this.endWithUs);
  }
}

export interface Instance {
  readonly name: string;
  readonly url: string;
  readonly process: Child;
}

export class Cluster {
  readonly folder = mkdtempSync(join(tmpdir(), "scumble-browser-"));
  readonly db = join(this.folder, "scumble.db");
  readonly instances: Instance[] = [];
  /** What ends with the cluster, before its processes. */
  private readonly atEnd: (() => unknown)[] = [];

  static async start(count: number, ...flags: string[]): Promise<Cluster> {
    assert.ok(existsSync(BINARY), `${BINARY} is missing: cargo build, or name it in SCUMBLE_BIN`);
    const cluster = new Cluster();
    for (const name of NAMES.slice(0, count)) {
      const args = ["serve", "--db", cluster.db, "--listen", "127.0.0.1:0", "--instance-id", name, "--until-stdin-closes", ...flags];
      const child = new Child(name, BINARY, args);
      const [, url] = await child.said(/ready on (http:\S+)/);
      cluster.instances.push({ name, url: url!, process: child });
    }
    return cluster;
  }

  url(i: number): string {
    return this.instances[i]!.url;
  }

  /** As kill -9, wherever it is. */
  async kill(name: string): Promise<void> {
    await this.instances.find((instance) => instance.name === name)!.process.end("SIGKILL");
  }

  survivor(killed: string): Instance {
    return this.instances.find((instance) => instance.name !== killed)!;
  }

  /** Starts nginx with the repository's own configuration, and returns its URL. */
  async behindNginx(): Promise<string> {
    const port = await freePort();
    const servers = this.instances.map(({ url }) => `        server ${new URL(url).host} max_fails=1 fail_timeout=2s;\n`);
    const conf = readFileSync(join(REPOSITORY, "nginx/scumble.conf"), "utf8")
      .replace(/^( *listen) .*/m, `$1 127.0.0.1:${port};`)
      .replace(/(?:^ *server 127\.0\.0\.1:.*\n)+/m, servers.join(""));
    writeFileSync(join(this.folder, "nginx.conf"), conf);
    const program = existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";
    const nginx = new Child("nginx", program, ["-p", this.folder, "-c", join(this.folder, "nginx.conf"), "-g", "daemon off;"]);
    this.atEnd.push(() => nginx.end("SIGTERM"));
    const url = `http://127.0.0.1:${port}`;
    await eventually("nginx answers", () => {
      assert.ok(!nginx.ended, `nginx ended:\n${nginx.output}`);
      return fetch(`${url}/healthz`).then((answer) => answer.ok, () => false);
    });
    return url;
  }

  /** A line to a process, which can be cut. */
  async line(i: number): Promise<Line> {
    const line = await Line.to(this.url(i));
    this.atEnd.push(() => line.close());
    return line;
  }

  async witness(i: number, canvas: string): Promise<Witness> {
    const witness = new Witness(this.url(i), canvas);
    this.atEnd.push(() => witness.close());
    await eventually("the witness has the canvas", () => witness.settled);
    return witness;
  }

  /** Holds up every writer of the cluster, as a stuck disk would, until the returned function is called. */
  async stallWrites(): Promise<() => Promise<void>> {
    const holder = new Child("flock", "flock", ["--exclusive", "--no-fork", `${this.db}.lock`, "sh", "-c", "echo held; exec cat"]);
    this.atEnd.push(() => holder.end("SIGKILL"));
    await holder.said(/held/);
    return () => holder.end("SIGKILL");
  }

  async stop(): Promise<void> {
    for (const end of this.atEnd) await end();
    for (const { process: child } of this.instances) await child.end("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A TCP line. Cut, it carries pages and files but no WebSocket: a page may be reloaded while offline. */
class Line {
  private down = false;
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server, private readonly to: URL) {
    server.on("connection", (socket) => this.accept(socket));
  }

  static async to(url: string): Promise<Line> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Line(server, new URL(url));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private accept(socket: Socket): void {
    socket.on("error", () => {});
    socket.once("data", (first) => {
      const isWebSocket = first.toString("latin1").startsWith("GET /ws/");
      if (isWebSocket && this.down) return socket.destroy();
      const upstream = connect(Number(this.to.port), this.to.hostname);
      upstream.on("error", () => socket.destroy());
      if (isWebSocket) this.sockets.add(socket);
      upstream.write(first);
      socket.pipe(upstream).pipe(socket);
      for (const [end, other] of [[socket, upstream], [upstream, socket]] as const) end.on("close", () => other.destroy());
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  cut(): void {
    this.down = true;
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  mend(): void {
    this.down = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
