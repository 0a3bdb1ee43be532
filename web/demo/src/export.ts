/** The canvas, or what is selected of it, as a picture: a file, or on the clipboard. */

import type { App } from "./app";
import { byId } from "./dom";
import { count } from "./edit";
import { grow, unionAll } from "./geometry";
import { paint } from "./paint";
import { pictures } from "./pictures";
import type { Item } from "./scene";
import { svgOf } from "./svg";
import { cssColor } from "./theme";
import type { Box } from "./types";

const MARGIN = 24;
/** Pixels for each unit, and what browsers surely have room for. */
const SCALE = 2;
const MAX_SIDE = 8_000;
const MAX_PIXELS = 32_000_000;

interface Picture {
  items: Item[];
  box: Box;
}

/** What is selected, or all there is. */
function pictureOf(app: App): Picture | undefined {
  const chosen = app.selection.size > 0;
  const items = app.scene.order().filter(({ shape }) => app.scene.settled(shape.id) && (!chosen || app.selection.has(shape.id)));
  const box = unionAll(items.map((item) => item.painted));
  return box && { items, box: grow(box, MARGIN) };
}

function drawn({ items, box }: Picture): Promise<Blob | null> {
  const scale = Math.min(SCALE, MAX_SIDE / box.w, MAX_SIDE / box.h, Math.sqrt(MAX_PIXELS / (box.w * box.h)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(box.w * scale));
  canvas.height = Math.max(1, Math.floor(box.h * scale));
  const ctx = canvas.getContext("2d")!;
  ctx.fillStyle = cssColor("--paper");
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.setTransform(scale, 0, 0, scale, -box.x * scale, -box.y * scale);
  for (const item of items) paint(ctx, item, scale, false);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/** What is said of pictures that could not be had in time. */
function without(missing: number): string {
  return missing === 0 ? "" : `, without ${count(missing, "picture")} that could not be loaded`;
}

function save(app: App, blob: Blob, ending: string, missing: number): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${app.canvas}.${ending}`;
  link.click();
  // The browser reads it a moment later.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  app.toast(`Saved as ${link.download}${without(missing)}`);
}

async function run(app: App, what: "png" | "svg" | "copy"): Promise<void> {
  const picture = pictureOf(app);
  if (!picture) return app.toast("There is nothing to save yet");
  const assets = picture.items.map(({ shape }) => shape.src).filter((src) => src !== "");
  if (what === "svg") {
    const { all, missing } = await pictures.embedded(assets);
    const text = svgOf(picture.items, picture.box, cssColor("--paper"), all);
    return save(app, new Blob([text], { type: "image/svg+xml" }), "svg", missing);
  }
  let missing = 0;
  const blob = pictures.loaded(assets).then((lacking) => {
    missing = lacking;
    return drawn(picture);
  }).then((made) => made ?? Promise.reject(new Error("the browser has no room for a picture of that size")));
  try {
    if (what === "png") return save(app, await blob, "png", missing);
    // Safari wants the promise, within the click.
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    app.toast(`Picture copied${without(missing)}`);
  } catch (error) {
    app.toast(`No picture: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function startExport(app: App): void {
  for (const what of ["png", "svg", "copy"] as const) {
    byId(`export-${what}`).addEventListener("click", () => {
      byId("export-menu").hidePopover();
      void run(app, what);
    });
  }
  byId("export-menu").addEventListener("toggle", () => {
    byId("export-what").textContent = app.selection.size > 0 ? "What is selected" : "The whole canvas";
  });
}
