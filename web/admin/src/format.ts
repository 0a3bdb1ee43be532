/** Numbers as people read them. */

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });

export const NONE = "–";

export const count = (n: number | null | undefined): string => (n === null || n === undefined ? NONE : whole.format(n));

export const rate = (n: number | null | undefined): string => (n === null || n === undefined ? NONE : n < 0.05 ? "0" : short.format(n));

export function ms(n: number | null | undefined): string {
  if (n === null || n === undefined) return NONE;
  if (n >= 10_000) return `${Math.round(n / 1000)} s`;
  if (n >= 1_000) return `${(n / 1000).toFixed(1)} s`;
  return `${n >= 100 ? Math.round(n) : n >= 10 ? n.toFixed(1) : n.toFixed(2)} ms`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return NONE;
  let [value, unit] = [n, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** A span as one or two units. */
export function span(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined) return NONE;
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export const clock = (at: number, seconds = true): string =>
  new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) });

/** A time of today by the clock, another with its day. */
export const when = (at: number): string => {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock(at) : `${date.toLocaleDateString("en", { day: "numeric", month: "short" })}, ${clock(at, false)}`;
};

export const ago = (iso: string | null | undefined): string => {
  const at = iso ? Date.parse(iso) : Number.NaN;
  return Number.isNaN(at) ? NONE : `${span(Date.now() - at)} ago`;
};
