/** What a session needs from the shell around it. */

import type { Entry } from "./entry.js";
import type { JsonObject, Op, User } from "./types.js";

export interface SessionOptions {
  readonly client: string;
  readonly user: User;
  readonly nextOp?: number;
  readonly handleOf: (entry: Entry) => Op;
  /** In [0, 1). */
  readonly random: () => number;
  /** Wall clock, ms since the epoch: for chat messages that have no server time yet. */
  readonly date: () => number;
  /** Somebody else's update of an object that is there was committed. */
  readonly remote?: (id: string, patch: JsonObject) => void;
}
