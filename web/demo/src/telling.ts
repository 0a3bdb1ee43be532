/** What this tab tells the others through presence: its selection, its view, and the process it is on. */

import type { App } from "./app";
import type { FollowState } from "./people";
import { MAX_SELECTION } from "./presence";
import type { PresenceState } from "./types";

const VIEW_EVERY_MS = 250;

export function startTelling(app: App, follow: FollowState): void {
  const { room, camera } = app;
  const tell = (state: PresenceState): void => room.presence.update(state as never);

  let told = "";
  const tellSelection = (): void => {
    const selection = [...app.selection.ids].slice(0, MAX_SELECTION);
    const now = selection.join(" ");
    if (now !== told) tell({ selection });
    told = now;
  };
  setInterval(tellSelection, 100);

  let timer: ReturnType<typeof setTimeout> | undefined;
  const tellView = (): void => {
    // Two who follow each other would chase each other's window sizes: whoever follows keeps still.
    if (follow.client) return;
    const view = camera.view();
    tell({ view: { x: Math.round(view.x + view.w / 2), y: Math.round(view.y + view.h / 2), w: Math.round(view.w), h: Math.round(view.h) } });
  };
  camera.onChange(() => {
    timer ??= setTimeout(() => {
      timer = undefined;
      tellView();
    }, VIEW_EVERY_MS);
  });

  const tellInstance = (): void => {
    if (room.status === "connected" && room.presence.state.instance !== room.instance) tell({ instance: room.instance });
  };
  room.on("status", tellInstance);
  tellInstance();
}
