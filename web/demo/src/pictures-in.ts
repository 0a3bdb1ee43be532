/** Pictures that are pasted or dropped: an image at the pointer at once, and its bytes on their way. */

import { newId, type App } from "./app";
import { count } from "./edit";
import { round1 } from "./geometry";
import { pictures } from "./pictures";
import type { Point, Wire } from "./types";

/** At most so much of what one sees, and no larger than this in the canvas's units. */
const SHARE = 0.6;
const MAX_SIDE = 800;
/** Pictures at once: a folder that is dropped by mistake is not all uploaded. */
const MOST = 20;
const STEP = 24;

interface Made {
  file: File;
  wire: Wire;
}

/** Where the pointer was last, in the page. */
let pointer: Point | undefined;

export function startPictures(app: App, stage: HTMLElement): void {
  pictures.start(app.room);
  pictures.onChange = () => {
    app.renderer.repaintAll();
    app.invalidate();
  };
  stage.addEventListener("pointermove", ({ clientX, clientY }) => (pointer = { x: clientX, y: clientY }));
  stage.addEventListener("pointerleave", () => (pointer = undefined));
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length === 0) return;
    // Otherwise the browser would leave the page for the file.
    event.preventDefault();
    const images = files.filter(({ type }) => type.startsWith("image/"));
    if (images.length === 0) return app.toast("Only pictures can be dropped here");
    void add(app, images, { x: event.clientX, y: event.clientY });
  });
}

/** Takes the pictures of a clipboard; false if there are none. */
export function pasteImages(app: App, data: DataTransfer): boolean {
  const images = [...data.files].filter(({ type }) => type.startsWith("image/"));
  if (images.length > 0) void add(app, images, pointer);
  return images.length > 0;
}

async function add(app: App, files: readonly File[], at: Point | undefined): Promise<void> {
  if (!app.mayWrite()) return;
  if (files.length > MOST) app.toast(`${MOST} pictures at a time: the rest was left out`);
  const made: Made[] = [];
  for (const file of files.slice(0, MOST)) {
    try {
      made.push(await prepared(app, file, at, made.length));
    } catch (error) {
      app.toast(`${file.name || "The picture"} can't be shown: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (made.length === 0) return;
  for (const { file, wire } of made) upload(app, file, wire);
  app.history.createAll("Add picture", made.map(({ wire }) => wire));
  app.selection.set(made.map(({ wire }) => wire.id));
  app.announce(`${count(made.length, "picture")} added`);
}

async function prepared(app: App, file: File, at: Point | undefined, n: number): Promise<Made> {
  const most = app.room.limits.max_asset_bytes;
  if (app.room.status === "connected" && most === undefined) throw new Error("this relay takes no pictures (--assets-dir)");
  const size = await sizeOf(file);
  const view = app.camera.view();
  const scale = Math.min(1, MAX_SIDE / size.w, MAX_SIDE / size.h, (SHARE * view.w) / size.w, (SHARE * view.h) / size.h);
  const [w, h] = [size.w * scale, size.h * scale];
  const middle = at ? worldAt(app, at) : { x: view.x + view.w / 2, y: view.y + view.h / 2 };
  const wire: Wire = {
    id: newId(),
    kind: "image",
    x: round1(middle.x - w / 2 + n * STEP),
    y: round1(middle.y - h / 2 + n * STEP),
    w: round1(w),
    h: round1(h),
    z: app.scene.topZ() + 1 + n,
    src: await app.room.assets.idOf(file),
    ...(file.name && { text: file.name.slice(0, 100) }),
  };
  return { file, wire };
}

function worldAt(app: App, { x, y }: Point): Point {
  const { left, top } = document.getElementById("overlay")!.getBoundingClientRect();
  return app.camera.toWorld({ x: x - left, y: y - top });
}

async function sizeOf(file: File): Promise<{ w: number; h: number }> {
  const url = URL.createObjectURL(file);
  try {
    const picture = new Image();
    picture.src = url;
    await picture.decode().catch(() => Promise.reject(new Error("it is no picture that this browser knows")));
    // An SVG may have no size of its own.
    return { w: picture.naturalWidth || 300, h: picture.naturalHeight || 150 };
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Its bytes go out while everybody sees its frame. What can't be uploaded is taken away again. */
function upload(app: App, file: File, { id, src = "" }: Wire): void {
  pictures.setProgress(src, 0);
  const onProgress = ({ sent, total }: { sent: number; total: number }): void => pictures.setProgress(src, total === 0 ? 1 : sent / total);
  app.room.assets.upload(file, { onProgress }).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === "closed") return;
    app.toast(`Not uploaded: ${error instanceof Error ? error.message : String(error)}`);
    if (app.room.objects.has(id)) app.room.objects.delete(id);
    app.selection.drop(id);
  }).finally(() => pictures.setProgress(src, undefined));
}
