/**
 * scumble-client: a canvas that stays in sync over a scumble relay.
 *
 * `connect` gives a room at once, connected or not. Everything is optimistic: calls show immediately and are sent,
 * resent and confirmed behind the scenes.
 */

import type { ConnectOptions, Room } from "./types.js";
import { checkedToken, checkedUser } from "./bounds.js";
import { realEnvironment } from "./environment.js";
import { openIndexedDb } from "./indexeddb.js";
import { isObject } from "./json.js";
import { Room as LiveRoom } from "./room.js";
import { isClientId, MemoryStore, type Loaded, sessionShelf, type Store } from "./store.js";

export * from "./types.js";

const CANVAS_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** `wss://host/base/ws/{canvas}` for whatever form the server was given in. */
function socketUrl(given: string | undefined, canvas: string): string {
  const here = (globalThis as { location?: { href: string; origin: string } }).location;
  const base = given ?? here?.origin;
  if (base === undefined) throw new TypeError("url is needed where there is no page");
  const url = new URL(base, here?.href);
  url.protocol = url.protocol.replace("http", "ws");
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new TypeError(`${url.protocol} is no protocol for a url`);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/ws/${canvas}`;
  url.hash = "";
  return url.href;
}

/**
 * Opens a room. Resolves as soon as it can be drawn on, which does not wait for the server: see `room.whenSynced()`.
 * Rejects with `TypeError` for bad options or where there is no WebSocket, with `RangeError` for a name or colour that
 * is too long.
 */
export async function connect(options: ConnectOptions): Promise<Room> {
  if (!isObject(options)) throw new TypeError("connect needs options: { canvas, … }");
  const { canvas, client, token } = options;
  if (typeof canvas !== "string" || !CANVAS_ID.test(canvas)) throw new TypeError(`canvas must match ${CANVAS_ID.source}`);
  if (client !== undefined && !isClientId(client)) throw new TypeError("client must be 8 to 64 of A-Z a-z 0-9 _ -");
  const user = checkedUser(options.user === undefined ? {} : options.user);
  if (token !== undefined && typeof token !== "function") checkedToken(token);
  const env = realEnvironment(options.WebSocket);
  const room = socketUrl(options.url, canvas);
  const shelf = client === undefined ? sessionShelf(`scumble:${room}`) : undefined;
  let problem: string | undefined;
  let opened: { store: Store; loaded: Loaded } | undefined;
  let live: LiveRoom | undefined;
  const report = (message: string): void => {
    if (live) live.storageFailed(message);
    else problem = message;
  };
  if (options.persist === "indexeddb" && typeof indexedDB !== "undefined") {
    opened = await openIndexedDb({ room, shelf, client, makeId: env.makeId, problem: report }).catch((error: unknown) => {
      problem = String(error);
      return undefined;
    });
  }
  const { store, loaded } = opened ?? memory(client ?? undefined, shelf, env.makeId);
  live = new LiveRoom(env, { socketUrl: room, canvas, user, token, ownIdentity: client === undefined }, store, loaded);
  // A turn later, when whoever waits for this can listen.
  if (problem !== undefined) env.after(0, () => live?.storageFailed(problem as string));
  return live;
}

function memory(
  client: string | undefined,
  shelf: ReturnType<typeof sessionShelf> | undefined,
  makeId: () => string,
): { store: Store; loaded: Loaded } {
  const identity = shelf?.take() ?? { client: client ?? makeId(), nextOp: 1 };
  return { store: new MemoryStore(identity, shelf), loaded: { ...identity, entries: [] } };
}
