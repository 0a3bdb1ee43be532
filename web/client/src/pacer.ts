/** Keeps to nine tenths of the server's rate: being refused costs a round trip and a wait. Pure. */

export class Pacer {
  private perMs = 0;
  private burst = 1;
  private tokens = 1;
  private refilledAt = 0;

  /** A new connection that takes `opsPerS` ops a second; 0 for any number. Half a second's worth may go at once. */
  start(opsPerS: number, now: number): void {
    this.perMs = (opsPerS * 0.9) / 1000;
    this.burst = Math.max(1, Math.floor(opsPerS / 2));
    this.tokens = this.burst;
    this.refilledAt = now;
  }

  /** Takes leave to send one op: 0, or in how many ms to ask again. */
  take(now: number): number {
    if (this.perMs <= 0) return 0;
    this.tokens = Math.min(this.burst, this.tokens + Math.max(0, now - this.refilledAt) * this.perMs);
    this.refilledAt = now;
    if (this.tokens < 1) return Math.ceil((1 - this.tokens) / this.perMs);
    this.tokens -= 1;
    return 0;
  }
}
