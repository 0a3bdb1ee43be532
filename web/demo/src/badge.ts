/**
 * The badge: whether what one did is safe. It reads the outbox, the connection and why the server closed it, and nothing
 * else, so it cannot claim more than the server confirmed.
 */

import { byId } from "./dom";
import type { Room } from "./room";

interface Words {
  state: "saved" | "saving" | "offline" | "failed" | "connecting" | "readonly" | "full" | "ended";
  text: string;
  detail: string;
}

/** Why the server closes connections, as the library's `error` event tells it. */
export interface Closed {
  code: string;
  message: string;
}

export function wordsFor(room: Pick<Room, "outbox" | "status" | "role">, closed?: Closed): Words {
  const waiting = room.outbox.filter((op) => op.state !== "failed" && op.state !== "acked").length;
  const failed = room.outbox.filter((op) => op.state === "failed").length;
  const changes = `${waiting} change${waiting === 1 ? "" : "s"}`;
  if (room.status === "disconnected") return ended(waiting + failed, closed);
  if (room.status !== "connected" && closed?.code === "full") {
    const kept = waiting > 0 ? `. ${changes} kept on this device` : "";
    const detail = `No room: ${closed.message}. This page goes on trying${kept}`;
    return { state: "full", text: counted("Canvas full, retrying", waiting), detail };
  }
  if (room.status === "connecting" && waiting === 0) {
    return { state: "connecting", text: "Connecting…", detail: "Looking for the server" };
  }
  if (room.status !== "connected") {
    const refused = failed > 0 ? `${failed} not saved; see the outbox under the hood` : "Everything so far is saved";
    const kept = waiting > 0 ? `${changes} kept on this device, sent when the connection is back` : refused;
    return { state: "offline", text: counted("Offline", waiting), detail: kept };
  }
  if (failed > 0) return { state: "failed", text: `Not saved · ${failed}`, detail: "The server refused; see the outbox under the hood" };
  if (waiting > 0) return { state: "saving", text: "Saving…", detail: `${changes} on the way` };
  if (room.role === "read") return { state: "readonly", text: "View only", detail: "You may look, but not draw" };
  return { state: "saved", text: "Saved", detail: "The server has everything" };
}

const counted = (text: string, n: number): string => (n > 0 ? `${text} · ${n}` : text);

/** The library does not come back by itself. For want of permission reloading is no use, since the link stays the same. */
function ended(unsaved: number, closed: Closed | undefined): Words {
  const kept = unsaved > 0 ? `. ${unsaved} not saved, kept on this device` : "";
  const words = (text: string, detail: string): Words => ({ state: "ended", text: counted(text, unsaved), detail: detail + kept });
  if (closed?.code === "unauthorized") {
    return words("New link needed", "The permission of this link has ended or was refused. Ask for a new link");
  }
  if (closed?.code === "refused") {
    return words("Refused", `The server refused this link: ${closed.message}. Ask for a new link`);
  }
  return words("Offline", "The server ended this connection for good. Reload the page to try again");
}

/** `toast` is for what has to be seen, `announce` for what only those have to be told who don't see the badge. */
export function startBadge(room: Room, announce: (text: string) => void, toast: (text: string) => void): void {
  const badge = byId("badge");
  const text = byId("badge-text");
  let spoken = "";
  let closed: Closed | undefined;
  const update = (): void => {
    const words = wordsFor(room, closed);
    badge.dataset.state = words.state;
    badge.title = words.detail;
    badge.setAttribute("aria-label", `${words.text}. ${words.detail}`);
    if (text.textContent !== words.text) text.textContent = words.text;
    byId("badge-detail").textContent = words.detail;
    // Saved and Saving alternate all the time; only losing and regaining the server is worth saying.
    const worth = ["offline", "failed", "full", "ended", "saved"].includes(words.state) ? words.state : spoken;
    const visibly = worth === "full" || worth === "ended";
    if (worth !== spoken && (spoken !== "" || worth !== "saved")) (visibly ? toast : announce)(`${words.text}. ${words.detail}`);
    spoken = worth;
  };
  room.on("outbox", update);
  room.on("status", (status) => {
    if (status === "connected") closed = undefined;
    // Why it is for good follows as an error, at once; without it the words would be wrong.
    if (status !== "disconnected") update();
  });
  room.on("error", ({ code, message }) => {
    if (!["full", "unauthorized", "refused", "replaced"].includes(code)) return;
    closed = { code, message };
    update();
  });
  update();
}
