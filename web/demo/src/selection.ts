/** Which objects are selected on this tab. */

/**
 * How it came about. What was just made or pasted is selected without having been chosen: there, a letter is still the
 * shortcut of a tool.
 */
export type Origin = "pointer" | "keyboard" | "made";

export class Selection {
  origin: Origin = "made";
  onChange: () => void = () => {};
  private set_ = new Set<string>();

  get ids(): ReadonlySet<string> {
    return this.set_;
  }

  get size(): number {
    return this.set_.size;
  }

  has(id: string): boolean {
    return this.set_.has(id);
  }

  set(ids: Iterable<string>, origin: Origin = "made"): void {
    this.origin = origin;
    const next = new Set(ids);
    if (next.size === this.set_.size && [...next].every((id) => this.set_.has(id))) return;
    this.set_ = next;
    this.onChange();
  }

  toggle(id: string): void {
    const next = new Set(this.set_);
    if (!next.delete(id)) next.add(id);
    this.set(next, "pointer");
  }

  clear(): void {
    this.set([]);
  }

  drop(id: string): void {
    if (this.set_.delete(id)) this.onChange();
  }
}
