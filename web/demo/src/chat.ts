/** The chat panel. Each message shows how far it got; a failed one can be sent again or dropped. */

import { byId, el, icon, isComposing } from "./dom";
import { colorOf, isVouched, nameOf, paintPerson, vouchedMark } from "./people";
import type { ChatMessage, Room } from "./room";

/** More than anybody scrolls back; the library keeps the latest 1,000. */
const SHOWN = 300;
const MAX_CHARS = 4000;
/** Messages by one author within this time share one heading. */
const SAME_BREATH_MS = 120_000;

const STATES: Record<ChatMessage["state"], string> = { pending: "Pending", sent: "Sending…", acked: "Sent", failed: "Failed" };

interface Row {
  element: HTMLElement;
  message: ChatMessage;
  headed: boolean;
  /** Name and colour as they are shown. */
  author: string;
}

export class ChatPanel {
  private readonly rows = new Map<string, Row>();
  private readonly list = byId("chat-list");
  private readonly input = byId<HTMLTextAreaElement>("chat-input");
  private readonly unreadDot = byId("chat-unread");
  private seen = 0;

  constructor(private readonly room: Room, private readonly isOpen: () => boolean) {
    byId<HTMLFormElement>("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener("input", () => this.fitInput());
    room.on("chat", () => this.render());
    room.on("others", () => this.render());
    this.render();
  }

  opened(): void {
    this.render();
    this.list.scrollTop = this.list.scrollHeight;
    this.input.focus();
  }

  private submit(): void {
    const text = this.input.value.trim().slice(0, MAX_CHARS);
    // The field is emptied in the same turn, so a second click finds nothing to send.
    this.input.value = "";
    this.fitInput();
    if (text) this.room.chat.send(text);
    this.list.scrollTop = this.list.scrollHeight;
  }

  private fitInput(): void {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(120, this.input.scrollHeight + 2)}px`;
  }

  /** Called as well when one has another name oneself: the room tells of others' only. */
  render(): void {
    const messages = this.room.chat.messages.slice(-SHOWN);
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    const keys = new Set(messages.map((message) => message.key));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.rows.delete(key);
    }
    let before: ChatMessage | undefined;
    let place: Element | null = this.list.firstElementChild;
    for (const message of messages) {
      const headed = !before || before.client !== message.client || message.at - before.at > SAME_BREATH_MS;
      const element = this.row(message, headed);
      // A rebuilt row has taken the place of the one that was here.
      if (place && place.parentNode !== this.list) place = element;
      if (element === place) place = place.nextElementSibling;
      else this.list.insertBefore(element, place);
      before = message;
    }
    byId("chat-empty").hidden = messages.length > 0;
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
    this.countUnread();
  }

  private countUnread(): void {
    const confirmed = this.room.chat.messages.filter((message) => !message.own && message.seq > 0);
    const newest = confirmed.at(-1)?.seq ?? 0;
    if (this.isOpen()) this.seen = newest;
    const unread = confirmed.filter((message) => message.seq > this.seen).length;
    this.unreadDot.hidden = unread === 0;
    this.unreadDot.textContent = unread > 99 ? "99+" : String(unread);
    byId("chat-button").setAttribute("aria-label", unread > 0 ? `Chat, ${unread} unread` : "Chat");
  }

  /** The messages in the room when one came are old news. */
  markAllSeen(): void {
    this.seen = this.room.chat.messages.filter((message) => !message.own).at(-1)?.seq ?? 0;
    this.countUnread();
  }

  private row(message: ChatMessage, headed: boolean): HTMLElement {
    const known = this.rows.get(message.key);
    const author = JSON.stringify(this.author(message));
    if (known && known.headed === headed && known.message === message && known.author === author) return known.element;
    const element = this.build(message, headed);
    if (known) known.element.replaceWith(element);
    this.rows.set(message.key, { element, message, headed, author });
    return element;
  }

  private author(message: ChatMessage): { name: string; color: string } {
    const other = this.room.others.find((candidate) => candidate.client === message.client);
    const user = message.own ? this.room.user : (other?.user ?? message.user);
    const author = { client: message.client, user };
    return { name: nameOf(author), color: colorOf(author) };
  }

  private build(message: ChatMessage, headed: boolean): HTMLElement {
    const { name, color } = this.author(message);
    const time = new Date(message.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const item = el("li", {
      class: `message${message.own ? " own" : ""}${headed ? " headed" : ""}`,
      testid: "chat-message",
      attrs: { "data-state": message.state, "data-author": name },
    });
    paintPerson(item, color);
    if (headed) {
      const heading = el("b", { text: message.own ? `${name} (you)` : name });
      if (isVouched({ client: message.client, user: message.user })) heading.append(vouchedMark());
      item.append(el("div", { class: "message-head" }, heading, el("time", { text: time })));
    }
    item.append(el("p", { class: "message-text", text: message.text }));
    if (message.own) item.append(this.foot(message));
    return item;
  }

  private foot(message: ChatMessage): HTMLElement {
    const failed = message.state === "failed";
    const glyph = failed ? "alert" : message.state === "acked" ? "check" : "clock";
    const foot = el("div", { class: "message-foot" }, icon(glyph), el("span", { text: STATES[message.state], testid: "chat-state" }));
    const { op } = message;
    if (failed && op) {
      foot.title = op.error?.message ?? "";
      foot.append(
        el("button", { class: "link", text: "Retry", testid: "chat-retry", onclick: () => op.retry() }),
        el("button", { class: "link", text: "Discard", testid: "chat-discard", onclick: () => void op.discard() }),
      );
    }
    return foot;
  }
}
