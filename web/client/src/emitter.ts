/** Listeners by event. A listener that throws is reported and does not keep the others from hearing. */

import { type ListenOptions, type RoomEvents, ScumbleError } from "./types.js";
import { onlyNames } from "./bounds.js";
import { oncePerFrame } from "./frames.js";

type Listener = (value: never) => void;

/** What was thrown, in words. Anything can be thrown, even what cannot be made a text. */
export function describeThrown(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "something that has no text";
  }
}

const EVENTS: readonly (keyof RoomEvents)[] =
  ["status", "sync", "objects", "log", "others", "cursors", "chat", "broadcast", "signal", "outbox", "history", "storage", "error"];

export class Emitter {
  private readonly listeners = new Map<keyof RoomEvents, Set<Listener>>();

  constructor(private readonly nextFrame: (task: () => void) => void) {}

  on<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void, options: ListenOptions = {}): () => void {
    const { batch } = options;
    onlyNames(options, ["batch"], "on");
    if (!EVENTS.includes(event)) throw new TypeError(`there is no event ${JSON.stringify(event)}, but ${EVENTS.join(", ")}`);
    if (typeof listener !== "function") throw new TypeError(`a listener of "${event}" must be a function`);
    if (batch === undefined) return this.add(event, listener);
    if (batch !== "frame" || event !== "objects") throw new TypeError('batch is "frame", and for "objects" only');
    // A listener of its own that throws is told like any other.
    const guarded = (value: RoomEvents[K]): void => this.call(event, listener, value);
    const { hear, stop } = oncePerFrame(guarded as (value: RoomEvents["objects"]) => void, this.nextFrame);
    const off = this.add("objects", hear);
    return () => (stop(), off());
  }

  private add<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void): () => void {
    const set = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  /** {@link emit}, where the value costs something: it is made only when somebody listens. */
  tell<K extends keyof RoomEvents>(event: K, make: () => RoomEvents[K]): void {
    if (this.listeners.get(event)?.size) this.emit(event, make());
  }

  emit<K extends keyof RoomEvents>(event: K, value: RoomEvents[K]): void {
    // A copy: who unsubscribes while being called must not shift the others.
    for (const listener of [...(this.listeners.get(event) ?? [])]) {
      this.call(event, listener as (value: RoomEvents[K]) => void, value);
    }
  }

  private call<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void, value: RoomEvents[K]): void {
    try {
      listener(value);
    } catch (error) {
      if (event !== "error") this.emit("error", new ScumbleError("listener", `a listener of "${event}" threw: ${describeThrown(error)}`));
    }
  }
}
