/** A page with a Tiptap editor over a relay, for tiptap.browser.ts. `window.editing` is what the test looks at. */

import { Editor } from "@tiptap/core";
import Collaboration from "@tiptap/extension-collaboration";
import CollaborationCaret from "@tiptap/extension-collaboration-caret";
import StarterKit from "@tiptap/starter-kit";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { connect, type Room } from "../client/src/client.js";
import { ScumbleProvider } from "../client/src/yjs.js";

export interface Editing {
  readonly room: Room;
  readonly doc: Y.Doc;
  readonly provider: ScumbleProvider;
  readonly editor: Editor;
  /** Bytes of the document as Yjs writes it. */
  bytes(): number;
}

declare global {
  interface Window {
    editing?: Editing;
  }
}

const asked = new URLSearchParams(location.search);
const url = asked.get("relay");
const room = await connect({ canvas: "tiptap", ...(url !== null && { url }) });
const doc = new Y.Doc();
const provider = new ScumbleProvider(room, "doc", doc, { compactEntries: 50, awareness: new Awareness(doc) });
const editor = new Editor({
  element: document.querySelector("main")!,
  extensions: [
    StarterKit.configure({ undoRedo: false }),
    Collaboration.configure({ document: doc }),
    CollaborationCaret.configure({ provider, user: { name: asked.get("name") ?? "Somebody", color: "#c02020" } }),
  ],
});
window.editing = { room, doc, provider, editor, bytes: () => Y.encodeStateAsUpdate(doc).length };
