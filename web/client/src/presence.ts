/** One's own presence state: merged here, sent in patches, at most every 50 ms. Pure. */

import type { Json, JsonObject, Limits } from "./types.js";
import { DEFAULT_LIMITS, fits } from "./bounds.js";
import { composePatches, mergePatch, patchBetween } from "./json.js";

/** Twenty a second is enough for viewports that others follow. */
export const PRESENCE_INTERVAL_MS = 50;

const messageOf = (state: JsonObject): string => JSON.stringify({ type: "presence", state });
/** What a message has besides the state. */
const ENVELOPE_BYTES = messageOf({}).length - "{}".length;

type StateLimits = Pick<Limits, "max_message_bytes" | "max_state_bytes">;

/** The bytes a state may have, where it is told whole in one message. */
const stateBytes = (limits: StateLimits): number => Math.min(limits.max_state_bytes, limits.max_message_bytes - ENVELOPE_BYTES);

/** Patches of these members, each small enough. A member that alone is too large is left out: no message can tell it. */
function packed(members: readonly (readonly [string, Json])[], maxBytes: number): JsonObject[] {
  const patches: JsonObject[] = [];
  let patch: [string, Json][] = [];
  for (const [key, value] of members) {
    const more: [string, Json][] = [...patch, [key, value]];
    if (fits(JSON.stringify(Object.fromEntries(more)), maxBytes)) {
      patch = more;
      continue;
    }
    if (patch.length > 0) patches.push(Object.fromEntries(patch));
    patch = fits(JSON.stringify({ [key]: value }), maxBytes) ? [[key, value]] : [];
  }
  return patch.length > 0 ? [...patches, Object.fromEntries(patch)] : patches;
}

export class PresenceSender {
  state: JsonObject = {};
  private patches: JsonObject[] = [];
  private sentAt = -Infinity;

  /** Throws `RangeError`, and changes nothing, where the whole state would be more than the server keeps. */
  update(patch: JsonObject, limits: StateLimits = DEFAULT_LIMITS): void {
    const state = mergePatch(this.state, patch) as JsonObject;
    const maxBytes = stateBytes(limits);
    if (!fits(JSON.stringify(state), maxBytes)) throw new RangeError(`a presence state has at most ${maxBytes} bytes after the merge`);
    this.state = state;
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
  tick(now: number, connected: boolean, limits: StateLimits = DEFAULT_LIMITS): { send?: string[]; againInMs?: number } {
    if (this.patches.length === 0 || !connected) return {};
    const waitMs = this.sentAt + PRESENCE_INTERVAL_MS - now;
    if (waitMs > 0) return { againInMs: waitMs };
    const send = this.pieces(stateBytes(limits)).map(messageOf);
    this.patches = [];
    this.sentAt = now;
    return { send };
  }

  /**
   * The patches, each as small as the server wants them. One that deletes much may be larger than any state; then
   * everything it touches is deleted first and told anew after that, so that no step on the way is too large either.
   */
  private pieces(maxBytes: number): JsonObject[] {
    if (this.patches.every((patch) => fits(JSON.stringify(patch), maxBytes))) return this.patches;
    const touched = [...new Set(this.patches.flatMap((patch) => Object.keys(patch)))];
    const told = touched.filter((key) => Object.hasOwn(this.state, key)).map((key) => [key, this.state[key] as Json] as const);
    return [...packed(touched.map((key) => [key, null] as const), maxBytes), ...packed(told, maxBytes)];
  }
}
