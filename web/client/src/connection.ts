/** The socket: opened, watched, dropped and opened again as {@link Reconnect} decides. Knows nothing of what is said. */

import { describeThrown } from "./emitter.js";
import type { Environment, SocketLike } from "./environment.js";
import { EventSocket, streamUrl } from "./event-socket.js";
import { DEFAULT_ENCODING, type Encoding, Inbox, sizeOf, SUBPROTOCOLS } from "./inbox.js";
import { DOUBTED_MS, Liveness, type LineState, OFFLINE_MS } from "./liveness.js";
import { withBytes } from "./logs.js";
import { packed } from "./msgpack.js";
import { Outage } from "./outage.js";
import { type Abilities, patience, type Problem, Reconnect } from "./reconnect.js";
import { Transports } from "./transports.js";
import type { Json, Status, Transport, TransportOption } from "./types.js";

/** Until the server says how often it pings. */
const DEFAULT_HEARTBEAT_MS = 15_000;
/** How often the line is looked at. */
const LOOK_MS = 5_000;
/** Ops that nobody has answered for this long: is anybody there? */
const UNANSWERED_MS = 10_000;
/** Before a page that stood still passes a verdict, it hears what came meanwhile. */
const SECOND_LOOK_MS = 1_000;
/** For the other side's answer to a close: on a dead line there is none. */
const HANG_UP_WITHIN_MS = 5_000;
/** Others see by their status that they are not connected; here it would look as if the canvas came. */
const STALLED: Problem = { code: "unreachable", message: "the canvas stopped coming half way: the server, or the line, brings nothing more. It is tried again" };
/** So many connections in a row that end before the canvas is here are no chance. */
const UNFINISHED = 3;
/** Our own close code for "I come back": 1000 and 1001 would tell the others that we left. */
const COMING_BACK = 4000;

export interface ConnectionHandler {
  /** Before every attempt. Rejects when there is no token to be had. */
  token(): Promise<string | undefined>;
  /** The first message, of the attempt that is made with this token. */
  hello(token: string | undefined, compress: readonly string[]): string;
  /** A message, as JSON has it. */
  message(value: unknown): void;
  /** What came can't be read. */
  garbled(error: unknown): void;
  /** What is on the line now. */
  line(): Omit<LineState, "buffered">;
  /** The connection that was there, or was being made, is gone, closed with this code. */
  lost(code: number): void;
  status(status: Status): void;
  /** Takes another client id before the next attempt. */
  newIdentity(): Promise<void>;
  problem(problem: Problem): void;
  /** It stays away for good, whatever happens. */
  ended(problem: Problem): void;
}

/** What the application wants of the wire. */
export interface WireOptions {
  readonly encoding?: Encoding | undefined;
  readonly compress?: boolean | undefined;
  readonly transport?: TransportOption | undefined;
}

export class Connection {
  status: Status = "connecting";
  /** Why it is disconnected, while it is and was not closed here. */
  stopped: (Problem & { readonly final: boolean }) | undefined;
  private socket: SocketLike | undefined;
  private inbox: Inbox | undefined;
  /** What is asked for from here on: simpler things, once a frame could not be read. */
  private encoding: Encoding;
  private compress: boolean;
  /** What the server at hand speaks. */
  private spoken: Encoding = "json";
  private readonly policy: Reconnect;
  private cancelRetry: (() => void) | undefined;
  private readonly liveness = new Liveness();
  private readonly outage: Outage;
  private cancelOpening: (() => void) | undefined;
  private cancelWatch: (() => void) | undefined;
  private cancelGoaway: (() => void) | undefined;
  private readonly transports: Transports;
  private cancelTrial: (() => void) | undefined;
  private lookDueAt = 0;
  private lookedTwice = false;
  private heartbeatMs = DEFAULT_HEARTBEAT_MS;
  /** Connections in a row that ended before the canvas was here. */
  private unfinished = 0;
  private ended = false;
  /** The line at hand has been open. */
  private opened = false;
  /** Counts attempts, so that what was awaited for an older one is not used for a newer. */
  private generation = 0;

  constructor(
    private readonly env: Environment,
    private readonly url: string,
    private readonly handler: ConnectionHandler,
    abilities: Abilities,
    wire: WireOptions = {},
  ) {
    this.encoding = wire.encoding ?? DEFAULT_ENCODING;
    this.compress = wire.compress !== false && env.inflate !== undefined;
    this.policy = new Reconnect(abilities);
    const { request } = env;
    this.transports = new Transports(wire.transport ?? "auto", request && ((answer) => {
      let status = 0;
      // A relay with streams refuses this with a status of its own.
      request(streamUrl(url), undefined, { status: (said) => (status = said), piece: () => {}, ended: () => answer(status === 405) });
    }));
    this.outage = new Outage(env, url, (problem) => handler.problem(problem));
  }

