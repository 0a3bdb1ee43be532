/** What every section of the dashboard is: something that is shown, kept up to date, and left again. */

import type { Session } from "./api";

export interface Page {
  /** For the window's title, and for those who listen. */
  readonly title: string;
  readonly element: HTMLElement;
  /** Asks the server and shows what it says. Called at once and again and again, one call after the other. */
  refresh(): Promise<void>;
  /** How often, in milliseconds. */
  readonly every: number;
}

export interface Context {
  readonly session: Session;
  /** Does something that changes something, says what became of it, and shows the page anew. */
  act(what: string, done: string, how: () => Promise<unknown>): Promise<boolean>;
}
