/** Who one is, and which canvas the address names. */

import { base } from "./base";
import { remembered } from "./dom";
import { PEOPLE, personColor } from "./palette";
import { cleanName } from "./presence";

export interface Profile {
  name: string;
  /** As shown now: it gives way to others who have it, unless it was chosen by hand. */
  color: string;
  chosen: boolean;
}

const FIRST = ["Amber", "Brisk", "Calm", "Clever", "Gentle", "Happy", "Keen", "Lively", "Mellow", "Nimble", "Quiet", "Sunny"];
const SECOND = ["Otter", "Heron", "Lynx", "Finch", "Badger", "Panda", "Falcon", "Marten", "Robin", "Tapir", "Wren", "Ibex"];

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!;

const someName = (): string => `${pick(FIRST)} ${pick(SECOND)}`;

export function loadProfile(): Profile {
  try {
    const stored = JSON.parse(remembered.get("profile") ?? "null") as Partial<Profile> | null;
    if (stored && typeof stored.name === "string" && typeof stored.color === "string") {
      return { name: cleanName(stored.name) ?? someName(), color: personColor(stored.color, stored.name), chosen: stored.chosen === true };
    }
  } catch {
    // A profile that cannot be read is a profile not yet made.
  }
  const fresh = { name: someName(), color: pick(PEOPLE), chosen: false };
  saveProfile(fresh);
  return fresh;
}

export function saveProfile(profile: Profile): void {
  remembered.set("profile", JSON.stringify(profile));
}

const CANVAS = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/**
 * The canvas of this address, or a new one where there is no name, or one that can't be (`refused`). The address is changed
 * to `…/c/{canvas}` so that copying it from the address bar works.
 */
export function canvasFromAddress(): { readonly canvas: string; readonly refused: string | undefined } {
  const root = base().pathname;
  const below = location.pathname.startsWith(root) ? location.pathname.slice(root.length) : "";
  const path = /^c\/([^/]+)\/?$/.exec(below)?.[1];
  const named = decode(path ?? location.hash.slice(1));
  const canvas = CANVAS.test(named) ? named : randomCanvas();
  const address = `${root}c/${encodeURIComponent(canvas)}${location.search}`;
  if (location.pathname + location.search + location.hash !== address) history.replaceState(null, "", address);
  return { canvas, refused: named !== "" && canvas !== named ? named : undefined };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Pronounceable, and with enough chance that strangers do not land on one another's canvas. */
function randomCanvas(): string {
  const tail = Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => (byte % 36).toString(36)).join("");
  return `${pick(FIRST)}-${pick(SECOND)}-${tail}`.toLowerCase();
}

/** Where the server asks for tokens, the link carries one: `?token=…`. */
export const tokenFromAddress = (): string | undefined => new URLSearchParams(location.search).get("token") ?? undefined;
