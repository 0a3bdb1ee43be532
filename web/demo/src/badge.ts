/**
 * The badge: whether what one did is safe. It reads the outbox and the connection and nothing else, so it cannot claim
 * more than the server confirmed.
 */

import { byId } from "./dom";
import type { Room } from "./room";

interface Words {
  state: "saved" | "saving" | "offline" | "failed" | "connecting" | "readonly";
  text: string;
  detail: string;
}

export function wordsFor(room: Pick<Room, "outbox" | "status" | "role">): Words {
  const waiting = room.outbox.filter((op) => op.state !== "failed" && op.state !== "acked").length;
  const failed = room.outbox.filter((op) => op.state === "failed").length;
  const changes = `${waiting} change${waiting === 1 ? "" : "s"}`;
  if (room.status === "connecting" && waiting === 0) {
    return { state: "connecting", text: "Connecting…", detail: "Looking for the server" };
  }
  if (room.status === "disconnected") {
    return { state: "offline", text: "Offline", detail: "The server ended this connection for good. Reload the page to try again" };
  }
  if (room.status !== "connected") {
    const refused = failed > 0 ? `${failed} not saved; see the outbox under the hood` : "Everything so far is saved";
    const kept = waiting > 0 ? `${changes} kept on this device, sent when the connection is back` : refused;
    return { state: "offline", text: waiting > 0 ? `Offline · ${waiting}` : "Offline", detail: kept };
  }
  if (failed > 0) return { state: "failed", text: `Not saved · ${failed}`, detail: "The server refused; see the outbox under the hood" };
  if (waiting > 0) return { state: "saving", text: "Saving…", detail: `${changes} on the way` };
  if (room.role === "read") return { state: "readonly", text: "View only", detail: "You may look, but not draw" };
  return { state: "saved", text: "Saved", detail: "The server has everything" };
}

export function startBadge(room: Room, announce: (text: string) => void): void {
  const badge = byId("badge");
  const text = byId("badge-text");
  let spoken = "";
  const update = (): void => {
    const words = wordsFor(room);
    badge.dataset.state = words.state;
    badge.title = words.detail;
    badge.setAttribute("aria-label", `${words.text}. ${words.detail}`);
    if (text.textContent !== words.text) text.textContent = words.text;
    // Saved and Saving alternate all the time; only losing and regaining the server is worth saying.
    const worth = words.state === "offline" || words.state === "failed" ? words.state : words.state === "saved" ? "saved" : spoken;
    if (worth !== spoken && (spoken !== "" || worth !== "saved")) announce(`${words.text}. ${words.detail}`);
    spoken = worth;
  };
  room.on("outbox", update);
  room.on("status", update);
  update();
}
