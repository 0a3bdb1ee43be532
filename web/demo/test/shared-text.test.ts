/** Several people in one text: nobody's letters are lost, and all end with the same text, whatever the network does. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedText, type Version } from "../src/shared-text";
import { merge3 } from "../src/text-merge";

/** A small generator of numbers in [0, 1), the same for the same seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

test("a merge keeps what both inserted, leaves out what either deleted, and says where one's caret is", () => {
  for (const [base, theirs, mine, both] of [
    ["", "hel", "hel", "helhel"],
    ["abc", "abXc", "Yabc", "YabXc"],
    ["one two three", "one three", "one two three four", "one three four"],
    ["cat", "dog", "cat!", "dog!"],
    ["same", "same", "mine", "mine"],
    ["same", "theirs", "same", "theirs"],
    ["😀", "😃", "😀x", "😃x"],
  ] as const) {
    assert.equal(merge3(base, theirs, mine).text, both, `${base} ${theirs} ${mine}`);
  }
  const { text, place } = merge3("to be", "now to be", "to be or not");
  assert.deepEqual([text, place(0), place(5), place(12)], ["now to be or not", 0, 9, 16]);
});

test("any two changes of a text merge without losing a letter that was inserted", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = numbers(seed);
    const letters = (from: string): string => Array.from({ length: Math.floor(random() * 6) }, () => from[Math.floor(random() * from.length)]).join("");
    const base = letters("abab") + letters("ba") + letters("ab");
    const changed = (own: string): string => [...base].flatMap((letter) => [random() < 0.3 ? letters(own) : "", random() < 0.2 ? "" : letter]).join("") + letters(own);
    const [theirs, mine] = [changed("XY"), changed("uv")];
    const { text } = merge3(base, theirs, mine);
    const only = (whole: string, set: string): string => [...whole].filter((letter) => set.includes(letter)).join("");
    assert.equal(only(text, "XY"), only(theirs, "XY"), `seed ${seed}`);
    assert.equal(only(text, "uv"), only(mine, "uv"), `seed ${seed}`);
  }
});

/** A relay that commits in the order of arrival, and people whose lines are slow, each by their own measure. */
class Table {
  time = 0;
  confirmed: Version = { text: "", rev: undefined };
  private readonly events: { at: number; run: () => void }[] = [];
  readonly people: Typist[] = [];

  after(ms: number, run: () => void): void {
    this.events.push({ at: this.time + ms, run });
  }

  run(untilMs: number): void {
    for (;;) {
      this.events.sort((a, b) => a.at - b.at);
      const next = this.events[0];
      if (!next || next.at > untilMs) break;
      this.events.shift();
      this.time = next.at;
      next.run();
    }
    this.time = untilMs;
  }

  commit(version: Version): void {
    this.confirmed = version;
    for (const person of this.people) this.after(person.delay(), () => person.hear(version));
  }
}

class Typist {
  readonly shared: SharedText;
  caret = 0;
  offline = false;
  private heardAt = 0;
  /** Waits for the line; a later write is taken into it, as the library's outbox does. */
  private pending: { id: string; version: Version } | undefined;

  constructor(private readonly table: Table, readonly name: string, private readonly random: () => number, private readonly line: number) {
    this.shared = new SharedText(table.confirmed, () => Math.floor(random() * 36 ** 4).toString(36).padStart(4, "x"));
    table.people.push(this);
    const tick = (): void => {
      this.flush();
      table.after(300, tick);
    };
    table.after(random() * 300, tick);
  }

  /** In order, whatever the jitter. */
  delay(): number {
    const at = Math.max(this.heardAt + 0.01, this.table.time + this.line * (0.5 + this.random()));
    this.heardAt = at;
    return at - this.table.time;
  }

  hear(version: Version): void {
    const merged = this.shared.confirmed(version);
    if (merged) this.caret = merged.place(this.caret);
    else if (this.shared.astray && !this.shared.waits) this.flush();
  }

  type(letter: string): void {
    const { mine } = this.shared;
    this.shared.mine = mine.slice(0, this.caret) + letter + mine.slice(this.caret);
    this.caret += letter.length;
  }

  erase(): void {
    if (this.caret === 0) return;
    const { mine } = this.shared;
    this.shared.mine = mine.slice(0, this.caret - 1) + mine.slice(this.caret);
    this.caret--;
  }

  flush(): void {
    const write = this.shared.write();
    if (!write) return;
    const version = { text: write.text, rev: write.rev };
    if (this.pending) this.shared.dropped(this.pending.id);
    const sending = this.pending === undefined;
    this.pending = { id: write.id, version };
    if (sending) this.send();
  }

  private send(): void {
    if (this.offline) return this.table.after(50, () => this.send());
    const { version } = this.pending!;
    this.pending = undefined;
    this.table.after(this.delay(), () => this.table.commit(version));
  }
}

function session(seed: number, erasing: boolean): { table: Table; typed: Map<string, number> } {
  const random = numbers(seed);
  const table = new Table();
  const typed = new Map<string, number>();
  const alphabet = erasing ? "abc" : "hello";
  for (let i = 0; i < 2 + Math.floor(random() * 2); i++) {
    const person = new Typist(table, `P${i}`, random, [1, 20, 150, 700][Math.floor(random() * 4)]!);
    let left = 40;
    const key = (): void => {
      if (left-- <= 0) return void (person.offline = false);
      if (random() < 0.03) person.offline = !person.offline;
      if (random() < 0.05) person.caret = Math.floor(random() * (person.shared.mine.length + 1));
      if (erasing && random() < 0.2) person.erase();
      else {
        const letter = alphabet[Math.floor(random() * alphabet.length)]!;
        typed.set(letter, (typed.get(letter) ?? 0) + 1);
        person.type(letter);
      }
      table.after(20 + random() * 200, key);
    };
    table.after(random() * 300, key);
  }
  table.run(60_000);
  return { table, typed };
}

test("two or three type at once over slow lines: every letter is there, once, for everybody", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { table, typed } = session(seed, false);
    const counted = new Map<string, number>();
    for (const letter of table.confirmed.text) counted.set(letter, (counted.get(letter) ?? 0) + 1);
    assert.deepEqual([...counted].sort(), [...typed].sort(), `seed ${seed}`);
    for (const { shared } of table.people) assert.deepEqual([shared.mine, shared.settled], [table.confirmed.text, true], `seed ${seed}`);
  }
});

test("the same when they erase as well: all end with one text", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { table } = session(seed, true);
    for (const { shared } of table.people) assert.deepEqual([shared.mine, shared.settled], [table.confirmed.text, true], `seed ${seed}`);
  }
});
