/** Images and files: uploaded, again and again if need be, and found again by their names. */

import type * as api from "./asset-types.js";
import { type AskForAsset, type AssetAnswer, askForAsset } from "./asset-http.js";
import { type AssetQueue, MAX_WAITING, MAX_WAITING_BYTES, type Waiting } from "./asset-queue.js";
import type { Environment } from "./environment.js";
import type { Limits } from "./limits.js";
import { ScumbleError } from "./types.js";

const ID = /^asset:[0-9a-f]{64}$/;
/** Uploads at a time. */
const AT_ONCE = 2;
/** The pause after the first failure, doubled with each up to the last. */
const AGAIN_MS = 500;
const MAX_AGAIN_MS = 30_000;
/** A wrong hash or a new token: what is not better the third time won't be. */
const TRIES = 3;
/** An address is not given that ends within this time. */
const URL_LEFT_MS = 5 * 60_000;
/** Addresses that are remembered. */
const MAX_URLS = 2_000;

/** What a refusal is called, where the server does not say it in a word that is a code here. */
const CODES: Readonly<Record<number, string>> = {
  400: "bad-message", 401: "unauthorized", 403: "forbidden", 404: "no-assets", 413: "too-large", 415: "bad-type", 422: "wrong-hash", 507: "no-space",
};

/** What is needed of the room. */
export interface AssetRoom {
  readonly socketUrl: string;
  readonly hasToken: () => boolean;
  /** `renew`: the last one was refused. */
  readonly token: (renew: boolean) => Promise<string | undefined>;
  readonly limits: () => Limits;
  readonly changed: (waiting: readonly api.WaitingUpload[]) => void;
  readonly problem: (problem: { readonly code: "storage"; readonly message: string }) => void;
}

interface Upload extends Waiting {
  readonly listeners: Set<(progress: api.AssetProgress) => void>;
  readonly settle: { resolve(asset: api.Asset): void; reject(error: unknown): void };
  readonly done: Promise<api.Asset>;
  readonly given: AbortController;
  /** Who waits for it; given up when nobody does. */
  users: number;
  failures: number;
  refusals: number;
  flying: boolean;
  cancelAgain: () => void;
}

/** `https://host/base/assets/{canvas}/{hash}` by the address of the canvas's WebSocket. */
export function assetUrl(socketUrl: string, hash: string, more = ""): string {
  const url = new URL(socketUrl);
  url.protocol = url.protocol.replace("ws", "http");
  url.pathname = url.pathname.replace(/\/ws\/([^/]*)$/, (_, canvas) => `/assets/${canvas}/${hash}${more}`);
  return url.href;
}

export class Assets implements api.Assets {
  waiting: readonly api.WaitingUpload[] = [];
  private readonly uploads = new Map<string, Upload>();
  private readonly locals = new Map<string, string>();
  private readonly urls = new Map<string, { readonly url: string; readonly until: number }>();
  private readonly asking = new Map<string, Promise<string>>();
  private refusedToken = false;
  private closed = false;

  constructor(
    private readonly env: Pick<Environment, "after" | "date" | "random">,
    private readonly room: AssetRoom,
    private readonly queue: AssetQueue,
    private readonly ask: AskForAsset = askForAsset,
  ) {
    void this.load();
  }

  /** What a former page could not upload. Nobody waits for it. */
  private async load(): Promise<void> {
    try {
      for (const waiting of await this.queue.load()) if (!this.closed) this.begin(waiting);
    } catch (error) {
      this.room.problem({ code: "storage", message: `uploads that waited could not be read: ${String(error)}` });
    }
  }

