/**
 * The badge: whether what one did is safe. It reads the outbox, the connection and why the server closed it, and nothing
 * else, so it cannot claim more than the server confirmed.
 */

import { byId } from "./dom";
import type { Room } from "./room";

interface Words {
  state: "saved" | "saving" | "unsaved" | "offline" | "failed" | "connecting" | "readonly" | "full" | "ended";
  text: string;
  detail: string;
}

/** Refusals after which nobody should wait for "Saving…" any longer. */
const STUCK_AFTER = 3;

/** Why the server closes connections, as the library's `error` event tells it. */
export interface Closed {
  code: string;
  message: string;
}

type Said = Pick<Room, "outbox" | "status" | "role" | "storage"> & Partial<Pick<Room, "transport">>;

export function wordsFor(room: Said, closed?: Closed): Words {
  const waiting = room.outbox.filter((op) => op.state !== "failed" && op.state !== "acked").length;
  const failed = room.outbox.filter((op) => op.state === "failed").length;
  const changes = `${waiting} change${waiting === 1 ? "" : "s"}`;
  const refusedToo = failed > 0 ? `. ${failed} not saved; see the outbox under the hood` : "";
  const why = closed?.code === "unreachable" ? `. ${closed.message.charAt(0).toUpperCase()}${closed.message.slice(1)}` : "";
  if (room.status === "disconnected") return ended(waiting + failed, room, closed);
  if (room.status !== "connected" && closed?.code === "full") {
    const kept = waiting > 0 ? `. ${changes} ${where(room)}` : "";
    const detail = `No room: ${closed.message}. This page goes on trying${kept}${refusedToo}`;
    return { state: "full", text: counted("Canvas full, retrying", waiting), detail };
  }
  if (room.status === "connecting" && waiting + failed === 0) {
    return { state: "connecting", text: "Connecting…", detail: `Looking for the server${why}` };
  }
  if (room.status !== "connected") {
    const refused = failed > 0 ? `${failed} not saved; see the outbox under the hood` : "Everything so far is saved";
    const kept = waiting > 0 ? `${changes} ${where(room)}, sent when the connection is back${refusedToo}` : refused;
    return { state: "offline", text: counted("Offline", waiting), detail: kept + why };
  }
  if (failed > 0) return { state: "failed", text: `Not saved · ${failed}`, detail: "The server refused; see the outbox under the hood" };
  if (room.outbox.some(({ state, refusals }) => state === "pending" && refusals >= STUCK_AFTER)) {
    return { state: "unsaved", text: `Not saved yet · ${waiting}`, detail: `The server can't store anything just now; ${changes} will be sent again until it can` };
  }
  if (waiting > 0) return { state: "saving", text: "Saving…", detail: `${changes} on the way` };
  if (room.role === "read") return { state: "readonly", text: "View only", detail: "You may look, but not draw" };
  const way = room.transport === "sse" ? ". No WebSocket gets through here: it goes over HTTP, a little slower" : "";
  return { state: "saved", text: "Saved", detail: `The server has everything${way}` };
}

/** What is promised of what is not saved: a full disk, or storage that was cleared, keeps nothing. */
function where({ storage }: Pick<Room, "storage">): string {
  return storage === "indexeddb" ? "kept on this device" : "kept in this page only: don't close it";
}

const counted = (text: string, n: number): string => (n > 0 ? `${text} · ${n}` : text);

/** The library does not come back by itself. For want of permission reloading is no use, since the link stays the same. */
function ended(unsaved: number, room: Pick<Room, "storage">, closed: Closed | undefined): Words {
  const kept = unsaved > 0 ? `. ${unsaved} not saved, ${where(room)}` : "";
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
    const worth = ["offline", "unsaved", "failed", "full", "ended", "saved"].includes(words.state) ? words.state : spoken;
    const visibly = worth === "full" || worth === "ended";
    if (worth !== spoken && (spoken !== "" || worth !== "saved")) (visibly ? toast : announce)(`${words.text}. ${words.detail}`);
    spoken = worth;
  };
  room.on("outbox", update);
  room.on("storage", update);
  room.on("status", (status) => {
    if (status === "connected") closed = undefined;
    // Why it is for good follows as an error, at once; without it the words would be wrong.
    if (status !== "disconnected") update();
  });
  room.on("error", ({ code, message }) => {
    if (!["full", "unauthorized", "refused", "replaced", "unreachable"].includes(code)) return;
    closed = { code, message };
    update();
  });
  update();
}
