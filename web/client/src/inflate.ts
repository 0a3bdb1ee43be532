/** Raw DEFLATE in browsers and Node, bounded. */

type Inflate = (deflated: Uint8Array, maxBytes: number) => Promise<Uint8Array>;

/** `undefined` where there is nothing that inflates. */
export function inflater(): Inflate | undefined {
  try {
    // Older ones have the class, but not this format.
    new DecompressionStream("deflate-raw");
  } catch {
    return undefined;
  }
  return inflate;
}

/** Throws `RangeError` for more than `maxBytes`, having held little more than that, and `TypeError` for what is damaged. */
async function inflate(deflated: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  // What goes wrong here is told by the reader, too.
  writer.write(deflated as Uint8Array<ArrayBuffer>).catch(() => {});
  writer.close().catch(() => {});
  const reader = stream.readable.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > maxBytes) {
      void reader.cancel().catch(() => {});
      throw new RangeError(`a compressed frame becomes more than ${maxBytes} bytes`);
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
