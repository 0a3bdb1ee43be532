/**
 * What others say of themselves, looked at before it is believed. Names, colours and states are other programs' words:
 * every value is checked for its type and its size here, and nowhere else is a state read.
 */

import { clamp } from "./geometry";
import type { Other } from "./room";

export interface PersonState {
  /** Ids of objects, at most {@link MAX_SELECTION}. */
  readonly selection: readonly string[];
  /** Centre and size of the world they see. */
  readonly view: { readonly x: number; readonly y: number; readonly w: number; readonly h: number } | undefined;
  /** The process they are on; empty when they don't say. */
  readonly instance: string;
  readonly bot: boolean;
}

/** A marquee over everything must not become a presence of 100 KB, nor cost others a frame. */
export const MAX_SELECTION = 100;
const MAX_ID_CHARS = 64;
const MAX_NAME_CHARS = 40;
/** Beyond it nothing is drawn. */
const FAR = 1e6;
/** Signs that turn the direction of writing, break lines or show nothing: names of others must not reorder the page. */
const UNSEEMLY = /[\p{Cc}\p{Zl}\p{Zp}\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

const isId = (value: unknown): value is string => typeof value === "string" && value.length > 0 && value.length <= MAX_ID_CHARS;

export const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A property that is really there: other people's words may name what every object inherits. */
export const own = (object: Readonly<Record<string, unknown>>, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined;

/** A name as it can be shown on one line; undefined for what is none. */
export function cleanName(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const chars = [...value.slice(0, 400).replace(UNSEEMLY, " ").trim().replace(/\s+/g, " ")];
  return chars.length > 0 ? chars.slice(0, MAX_NAME_CHARS).join("") : undefined;
}

/** The ids in a list of anything. */
export const idsIn = (value: unknown, most = MAX_SELECTION): string[] =>
  Array.isArray(value) ? value.slice(0, most).filter(isId) : [];

const known = new WeakMap<object, PersonState>();
const NOTHING: PersonState = { selection: [], view: undefined, instance: "", bot: false };

export function stateOf(other: Pick<Other, "state">): PersonState {
  const raw: unknown = other.state;
  if (!isPlain(raw)) return NOTHING;
  let state = known.get(raw);
  if (!state) known.set(raw, (state = read(raw)));
  return state;
}

function read(raw: Readonly<Record<string, unknown>>): PersonState {
  const instance = own(raw, "instance");
  return {
    selection: idsIn(own(raw, "selection")),
    view: viewOf(own(raw, "view")),
    instance: typeof instance === "string" ? (cleanName(instance) ?? "") : "",
    bot: own(raw, "bot") === true,
  };
}

function viewOf(raw: unknown): PersonState["view"] {
  if (!isPlain(raw)) return undefined;
  const numbers = ["x", "y", "w", "h"].map((key) => own(raw, key));
  if (!numbers.every((value) => typeof value === "number" && Number.isFinite(value))) return undefined;
  const [x, y, w, h] = numbers as [number, number, number, number];
  if (!(w > 0 && h > 0)) return undefined;
  return { x: clamp(x, -FAR, FAR), y: clamp(y, -FAR, FAR), w: clamp(w, 1, FAR), h: clamp(h, 1, FAR) };
}

/** A process's name, short enough for a button: of a UUID its first part, of others what fits. */
export function shortName(instance: string): string {
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-/i.test(instance)) return instance.slice(0, 8);
  const chars = [...instance];
  return chars.length > 16 ? `${chars.slice(0, 8).join("")}…${chars.slice(-6).join("")}` : instance;
}
