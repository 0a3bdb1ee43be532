/** Light and dark: the system's choice until one chooses here. The demo's choice is another page's, but the same people's. */

const KEY = "scumble.theme";

function chosen(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export function startTheme(button: HTMLButtonElement): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = (): boolean => (chosen() ?? (system.matches ? "dark" : "light")) === "dark";
  const apply = (): void => {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    button.textContent = isDark() ? "Light" : "Dark";
    button.title = isDark() ? "Change to light colours" : "Change to dark colours";
  };
  button.onclick = () => {
    const next = isDark() ? "light" : "dark";
    try {
      if ((next === "dark") === system.matches) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // It is only a convenience.
    }
    document.documentElement.dataset.theme = next;
    apply();
  };
  system.addEventListener("change", apply);
  apply();
}
