/**
 * Editing the words of an object: a textarea laid exactly over it, in the same font. Others read along, and what they write
 * meanwhile comes in under one's caret; all of one's own is one step of undo.
 */

import { newId, type App } from "./app";
import { isComposing } from "./dom";
import { textColor } from "./paint";
import { MAX_TEXT } from "./scene";
import { fittingSize, FONT, holdsText, LINE_HEIGHT, measureText, textBox, wrap } from "./text";
import { merge3, type Merged } from "./text-merge";
import { TextSession, versionOf } from "./text-session";
import type { Shape, Wire } from "./types";

/** Where the caret is when the editor opens. */
export type Opening = "all" | "end";

const NAMES: Record<string, string> = { note: "Text of the sticky note", text: "Text", rect: "Text of the rectangle", ellipse: "Text of the ellipse" };

export class TextEditor {
  private readonly area: HTMLTextAreaElement;
  private session: TextSession | undefined;
  /** Closed ones that have something to say yet. */
  private readonly ending = new Map<string, TextSession>();
  /** What the field holds, as the session knows it: what differs was typed. */
  private known = "";
  private composing = false;
  /** The object as it was last seen here, to bring it back. */
  private last: Wire | undefined;
  private touched = false;

  constructor(private readonly layer: HTMLElement, private readonly app: () => App) {
    this.area = document.createElement("textarea");
    this.area.className = "text-editor";
    this.area.maxLength = MAX_TEXT;
    this.area.spellcheck = false;
    this.area.dataset.testid = "text-editor";
    this.area.addEventListener("beforeinput", (event) => this.tellIfFull(event as InputEvent));
    this.area.addEventListener("input", () => this.input());
    this.area.addEventListener("compositionstart", () => (this.composing = true));
    this.area.addEventListener("compositionend", () => {
      this.composing = false;
      this.input();
    });
    // A window that is left for another keeps its field: one comes back and goes on.
    this.area.addEventListener("blur", () => (document.activeElement === this.area ? this.flush() : this.close()));
    this.area.addEventListener("keydown", (event) => this.key(event));
    for (const type of ["copy", "cut", "paste"]) this.area.addEventListener(type, (event) => event.stopPropagation());
  }

  get isOpen(): boolean {
    return this.session !== undefined;
  }

  /** `fresh`: the object was made a moment ago within the open history entry, and goes if it stays empty. */
  open(id: string, fresh: boolean, opening: Opening = "all", typed = ""): void {
    this.close();
    const app = this.app();
    const shape = app.scene.settled(id);
    if (!shape || !holdsText(shape.kind) || !app.mayWrite()) return;
    const { text } = versionOf(app.room.objects.get(id));
    if (text.length > MAX_TEXT) return app.toast(`This text is longer than ${MAX_TEXT.toLocaleString("en")} characters and can't be edited here`);
    if (!fresh) app.history.begin("Edit text");
    this.begin(id, shape, text);
    if (opening === "all") this.area.select();
    else this.area.setSelectionRange(text.length, text.length);
    if (typed) {
      this.area.setRangeText(typed, this.area.selectionStart, this.area.selectionEnd, "end");
      this.input();
    }
  }

  private begin(id: string, shape: Shape, text: string): void {
    const app = this.app();
    const waiting = this.ending.get(id);
    waiting?.reopen();
    const session = waiting ?? new TextSession(app, id, () => this.ending.delete(id));
    session.onMerged = (merged) => this.take(merged);
    this.ending.set(id, session);
    this.session = session;
    this.composing = this.touched = false;
    this.known = this.area.value = waiting ? session.shared.mine : text;
    this.last = app.room.objects.get(id) as Wire | undefined;
    this.area.setAttribute("aria-label", NAMES[shape.kind] ?? "Text");
    // Put in anew it would lose the focus.
    if (!this.area.isConnected) this.layer.append(this.area);
    app.selection.set([id]);
    app.renderer.editing = id;
    app.renderer.repaintAll();
    this.place();
    this.area.focus({ preventScroll: true });
    app.invalidate();
  }

  close(): void {
    const { session } = this;
    if (!session) return;
    const app = this.app();
    // What is being composed is written, too.
    this.composing = false;
    this.input();
    this.session = undefined;
    session.onMerged = () => {};
    const shape = app.scene.settled(session.id);
    if (shape?.kind === "text" && this.area.value.trim() === "") {
      app.history.remove(session.id);
      app.selection.drop(session.id);
      session.end();
    } else session.close();
    app.history.commit();
    app.renderer.editing = undefined;
    app.renderer.repaintAll();
    this.area.remove();
    app.invalidate();
  }