  async idOf(blob: Blob): Promise<string> {
    const { crypto } = globalThis as { crypto?: Crypto };
    if (!crypto?.subtle) throw new ScumbleError("insecure", "assets are named by a hash, which browsers make for pages over HTTPS (or of this host) only");
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
    return `asset:${Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }

  async upload(blob: Blob, options: api.UploadOptions = {}): Promise<api.Asset> {
    if (!(blob instanceof Blob)) throw new TypeError("upload needs a Blob or a File");
    const { onProgress, signal, type = blob.type } = options;
    if (typeof type !== "string" || type === "") throw new TypeError('an asset needs a type, like "image/png": that of the blob, or options.type');
    if (onProgress !== undefined && typeof onProgress !== "function") throw new TypeError("onProgress must be a function");
    signal?.throwIfAborted();
    const most = this.room.limits().max_asset_bytes;
    if (most !== undefined && blob.size > most) throw new ScumbleError("too-large", `an asset has at most ${most} bytes, and this one ${blob.size}`);
    const id = await this.idOf(blob);
    signal?.throwIfAborted();
    if (this.closed) throw new ScumbleError("closed", "the room is closed");
    const upload = this.uploads.get(id) ?? this.begin({ id, blob, type }, this.checkRoom(blob));
    if (onProgress) upload.listeners.add(onProgress);
    return this.wait(upload, onProgress, signal);
  }

  private checkRoom(blob: Blob): true {
    const bytes = this.waiting.reduce((sum, { bytes }) => sum + bytes, blob.size);
    if (this.uploads.size >= MAX_WAITING || bytes > MAX_WAITING_BYTES) {
      throw new ScumbleError("full", `at most ${MAX_WAITING} uploads of ${MAX_WAITING_BYTES} bytes wait here: come again when some are done`);
    }
    return true;
  }

  private wait(upload: Upload, listener: Upload["listeners"] extends Set<infer L> ? L | undefined : never, signal: AbortSignal | undefined): Promise<api.Asset> {
    upload.users++;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        if (listener) upload.listeners.delete(listener);
        signal?.removeEventListener("abort", abort);
      };
      const abort = (): void => {
        leave();
        reject(signal?.reason);
        if (--upload.users === 0) this.end(upload, () => {});
      };
      signal?.addEventListener("abort", abort);
      upload.done.finally(leave).then(resolve, reject);
    });
  }

  private begin({ id, blob, type }: Waiting, isNew = false): Upload {
    let settle!: Upload["settle"];
    const done = new Promise<api.Asset>((resolve, reject) => (settle = { resolve, reject }));
    // One that a former page left has nobody who listens.
    done.catch(() => {});
    const upload: Upload = {
      id, blob, type, done, settle, listeners: new Set(), given: new AbortController(),
      users: 0, failures: 0, refusals: 0, flying: false, cancelAgain: () => {},
    };
    this.uploads.set(id, upload);
    this.tell();
    const kept = isNew ? this.queue.add({ id, blob, type }) : Promise.resolve();
    kept.catch((error: unknown) => this.room.problem({ code: "storage", message: `an upload does not outlive this page: ${String(error)}` }));
    this.next();
    return upload;
  }

  /** What waits goes now: there is a connection again. */
  wakened(): void {
    for (const upload of this.uploads.values()) upload.cancelAgain();
    this.next();
  }

  private next(): void {
    if (this.closed) return;
    let flying = 0;
    for (const { flying: is } of this.uploads.values()) flying += Number(is);
    for (const upload of this.uploads.values()) {
      if (flying >= AT_ONCE) return;
      if (upload.flying) continue;
      upload.flying = true;
      flying++;
      void this.send(upload);
    }
  }

  private async send(upload: Upload): Promise<void> {
    const { id, blob, type, given } = upload;
    const said = await this.request("PUT", id, "", {
      headers: { "content-type": type },
      body: blob,
      sent: (sent) => upload.listeners.forEach((listener) => listener({ sent, total: blob.size })),
      signal: given.signal,
    });
    if (this.uploads.get(id) !== upload) return;
    if (said.status === 200 || said.status === 201) return this.arrived(upload, said);
    const error = this.refused(said);
    if (error && this.isFinal(said.status, upload)) return this.end(upload, () => upload.settle.reject(error));
    const pause = Math.min(MAX_AGAIN_MS, AGAIN_MS * 2 ** upload.failures++) * (0.5 + this.env.random() / 2);
    const cancel = this.env.after(Math.max(pause, said.retryAfterMs ?? 0), () => upload.cancelAgain());
    upload.cancelAgain = () => {
      cancel();
      upload.cancelAgain = () => {};
      upload.flying = false;
      this.next();
    };
  }

  /** What passes by itself is waited for. A new token, and bytes that were damaged on their way, get a few tries. */
  private isFinal(status: number, upload: Upload): boolean {
    if (status === 0 || status === 408 || status === 429 || (status >= 500 && status !== 507)) return false;
    if (status === 401 || status === 422) return ++upload.refusals >= TRIES;
    return true;
  }

  private arrived(upload: Upload, said: AssetAnswer): void {
    const { id, blob, type } = upload;
    upload.listeners.forEach((listener) => listener({ sent: blob.size, total: blob.size }));
    this.remember(id, said);
    this.end(upload, () => upload.settle.resolve({ id, bytes: blob.size, type }));
  }

  private end(upload: Upload, settle: () => void): void {
    if (this.uploads.get(upload.id) !== upload) return;
    this.uploads.delete(upload.id);
    upload.given.abort();
    upload.cancelAgain();
    this.queue.remove(upload.id).catch(() => {});
    settle();
    this.tell();
    this.next();
  }

  private tell(): void {
    this.waiting = [...this.uploads.values()].map(({ id, blob, type }) => ({ id, bytes: blob.size, type }));
    this.room.changed(this.waiting);
  }

  private async request(
    method: "PUT" | "POST",
    id: string,
    more: string,
    rest: Partial<Parameters<AskForAsset>[0]> & { readonly signal: AbortSignal },
  ): Promise<AssetAnswer> {
    let token: string | undefined;
    try {
      token = await this.room.token(this.refusedToken);
    } catch {
      return { status: 0, text: "" };
    }
    const headers = { ...rest.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
    const said = await this.ask({ ...rest, method, url: assetUrl(this.room.socketUrl, id.slice(6), more), headers });
    this.refusedToken = said.status === 401;
    return said;
  }

  private refused({ status, text }: AssetAnswer): ScumbleError | undefined {
    if (status === 0) return undefined;
    let said: { error?: unknown; message?: unknown } = {};
    try {
      said = JSON.parse(text) as typeof said;
    } catch {
      // It is no relay's: a proxy's.
    }
    const code = typeof said.error === "string" && status !== 400 ? said.error : CODES[status] ?? "refused";
    const proxys = status === 413 ? ": a proxy before the relay takes no larger bodies" : "";
    return new ScumbleError(code, typeof said.message === "string" ? said.message : `the server answers ${status}${proxys}`);
  }

  async url(id: string): Promise<string> {
    if (typeof id !== "string" || !ID.test(id)) throw new TypeError(`an asset's id is like asset: and 64 hexadecimal digits, not ${String(id).slice(0, 80)}`);
    if (this.closed) throw new ScumbleError("closed", "the room is closed");
    const upload = this.uploads.get(id);
    const local = this.locals.get(id);
    if (local !== undefined) return local;
    if (upload && typeof URL.createObjectURL === "function") {
      this.forgetLocals();
      const made = URL.createObjectURL(upload.blob);
      this.locals.set(id, made);
      return made;
    }
    if (!this.room.hasToken()) return assetUrl(this.room.socketUrl, id.slice(6));
    const known = this.urls.get(id);
    if (known && known.until > this.env.date() + URL_LEFT_MS) return known.url;
    const asking = this.asking.get(id) ?? this.askForUrl(id).finally(() => this.asking.delete(id));
    this.asking.set(id, asking);
    return asking;
  }

