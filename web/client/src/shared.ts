/**
 * One connection for a canvas that is opened several times in a page: by two components, or by one that is mounted twice in
 * a row, as React's StrictMode and hot reload do. Each gets a room of its own to listen on and to close.
 */

import { type Room, type RoomEvents, ScumbleError } from "./types.js";

interface Shared {
  readonly opening: Promise<Room>;
  users: number;
}

const rooms = new Map<string, Shared>();
let others = 0;
const names = new WeakMap<object, number>();

/** A name for what can't be compared by its text. */
export function nameOf(thing: object | undefined): number {
  if (!thing) return 0;
  const name = names.get(thing) ?? ++others;
  names.set(thing, name);
  return name;
}

/** The room of that name, opened by whoever comes first. */
export async function share(name: string, open: () => Promise<Room>, signal: AbortSignal | undefined): Promise<Room> {
  const shared = rooms.get(name) ?? { opening: open(), users: 0 };
  rooms.set(name, shared);
  shared.users++;
  const leave = (room: Room): void => {
    if (--shared.users > 0) return;
    if (rooms.get(name) === shared) rooms.delete(name);
    room.close();
  };
  let room: Room;
  try {
    room = await untilAborted(shared.opening, signal);
  } catch (error) {
    // A turn later: who leaves may be about to come again.
    setTimeout(() => void shared.opening.then(leave, () => rooms.get(name) === shared && rooms.delete(name)));
    throw error;
  }
  // Whoever comes after it has ended needs another one.
  room.on("status", (status) => status === "disconnected" && rooms.get(name) === shared && rooms.delete(name));
  return view(room, () => leave(room));
}

/** Rejects with the signal's reason as soon as it is aborted. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.finally(() => signal.removeEventListener("abort", abort)).then(resolve, reject);
  });
}

/** The room, with listeners and an end of its own. */
function view(room: Room, leave: () => void): Room {
  const listening = new Set<() => void>();
  const hearing = new Set<(status: RoomEvents["status"]) => void>();
  let closed = false;
  const on: Room["on"] = (event, listener, options) => {
    if (closed) return () => {};
    const off = room.on(event, listener, options);
    if (event === "status") hearing.add(listener as never);
    const stop = (): void => {
      listening.delete(stop);
      hearing.delete(listener as never);
      off();
    };
    listening.add(stop);
    return stop;
  };
  const close = (): void => {
    if (closed) return;
    closed = true;
    const told = [...hearing];
    const open = room.status !== "disconnected";
    for (const stop of [...listening]) stop();
    leave();
    if (open) for (const listener of told) listener("disconnected");
  };
  /** Calls that would make an op throw once this one is closed, though another's goes on. */
  const guarded = <T extends object>(part: T, names: readonly string[]): T => {
    const copy = Object.create(part) as Record<string, unknown>;
    for (const call of names) {
      const original = (part as Record<string, unknown>)[call] as (...args: unknown[]) => unknown;
      copy[call] = (...args: unknown[]) => {
        if (closed) throw new ScumbleError("closed", "the room is closed");
        return original.apply(part, args);
      };
    }
    return copy as T;
  };
  const parts = {
    objects: guarded(room.objects, ["create", "update", "delete"]),
    chat: guarded(room.chat, ["send"]),
    ...guarded({ broadcast: room.broadcast.bind(room) }, ["broadcast"]),
  };
  const shared: Room = Object.create(room, {
    log: { value: (id: string) => guarded(room.log.call(shared, id), ["append", "compact"]) },
    on: { value: on },
    close: { value: close },
    status: { get: () => (closed ? "disconnected" : room.status) },
    objects: { value: parts.objects },
    chat: { value: parts.chat },
    broadcast: { value: parts.broadcast },
  }) as Room;
  return shared;
}
