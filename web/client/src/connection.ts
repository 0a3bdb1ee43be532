/** The socket: opened, watched, dropped and opened again as {@link Reconnect} decides. Knows nothing of what is said. */

import { describeThrown } from "./emitter.js";
import type { Environment, SocketLike } from "./environment.js";
import type { Status } from "./types.js";
import { type Abilities, type Problem, Reconnect } from "./reconnect.js";

/** From the attempt to the welcome. Beyond it the line is taken for dead. */
const WELCOME_WITHIN_MS = 10_000;
/** An answer to a ping that takes longer means a dead line: TCP itself would notice after minutes. */
const PONG_WITHIN_MS = 5_000;
/** Until the server says how often it pings. */
const DEFAULT_HEARTBEAT_MS = 15_000;
/** The same after the browser said that the network is gone. */
const DOUBTED_PONG_WITHIN_MS = 2_000;
/** For the other side's answer to a close: on a dead line there is none. */
const HANG_UP_WITHIN_MS = 5_000;
/** Our own close code for "I come back": 1000 and 1001 would tell the others that we left. */
const COMING_BACK = 4000;

export interface ConnectionHandler {
  /** Before every attempt. Rejects when there is no token to be had. */
  token(): Promise<string | undefined>;
  /** The first message, of the attempt that is made with this token. */
  hello(token: string | undefined): string;
  message(text: string): void;
  /** The connection that was there, or was being made, is gone, closed with this code. */
  lost(code: number): void;
  status(status: Status): void;
  /** Takes another client id before the next attempt. */
  newIdentity(): Promise<void>;
  problem(problem: Problem): void;
  /** It stays away for good, whatever happens. */
  ended(problem: Problem): void;
}

export class Connection {
  status: Status = "connecting";
  /** Why it is disconnected, while it is and was not closed here. */
  stopped: (Problem & { readonly final: boolean }) | undefined;
  private socket: SocketLike | undefined;
  private readonly policy: Reconnect;
  private cancelRetry: (() => void) | undefined;
  private cancelWelcome: (() => void) | undefined;
  private cancelWatch: (() => void) | undefined;
  private cancelGoaway: (() => void) | undefined;
  private heardAt = 0;
  private pingedAt: number | undefined;
  private heartbeatMs = DEFAULT_HEARTBEAT_MS;
  private ended = false;
  /** Counts attempts, so that what was awaited for an older one is not used for a newer. */
  private generation = 0;

  constructor(
    private readonly env: Environment,
    private readonly url: string,
    private readonly handler: ConnectionHandler,
    abilities: Abilities,
  ) {
    this.policy = new Reconnect(abilities);
  }

  get bufferedBytes(): number {
    return this.socket?.bufferedAmount ?? 0;
  }

  get connected(): boolean {
    return this.status === "connected";
  }

  /** Begins an attempt at once, unless one is under way. */
  connect(): void {
    this.cancelRetry?.();
    this.cancelRetry = undefined;
    if (this.ended || this.socket) return;
    const generation = ++this.generation;
    this.handler.token().then(
      (token) => {
        if (generation === this.generation && !this.ended) this.open(this.handler.hello(token));
      },
      (error: unknown) => {
        if (generation !== this.generation || this.ended) return;
        this.handler.problem({ code: "unauthorized", message: `no token: ${describeThrown(error)}` });
        this.closed(1006, "");
      },
    );
  }

