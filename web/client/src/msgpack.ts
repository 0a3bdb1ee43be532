/** MessagePack, as far as JSON has it, and bytes; no extensions. Pure. */

import type { Json } from "./types.js";
import { setMember } from "./json.js";

/** Levels that a value may have: more than any server's limit, and less than the stack. */
const MAX_LEVELS = 200;
/** Texts up to this many bytes are read by hand, which is quicker than a decoder that is called for each. */
const SHORT = 24;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Names that were read before: they come again and again, and to find one costs less than to make it. By a hash. */
const names: ({ readonly bytes: Uint8Array; readonly text: string } | undefined)[] = Array.from({ length: 512 }, () => undefined);

/** A message of nothing but JSON values, and bytes, as bytes. */
export function packed(value: Json): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writer.value(value);
  return writer.bytes.slice(0, writer.at);
}

class Writer {
  bytes = new Uint8Array(256);
  at = 0;
  private view = new DataView(this.bytes.buffer);

  /** Where so many more bytes go. What it may replace, `bytes` and `view`, is looked at only after it. */
  private room(count: number): number {
    const { at } = this;
    this.at += count;
    if (this.at > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.at, this.bytes.length * 2));
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }

  value(value: Json): void {
    if (value === null) this.byte(0xc0);
    else if (typeof value === "boolean") this.byte(value ? 0xc3 : 0xc2);
    else if (typeof value === "number") this.number(value);
    else if (typeof value === "string") this.text(value);
    else if (Array.isArray(value)) {
      this.head((value as Json[]).length, 0x90, 15, 0xdc);
      for (const item of value as Json[]) this.value(item);
    } else if ((value as unknown) instanceof Uint8Array) {
      const bytes = value as unknown as Uint8Array;
      // Always in the longest form: nobody minds four bytes.
      this.byte(0xc6);
      const at = this.room(4);
      this.view.setUint32(at, bytes.length);
      const from = this.room(bytes.length);
      this.bytes.set(bytes, from);
    } else {
      const members = Object.entries(value).filter(([, member]) => member !== undefined);
      this.head(members.length, 0x80, 15, 0xde);
      for (const [key, member] of members) {
        this.text(key);
        this.value(member as Json);
      }
    }
  }

  private byte(byte: number): void {
    const at = this.room(1);
    this.bytes[at] = byte;
  }

  /** The length of an array or a map: in the byte itself, in two more, or in four. */
  private head(length: number, small: number, most: number, long: number): void {
    if (length <= most) return this.byte(small | length);
    const wide = length > 0xffff;
    this.byte(wide ? long + 1 : long);
    const at = this.room(wide ? 4 : 2);
    if (wide) this.view.setUint32(at, length);
    else this.view.setUint16(at, length);
  }

  private number(value: number): void {
    const whole = Number.isSafeInteger(value) && !Object.is(value, -0);
    if (whole && value >= -32 && value < 128) return this.byte(value & 0xff);
    const short = whole && value === (value | 0);
    this.byte(short ? 0xd2 : whole ? 0xd3 : 0xcb);
    const at = this.room(short ? 4 : 8);
    if (short) return this.view.setInt32(at, value);
    if (!whole) return this.view.setFloat64(at, value);
    this.view.setInt32(at, Math.floor(value / 2 ** 32));
    this.view.setUint32(at + 4, value >>> 0);
  }

  private text(text: string): void {
    const bytes = encoder.encode(text);
    if (bytes.length <= 31) this.byte(0xa0 | bytes.length);
    else if (bytes.length <= 0xff) {
      this.byte(0xd9);
      this.byte(bytes.length);
    } else this.head(bytes.length, 0, -1, 0xda);
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }
}

/**
 * The value that these bytes are, and nothing after it. Binary values come as bytes, which are a part of these: `data` in
 * maps, and what is on the first levels. Throws `TypeError` or `RangeError` for what no server sends.
 */
export function unpacked(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new TypeError("bytes after the value");
  return value;
}

