/** `room.whenSynced()` */

import { type Room, ScumbleError } from "./types.js";

/** `reason` says why the room is disconnected, when it is. */
export function whenSynced(room: Pick<Room, "on" | "status" | "sync">, reason: () => string | undefined): Promise<void> {
  const synced = new Promise<void>((resolve, reject) => {
    const stop: (() => void)[] = [];
    const check = (): void => {
      const gone = room.status === "disconnected";
      if (!gone && room.sync !== "synchronized") return;
      for (const off of stop) off();
      const said = reason();
      if (gone) reject(new ScumbleError("closed", `the room is disconnected${said === undefined ? "" : `: ${said}`}`));
      else resolve();
    };
    stop.push(room.on("sync", check), room.on("status", check));
    check();
  });
  // Whoever does not look at it hears of the end as status and error, not as a crash of Node.
  synced.catch(() => {});
  return synced;
}
