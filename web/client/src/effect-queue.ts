/**
 * Effects in the order in which they arose. A listener called on the way may make calls of its own: what follows from them
 * waits its turn, else its ops would be sent before older ones, and the server refuses those as `bad-op`.
 */

import type { SessionEffect } from "./effects.js";

/** In the place of an event that was told before its turn. */
const TOLD: SessionEffect = { type: "told" };

const isObjectsEvent = (effect: SessionEffect): boolean => effect.type === "emit" && effect.event === "objects";

export class EffectQueue {
  private readonly waiting: SessionEffect[] = [];
  private running = false;
  /** How many of them are carried out, and how far `objects` events among the others were told before their turn. */
  private done = 0;
  private told = 0;

  constructor(private readonly carryOut: (effect: SessionEffect) => void) {}

  /** Carries effects out; `false` where that is left to whoever is at it. Those of a call tell its changes before it returns. */
  run(effects: readonly SessionEffect[], ofCall: boolean): boolean {
    for (const effect of effects) this.waiting.push(effect);
    if (this.running) {
      if (ofCall) this.tellObjects();
      return false;
    }
    this.running = true;
    try {
      // Taken away at the end: one by one from the front would be slow when a listener has made thousands.
      while (this.done < this.waiting.length) this.carryOut(this.waiting[this.done++] as SessionEffect);
    } finally {
      this.waiting.splice(0, this.done);
      this.done = this.told = 0;
      this.running = false;
    }
    return true;
  }

  /** What was to be told before it is told before it. */
  private tellObjects(): void {
    this.told = Math.max(this.told, this.done);
    while (this.told < this.waiting.length) {
      const effect = this.waiting[this.told] as SessionEffect;
      if (isObjectsEvent(effect)) this.waiting[this.told] = TOLD;
      this.told++;
      if (isObjectsEvent(effect)) this.carryOut(effect);
    }
  }
}
