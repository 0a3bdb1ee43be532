/** What the parts of the page share. `main.ts` builds one of these; nothing else is global. */

import type { Camera } from "./camera";
import type { Drafts } from "./drafts";
import type { History } from "./history";
import type { Renderer } from "./render";
import type { Scene } from "./scene";
import type { Selection } from "./selection";
import type { TextEditor } from "./text-editor";
import type { Style, ToolName } from "./types";
import type { Room } from "./room";

export interface App {
  readonly room: Room;
  readonly canvas: string;
  readonly camera: Camera;
  readonly scene: Scene;
  readonly renderer: Renderer;
  readonly selection: Selection;
  readonly history: History;
  readonly drafts: Drafts;
  readonly editor: TextEditor;
  readonly style: Style;
  tool: ToolName;
  setTool(tool: ToolName): void;
  /** False for those who may only look, who are told so. */
  mayWrite(): boolean;
  /** Asks for a frame; cheap to call often. */
  invalidate(): void;
  /** Says something to screen readers. */
  announce(text: string): void;
  /** Shows a short message, and says it. */
  toast(text: string): void;
}

/** Ids are made here, not by the server: 60 random bits, unguessable enough not to collide in one canvas. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(bytes, (byte) => "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"[byte & 63]).join("");
}