  /** A blob is in memory for as long as its address is good. */
  private forgetLocals(): void {
    for (const [id, url] of this.locals) {
      if (this.locals.size < MAX_WAITING) return;
      if (this.uploads.has(id)) continue;
      URL.revokeObjectURL(url);
      this.locals.delete(id);
    }
  }

  private async askForUrl(id: string): Promise<string> {
    for (let tries = 1; ; tries++) {
      const said = await this.request("POST", id, "/link", { signal: new AbortController().signal });
      const url = said.status === 200 ? this.remember(id, said) : undefined;
      if (url !== undefined) return url;
      const passes = said.status === 0 || said.status === 401 || said.status === 429 || said.status >= 500;
      if (!passes || tries === TRIES) {
        throw this.refused(said) ?? new ScumbleError("unreachable", "the relay does not answer: the asset can't be shown");
      }
      await new Promise<void>((resolve) => void this.env.after(said.retryAfterMs ?? AGAIN_MS * tries, resolve));
    }
  }

  /** The link in an answer, as an address. */
  private remember(id: string, { text }: AssetAnswer): string | undefined {
    try {
      const { url, expires_in_ms: ms } = JSON.parse(text) as { url?: unknown; expires_in_ms?: unknown };
      if (typeof url !== "string" || typeof ms !== "number") return undefined;
      const absolute = new URL(assetUrl(this.room.socketUrl, id.slice(6)));
      absolute.search = url.slice(url.indexOf("?"));
      if (this.urls.size >= MAX_URLS) this.urls.clear();
      this.urls.set(id, { url: absolute.href, until: this.env.date() + ms });
      return absolute.href;
    } catch {
      return undefined;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const upload of this.uploads.values()) {
      upload.given.abort();
      upload.cancelAgain();
      upload.settle.reject(new ScumbleError("closed", "the room was closed before the upload was done"));
    }
    this.uploads.clear();
    for (const url of this.locals.values()) URL.revokeObjectURL(url);
    this.locals.clear();
  }
}
