/** What comes on one socket: read, in order, whatever it is written in. Compressed frames take a moment; others wait for them. */

import type { Environment } from "./environment.js";
import { unpacked } from "./msgpack.js";
import { DEFLATED, Unpacker } from "./packed.js";

/** No relay sends a frame that inflates to more. */
export const MAX_INFLATED_BYTES = 1024 * 1024;
/** Frames that wait while one is inflated: that takes milliseconds, and a server can't send more meanwhile. */
const MAX_WAITING = 100_000;
/** Whoever has not inflated a frame by then does not do it at all. */
const INFLATED_WITHIN_MS = 30_000;

export type Encoding = "json" | "msgpack";

/** What is asked for where the application does not say: what measures best in browsers, see docs/BENCHMARKS.md. */
export const DEFAULT_ENCODING: Encoding = "msgpack";

/** Each encoding's name in the handshake. */
export const SUBPROTOCOLS: Readonly<Record<Encoding, string>> = { json: "scumble.v1", msgpack: "scumble.v1.msgpack" };

export interface InboxHandler {
  /** One message, as JSON has it. */
  message(value: unknown): void;
  /** What came can't be read; nothing more will be. `inflating`: it was compressed. */
  garbled(error: unknown, inflating: boolean): void;
}

/** Bytes of a frame, about: most texts are ASCII. */
export function sizeOf(data: unknown): number {
  return data instanceof ArrayBuffer || ArrayBuffer.isView(data) ? data.byteLength : String(data).length;
}

export class Inbox {
  private readonly waiting: (Uint8Array | string)[] = [];
  private readonly unpacker = new Unpacker();
  private busy = false;
  private ended = false;
  private cancel: (() => void) | undefined;

  constructor(
    private readonly env: Pick<Environment, "inflate" | "after">,
    private readonly encoding: Encoding,
    private readonly handler: InboxHandler,
  ) {}

  /** A frame came. */
  heard(data: unknown): void {
    const frame = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : data instanceof ArrayBuffer ? new Uint8Array(data) : String(data);
    if (this.busy) {
      this.waiting.push(frame);
      if (this.waiting.length > MAX_WAITING) this.fail(new RangeError("too many messages behind a compressed one"), true);
    } else this.read(frame);
  }

  /** The socket is gone: what is not read by now is not wanted any more. */
  end(): void {
    this.ended = true;
    this.cancel?.();
    this.waiting.length = 0;
  }

  private read(frame: Uint8Array | string): void {
    if (this.ended) return;
    let value: unknown;
    try {
      if (typeof frame !== "string" && this.encoding === "json") return void this.inflate(frame);
      value = typeof frame === "string" ? JSON.parse(frame) : unpacked(frame);
      if (typeof frame !== "string" && Array.isArray(value) && value[0] === DEFLATED) {
        if (!(value[1] instanceof Uint8Array)) throw new TypeError("compressed messages must be bytes");
        return void this.inflate(value[1]);
      }
      value = this.plain(value);
    } catch (error) {
      return this.fail(error, false);
    }
    this.tell(value);
  }

  private plain(value: unknown): unknown {
    return this.encoding === "msgpack" ? this.unpacker.message(value) : value;
  }

  private tell(value: unknown): void {
    if (value !== undefined && !this.ended) this.handler.message(value);
  }

  private async inflate(deflated: Uint8Array): Promise<void> {
    this.busy = true;
    let messages: unknown[];
    try {
      if (!this.env.inflate) throw new TypeError("a binary frame that nobody asked for");
      this.cancel = this.env.after(INFLATED_WITHIN_MS, () => this.fail(new Error("a compressed frame could not be inflated in time"), true));
      const bytes = await this.env.inflate(deflated, MAX_INFLATED_BYTES);
      this.cancel();
      if (this.ended) return;
      const values: unknown = this.encoding === "json" ? JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) : unpacked(bytes);
      if (!Array.isArray(values)) throw new TypeError("compressed messages must be a list");
      messages = values.map((value) => this.plain(value));
    } catch (error) {
      this.cancel?.();
      return this.fail(error, true);
    }
    for (const message of messages) this.tell(message);
    this.busy = false;
    while (this.waiting.length > 0 && !this.busy) this.read(this.waiting.shift() as Uint8Array | string);
  }

  private fail(error: unknown, inflating: boolean): void {
    if (this.ended) return;
    this.end();
    this.handler.garbled(error, inflating);
  }
}
