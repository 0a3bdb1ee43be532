/**
 * One text under several people's hands. Pure: what is confirmed goes in, what is to be written comes out.
 *
 * The server keeps a text as one property, and the last writer wins. So each write says what it was made of: `rev` is
 * "what it stands on > its own name". Everybody hears all writes in one order, so everybody can put a write that was made
 * of an older text onto the newer one, and comes to the same result, the *head*. Where the head is not what stands
 * confirmed, because two wrote at once, the head is written, under a name that all of them know it by already.
 */

import { merge3, type Merged } from "./text-merge";

export interface Version {
  readonly text: string;
  /** As the object carries it. Anybody may have written it, or nobody. */
  readonly rev: unknown;
}

interface Named {
  readonly id: string;
  readonly text: string;
}

/** A write of one's own that is not confirmed yet. */
interface Unconfirmed extends Named {
  /** The head it was made on, */
  readonly on: Named;
  /** and the text: that head's, or that of one's own write before it. */
  madeOf: string;
}

/** Older versions nobody builds on any more. */
const KEPT = 64;
const MAX_REV_CHARS = 2_000;

function hash(text: string): string {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return (h >>> 0).toString(36).padStart(7, "0");
}

/** A name ends in its text's hash: one that was left beside another text, by a program that knows nothing of it, is none. */
const nameFor = (kind: string, text: string): string => `${kind}${hash(text)}`;
const isMerge = (id: string): boolean => id.startsWith("m");

function parsed({ text, rev }: Version): { id: string; over: readonly string[] } {
  const [over, id] = typeof rev === "string" && rev.length <= MAX_REV_CHARS ? rev.split(">") : [];
  if (over === undefined || !id || !id.endsWith(hash(text))) return { id: nameFor("?", text), over: [] };
  return { id, over: over.split(",") };
}

export class SharedText {
  /** What is in the editor. */
  mine: string;
  private raw: Version;
  private head: Named;
  private readonly texts = new Map<string, string>();
  private unconfirmed: Unconfirmed[] = [];

  /** `random` makes a few letters that nobody else comes upon. */
  constructor(now: Version, private readonly random: () => string) {
    this.raw = now;
    this.mine = now.text;
    this.head = { id: parsed(now).id, text: now.text };
    this.keep(this.head);
  }

  /** Two wrote at once: what stands confirmed is not what it should be. */
  get astray(): boolean {
    return this.raw.text !== this.head.text;
  }

  /** Nothing is left to be written or heard. */
  get settled(): boolean {
    return this.unconfirmed.length === 0 && !this.astray && this.mine === this.head.text;
  }

  get confirmedHead(): string {
    return this.head.text;
  }

  get waits(): boolean {
    return this.unconfirmed.length > 0;
  }

  /** Something else stands confirmed. Returns how the editor's text changed, if it did. */
  confirmed(now: Version): Merged | undefined {
    if (now.text === this.raw.text && now.rev === this.raw.rev) return undefined;
    const [before, expected] = [this.head, this.expected];
    const { id, over } = parsed(now);
    const own = this.unconfirmed.findIndex((write) => write.id === id);
    const text = this.headAfter(now, id, over, own >= 0);
    this.raw = now;
    this.keep({ id, text: now.text });
    this.head = { id, text };
    if (text !== now.text) {
      // All who heard the same give it the same name.
      this.head = { id: nameFor(`m${hash(`${before.id}|${id}`)}`, text), text };
      this.keep(this.head);
    }
    // Earlier ones were taken into this one before they were sent.
    if (own >= 0) this.unconfirmed.splice(0, own + 1);
    const after = this.expected;
    if (after === expected) return undefined;
    const merged = merge3(expected, after, this.mine);
    this.mine = merged.text;
    return merged;
  }

  /** The head as it will be with one's own writes: what is in the editor besides is not written yet. */
  private get expected(): string {
    return this.unconfirmed.reduce((text, write) => merge3(write.madeOf, text, write.text).text, this.head.text);
  }

  private headAfter(now: Version, id: string, over: readonly string[], own: boolean): string {
    const known = this.texts.has(id);
    if (isMerge(id)) return known ? this.head.text : now.text;
    // A name that came before and comes again is somebody's undo: made of what they saw, which stood confirmed.
    const at = known && !own ? undefined : over.filter((one) => this.texts.has(one)).at(-1);
    const madeOf = at === undefined ? this.raw.text : this.texts.get(at)!;
    return merge3(madeOf, this.head.text, now.text).text;
  }

  /**
   * What to write now, if anything. While somebody else's write came between, one waits for one's own to be confirmed: then
   * there is a name for what the editor holds. `urgent`: the page goes, and what was typed goes out as it can.
   */
  write(urgent = false): { text: string; rev: string; id: string } | undefined {
    const last = this.unconfirmed.at(-1);
    if (!last) {
      if (this.mine !== this.head.text) return this.made(this.mine, { on: this.head, madeOf: this.head.text }, [this.head.id]);
      return this.astray ? this.sent({ ...this.head, on: this.head, madeOf: this.head.text }, [parsed(this.raw).id]) : undefined;
    }
    const over = [last.on.id, ...this.unconfirmed.map(({ id }) => id)];
    const next = { on: last.on, madeOf: last.text };
    if (last.on.id === this.head.id) return this.mine === last.text ? undefined : this.made(this.mine, next, over);
    if (!urgent || this.mine === this.expected) return undefined;
    return this.made(merge3(this.expected, last.text, this.mine).text, next, over);
  }

  private made(text: string, of: Pick<Unconfirmed, "on" | "madeOf">, over: readonly string[]): { text: string; rev: string; id: string } {
    return this.sent({ id: nameFor(`w${this.random()}`, text), text, ...of }, over);
  }

  private sent(write: Unconfirmed, over: readonly string[]): { text: string; rev: string; id: string } {
    this.unconfirmed.push(write);
    return { text: write.text, rev: `${[...new Set(over)].join(",")}>${write.id}`, id: write.id };
  }

  /** That write will never be confirmed: it was refused, or taken into the next one before it was sent. */
  dropped(id: string): void {
    const at = this.unconfirmed.findIndex((write) => write.id === id);
    if (at < 0) return;
    const [gone] = this.unconfirmed.splice(at, 1);
    const next = this.unconfirmed[at];
    if (next) next.madeOf = gone!.madeOf;
  }

  private keep({ id, text }: Named): void {
    this.texts.delete(id);
    this.texts.set(id, text);
    for (const oldest of this.texts.keys()) {
      if (this.texts.size <= KEPT) break;
      this.texts.delete(oldest);
    }
  }
}
