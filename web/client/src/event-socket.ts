/**
 * A stream of events in a WebSocket's place, where none gets through: the server's messages come in the answer to a POST
 * of the hello, and what is sent goes in posts, one after the other. To the connection it is a socket like any other.
 *
 * Posts are numbered. The next one goes when the stream says that the one before was taken; until then it may be posted
 * again, and is taken once. So it does not matter which process gets it, and what became of an answer.
 */

import type { Environment, SocketLike } from "./environment.js";

/** A post that the stream does not confirm is sent again after this time, so many times. */
const AGAIN_MS = 4_000;
const TRIES = 5;
/** One that was not taken in hand, sooner. */
const RETRY_MS = 500;
/** Bytes of a post at first. A server, or a proxy, that takes less says so. */
const POST_BYTES = 60 * 1024;
/** No message of a server is longer than this; what is longer comes from somebody else. */
const MAX_EVENT_CHARS = 64 * 1024 * 1024;
/** A goodbye has this long to arrive. */
const GOODBYE_MS = 5_000;
/** Of an answer that is no stream: enough for its reason. */
const MAX_REASON_CHARS = 4_096;

/** What a server that refuses means, where coming again would not help. */
const CODES: Readonly<Record<number, number>> = { 400: 4400, 403: 4403, 413: 1009 };

const encoder = new TextEncoder();

interface Post {
  readonly number: number;
  readonly messages: readonly string[];
  readonly bytes: number;
  tries: number;
}

/** Where the stream of a canvas is, by the address of its WebSocket; with a session, where its posts go. */
export function streamUrl(socketUrl: string, session?: string, post?: number): string {
  const url = new URL(socketUrl);
  url.protocol = url.protocol.replace("ws", "http");
  url.pathname = url.pathname.replace(/\/ws\/([^/]*)$/, (_, canvas) => `/sse/${canvas}${session === undefined ? "" : `/${session}`}`);
  if (post !== undefined) url.searchParams.set("post", String(post));
  return url.href;
}

export class EventSocket implements SocketLike {
  readonly greeted = true;
  readonly protocol = "scumble.v1";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  private session: string | undefined;
  private readonly queue: string[] = [];
  private queuedBytes = 0;
  private flying: Post | undefined;
  private posted = 0;
  private budget = POST_BYTES;
  /** The server has asked whether anybody is here. */
  private asked = false;
  private pumping = false;
  private leaving = false;
  private over = false;
  private status = 0;
  private text = "";
  private searched = 0;
  private readonly cancelStream: () => void;
  private cancelPost: (() => void) | undefined;
  private cancelTimer: (() => void) | undefined;
  private cancelGoodbye: (() => void) | undefined;

  constructor(
    private readonly env: Pick<Environment, "after">,
    private readonly request: NonNullable<Environment["request"]>,
    private readonly url: string,
    hello: string,
  ) {
    this.cancelStream = request(streamUrl(url), hello, {
      status: (status) => {
        this.status = status;
        if (status === 200) this.onopen?.();
      },
      piece: (text) => this.piece(text),
      ended: () => this.end(1006, ""),
    });
  }

  get bufferedAmount(): number {
    return this.queuedBytes + (this.flying?.bytes ?? 0);
  }

  send(text: string): void {
    if (this.over || this.leaving) throw new Error("the stream is closed");
    this.queue.push(text);
    this.queuedBytes += text.length;
    this.pump();
  }

  /** A goodbye that was sent goes before the end; in any other case all ends at once. */
  close(code?: number): void {
    if (this.over) return;
    this.onmessage = this.onopen = null;
    if (code !== 1000 || this.session === undefined) return this.stop();
    this.leaving = true;
    this.cancelGoodbye = this.env.after(GOODBYE_MS, () => this.stop());
  }

  private stop(): void {
    this.over = true;
    this.queue.length = this.queuedBytes = 0;
    this.flying = undefined;
    this.cancelStream();
    this.cancelPost?.();
    this.cancelTimer?.();
    this.cancelGoodbye?.();
  }

  private end(code: number, reason: string): void {
    if (this.over) return;
    this.stop();
    if (this.status !== 200 && this.status !== 0) [code, reason] = this.refusal(this.status, this.text);
    this.onclose?.({ code, reason });
  }