class Reader {
  at = 0;
  /** What is read next is the member of that name. */
  private isData = false;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(level: number): unknown {
    if (level > MAX_LEVELS) throw new RangeError(`more than ${MAX_LEVELS} levels`);
    const byte = this.view.getUint8(this.at++);
    if (byte < 0x80) return byte;
    if (byte < 0x90) return this.map(byte & 15, level);
    if (byte < 0xa0) return this.array(byte & 15, level);
    if (byte < 0xc0) return this.text(byte & 31);
    if (byte >= 0xe0) return byte - 256;
    return this.long(byte, level);
  }

  private long(byte: number, level: number): unknown {
    const { view } = this;
    switch (byte) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.binary(this.size(1), level);
      case 0xc5: return this.binary(this.size(2), level);
      case 0xc6: return this.binary(this.size(4), level);
      case 0xca: return view.getFloat32(this.past(4));
      case 0xcb: return view.getFloat64(this.past(8));
      case 0xcc: return this.size(1);
      case 0xcd: return this.size(2);
      case 0xce: return this.size(4);
      // One rounding, as in JSON: the upper half is exact.
      case 0xcf: return this.size(4) * 2 ** 32 + this.size(4);
      case 0xd0: return view.getInt8(this.past(1));
      case 0xd1: return view.getInt16(this.past(2));
      case 0xd2: return view.getInt32(this.past(4));
      case 0xd3: return view.getInt32(this.past(4)) * 2 ** 32 + this.size(4);
      case 0xd9: return this.text(this.size(1));
      case 0xda: return this.text(this.size(2));
      case 0xdb: return this.text(this.size(4));
      case 0xdc: return this.array(this.size(2), level);
      case 0xdd: return this.array(this.size(4), level);
      case 0xde: return this.map(this.size(2), level);
      case 0xdf: return this.map(this.size(4), level);
      default: throw new TypeError(`0x${byte.toString(16)} is no value that JSON has`);
    }
  }

  private past(count: number): number {
    const { at } = this;
    this.at += count;
    return at;
  }

  private size(width: 1 | 2 | 4): number {
    const at = this.past(width);
    return width === 1 ? this.view.getUint8(at) : width === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  /** So many bytes from here on; whatever a length says, nothing is made that is not there. */
  private take(length: number): number {
    const at = this.past(length);
    if (this.at > this.bytes.length) throw new RangeError("the message is cut short");
    return at;
  }

  private binary(length: number, level: number): Uint8Array {
    if (level > 2 && !this.isData) throw new TypeError("a binary value within a message");
    return this.bytes.subarray(this.take(length), this.at);
  }

  private text(length: number): string {
    const from = this.take(length);
    if (length <= SHORT) {
      let text = "";
      let at = from;
      while (at < this.at && this.bytes[at]! < 0x80) text += String.fromCharCode(this.bytes[at++]!);
      if (at === this.at) return text;
    }
    return strict.decode(this.bytes.subarray(from, this.at));
  }

  private name(level: number): string {
    const { bytes } = this;
    const length = bytes[this.at]! ^ 0xa0;
    if (length > SHORT) {
      const name = this.value(level);
      if (typeof name !== "string") throw new TypeError("a name must be a string");
      return name;
    }
    const from = ++this.at;
    const hash = (bytes[from]! + 31 * bytes[from + length - 1]! + 7 * bytes[from + (length >> 1)]! + length) & (names.length - 1);
    const known = names[hash];
    if (known?.bytes.length === length) {
      let at = 0;
      while (at < length && known.bytes[at] === bytes[from + at]) at++;
      if (at === length) return (this.at = from + length), known.text;
    }
    const text = this.text(length);
    names[hash] = { bytes: bytes.slice(from, this.at), text };
    return text;
  }

  private array(length: number, level: number): unknown[] {
    const items: unknown[] = [];
    this.isData = false;
    for (let i = 0; i < length; i++) items.push(this.value(level + 1));
    return items;
  }

  private map(length: number, level: number): Record<string, unknown> {
    const map: Record<string, Json> = {};
    for (let i = 0; i < length; i++) {
      const name = this.name(level + 1);
      this.isData = name === "data";
      setMember(map, name, this.value(level + 1) as Json);
    }
    return map;
  }
}
