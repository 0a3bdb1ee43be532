/** A page without a browser: the library's world in Node, which can be killed, frozen and looked at again. */

import WebSocket from "ws";
import { type Environment, type PageEvents, realEnvironment, request, type SocketLike } from "../client/src/environment.js";

const real = realEnvironment(WebSocket as never);

export class NodePage implements Environment {
  events: PageEvents | undefined;
  private dead = false;
  /** What waits until the page runs again. */
  private frozen: (() => void)[] | undefined;
  private readonly sockets = new Set<WebSocket>();
  private readonly timers = new Set<() => void>();
  private readonly requests = new Set<() => void>();

  now = real.now;
  date = real.date;
  random = real.random;
  makeId = real.makeId;
  diagnose = real.diagnose;
  guard = (): void => {};
  after = (ms: number, task: () => void): (() => void) => {
    const cancel = real.after(ms, () => {
      this.timers.delete(cancel);
      this.turn(task);
    });
    this.timers.add(cancel);
    return () => {
      this.timers.delete(cancel);
      cancel();
    };
  };
  nextFrame = (task: () => void): void => real.nextFrame(() => this.turn(task));
  watch = (events: PageEvents): (() => void) => {
    this.events = events;
    return () => (this.events = undefined);
  };

  inflate = real.inflate;

  request: Environment["request"] = (url, body, answering) => {
    const cancel = request(url, body, {
      status: (status) => this.turn(() => answering.status(status)),
      piece: (text) => this.turn(() => answering.piece(text)),
      ended: () => {
        this.requests.delete(cancel);
        this.turn(() => answering.ended());
      },
    });
    this.requests.add(cancel);
    return () => {
      this.requests.delete(cancel);
      cancel();
    };
  };

  openSocket = (url: string, protocols: readonly string[]): SocketLike => {
    const socket = new WebSocket(url, [...protocols]);
    this.sockets.add(socket);
    const heard: SocketLike = {
      onopen: null, onmessage: null, onclose: null, onerror: null,
      get bufferedAmount() {
        return socket.bufferedAmount;
      },
      get protocol() {
        return socket.protocol;
      },
      send: (data) => socket.send(data),
      close: (code, reason) => socket.close(code, reason),
      terminate: () => socket.terminate(),
    };
    socket.on("open", () => this.turn(() => heard.onopen?.()));
    socket.on("message", (data, isBinary) => this.turn(() => heard.onmessage?.({ data: isBinary ? data : String(data) })));
    socket.on("error", () => this.turn(() => heard.onerror?.()));
    socket.on("close", (code, reason) => {
      this.sockets.delete(socket);
      this.turn(() => heard.onclose?.({ code, reason: String(reason) }));
    });
    return heard;
  };

  private turn(task: () => void): void {
    if (this.dead) return;
    if (this.frozen) this.frozen.push(task);
    else task();
  }

  /** Somebody looks at another tab, and the browser lets this one stand still. */
  freeze(): void {
    this.frozen ??= [];
  }

  /** It is looked at again: what came meanwhile comes now. */
  thaw(): void {
    const waiting = this.frozen?.splice(0) ?? [];
    this.frozen = undefined;
    for (const task of waiting) this.turn(task);
    this.events?.wakened();
  }

  kill(): void {
    this.dead = true;
    for (const cancel of this.timers) cancel();
    for (const socket of this.sockets) socket.terminate();
    for (const cancel of this.requests) cancel();
  }
}
