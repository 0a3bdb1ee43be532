/** A canvas's objects as a picture. Drawn by the demo's own hand; what another application means is a rectangle. */

import { grow, unionAll } from "../../demo/src/geometry";
import { useDarkInks } from "../../demo/src/palette";
import { Scene } from "../../demo/src/scene";
import { svgOf } from "../../demo/src/svg";

/** More would not be seen on a picture of this size, and takes a browser seconds. */
const MOST_OBJECTS = 5_000;
const MARGIN = 24;

export interface Picture {
  /** A `data:` address. An SVG in an image runs nothing and loads nothing. */
  src: string;
  drawn: number;
}

export function pictureOf(objects: readonly Record<string, unknown>[]): Picture | undefined {
  const dark = document.documentElement.dataset.theme === "dark";
  useDarkInks(dark);
  const scene = new Scene();
  const drawn = objects.slice(0, MOST_OBJECTS);
  for (const object of drawn) scene.set(String(object.id), object);
  const items = [...scene.order()];
  const box = unionAll(items.map((item) => item.painted));
  if (!box) return undefined;
  const paper = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
  return { src: `data:image/svg+xml,${encodeURIComponent(svgOf(items, grow(box, MARGIN), paper))}`, drawn: drawn.length };
}
