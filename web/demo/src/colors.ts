/** Colours of people: handed out, so that no two on a canvas look alike while there are colours left. */

import { PEOPLE } from "./palette";
import { colorOf } from "./people";
import { stateOf } from "./presence";
import type { Other, Room } from "./room";

/** Those who come at the same moment see each other late: the one with the greater id gives way first. */
const LATER_MS = { greater: 1500, smaller: 6000 };

/** The colour to take instead of `mine`, or undefined when nobody else has it. Bots are many and count least. */
export function freeColor(mine: string, others: readonly Other[], start: number): string | undefined {
  const used = new Map<string, number>(PEOPLE.map((color) => [color, 0]));
  for (const other of others) {
    const color = colorOf(other);
    used.set(color, (used.get(color) ?? 0) + (stateOf(other).bot ? 0.001 : 1));
  }
  const now = used.get(mine) ?? 0;
  const least = Math.min(...PEOPLE.map((color) => used.get(color)!));
  // Where all are taken alike there is nothing to be won.
  if (now === 0 || least >= now) return undefined;
  const turned = PEOPLE.map((_, i) => PEOPLE[(i + start) % PEOPLE.length]!);
  return turned.find((color) => used.get(color) === least);
}

/**
 * Gives way to those who have one's colour already, unless it was chosen by hand. `mine` and `take` are the profile's.
 */
export function startColors(room: Room, mine: () => { color: string; chosen: boolean }, take: (color: string) => void): void {
  let settled = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    timer = undefined;
    const { color, chosen } = mine();
    if (chosen || room.status !== "connected") return;
    const free = freeColor(color, room.others, [...room.client].reduce((sum, char) => sum + char.charCodeAt(0), 0));
    if (free) take(free);
  };
  const soon = (): void => {
    if (!settled || timer !== undefined || mine().chosen) return;
    const alike = room.others.filter((other) => colorOf(other) === mine().color);
    if (alike.length === 0) return;
    const after = alike.some((other) => other.client > room.client) ? LATER_MS.smaller : LATER_MS.greater;
    timer = setTimeout(look, after);
  };
  room.on("others", soon);
  void room.whenSynced().then(() => {
    settled = true;
    look();
    soon();
  }, () => {});
}
