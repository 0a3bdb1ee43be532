/** One's own presence state: merged here, sent in patches, at most every 50 ms. Pure. */

import type { JsonObject } from "./types.js";
import { composePatches, mergePatch, patchBetween } from "./json.js";

/** Twenty a second is enough for viewports that others follow. */
export const PRESENCE_INTERVAL_MS = 50;

export class PresenceSender {
  state: JsonObject = {};
  private patches: JsonObject[] = [];
  private sentAt = -Infinity;

  update(patch: JsonObject): void {
    this.state = mergePatch(this.state, patch) as JsonObject;
    const last = this.patches.pop();
    const both = last && composePatches(last, patch);
    // Where no single patch has the effect of both, they go one after the other.
    this.patches.push(...(both ? [both] : last ? [last, patch] : [patch]));
  }

  /**
   * A new connection. The server has kept the state for a while or forgotten it: `kept`, which may be a former page's
   * or from before what was taken back meanwhile. All of it is told anew, and what is not there any more is deleted.
   */
  reconnected(kept: JsonObject): void {
    const patch = patchBetween(kept, this.state);
    this.patches = Object.keys(patch).length > 0 ? [patch] : [];
    this.sentAt = -Infinity;
  }

  /** What to send now, and in how many ms to ask again. */
  tick(now: number, connected: boolean): { send?: string[]; againInMs?: number } {
    if (this.patches.length === 0 || !connected) return {};
    const waitMs = this.sentAt + PRESENCE_INTERVAL_MS - now;
    if (waitMs > 0) return { againInMs: waitMs };
    const send = this.patches.map((state) => JSON.stringify({ type: "presence", state }));
    this.patches = [];
    this.sentAt = now;
    return { send };
  }
}
