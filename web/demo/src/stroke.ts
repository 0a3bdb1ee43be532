/** The pencil: a stroke under the pen, and what of it is kept. */

import { newId, type App } from "./app";
import { relative } from "./drafts";
import { round1, simplify } from "./geometry";
import type { Gesture, Pointer } from "./gestures";
import type { Point, Wire } from "./types";

/** Numbers of one stroke object at most; with one decimal each this is below 40 KiB, well under the 64 KiB message. */
const MAX_NUMBERS = 4000;
/** A stroke this long (raw points) is finished and the next piece begun, while the hand draws on. */
const SPLIT_AT = 24_000;

export function strokeGesture(app: App, start: Pointer): Gesture {
  let points: number[] = [];
  let wire: Wire;
  const pieces: Wire[] = [];
  const begin = (at: Point): void => {
    wire = { id: newId(), kind: "draw", color: app.style.color, stroke: app.style.stroke, z: app.scene.topZ() + 1 };
    points = [round1(at.x), round1(at.y)];
  };
  const add = (at: Point): void => {
    const [x, y] = [points.at(-2)!, points.at(-1)!];
    if (Math.hypot(at.x - x, at.y - y) * app.camera.zoom < 1) return;
    points.push(round1(at.x), round1(at.y));
  };
  const finished = (): Wire => ({ ...wire, ...relative(fitted(points, 0.6 / app.camera.zoom)) });
  begin(start.world);
  return {
    move(p) {
      for (const at of p.trail) add(at);
      if (points.length > SPLIT_AT) {
        pieces.push(finished());
        app.history.group("Draw", () => app.history.create(pieces.at(-1)!));
        app.drafts.end();
        begin(p.world);
      }
      app.drafts.stroke(wire, points);
    },
    end() {
      app.history.group("Draw", () => app.history.create(finished()));
      app.drafts.end();
      app.announce("Stroke added");
    },
    cancel: () => app.drafts.end(),
  };
}

/** Simplified until it fits: the tolerance doubles for strokes with more detail than a message may carry. */
function fitted(points: readonly number[], tolerance: number): number[] {
  let out = simplify(points, tolerance);
  for (let t = tolerance * 2; out.length > MAX_NUMBERS; t *= 2) out = simplify(points, t);
  return out;
}
