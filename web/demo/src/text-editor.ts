/**
 * Editing the text of a note or a text object: a textarea laid exactly over it, in the same font. What is typed is
 * sent every 300 ms, so that others read along; all of it is one step of undo.
 */

import type { App } from "./app";
import { inkOf } from "./palette";
import { FONT, LINE_HEIGHT, measureText, noteFontSize, NOTE_PADDING } from "./text";
import type { Patch, Shape } from "./types";

const SEND_EVERY_MS = 300;
/** The relay takes 64 KiB per message; nobody writes that on a note. */
const MAX_CHARS = 4000;

export class TextEditor {
  private readonly area: HTMLTextAreaElement;
  private id: string | undefined;
  private sent = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly layer: HTMLElement, private readonly app: () => App) {
    this.area = document.createElement("textarea");
    this.area.className = "text-editor";
    this.area.maxLength = MAX_CHARS;
    this.area.spellcheck = false;
    this.area.dataset.testid = "text-editor";
    this.area.addEventListener("input", () => this.input());
    this.area.addEventListener("blur", () => this.close());
    this.area.addEventListener("keydown", (event) => this.key(event));
  }

  get isOpen(): boolean {
    return this.id !== undefined;
  }

  /** `fresh`: the object was made a moment ago within the open history entry, and goes if it stays empty. */
  open(id: string, fresh: boolean): void {
    this.close();
    const app = this.app();
    const shape = app.scene.settled(id);
    if (!shape || !app.mayWrite()) return;
    if (!fresh) app.history.begin("Edit text");
    this.id = id;
    this.sent = shape.text;
    this.area.value = shape.text;
    this.area.setAttribute("aria-label", shape.kind === "note" ? "Text of the sticky note" : "Text");
    this.layer.append(this.area);
    app.selection.set([id]);
    app.renderer.editing = id;
    app.renderer.repaintAll();
    this.place();
    this.area.focus({ preventScroll: true });
    this.area.select();
    app.invalidate();
  }

  close(): void {
    const { id } = this;
    if (id === undefined) return;
    const app = this.app();
    this.id = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
    const shape = app.scene.settled(id);
    if (shape && shape.kind === "text" && this.area.value.trim() === "") {
      app.history.remove(id);
      app.selection.drop(id);
    } else if (shape) this.send(shape);
    app.history.commit();
    app.renderer.editing = undefined;
    app.renderer.repaintAll();
    this.area.remove();
    app.invalidate();
  }

  /** The object vanished under the editor: somebody deleted it. */
  objectGone(id: string): void {
    if (id !== this.id) return;
    this.app().toast("Somebody deleted what you were writing on");
    this.close();
  }

  /** Follows the camera and the object; called on every frame while open. */
  place(): void {
    const app = this.app();
    const shape = this.id === undefined ? undefined : app.scene.get(this.id);
    if (!shape) return;
    const { style } = this.area;
    const at = app.camera.toScreen(shape);
    const note = shape.kind === "note";
    const size = note ? noteFontSize(this.area.value, shape.w, shape.h) : shape.size;
    const need = note ? shape : measureText(this.area.value || " ", size);
    const ink = inkOf(shape.color);
    style.font = `${size}px/${LINE_HEIGHT} ${FONT}`;
    style.color = note ? ink.onPaper : ink.line;
    style.padding = note ? `${NOTE_PADDING}px` : "0 1px";
    style.width = `${need.w + (note ? 0 : size)}px`;
    style.height = `${need.h}px`;
    style.whiteSpace = note ? "pre-wrap" : "pre";
    style.transform = `translate(${at.x}px, ${at.y}px) scale(${app.camera.zoom})`;
  }

  private input(): void {
    this.place();
    this.timer ??= setTimeout(() => this.flush(), SEND_EVERY_MS);
  }

  /** Writes what was typed and not sent yet. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const shape = this.id === undefined ? undefined : this.app().scene.settled(this.id);
    if (shape) this.send(shape);
  }

  private send(shape: Shape): void {
    const text = this.area.value;
    if (text === this.sent) return;
    this.sent = text;
    const patch: Patch = { text };
    if (shape.kind === "text") Object.assign(patch, measureText(text, shape.size));
    this.app().history.update(shape.id, patch);
  }

  private key(event: KeyboardEvent): void {
    event.stopPropagation();
    const done = event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey));
    if (!done && event.key !== "Tab") return;
    event.preventDefault();
    this.close();
    document.getElementById("overlay")?.focus();
  }
}
