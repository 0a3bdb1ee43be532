/** What of the canvas no bar and no panel covers: where "show everything" puts everything. */

import { byId } from "./dom";
import type { Box } from "./types";

/** Between what is shown and what lies over it. */
const MARGIN = 20;
/** Less than this is no view: then what covers it does so. */
const LEAST = 48;

interface Sides {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** In CSS pixels of the canvas. */
export function freeArea(): Box {
  const stage = byId("stage").getBoundingClientRect();
  const free: Sides = { left: 0, top: 0, right: stage.width, bottom: stage.height };
  // A panel lies at its side of a wide window and at the bottom of a narrow one.
  for (const panel of document.querySelectorAll<HTMLElement>(".panel:not([hidden])")) cut(free, panel.getBoundingClientRect());
  // On a phone undo and redo stand at the left side, one over the other.
  const history = document.querySelector<HTMLElement>(".bar-history")?.getBoundingClientRect();
  if (history && history.height > history.width) free.left = Math.max(free.left, history.right - stage.left);
  for (const bar of document.querySelectorAll<HTMLElement>(".bar-left, .bar-right, .dock")) {
    const { height, top, bottom } = bar.getBoundingClientRect();
    if (height === 0) continue;
    if (top < stage.height / 2) free.top = Math.max(free.top, bottom);
    else free.bottom = Math.min(free.bottom, top);
  }
  const w = free.right - free.left - 2 * MARGIN;
  const h = free.bottom - free.top - 2 * MARGIN;
  if (w < LEAST || h < LEAST) return { x: MARGIN, y: MARGIN, w: Math.max(1, stage.width - 2 * MARGIN), h: Math.max(1, stage.height - 2 * MARGIN) };
  return { x: free.left + MARGIN, y: free.top + MARGIN, w, h };
}

/** Takes from the side where the least is lost. */
function cut(free: Sides, { left, top, right, bottom }: Sides): void {
  const lost: [number, keyof Sides, number][] = [
    [right - free.left, "left", right], [free.right - left, "right", left], [bottom - free.top, "top", bottom], [free.bottom - top, "bottom", top],
  ];
  const [width, height] = [free.right - free.left, free.bottom - free.top];
  const share = ([loss, side]: (typeof lost)[number]): number => loss / (side === "left" || side === "right" ? width : height);
  const [, side, at] = lost.sort((a, b) => share(a) - share(b))[0]!;
  free[side] = at;
}