  private open(hello: string): void {
    let socket: SocketLike;
    try {
      socket = this.env.openSocket(this.url);
    } catch (error) {
      // Told a turn later: at the first attempt nobody can listen yet.
      const problem: Problem = { code: "no-socket", message: `no WebSocket could be made: ${describeThrown(error)}` };
      this.cancelRetry = this.env.after(0, () => this.stop({ ...problem, final: true }));
      return;
    }
    this.socket = socket;
    socket.onopen = () => {
      if (socket === this.socket) socket.send(hello);
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      this.heardAt = this.env.now();
      this.pingedAt = undefined;
      this.handler.message(String(data));
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.socket) this.closed(code, reason);
    };
    // A close follows every error.
    socket.onerror = () => {};
    this.cancelWelcome = this.env.after(WELCOME_WITHIN_MS, () => this.drop());
  }

  /** The welcome came. */
  welcomed(heartbeatMs: number): void {
    this.cancelWelcome?.();
    this.policy.welcomed(this.env.now());
    this.heartbeatMs = heartbeatMs > 0 ? heartbeatMs : DEFAULT_HEARTBEAT_MS;
    this.watch();
    this.setStatus("connected");
  }

  /** Looks after the line: pings when it was quiet for two heartbeats, and drops it when that is not answered. */
  private watch(): void {
    this.cancelWatch?.();
    this.cancelWatch = this.env.after(Math.min(this.heartbeatMs, PONG_WITHIN_MS), () => {
      const now = this.env.now();
      if (this.pingedAt !== undefined && now - this.pingedAt >= PONG_WITHIN_MS) return this.drop();
      if (this.pingedAt === undefined && now - this.heardAt >= 2 * this.heartbeatMs) this.probe();
      this.watch();
    });
  }

  private probe(): void {
    if (!this.connected || this.pingedAt !== undefined) return;
    this.pingedAt = this.env.now();
    this.send(JSON.stringify({ type: "ping", ts: Math.round(this.pingedAt) }));
  }

  /** Sends, or loses it when there is no connection: whoever must not lose anything keeps it. */
  send(text: string): boolean {
    if (!this.connected || !this.socket) return false;
    try {
      this.socket.send(text);
      return true;
    } catch {
      // A socket that is closing throws in some implementations; its close event is on the way.
      return false;
    }
  }

  /**
   * The browser says that the network is gone. It says so on some networks where the server still answers, and says
   * nothing on others that are dead: so the server is asked, and has less time than usual to answer.
   */
  offline(): void {
    if (!this.connected) return;
    const { generation } = this;
    const askedAt = this.env.now();
    this.probe();
    this.env.after(DOUBTED_PONG_WITHIN_MS, () => {
      if (generation === this.generation && this.heardAt <= askedAt) this.drop();
    });
  }

  /** Gives the connection up and makes another. */
  drop(): void {
    const { socket } = this;
    if (!socket) return;
    this.detach();
    this.hangUp(socket, COMING_BACK, "reconnecting");
    this.closed(1006, "");
  }

  /** Closes a socket nobody listens to any more. The `ws` package would wait half a minute, and Node with it. */
  private hangUp(socket: SocketLike, code: number, reason: string): void {
    if (socket.terminate) socket.onclose = this.env.after(HANG_UP_WITHIN_MS, () => socket.terminate?.());
    socket.close(code, reason);
  }

  /** Drops the connection, or forgets the attempt that is waited for, and stays away for a while. */
  cut(awayMs: number): void {
    this.policy.stayAway(awayMs, this.env.now());
    if (this.socket) this.drop();
    else if (!this.ended && !this.stopped) this.closed(1006, "");
  }

  /** The server asks to come again later, to whoever is there then. */
  goaway(retryAfterMs: number): void {
    this.policy.stayAway(retryAfterMs, this.env.now());
    this.cancelGoaway?.();
    this.cancelGoaway = this.env.after(retryAfterMs, () => this.drop());
  }

  /** The network came back or the tab is looked at: no more waiting, and a line that may be dead is tested. */
  wakened(): void {
    if (this.connected) return this.probe();
    if (this.cancelRetry) this.retryIn(this.policy.wakened(this.env.now()));
  }

  private closed(code: number, reason: string): void {
    this.detach();
    this.handler.lost(code);
    const decision = this.policy.closed(code, reason, this.env.now(), this.env.random());
    if (decision.type === "stop") return this.stop(decision);
    this.setStatus(this.status === "connecting" ? "connecting" : "reconnecting");
    if (decision.problem) this.handler.problem(decision.problem);
    if (decision.newIdentity) {
      void this.handler.newIdentity().then(() => this.retryIn(decision.ms));
    } else this.retryIn(decision.ms);
  }

  private retryIn(ms: number): void {
    this.cancelRetry?.();
    if (this.ended || this.stopped) return;
    this.cancelRetry = this.env.after(Math.max(ms, this.policy.away(this.env.now())), () => this.connect());
  }

  private stop(stopped: Problem & { readonly final: boolean }): void {
    this.cancelRetry = undefined;
    this.stopped = stopped;
    if (stopped.final) this.handler.ended(stopped);
    this.setStatus("disconnected");
    this.handler.problem(stopped);
  }

  private detach(): void {
    this.generation++;
    this.socket = undefined;
    this.pingedAt = undefined;
    this.cancelWelcome?.();
    this.cancelWatch?.();
    this.cancelGoaway?.();
  }

  /** There is another token: tries at once, even when it was given up for want of one. */
  restart(): void {
    if (this.ended || this.stopped?.final) return;
    this.stopped = undefined;
    this.drop();
    if (this.status === "disconnected") this.setStatus("reconnecting");
    this.retryIn(this.policy.wakened(this.env.now()));
  }

  /** Leaves for good, with a goodbye. */
  close(): void {
    if (this.ended) return;
    this.send('{"type":"bye"}');
    this.ended = true;
    const { socket } = this;
    this.detach();
    this.cancelRetry?.();
    if (socket) this.hangUp(socket, 1000, "bye");
    this.handler.lost(1000);
    this.setStatus("disconnected");
  }

  private setStatus(status: Status): void {
    if (status === this.status) return;
    this.status = status;
    this.handler.status(status);
  }
}
