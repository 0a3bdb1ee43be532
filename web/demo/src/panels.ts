/** Opening and closing: the chat, the drawer, the help, and the profile. */

import { byId, el, isComposing } from "./dom";
import { saveProfile, type Profile } from "./identity";
import { PEOPLE, personColor } from "./palette";
import { cleanName } from "./presence";
import { initials, paintPerson } from "./people";
import { startColors } from "./colors";
import type { Room } from "./room";

/** A side panel with the button that opens it. On a phone panels cover the canvas, so only one is open at a time. */
export class Panel {
  private static readonly all: Panel[] = [];
  /** Told when one opened or closed. */
  static onChange: () => void = () => {};
  onOpen: () => void = () => {};
  onClose: () => void = () => {};
  private readonly panel: HTMLElement;
  private readonly button: HTMLElement;

  constructor(panelId: string, buttonId: string, closeId: string) {
    this.panel = byId(panelId);
    this.button = byId(buttonId);
    this.button.setAttribute("aria-controls", panelId);
    this.button.addEventListener("click", () => this.toggle());
    byId(closeId).addEventListener("click", () => this.close());
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || isComposing(event)) return;
      event.stopPropagation();
      this.close();
    });
    this.sync();
    Panel.all.push(this);
  }

  get isOpen(): boolean {
    return !this.panel.hidden;
  }

  toggle(): void {
    if (this.isOpen) this.close();
    else this.open();
  }

  open(): void {
    if (matchMedia("(max-width: 900px)").matches) for (const other of Panel.all) if (other !== this) other.close();
    this.panel.hidden = false;
    this.sync();
    this.onOpen();
    Panel.onChange();
  }

  close(): void {
    if (!this.isOpen) return;
    const inside = this.panel.contains(document.activeElement);
    this.panel.hidden = true;
    this.sync();
    this.onClose();
    Panel.onChange();
    if (inside) this.button.focus();
  }

  private sync(): void {
    this.button.setAttribute("aria-expanded", String(this.isOpen));
    this.button.setAttribute("aria-pressed", String(this.isOpen));
    document.documentElement.toggleAttribute(`data-open-${this.panel.id}`, this.isOpen);
  }
}

/** Name and colour: shown at once, remembered, and told to others. `onChange` is for where else they are shown. */
export function startProfile(room: Room, profile: Profile, onChange: () => void): void {
  const button = byId("me");
  const input = byId<HTMLInputElement>("profile-name");
  const show = (): void => {
    // A token's name and colour go before one's own.
    const name = cleanName(room.user.name) ?? profile.name;
    const color = personColor(room.user.color, room.client);
    button.textContent = initials(name);
    paintPerson(button, color);
    button.setAttribute("aria-label", `You are ${name}. Change name and colour`);
    for (const swatch of byId("profile-colors").querySelectorAll<HTMLElement>("button")) {
      swatch.setAttribute("aria-pressed", String(swatch.dataset.value === color));
    }
  };
  const apply = (change: Partial<Profile>): void => {
    Object.assign(profile, change);
    saveProfile(profile);
    tell();
  };
  const tell = (): void => {
    room.setUser({ name: profile.name, color: profile.color });
    show();
    onChange();
  };
  PEOPLE.forEach((color, i) => {
    const swatch = el("button", {
      class: "choice swatch",
      testid: `profile-color-${i}`,
      attrs: { "data-value": color, "aria-label": `Colour ${i + 1}` },
      onclick: () => apply({ color, chosen: true }),
    });
    swatch.style.setProperty("--swatch", color);
    byId("profile-colors").append(swatch);
  });
  input.value = profile.name;
  input.addEventListener("change", () => {
    const name = cleanName(input.value);
    if (name) apply({ name });
    else input.value = profile.name;
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !isComposing(event)) byId("profile").hidePopover();
  });
  room.on("status", show);
  show();
  // Of this tab only: the next one may find it free.
  startColors(room, () => ({ color: personColor(room.user.color, room.client), chosen: profile.chosen }), (color) => {
    profile.color = color;
    tell();
  });
}

export function startHelp(): () => void {
  const dialog = byId<HTMLDialogElement>("help");
  byId("help-close").addEventListener("click", () => dialog.close());
  // A click on the backdrop lands on the dialog itself.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  const open = (): void => {
    if (!dialog.open) dialog.showModal();
  };
  byId("help-button").addEventListener("click", open);
  return open;
}

let toastTimer: ReturnType<typeof setTimeout> | undefined;

/** A short message for eyes. Screen readers get it through `announce`. */
export function toast(text: string): void {
  const element = byId("toast");
  element.textContent = text;
  element.dataset.shown = "true";
  clearTimeout(toastTimer);
  // Long ones take longer to read.
  toastTimer = setTimeout(() => (element.dataset.shown = "false"), Math.max(2600, 60 * text.length));
}

/** Two live regions in turn: the same words said twice running would otherwise be swallowed. */
export function announcer(): (text: string) => void {
  const regions = [byId("live-a"), byId("live-b")];
  let turn = 0;
  return (text) => {
    turn = 1 - turn;
    regions[turn]!.textContent = text;
    regions[1 - turn]!.textContent = "";
  };
}

export async function share(announceAndToast: (text: string) => void): Promise<void> {
  // A token in the address is its bearer's own; the link goes without it.
  const link = location.origin + location.pathname;
  try {
    await navigator.clipboard.writeText(link);
    announceAndToast("Link copied. Whoever opens it draws along.");
  } catch {
    // No clipboard without a secure context: show the link for copying by hand.
    const field = byId<HTMLInputElement>("share-link");
    field.value = link;
    byId("share-fallback").showPopover();
    field.select();
  }
}
