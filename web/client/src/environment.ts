/** The world around the library: clock, timers, sockets, browser events. Tests bring their own. */

import type { WebSocketConstructor } from "./types.js";
import { diagnose } from "./diagnose.js";
import { inflater } from "./inflate.js";

/** What is used of a WebSocket. */
export interface SocketLike {
  /** What the server chose of what was offered. */
  readonly protocol?: string;
  /** The hello has gone with the request for it. */
  readonly greeted?: boolean;
  binaryType?: string;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: (() => void) | null;
  readonly bufferedAmount: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  /** Ends it without waiting for the other side; browsers do not have it. */
  terminate?(): void;
}

export interface PageEvents {
  /** The network came back, or the tab became visible. */
  wakened(): void;
  /** The browser believes that the network is gone. */
  offline(): void;
  /** The page goes, for good or into the back-forward cache. */
  left(): void;
  /** It is back from there. */
  cameBack(): void;
}

/** What becomes of a request. */
export interface Answering {
  /** The answer has begun. */
  status(status: number): void;
  /** A piece of its text. */
  piece(text: string): void;
  /** It is over, whole or not, or did not come. */
  ended(): void;
}

export interface Environment {
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /** Milliseconds since the epoch. */
  date(): number;
  /** In [0, 1). */
  random(): number;
  /** A fresh identifier: at least 8 of `[A-Za-z0-9_-]`, never made before. */
  makeId(): string;
  /** Runs `task` after `ms`; returns what cancels it. */
  after(ms: number, task: () => void): () => void;
  /** Runs `task` before the next paint, or soon where nothing is painted. */
  nextFrame(task: () => void): void;
  /** The protocols are offered in this order. */
  openSocket(url: string, protocols: readonly string[]): SocketLike;
  /** Posts a text, or asks with GET where there is none; returns what gives it up. Nothing where HTTP can't be used. */
  readonly request?: ((url: string, body: string | undefined, answering: Answering) => () => void) | undefined;
  /** Raw DEFLATE, where there is any: rejects what becomes more than `maxBytes`, or is damaged. */
  readonly inflate?: ((deflated: Uint8Array, maxBytes: number) => Promise<Uint8Array>) | undefined;
  /** Why no socket can be opened there. */
  diagnose(url: string): Promise<string>;
  /** Tells of what happens to the page; returns what ends it. */
  watch(page: PageEvents): () => void;
  /** Asks before the page is left, while on. */
  guard(on: boolean): void;
}

const ID_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
/** 21 characters of 64 are 126 random bits. */
const ID_LENGTH = 21;

function makeId(): string {
  // Unlike randomUUID it is there without https, too.
  const bytes = crypto.getRandomValues(new Uint8Array(ID_LENGTH));
  return Array.from(bytes, (byte) => ID_CHARS[byte & 63]).join("");
}

function after(ms: number, task: () => void): () => void {
  // What is more would come at once.
  const timer = setTimeout(task, Math.min(ms, 2 ** 31 - 1));
  return () => clearTimeout(timer);
}

/** A page that is hidden after it has asked for a frame gets none: what waits is not kept for that long. */
const FRAME_WITHIN_MS = 250;

function nextFrame(task: () => void): void {
  // A hidden page has no frames, but may have a bot in it; a worker may have frames, but has no page.
  if (typeof requestAnimationFrame !== "function" || !inPage() || document.visibilityState !== "visible") return void after(16, task);
  const once = (): void => {
    cancelAnimationFrame(frame);
    cancel();
    task();
  };
  const cancel = after(FRAME_WITHIN_MS, once);
  const frame = requestAnimationFrame(once);
}

const inPage = (): boolean => typeof addEventListener === "function" && typeof document !== "undefined";

function watch(page: PageEvents): () => void {
  if (!inPage()) return () => {};
  const ended = new AbortController();
  const { signal } = ended;
  const onVisible = (): void => {
    if (document.visibilityState === "visible") page.wakened();
  };
  addEventListener("online", () => page.wakened(), { signal });
  addEventListener("offline", () => page.offline(), { signal });
  addEventListener("pagehide", () => page.left(), { signal });
  addEventListener("pageshow", (event) => event.persisted && page.cameBack(), { signal });
  document.addEventListener("visibilitychange", onVisible, { signal });
  return () => ended.abort();
}

function onBeforeUnload(event: Event): void {
  event.preventDefault();
}

function guard(on: boolean): void {
  if (!inPage()) return;
  // Only while needed: such a listener keeps a page out of the back-forward cache.
  if (on) addEventListener("beforeunload", onBeforeUnload);
  else removeEventListener("beforeunload", onBeforeUnload);
}

export function request(url: string, body: string | undefined, answering: Answering): () => void {
  const given = new AbortController();
  const asked = async (): Promise<void> => {
    const method = body === undefined ? "GET" : "POST";
    // As plain text, which a page may post to another origin without asking first.
    const response = await fetch(url, { method, ...(body !== undefined && { body }), cache: "no-store", credentials: "omit", redirect: "error", signal: given.signal });
    if (!given.signal.aborted) answering.status(response.status);
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (given.signal.aborted || done) return;
      answering.piece(decoder.decode(value, { stream: true }));
    }
  };
  const ended = (): void => void (given.signal.aborted || answering.ended());
  asked().then(ended, ended);
  return () => given.abort();
}

/** The browser's or Node's world. Throws `TypeError` where there is no WebSocket, none is given, and one is needed. */
export function realEnvironment(WebSocket: WebSocketConstructor | undefined, needed = true): Environment {
  const Constructor = WebSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (!Constructor && needed) throw new TypeError("there is no global WebSocket here: give one as options.WebSocket");
  return {
    now: () => performance.now(),
    date: () => Date.now(),
    random: () => Math.random(),
    makeId,
    after,
    nextFrame,
    openSocket: (url, protocols) => {
      if (!Constructor) throw new TypeError("there is no global WebSocket here");
      return new Constructor(url, protocols.length === 1 ? protocols[0] : [...protocols]) as SocketLike;
    },
    request: typeof fetch === "function" ? request : undefined,
    inflate: inflater(),
    diagnose,
    watch,
    guard,
  };
}