  /** What a refusal means as the end of a connection. */
  private refusal(status: number, text: string): [code: number, reason: string] {
    try {
      const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
      if (typeof error === "string") return [CODES[status] ?? 1006, `the server answers ${status}: ${String(message)}`];
    } catch {
      // It is no relay's: a proxy's, which may answer something else next time.
    }
    return [1006, `the server answers ${status}`];
  }

  // ---- what comes ----

  private piece(text: string): void {
    if (this.over) return;
    if (this.status !== 200) {
      this.text = (this.text + text).slice(0, MAX_REASON_CHARS);
      return;
    }
    this.text += text;
    let from = 0;
    for (;;) {
      const end = this.text.indexOf("\n\n", Math.max(from, this.searched - 1));
      if (end < 0) break;
      this.event(this.text.slice(from, end));
      if (this.over) return;
      this.searched = from = end + 2;
    }
    this.text = this.text.slice(from);
    this.searched = this.text.length;
    if (this.text.length > MAX_EVENT_CHARS) this.end(1009, "an event without an end");
  }

  private event(block: string): void {
    let name = "";
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("data:")) data += line.slice(5).trimStart();
      else if (line.startsWith("event:")) name = line.slice(6).trim();
    }
    switch (name) {
      case "":
        if (data) this.onmessage?.({ data });
        return;
      case "session":
        this.session = this.field(data, "session");
        return this.pump();
      case "ping":
        this.asked = true;
        return this.pump();
      case "taken":
        return this.taken(Number(data));
      case "close":
        return this.end(Number(this.field(data, "code")), this.field(data, "reason"));
    }
  }

  private field(data: string, name: string): string {
    try {
      return String((JSON.parse(data) as Record<string, unknown>)[name] ?? "");
    } catch {
      return "";
    }
  }

  // ---- what goes ----

  /** What is sent in one turn goes together. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    void Promise.resolve().then(() => {
      this.pumping = false;
      this.next();
    });
  }

  private next(): void {
    if (this.over || this.flying || this.session === undefined || (this.queue.length === 0 && !this.asked)) return;
    this.asked = false;
    const messages: string[] = [];
    let bytes = 2;
    for (const text of this.queue) {
      bytes += encoder.encode(text).length + 1;
      if (messages.length > 0 && bytes > this.budget) break;
      messages.push(text);
    }
    const chars = messages.reduce((sum, text) => sum + text.length, 0);
    this.queue.splice(0, messages.length);
    this.queuedBytes -= chars;
    this.flying = { number: ++this.posted, messages, bytes: chars, tries: 0 };
    this.post(this.flying);
  }

  private post(post: Post): void {
    if (this.over || this.session === undefined) return;
    if (++post.tries > TRIES) return this.end(1006, "nobody takes what is posted");
    this.cancelPost?.();
    let status = 0;
    const again = (ms: number): void => this.retryIn(post, ms);
    this.cancelPost = this.request(streamUrl(this.url, this.session, post.number), `[${post.messages.join()}]`, {
      status: (answered) => (status = answered),
      piece: () => {},
      ended: () => {
        if (this.flying !== post) return;
        if (status === 410 || status === 404) this.end(1006, "the server does not know the stream any more");
        else if (status === 413) this.shrink(post);
        // Taken in hand, or too early: the stream says the rest.
        else again(status === 202 || status === 409 ? AGAIN_MS : RETRY_MS * post.tries);
      },
    });
    again(3 * AGAIN_MS);
  }

  private retryIn(post: Post, ms: number): void {
    this.cancelTimer?.();
    this.cancelTimer = this.env.after(ms, () => this.flying === post && this.post(post));
  }

  /** It is too large for somebody: what it has goes in smaller ones. */
  private shrink(post: Post): void {
    if (post.messages.length <= 1) return this.end(1009, "a message is larger than the server takes");
    this.budget = Math.max(1, Math.floor(Math.min(this.budget, post.bytes) / 2));
    this.queue.unshift(...post.messages);
    this.queuedBytes += post.bytes;
    this.flying = undefined;
    this.posted--;
    this.next();
  }

  private taken(number: number): void {
    if (this.flying?.number !== number) return;
    this.cancelTimer?.();
    this.flying = undefined;
    this.next();
  }
}
