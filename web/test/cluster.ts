/** Real `scumble serve` processes over one SQLite file, a real nginx before them, and lines that can be cut. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The tests run in `web/`. */
export const REPOSITORY = join(process.cwd(), "..");
const BINARY = process.env.SCUMBLE_BIN ?? join(REPOSITORY, "target/debug/scumble");
/** Every wait ends by then: generous, since it only decides how long a failure takes. */
export const WITHIN_MS = 20_000;
const NAMES = ["north", "south", "east"];

type Truthy<T> = Exclude<T, undefined | null | false>;

/** Waits until `look` gives something true, and returns it. */
export async function eventually<T>(what: string, look: () => T | Promise<T>, withinMs = WITHIN_MS): Promise<Truthy<T>> {
  const until = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found as Truthy<T>;
    assert.ok(performance.now() < until, `within ${withinMs / 1000} s: ${what}`);
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
    return eventually(`${this.name} says ${pattern}:\n${this.output}`, () => {
      assert.ok(!this.ended, `${this.name} ended:\n${this.output}`);
      return pattern.exec(this.output);
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.child.kill(signal);
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
  private nginx: Child | undefined;

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
    this.nginx = new Child("nginx", program, ["-p", this.folder, "-c", join(this.folder, "nginx.conf"), "-g", "daemon off;"]);
    const url = `http://127.0.0.1:${port}`;
    await eventually("nginx answers", () => {
      assert.ok(!this.nginx!.ended, `nginx ended:\n${this.nginx!.output}`);
      return fetch(`${url}/healthz`).then((answer) => answer.ok, () => false);
    });
    return url;
  }

  /** Holds up every writer of the cluster, as a stuck disk would, until the returned function is called. */
  async stallWrites(): Promise<() => Promise<void>> {
    const holder = new Child("flock", "flock", ["--exclusive", `${this.db}.lock`, "sh", "-c", "echo held; exec cat"]);
    await holder.said(/held/);
    return async () => {
      holder.child.stdin!.end();
      await eventually("the lock is free", () => holder.ended);
    };
  }

  async stop(): Promise<void> {
    await this.nginx?.end("SIGTERM");
    for (const { process: child } of this.instances) if (!child.ended) await child.end("SIGTERM");
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

/** A TCP line to a process. Cut, it carries pages and files but no WebSocket: a page may be reloaded while offline. */
export class Line {
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
