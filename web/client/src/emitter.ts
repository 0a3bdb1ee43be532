/** Listeners by event. A listener that throws is reported and does not keep the others from hearing. */

import { type RoomEvents, ScumbleError } from "./types.js";

type Listener = (value: never) => void;

/** What was thrown, in words. Anything can be thrown, even what cannot be made a text. */
export function describeThrown(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "something that has no text";
  }
}

export class Emitter {
  private readonly listeners = new Map<keyof RoomEvents, Set<Listener>>();

  on<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void): () => void {
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
      try {
        (listener as (value: RoomEvents[K]) => void)(value);
      } catch (error) {
        if (event !== "error") this.emit("error", new ScumbleError("listener", `a listener of "${event}" threw: ${describeThrown(error)}`));
      }
    }
  }
}
