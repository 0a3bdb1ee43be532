/** Shared shapes and small vocabulary of the demo. Everything that goes over the wire is in `Wire`. */

export interface Point {
  x: number;
  y: number;
}

/** An axis-aligned box in world units. `w` and `h` are never negative. */
export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export type Kind = "rect" | "ellipse" | "line" | "arrow" | "draw" | "note" | "text" | "image";

/** Those that run from one point to another and have no inside. */
export const isLine = (kind: string): boolean => kind === "line" || kind === "arrow";

export type Fill = "none" | "tint" | "solid";

/**
 * An object as it travels and as the server stores it. Only what differs from a default is sent, so a rectangle is
 * about 120 bytes. A line or an arrow runs from (x, y) to (x + w, y + h) and may have negative w and h. A stroke's points are a
 * flat list relative to (x, y) in the units it was drawn in; w and h say how far they are stretched.
 */
export interface Wire {
  [key: string]: unknown;
  id: string;
  kind: string;
  x?: number;
  y?: number;
  w?: number;
  h?: number;
  color?: string;
  fill?: string;
  stroke?: number;
  points?: number[];
  text?: string;
  /** What the text was made of, and its name: see `shared-text.ts`. */
  rev?: string;
  size?: number;
  /** Of a text: it keeps its width and breaks its lines there. */
  wrap?: boolean;
  /** Of an arrow: the objects its ends are attached to. It follows them; x, y, w and h say where it was last put. */
  from?: string;
  to?: string;
  z?: number;
  /** Of an image: the asset that it shows. */
  src?: string;
}

/** A `Wire` object after validation: every number finite, every default filled in. What the painter sees. */
export interface Shape {
  readonly id: string;
  readonly kind: Kind;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
  readonly color: string;
  readonly fill: Fill;
  readonly stroke: number;
  readonly points: readonly number[];
  readonly text: string;
  readonly size: number;
  readonly wrap: boolean;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly z: number;
  /** Of an image: its asset; empty where it names none. */
  readonly src: string;
}

export type Patch = Record<string, unknown>;

export type ToolName = "select" | "hand" | "rect" | "ellipse" | "line" | "arrow" | "draw" | "note" | "text";

/** What the next object is drawn with; the style bar edits it. */
export interface Style {
  color: string;
  fill: Fill;
  stroke: number;
}

/** What this demo puts into presence; other applications may put other things, so every field is optional. */
export interface PresenceState {
  selection?: string[];
  /** Centre and size of the visible world, so that followers with another window size can fit it. */
  view?: { x: number; y: number; w: number; h: number };
  instance?: string;
  bot?: boolean;
}