  get bufferedBytes(): number {
    return this.socket?.bufferedAmount ?? 0;
  }

  get transport(): Transport | undefined {
    return this.connected ? this.transports.current : undefined;
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
        if (generation === this.generation && !this.ended) this.open(this.handler.hello(token, this.compress ? ["deflate-raw"] : []));
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
      socket = this.lineFor(hello);
    } catch (error) {
      // Told a turn later: at the first attempt nobody can listen yet.
      const problem: Problem = { code: "no-socket", message: `no connection could be made: ${describeThrown(error)}` };
      this.cancelRetry = this.env.after(0, () => this.stop({ ...problem, final: true }));
      return;
    }
    this.socket = socket;
    // A Blob would come late.
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (socket !== this.socket) return;
      this.cancelOpening?.();
      this.transports.opened();
      this.opened = true;
      this.outage.opened();
      this.liveness.opened(this.env.now());
      this.spoken = socket.protocol === SUBPROTOCOLS.msgpack ? "msgpack" : "json";
      this.inbox = this.makeInbox(this.spoken);
      if (!socket.greeted) socket.send(this.written(hello));
      this.watch();
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      // Before it is read: an answer to it may ask how the line is.
      this.liveness.heard(sizeOf(data), this.env.now());
      this.inbox?.heard(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.socket) this.closed(code, reason);
    };
    // A close follows every error.
    socket.onerror = () => {};
    this.outage.attempt();
    this.cancelOpening = this.env.after(this.liveness.openWithinMs, () => {
      this.liveness.gaveUp(true);
      this.drop();
    });
  }

  private lineFor(hello: string): SocketLike {
    const { request } = this.env;
    if (this.transports.next(this.env.now()) === "websocket") return this.env.openSocket(this.url, this.protocols);
    if (!request) throw new TypeError("there is no fetch here, which a stream of events needs");
    return new EventSocket(this.env, request, this.url, hello);
  }

  /** On a stream: sees now and then whether a WebSocket gets through, and then comes back with one. */
  private tryLater(): void {
    const { triesAgainInMs } = this.transports;
    this.cancelTrial?.();
    if (triesAgainInMs === undefined) return;
    this.cancelTrial = this.env.after(triesAgainInMs, () => {
      const trial = this.env.openSocket(this.url, this.protocols);
      const ended = (passes: boolean): void => {
        cancel();
        this.cancelTrial = undefined;
        trial.onopen = trial.onclose = null;
        this.hangUp(trial, 1000, "");
        this.transports.tried(passes, this.env.now());
        if (passes) this.drop();
        else this.tryLater();
      };
      const cancel = this.env.after(this.liveness.openWithinMs, () => ended(false));
      this.cancelTrial = () => {
        cancel();
        trial.onopen = trial.onclose = null;
        trial.close();
      };
      trial.onopen = () => ended(true);
      trial.onclose = () => ended(false);
      trial.onerror = () => {};
    });
  }

  /** An older server takes what it knows. */
  private get protocols(): readonly string[] {
    return this.encoding === "json" ? [SUBPROTOCOLS.json] : [SUBPROTOCOLS.msgpack, SUBPROTOCOLS.json];
  }

  private written(text: string): string | Uint8Array<ArrayBuffer> {
    return this.spoken === "json" ? text : packed(withBytes(JSON.parse(text) as Json));
  }

  private makeInbox(spoken: Encoding): Inbox {
    return new Inbox(this.env, spoken, {
      message: (value) => this.handler.message(value),
      garbled: (error, inflating) => {
        // Whatever is between that changes bytes may leave plain text alone.
        if (inflating) this.compress = false;
        else this.encoding = "json";
        this.handler.garbled(error);
      },
    });
  }

  /** The welcome came. */
  welcomed(heartbeatMs: number): void {
    this.outage.over();
    this.policy.welcomed(this.env.now());
    this.heartbeatMs = heartbeatMs > 0 ? heartbeatMs : DEFAULT_HEARTBEAT_MS;
    this.setStatus("connected");
    this.tryLater();
  }

  /** Everything up to the canvas's head is here. */
  arrived(): void {
    this.unfinished = 0;
    this.liveness.arrived();
  }

  /** The answer to a ping came. */
  ponged(): void {
    this.liveness.answered(this.env.now());
  }

  private get line(): LineState {
    return { ...this.handler.line(), buffered: this.bufferedBytes };
  }

  /** Looks after the line: asks when it was quiet for long, and drops it when nothing comes of what is waited for. */
  private watch(withinMs = Math.min(this.heartbeatMs, LOOK_MS)): void {
    this.cancelWatch?.();
    const now = this.env.now();
    const inMs = Math.min(withinMs, Math.max(0, this.liveness.dueAt - now) || withinMs);
    this.lookDueAt = now + inMs;
    this.cancelWatch = this.env.after(inMs, () => this.look());
  }

  private look(): void {
    const now = this.env.now();
    const { line } = this;
    const quietMs = this.liveness.quietMs(now);
    // A page that was frozen has not heard what came meanwhile: that comes in the next turns.
    const late = now - this.lookDueAt > LOOK_MS;
    this.lookedTwice = late && quietMs > LOOK_MS && !this.lookedTwice;
    if (this.lookedTwice) return this.watch(SECOND_LOOK_MS);
    if (this.liveness.dead(now, line)) {
      if (line.joining && this.connected) {
        this.handler.problem(STALLED);
        this.unfinished = 0;
      }
      return this.drop();
    }
    const asks = quietMs >= 2 * this.heartbeatMs || (line.unanswered > 0 && quietMs >= UNANSWERED_MS);
    if (asks && !this.liveness.asked) this.probe();
    this.watch();
  }

  /** Asks whether the server is there. */
  private probe(doubtMs?: number): void {
    if (!this.connected) return;
    const now = this.env.now();
    const { asked } = this.liveness;
    this.liveness.ask(now, this.line, doubtMs);
    if (!asked) this.send(JSON.stringify({ type: "ping", ts: Math.round(now) }));
    this.watch();
  }

  /** Sends, or loses it when there is no connection: whoever must not lose anything keeps it. */
  send(text: string): boolean {
    if (!this.connected || !this.socket) return false;
    try {
      this.socket.send(this.written(text));
      return true;
    } catch {
      // A socket that is closing throws in some implementations; its close event is on the way.
      return false;
    }
  }

  /**
   * The browser says that the network is gone. It says so on some networks where the server still answers, and says
   * nothing on others that are dead: so the server is asked, and an idle line has less time than usual to answer.
   */
  offline(): void {
    this.probe(OFFLINE_MS);
  }

  /** Gives the connection up and makes another. */
  drop(): void {
    const { socket } = this;
    if (!socket) return;
    if (!this.opened) this.transports.failed(this.env.now());
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
    const ms = patience(retryAfterMs);
    this.policy.stayAway(ms, this.env.now());
    this.cancelGoaway?.();
    this.cancelGoaway = this.env.after(ms, () => this.drop());
  }

  /** A server that does not let us in takes the next connection only then. */
  stayAway(ms: number): void {
    if (!this.connected) this.policy.stayAway(patience(ms), this.env.now());
  }

  /** The network came back or the tab is looked at: no more waiting, and a line that may be dead is tested. */
  wakened(): void {
    if (this.connected) return this.probe(DOUBTED_MS);
    if (this.cancelRetry) this.retryIn(this.policy.wakened(this.env.now()));
  }

  private closed(code: number, reason: string): void {
    // Each time there is a welcome, so that no outage is to be told of; and the canvas never comes.
    const unfinished = this.connected && this.handler.line().joining && ++this.unfinished === UNFINISHED;
    if (this.socket && !this.opened) this.transports.failed(this.env.now());
    this.detach();
    this.outage.lost(code, reason);
    this.handler.lost(code);
    if (unfinished) this.handler.problem({ code: "unreachable", message: `the connection ends again and again before the canvas is here (closed with ${code}): does a proxy end connections after a while? It is tried again` });
    const decision = this.policy.closed(code, reason, this.env.now(), this.env.random());
    if (decision.type === "stop") return this.stop(decision);
    this.setStatus(this.status === "connecting" ? "connecting" : "reconnecting");
    if (decision.problem) {
      // The server has said itself what is wrong.
      this.outage.over();
      this.handler.problem(decision.problem);
    }
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
    this.outage.over();
    this.stopped = stopped;
    if (stopped.final) this.handler.ended(stopped);
    this.setStatus("disconnected");
    this.handler.problem(stopped);
  }

  private detach(): void {
    this.generation++;
    this.socket = undefined;
    this.opened = false;
    this.cancelTrial?.();
    this.cancelTrial = undefined;
    this.inbox?.end();
    this.inbox = undefined;
    this.cancelOpening?.();
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
    this.outage.over();
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
