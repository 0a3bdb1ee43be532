/** Who one is, and which canvas the address names. */

import { remembered } from "./dom";
import { PEOPLE } from "./palette";

export interface Profile {
  name: string;
  color: string;
}

const FIRST = ["Amber", "Brisk", "Calm", "Clever", "Gentle", "Happy", "Keen", "Lively", "Mellow", "Nimble", "Quiet", "Sunny"];
const SECOND = ["Otter", "Heron", "Lynx", "Finch", "Badger", "Panda", "Falcon", "Marten", "Robin", "Tapir", "Wren", "Ibex"];

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!;

export function loadProfile(): Profile {
  try {
    const stored = JSON.parse(remembered.get("profile") ?? "null") as Partial<Profile> | null;
    if (stored && typeof stored.name === "string" && typeof stored.color === "string") {
      return { name: stored.name.slice(0, 40), color: stored.color.slice(0, 40) };
    }
  } catch {
    // A profile that cannot be read is a profile not yet made.
  }
  const fresh = { name: `${pick(FIRST)} ${pick(SECOND)}`, color: pick(PEOPLE) };
  saveProfile(fresh);
  return fresh;
}

export function saveProfile(profile: Profile): void {
  remembered.set("profile", JSON.stringify(profile));
}

const CANVAS = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** The canvas of this address, which is changed to `/c/{canvas}` so that copying it from the address bar works. */
export function canvasFromAddress(): string {
  const path = /^\/c\/([^/]+)\/?$/.exec(location.pathname)?.[1];
  const named = decode(path ?? location.hash.slice(1));
  const canvas = CANVAS.test(named) ? named : randomCanvas();
  const address = `/c/${encodeURIComponent(canvas)}${location.search}`;
  if (location.pathname + location.search + location.hash !== address) history.replaceState(null, "", address);
  return canvas;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** Pronounceable, and with enough chance that strangers do not land on one another's canvas. */
function randomCanvas(): string {
  const tail = Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => (byte % 36).toString(36)).join("");
  return `${pick(FIRST)}-${pick(SECOND)}-${tail}`.toLowerCase();
}

/** Where the server asks for tokens, the link carries one: `?token=…`. */
export const tokenFromAddress = (): string | undefined => new URLSearchParams(location.search).get("token") ?? undefined;
