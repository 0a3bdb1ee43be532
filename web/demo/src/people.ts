/** The people on the canvas: avatar stack, the list behind it, and whom one follows. */

import { el, icon } from "./dom";
import { personColor, readableOn } from "./palette";
import { cleanName, shortName, stateOf } from "./presence";
import type { Other, Room } from "./room";

type Named = Pick<Other, "client"> & { readonly user?: Other["user"] | undefined };

export const nameOf = (other: Named): string => cleanName(other.user?.name) ?? "Guest";
export const colorOf = (other: Named): string => personColor(other.user?.color, other.client);

/** Whether a token says that this is their name. Anybody may call themselves anything. */
export const isVouched = (other: Named): boolean => {
  const vouched: unknown = other.user?.vouched;
  return Array.isArray(vouched) && vouched.includes("name");
};

/** Their colour, and one that can be read on it: others may choose white. */
export function paintPerson(element: HTMLElement, color: string): void {
  element.style.setProperty("--person", color);
  element.style.setProperty("--on-person", readableOn(color));
}

export function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  // "Bot 17" is told from "Bot 18" by its number.
  if (words.length > 1 && /^\d{1,3}$/.test(words.at(-1)!)) return words.at(-1)!;
  const letters = words.length > 1 ? [words[0]!, words.at(-1)!] : words;
  return letters.map((word) => [...word][0]!.toUpperCase()).join("") || "?";
}

export function vouchedMark(): HTMLElement {
  const title = "This name is confirmed by a token";
  return el("span", { class: "vouched", title, testid: "vouched", attrs: { role: "img", "aria-label": title } }, icon("check"));
}

export interface FollowState {
  readonly client: string | undefined;
  toggle(client: string): void;
}

const PHONE = "(max-width: 640px)";
const TABLET = "(max-width: 900px)";

export class People {
  private known = new Map<string, string>();
  private settled = false;

  constructor(
    private readonly room: Room,
    private readonly stack: HTMLElement,
    private readonly list: HTMLElement,
    private readonly follow: FollowState,
    private readonly announce: (text: string) => void,
  ) {
    room.on("others", () => this.render());
    for (const width of [PHONE, TABLET]) matchMedia(width).addEventListener("change", () => this.render());
    // Whoever was here first is not news; those who come later are.
    void room.whenSynced().then(() => setTimeout(() => (this.settled = true), 500), () => {});
  }

  render(): void {
    this.tell();
    // People before bots, then by name, so that nobody jumps about.
    const others = [...this.room.others].sort(
      (a, b) => Number(stateOf(a).bot) - Number(stateOf(b).bot) || nameOf(a).localeCompare(nameOf(b), undefined, { numeric: true }),
    );
    // The bar beside it says whether all is saved: faces must not cover that.
    const room = matchMedia(PHONE).matches ? 1 : matchMedia(TABLET).matches ? 2 : 5;
    const direct = others.length <= room ? others : others.slice(0, room - 1);
    const rest = others.length - direct.length;
    this.keepFocus(this.stack, () => {
      this.stack.replaceChildren(...direct.map((other) => this.avatar(other, "avatar")));
      if (rest > 0) this.stack.append(this.more(rest));
    });
    this.keepFocus(this.list, () => this.list.replaceChildren(...others.map((other) => this.row(other))));
    if (others.length === 0) this.list.append(el("p", { class: "hint", text: "Nobody else is here yet. Share the link!" }));
  }

  private avatar(other: Other, testid: string): HTMLButtonElement {
    const name = nameOf(other);
    const following = this.follow.client === other.client;
    const button = el("button", {
      class: "avatar",
      title: following ? `Stop following ${name}` : `Follow ${name}`,
      testid,
      attrs: {
        "data-client": other.client,
        "data-away": String(other.away),
        "aria-pressed": String(following),
        "aria-label": `${name}${other.away ? ", connection lost" : ""}: follow`,
      },
      onclick: () => this.follow.toggle(other.client),
    });
    paintPerson(button, colorOf(other));
    button.textContent = initials(name);
    return button;
  }

  private more(rest: number): HTMLButtonElement {
    return el("button", {
      class: "avatar avatar-more",
      text: `+${rest}`,
      testid: "avatar-more",
      attrs: { popovertarget: "people-list", "aria-label": `${rest} more people: show all` },
    });
  }

  private row(other: Other): HTMLElement {
    const state = stateOf(other);
    const where = state.instance ? `on ${shortName(state.instance)}` : "";
    const text = [state.bot ? "bot" : "", where].filter(Boolean).join(", ");
    const name = el("b", { text: nameOf(other) });
    if (isVouched(other)) name.append(vouchedMark());
    const words = el("span", { class: "person-words" }, name, el("small", { text }));
    const row = el("button", {
      class: "person",
      testid: "person",
      attrs: { "data-client": other.client, "aria-pressed": String(this.follow.client === other.client) },
      onclick: () => this.follow.toggle(other.client),
    });
    const dot = el("span", { class: "avatar", text: initials(nameOf(other)), attrs: { "aria-hidden": "true", "data-away": String(other.away) } });
    paintPerson(dot, colorOf(other));
    row.append(dot, words);
    return row;
  }

  /** Rebuilding a list must not throw the keyboard's focus out of it. */
  private keepFocus(parent: HTMLElement, rebuild: () => void): void {
    const active = document.activeElement as HTMLElement | null;
    const client = active && parent.contains(active) ? active.dataset.client : undefined;
    rebuild();
    if (client) parent.querySelector<HTMLElement>(`[data-client="${CSS.escape(client)}"]`)?.focus();
  }

  private tell(): void {
    const now = new Map(this.room.others.filter((other) => !stateOf(other).bot).map((other) => [other.client, nameOf(other)]));
    if (this.settled) {
      for (const [client, name] of now) if (!this.known.has(client)) this.announce(`${name} joined`);
      for (const [client, name] of this.known) if (!now.has(client)) this.announce(`${name} left`);
    }
    this.known = now;
  }
}
