/** Real `scumble serve` processes over one SQLite file, a real nginx before them, and lines that can be cut. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Conditions, Line } from "./line.js";
import { Witness } from "./witness.js";

/** The tests run in `web/`. */
export const REPOSITORY = join(process.cwd(), "..");
/** A name in `SCUMBLE_BIN` is relative to the repository: npm runs this in `web/`. */
export const BINARY = resolve(REPOSITORY, process.env.SCUMBLE_BIN ?? "target/debug/scumble");
/** SCUMBLE_LINE=<KB/s>: everybody's WebSockets are over such a line, which also loses packets. */
const SLOW = process.env.SCUMBLE_LINE;
const LINE: Conditions | undefined = SLOW ? { bytesPerS: Number(SLOW) * 1000, delayMs: 20, loss: 0.01 } : undefined;
/** Every wait ends by then: generous, since it only decides how long a failure takes. */
export const WITHIN_MS = LINE ? 60_000 : 20_000;
/** For one test: nothing that goes on for longer has an end. */
export const LIMITED = { timeout: LINE ? 270_000 : 90_000 };
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

  constructor(readonly name: string, command: string, args: string[], environment: Record<string, string> = {}) {
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...environment } });
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
  private readonly lines: Line[] = [];
  /** What ends with the cluster, before its processes. */
  private readonly atEnd: (() => unknown)[] = [];

  static async start(count: number, ...flags: string[]): Promise<Cluster> {
    assert.ok(existsSync(BINARY), `${BINARY} is missing: cargo build, or name it in SCUMBLE_BIN`);
    const cluster = new Cluster(flags);
    for (const name of NAMES.slice(0, count)) cluster.instances.push(await cluster.serve(name));
    if (LINE) for (let i = 0; i < count; i++) cluster.lines.push(await cluster.line(i));
    return cluster;
  }

  private constructor(private readonly flags: readonly string[]) {}

  private async serve(name: string): Promise<Instance> {
    const args = ["serve", "--db", this.db, "--listen", "127.0.0.1:0", "--instance-id", name, "--until-stdin-closes", ...this.flags];
    const process = new Child(name, BINARY, args);
    const [, url] = await process.said(/ready on (http:\S+)/);
    return { name, url: url!, process };
  }

  /** Starts one that was killed anew, at another address. */
  async again(name: string): Promise<Instance> {
    const i = this.instances.findIndex((instance) => instance.name === name);
    return (this.instances[i] = await this.serve(name));
  }

  /** For pages. */
  url(i: number): string {
    return this.lines[i]?.url ?? this.instances[i]!.url;
  }

  /** As kill -9, wherever it is. */
  async kill(name: string): Promise<void> {
    await this.instances.find((instance) => instance.name === name)!.process.end("SIGKILL");
  }

  survivor(killed: string): Instance {
    return this.instances.find((instance) => instance.name !== killed)!;
  }

  /** Starts nginx with the repository's own configuration, changed or not, and returns its URL. */
  async behindNginx(changed = (conf: string): string => conf): Promise<string> {
    const port = await freePort();
    const servers = this.instances.map(({ url }) => `        server ${new URL(url).host} max_fails=1 fail_timeout=2s;\n`);
    const conf = readFileSync(join(REPOSITORY, "nginx/scumble.conf"), "utf8")
      .replace(/^( *listen) .*/m, `$1 127.0.0.1:${port};`)
      .replace(/(?:^ *server 127\.0\.0\.1:.*\n)+/m, servers.join(""));
    return this.nginx(`http://127.0.0.1:${port}`, changed(conf), "/healthz");
  }

  /** The same for a relay below a path of somebody else's server. Returns its URL, with a slash at the end. */
  async behindPath(path: string): Promise<string> {
    const port = await freePort();
    const servers = this.instances.map(({ url }) => `server ${new URL(url).host};`).join(" ");
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`).join(" ");
    const conf = `pid nginx.pid; error_log stderr warn; events { worker_connections 512; }
      http { access_log off; ${temporary}
        map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
        upstream relay { ${servers} }
        server { listen 127.0.0.1:${port};
          location ${path} { proxy_pass http://relay/; proxy_http_version 1.1; proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; } } }`;
    return `${await this.nginx(`http://127.0.0.1:${port}`, conf, `${path}healthz`)}${path}`;
  }

  private async nginx(url: string, conf: string, health: string): Promise<string> {
    writeFileSync(join(this.folder, "nginx.conf"), conf);
    const program = existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";
    const nginx = new Child("nginx", program, ["-p", this.folder, "-c", join(this.folder, "nginx.conf"), "-g", "daemon off;"]);
    this.atEnd.push(() => nginx.end("SIGTERM"));
    await eventually("nginx answers", () => {
      assert.ok(!nginx.ended, `nginx ended:\n${nginx.output}`);
      return fetch(`${url}${health}`).then((answer) => answer.ok, () => false);
    });
    return url;
  }

  /** A line to a process, which can be cut, and may be a bad one. */
  async line(i: number, conditions = LINE): Promise<Line> {
    const line = await Line.to(() => this.instances[i]!.url, conditions);
    this.atEnd.push(() => line.close());
    return line;
  }

  async witness(i: number, canvas: string): Promise<Witness> {
    const witness = new Witness(this.instances[i]!.url, canvas);
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

/** Two processes for one test. */
export async function withCluster(run: (cluster: Cluster) => Promise<void>, ...flags: string[]): Promise<void> {
  const cluster = await Cluster.start(2, ...flags);
  try {
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
