/** A world in virtual time: clock, timers, seeded chance, and sockets whose messages take time. No real clock, no I/O. */

import type { Environment, PageEvents, SocketLike } from "../src/environment.js";

/** Mulberry32: small, seeded, good enough to shuffle a test. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The other end of a socket. */
export interface Peer {
  received(text: string): void;
  closed(): void;
}

export type Listen = (line: Line) => Peer;

/** One connection: two ordered directions, and an end that either side may make. */
export class Line implements SocketLike {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  bufferedAmount = 0;
  closeCode: number | undefined;
  /** Everything the client said, for looking at. */
  readonly said: string[] = [];
  private alive = true;
  private peer: Peer | undefined;
  private upAt = 0;
  private downAt = 0;

  constructor(private readonly world: World, listen: Listen | undefined, private readonly turn: (task: () => void) => void = (task) => task()) {
    world.after(world.latency(), () => {
      if (!this.alive) return;
      if (!listen || !world.online) return this.cut();
      this.peer = listen(this);
      this.onopen?.();
    });
  }

  send(text: string): void {
    this.said.push(text);
    this.upAt = Math.max(this.upAt + this.world.takes(text), this.world.time + this.world.latency() + this.world.takes(text));
    this.world.after(this.upAt - this.world.time, () => this.alive && this.peer?.received(text));
  }

  /** The server's side sends. */
  deliver(message: unknown): void {
    const text = JSON.stringify(message);
    this.downAt = Math.max(this.downAt + this.world.takes(text), this.world.time + this.world.latency() + this.world.takes(text));
    this.world.after(this.downAt - this.world.time, () => this.turn(() => this.alive && this.onmessage?.({ data: text })));
  }

  close(code?: number): void {
    this.closeCode = code;
    this.end();
  }

  /** The line breaks: what is under way in either direction is lost. */
  cut(code = 1006, reason = ""): void {
    if (!this.alive) return;
    this.end();
    this.onclose?.({ code, reason });
  }

  /** The server closes; what it said before arrives. */
  closeAfter(code: number, reason = ""): void {
    this.downAt = Math.max(this.downAt, this.world.time + this.world.latency());
    this.world.after(this.downAt - this.world.time, () => this.cut(code, reason));
  }

  private end(): void {
    if (!this.alive) return;
    this.alive = false;
    this.peer?.closed();
  }
}

export class World {
  time = 1_000;
  online = true;
  /** Why no connection can be made, when somebody asks. */
  reason = "nothing answers there";
  /** How long a message takes, ms. */
  latency: () => number = () => 1;
  /** Bytes a second in each direction of each line. */
  bytesPerS = Infinity;
  readonly lines: Line[] = [];
  private readonly queue: { at: number; order: number; task: () => void }[] = [];
  private order = 0;

  constructor(readonly random: () => number) {}

  /** How long a text keeps a line busy, ms. */
  takes(text: string): number {
    return (text.length / this.bytesPerS) * 1000;
  }

  after(ms: number, task: () => void): () => void {
    const item = { at: this.time + Math.max(0, ms), order: this.order++, task };
    this.queue.push(item);
    return () => {
      const at = this.queue.indexOf(item);
      if (at >= 0) this.queue.splice(at, 1);
    };
  }

  /** Lets promises that are ready run. */
  private async settle(): Promise<void> {
    for (let i = 0; i < 12; i++) await Promise.resolve();
  }

  /** Runs everything due within `ms`. */
  async run(ms: number): Promise<void> {
    const until = this.time + ms;
    await this.settle();
    for (;;) {
      let next: (typeof this.queue)[number] | undefined;
      for (const item of this.queue) {
        if (item.at <= until && (!next || item.at < next.at || (item.at === next.at && item.order < next.order))) next = item;
      }
      if (!next) break;
      this.queue.splice(this.queue.indexOf(next), 1);
      this.time = Math.max(this.time, next.at);
      next.task();
      await this.settle();
    }
    this.time = until;
  }

  /** A page in this world. */
  page(listen: Listen | undefined): Page {
    return new Page(this, listen);
  }
}

let ids = 0;

/** A page's environment; `kill` is what a crash or reload does to it. */
export class Page implements Environment {
  events: PageEvents | undefined;
  guarded = false;
  line: Line | undefined;
  private dead = false;

  constructor(
    readonly world: World,
    private readonly listen: Listen | undefined,
  ) {}

  now = (): number => this.world.time;
  date = (): number => this.world.time;
  random = (): number => this.world.random();
  makeId = (): string => `client-${String(++ids).padStart(4, "0")}`;
  after = (ms: number, task: () => void): (() => void) => this.world.after(ms, () => this.dead || this.turn(task));
  nextFrame = (task: () => void): void => void this.after(16, task);
  inflate: Environment["inflate"];
  request: Environment["request"];
  openSocket: Environment["openSocket"] = () => {
    return this.lineTo(this.listen);
  };

  /** A line of this page's. */
  lineTo(listen: Listen | undefined): Line {
    this.line = new Line(this.world, listen, (task) => (this.frozen ? void this.heard.push(task) : task()));
    this.world.lines.push(this.line);
    // What a dead page had begun goes nowhere.
    if (this.dead) this.line.close();
    return this.line;
  }

  diagnose = async (): Promise<string> => this.world.reason;
  watch = (events: PageEvents): (() => void) => {
    this.events = events;
    return () => (this.events = undefined);
  };
  guard = (on: boolean): void => void (this.guarded = on);

  private frozen: (() => void)[] | undefined;
  private heard: (() => void)[] = [];

  private turn(task: () => void): void {
    if (this.frozen) this.frozen.push(task);
    else task();
  }

  /** Nothing of the page runs. */
  freeze(): void {
    this.frozen = [];
  }

  /** It goes on: timers that are due first, messages in later turns. */
  thaw(): void {
    const [timers, messages] = [this.frozen ?? [], this.heard.splice(0)];
    this.frozen = undefined;
    for (const timer of timers) timer();
    for (const message of messages) this.world.after(1, message);
  }

  kill(): void {
    this.dead = true;
    this.frozen?.splice(0);
    this.heard = [];
    if (this.line) {
      this.line.onclose = this.line.onmessage = this.line.onopen = null;
      this.line.close();
    }
  }
}
