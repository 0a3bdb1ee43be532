/** Says to screen readers what others do on the canvas: summed up, so that a busy one does not talk without end. */

import type { App } from "./app";
import { count, describe } from "./edit";
import { nameOf } from "./people";
import { stateOf } from "./presence";

const EVERY_MS = 2_500;
type What = "added" | "changed" | "deleted";

export class Narrator {
  private readonly heard = new Map<string, Map<What, Set<string>>>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly app: App) {}

  /** Somebody else's change. */
  heardOf(client: string, type: "create" | "update" | "delete", id: string): void {
    if (client === "") return;
    const what: What = type === "create" ? "added" : type === "delete" ? "deleted" : "changed";
    const theirs = this.heard.get(client) ?? new Map<What, Set<string>>();
    this.heard.set(client, theirs);
    theirs.set(what, (theirs.get(what) ?? new Set()).add(id));
    this.timer ??= setTimeout(() => this.say(), EVERY_MS);
  }

  private say(): void {
    this.timer = undefined;
    const { room } = this.app;
    const sentences = [...this.heard].slice(0, 3).map(([client, what]) => {
      const other = room.others.find((one) => one.client === client);
      if (other && stateOf(other).bot) return "";
      return `${other ? nameOf(other) : "Somebody"} ${[...what].map(([did, ids]) => this.phrase(did, ids)).join(", ")}`;
    });
    this.heard.clear();
    const said = sentences.filter(Boolean).join(". ");
    if (said) this.app.announce(said);
  }

  private phrase(did: What, ids: ReadonlySet<string>): string {
    const [id] = ids;
    const shape = ids.size === 1 ? this.app.scene.get(id!) : undefined;
    return `${did} ${shape ? describe(shape) : count(ids.size, "object")}`;
  }
}