  /** The object vanished under the editor: somebody deleted it. What one wrote there is kept, as an object of its own. */
  objectGone(id: string): void {
    const { session, last } = this;
    if (id !== session?.id) return;
    const app = this.app();
    this.input();
    const text = this.area.value;
    this.session = undefined;
    session.end();
    if (!this.touched || !last || !app.mayWrite()) {
      app.toast("Somebody deleted what you were writing on");
      return this.leave();
    }
    const { rev: _rev, ...rest } = last;
    const copy: Wire = { ...rest, id: newId(), text };
    app.history.commit();
    app.history.begin("Keep what was written");
    app.history.create(copy);
    app.toast("Somebody deleted this while you were writing. What you wrote is kept as a new one.");
    const caret = this.area.selectionEnd;
    const shape = app.scene.settled(copy.id);
    if (!shape) return this.leave();
    this.begin(copy.id, shape, text);
    this.touched = true;
    this.area.setSelectionRange(caret, caret);
  }

  private leave(): void {
    const app = this.app();
    app.history.commit();
    app.renderer.editing = undefined;
    app.renderer.repaintAll();
    this.area.remove();
    app.invalidate();
  }

  /** Follows the camera and the object; called on every frame while open. */
  place(): void {
    const app = this.app();
    const shape = this.session && app.scene.get(this.session.id);
    if (!shape) return;
    const { style, value } = { style: this.area.style, value: this.area.value };
    const at = app.camera.toScreen(shape);
    const size = fittingSize(shape, value);
    const box = textBox(shape);
    style.font = `${size}px/${LINE_HEIGHT} ${FONT}`;
    style.color = textColor(shape);
    style.whiteSpace = "pre-wrap";
    if (shape.kind === "text") {
      const need = measureText(value || " ", size, shape.wrap ? shape.w : undefined);
      style.padding = "0 1px";
      // Room for the next letter; without it the last line would break a moment before it is measured.
      style.width = `${need.w + (shape.wrap ? 2 : size)}px`;
      style.height = `${need.h + 2}px`;
    } else {
      const centred = shape.kind !== "note";
      const free = box.h - wrap(value || " ", size, box.w).length * size * LINE_HEIGHT;
      const above = centred ? Math.max(0, free / 2) : 0;
      style.textAlign = centred ? "center" : "left";
      style.padding = `${box.y + above}px ${shape.w - box.x - box.w}px ${Math.max(0, shape.h - box.y - box.h)}px ${box.x}px`;
      style.width = `${shape.w}px`;
      style.height = `${shape.h}px`;
      style.overflowY = free < 0 ? "auto" : "hidden";
    }
    style.transform = `translate(${at.x}px, ${at.y}px) scale(${app.camera.zoom})`;
  }

  /** Takes over what the field holds. While something is composed the field is the input method's. */
  private input(): void {
    const { session, area } = this;
    if (!session) return;
    this.place();
    this.touched ||= area.value !== this.known;
    if (this.composing) return;
    const merged = merge3(this.known, session.shared.mine, area.value);
    this.known = merged.text;
    if (merged.text !== session.shared.mine) session.typed(merged.text);
    this.show(merged);
  }

  /** Somebody else's letters. */
  private take(merged: Merged): void {
    const { session } = this;
    if (!session) return;
    this.last = this.app().room.objects.get(session.id) as Wire | undefined ?? this.last;
    if (this.composing) return;
    this.known = merged.text;
    this.show(merged);
    this.place();
  }

  private show({ text, place }: Merged): void {
    const { area } = this;
    if (area.value === text) return;
    const { selectionStart, selectionEnd, selectionDirection, scrollTop } = area;
    const [start, end] = [place(selectionStart), place(selectionEnd)];
    area.value = text;
    area.setSelectionRange(start, end, selectionDirection);
    area.scrollTop = scrollTop;
  }

  /** Writes what was typed and not sent yet; `urgent` where nobody will be here to do so later. */
  flush(urgent = false): void {
    if (!this.session) return;
    if (urgent) this.composing = false;
    this.input();
    this.session.flush(urgent);
  }

  /** The field takes no more than this, and would say nothing. */
  private tellIfFull(event: InputEvent): void {
    if (!event.inputType.startsWith("insert")) return;
    const { value, selectionStart, selectionEnd } = this.area;
    const more = (event.data ?? event.dataTransfer?.getData("text/plain") ?? "\n").length;
    if (value.length - (selectionEnd - selectionStart) + more <= MAX_TEXT) return;
    this.app().toast(`A text has at most ${MAX_TEXT.toLocaleString("en")} characters: the rest was left out`);
  }

  private key(event: KeyboardEvent): void {
    event.stopPropagation();
    // Keys of an input method are its own: Escape takes back what is composed, Enter accepts it.
    if (isComposing(event)) return;
    const done = event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey));
    if (!done && event.key !== "Tab") return;
    event.preventDefault();
    this.close();
    document.getElementById("overlay")?.focus();
  }
}
