/** Light and dark: the system's choice until one chooses here. */

import { remembered } from "./dom";
import { useDarkInks } from "./palette";

const query = "(prefers-color-scheme: dark)";
let cached: MediaQueryList | undefined;
/** Asked on first use: the bots' worker loads this file too and has no window. */
const system = (): MediaQueryList => (cached ??= matchMedia(query));

export function isDark(): boolean {
  const chosen = remembered.get("theme");
  return chosen ? chosen === "dark" : system().matches;
}

/** Applies the theme now and whenever the system changes its mind; `onChange` repaints what CSS does not reach. */
export function startTheme(onChange: () => void): void {
  apply();
  system().addEventListener("change", () => {
    apply();
    onChange();
  });
}

export function toggleTheme(): boolean {
  const dark = !isDark();
  // Choosing what the system says anyway means following it again.
  remembered.set("theme", dark === system().matches ? undefined : dark ? "dark" : "light");
  apply();
  return dark;
}

function apply(): void {
  const dark = isDark();
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  useDarkInks(dark);
}

export const cssColor = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
