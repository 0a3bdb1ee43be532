/** The `objects` events of a frame as one, for views that draw once a frame anyway. */

import type { ObjectChange, ObjectsEvent } from "./types.js";

/** A listener of single events that passes them on together. */
export function oncePerFrame(
  listener: (event: ObjectsEvent) => void,
  nextFrame: (task: () => void) => void,
): { hear: (event: ObjectsEvent) => void; stop: () => void } {
  let changes: ObjectChange[] = [];
  let [reset, asked, stopped] = [false, false, false];
  const pass = (): void => {
    asked = false;
    if (stopped) return;
    const event = { ids: [...new Set(changes.map(({ id }) => id))], changes, reset };
    changes = [];
    reset = false;
    listener(event);
  };
  const hear = (event: ObjectsEvent): void => {
    for (const change of event.changes) changes.push(change);
    reset ||= event.reset;
    if (asked) return;
    asked = true;
    nextFrame(pass);
  };
  return { hear, stop: () => (stopped = true) };
}
