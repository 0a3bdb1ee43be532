/**
 * scumble-client: a canvas that stays in sync over a scumble relay.
 *
 * `connect` gives a room at once, connected or not. Everything is optimistic: calls show immediately and are sent,
 * resent and confirmed behind the scenes.
 */

import type { AnyEvents, CanvasObject, ConnectOptions, JsonObject, Room, Shape } from "./types.js";
import { assetQueue } from "./asset-queue.js";
import { checkedToken, checkedUser, onlyNames } from "./bounds.js";
import { type Environment, realEnvironment } from "./environment.js";
import { hasIndexedDb } from "./idb.js";
import { openIndexedDb, type OpenOptions } from "./indexeddb.js";
import { SUBPROTOCOLS } from "./inbox.js";
import { isObject } from "./json.js";
import { Room as LiveRoom, type RoomOptions } from "./room.js";
import { nameOf, share, untilAborted } from "./shared.js";
import { isClientId, MemoryStore, type Loaded, sessionShelf, type Store } from "./store.js";

export * from "./types.js";

const CANVAS_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

const OPTIONS: readonly (keyof ConnectOptions)[] =
  ["url", "canvas", "user", "token", "persist", "encoding", "compress", "transport", "WebSocket", "client", "signal", "share"];

function urlOf(text: string, base: string | undefined): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

/** `wss://host/base/ws/{canvas}` for whatever form the server was given in. */
function socketUrl(given: string | undefined, canvas: string): string {
  const here = (globalThis as { location?: { href: string; origin: string } }).location;
  const base = given ?? here?.origin;
  if (base === undefined) throw new TypeError("url is needed where there is no page: like wss://relay.example.org");
  const url = urlOf(base, here?.href);
  if (!url || !["ws:", "wss:", "http:", "https:"].includes(url.protocol)) {
    throw new TypeError(`url must be like wss://host or https://host, not ${JSON.stringify(String(base))}`);
  }
  url.protocol = url.protocol.replace("http", "ws");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/ws/${canvas}`;
  url.hash = "";
  return url.href;
}

/**
 * Opens a room. Resolves as soon as it can be drawn on, which does not wait for the server: see `room.whenSynced()`.
 * Rejects with `TypeError` for bad options or where there is no WebSocket, with `RangeError` for a name or colour that
 * is too long, and with the signal's reason when that is aborted before.
 */
export async function connect<
  Shapes extends Shape = CanvasObject,
  Presence extends object = JsonObject,
  Events extends object = AnyEvents,
>(options: ConnectOptions): Promise<Room<Shapes, Presence, Events>> {
  if (!isObject(options)) throw new TypeError("connect needs options: { canvas, … }");
  onlyNames(options, OPTIONS, "connect");
  const { canvas, client, token, signal, persist = "memory" } = options;
  if (typeof canvas !== "string" || !CANVAS_ID.test(canvas)) throw new TypeError(`canvas must match ${CANVAS_ID.source}`);
  if (client !== undefined && !isClientId(client)) throw new TypeError("client must be 8 to 64 of A-Z a-z 0-9 _ -");
  if (persist !== "memory" && persist !== "indexeddb") throw new TypeError('persist must be "memory" or "indexeddb"');
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("signal must be an AbortSignal");
  const { encoding, compress } = options;
  if (encoding !== undefined && !Object.hasOwn(SUBPROTOCOLS, encoding)) throw new TypeError('encoding must be "json" or "msgpack"');
  const { WebSocket, transport = WebSocket === undefined ? "auto" : "websocket" } = options;
  if (!["auto", "websocket", "sse"].includes(transport)) throw new TypeError('transport must be "auto", "websocket" or "sse"');
  if (compress !== undefined && typeof compress !== "boolean") throw new TypeError("compress must be true or false");
  const user = checkedUser(options.user === undefined ? {} : options.user);
  if (token !== undefined && typeof token !== "function") checkedToken(token);
  if (WebSocket !== undefined && typeof WebSocket !== "function") throw new TypeError("WebSocket must be a constructor");
  if (options.share !== undefined && typeof options.share !== "boolean") throw new TypeError("share must be true or false");
  const env = realEnvironment(WebSocket, transport !== "sse");
  const url = socketUrl(options.url, canvas);
  signal?.throwIfAborted();
  const wanted = { socketUrl: url, canvas, user, token, ownIdentity: client === undefined, encoding, compress, transport };
  const start = (): Promise<Room> => begin(env, wanted, client, persist);
  // In a page only: a program that opens a canvas twice wants to be two.
  const shared = typeof document !== "undefined" && options.share !== false;
  const name = [url, client, persist, encoding, compress, transport, typeof token === "function" ? "function" : token, user, nameOf(WebSocket)];
  const opening = shared ? share(JSON.stringify(name), start, signal) : start();
  const room = await untilAborted(opening, signal).catch((error: unknown) => {
    // A shared one sees to itself.
    if (!shared) void opening.then((late) => late.close(), () => {});
    throw error;
  });
  signal?.addEventListener("abort", () => room.close(), { once: true });
  return room as unknown as Room<Shapes, Presence, Events>;
}

async function begin(env: Environment, options: RoomOptions, client: string | undefined, persist: "memory" | "indexeddb"): Promise<Room> {
  const shelf = client === undefined ? sessionShelf(`scumble:${options.socketUrl}`) : undefined;
  const problems: string[] = [];
  let live: LiveRoom | undefined;
  const problem = (message: string): void => {
    if (live) live.storageFailed(message);
    else problems.push(message);
  };
  const changed = (): void => live?.storageChanged();
  const { store, loaded } = await open({ room: options.socketUrl, shelf, client, makeId: env.makeId, problem, changed }, persist);
  const uploads = assetQueue(options.socketUrl, persist === "indexeddb", env.date);
  live = new LiveRoom(env, { ...options, uploads }, store, loaded);
  // A turn later, when whoever waits for this can listen.
  if (problems.length > 0) env.after(0, () => problems.forEach((message) => live?.storageFailed(message)));
  return live;
}

async function open(options: OpenOptions, persist: ConnectOptions["persist"]): Promise<{ store: Store; loaded: Loaded }> {
  if (persist === "indexeddb") {
    if (hasIndexedDb()) return openIndexedDb(options);
    options.problem("there is no IndexedDB here: unsaved changes do not outlive this page");
  }
  return memory(options.client, options.shelf, options.makeId);
}

function memory(
  client: string | undefined,
  shelf: ReturnType<typeof sessionShelf> | undefined,
  makeId: () => string,
): { store: Store; loaded: Loaded } {
  const identity = shelf?.take() ?? { client: client ?? makeId(), nextOp: 1 };
  return { store: new MemoryStore(identity, shelf), loaded: { ...identity, entries: [] } };
}
