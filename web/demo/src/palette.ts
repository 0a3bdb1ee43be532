/**
 * Colours. Objects name a colour instead of carrying a hex value, so that a drawing made in the light looks right in
 * the dark; a CSS hex colour from another application is shown as it is.
 */

export interface Ink {
  line: string;
  tint: string;
  paper: string;
  onPaper: string;
}

export const COLORS = ["ink", "red", "orange", "yellow", "green", "teal", "blue", "violet"] as const;

const LIGHT: Record<string, Ink> = {
  ink: { line: "#23262f", tint: "#e6e7eb", paper: "#eceae4", onPaper: "#23262f" },
  red: { line: "#d0413c", tint: "#f9dfdc", paper: "#ffd3cd", onPaper: "#5c1512" },
  orange: { line: "#dd7420", tint: "#fbe6d2", paper: "#ffdcb8", onPaper: "#5a2b05" },
  yellow: { line: "#c79a0b", tint: "#f8efc8", paper: "#ffefa6", onPaper: "#4a3a03" },
  green: { line: "#3f8f3c", tint: "#dcefd8", paper: "#d2efc6", onPaper: "#173c15" },
  teal: { line: "#0d7d70", tint: "#d3ece8", paper: "#c3ebe4", onPaper: "#06372f" },
  blue: { line: "#2f6bd0", tint: "#dae6f8", paper: "#cfe2ff", onPaper: "#112c59" },
  violet: { line: "#7d4fc4", tint: "#e9dff6", paper: "#e5d7fb", onPaper: "#321a56" },
};

const DARK: Record<string, Ink> = {
  ink: { line: "#e6e4de", tint: "#35373d", paper: "#3d3f46", onPaper: "#f1efe9" },
  red: { line: "#f0766e", tint: "#4a2725", paper: "#6d302c", onPaper: "#ffe3df" },
  orange: { line: "#f09a4f", tint: "#47301c", paper: "#6d431d", onPaper: "#ffe9d3" },
  yellow: { line: "#e3bf4d", tint: "#423919", paper: "#65561c", onPaper: "#fff4cd" },
  green: { line: "#7cc276", tint: "#25402a", paper: "#2d5632", onPaper: "#e2f6de" },
  teal: { line: "#4fc0b1", tint: "#193f3b", paper: "#1a5750", onPaper: "#d6f5f0" },
  blue: { line: "#77a7f5", tint: "#233655", paper: "#294a7d", onPaper: "#e0ecff" },
  violet: { line: "#b692ee", tint: "#382b52", paper: "#4e3a78", onPaper: "#efe6ff" },
};

const HEX = /^#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i;

let dark = false;

export function useDarkInks(on: boolean): void {
  dark = on;
}

export function inkOf(color: string): Ink {
  const inks = dark ? DARK : LIGHT;
  // Somebody may name a colour "constructor".
  const known = Object.hasOwn(inks, color) ? inks[color] : undefined;
  if (known) return known;
  const line = HEX.test(color) ? color : inks.ink!.line;
  // Only six digits leave room for the tint's alpha.
  return { line, tint: line.length === 7 ? `${line}33` : line, paper: line, onPaper: readableOn(line) };
}

/** The colours people get: dark enough for white text on them, apart from one another. */
export const PEOPLE = [
  "#c2413b", "#b8560f", "#8a6a00", "#4b7f1f", "#0d7d70", "#1f74a8", "#3d5fd0", "#7a4bc2", "#b03a86", "#5d6470",
];

/** Without alpha: somebody's name must not be invisible. */
const OPAQUE = /^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i;

export const personColor = (color: unknown, key: string): string => {
  if (typeof color === "string" && OPAQUE.test(color)) return color.toLowerCase();
  let hash = 0;
  for (const char of key) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) | 0;
  return PEOPLE[Math.abs(hash) % PEOPLE.length]!;
};

/** Black or white, whichever reads better on `hex` (relative luminance of WCAG 2, threshold where both contrast alike). */
export function readableOn(hex: string): string {
  const digits = hex.length < 6 ? [...hex.slice(1, 4)].map((d) => d + d).join("") : hex.slice(1, 7);
  const [r, g, b] = [0, 2, 4].map((i) => {
    const c = parseInt(digits.slice(i, i + 2), 16) / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b! > 0.179 ? "#16181d" : "#ffffff";
}
