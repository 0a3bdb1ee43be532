/**
 * Three-way merge of texts, letter by letter. Nothing that anybody inserted is ever left out; what anybody deleted is gone.
 * Works on code points, so that no letter is cut in half. Pure.
 */

/** Differences beyond which two texts count as unlike: a search for the best alignment would cost its square. */
const MAX_DIFFERENCES = 600;

export interface Merged {
  readonly text: string;
  /** Where a place in `mine` is in `text`; both in UTF-16 units, as text fields count. */
  place(at: number): number;
}

/** What became of a text: for each of its letters whether it stayed, and what was put before it (or at the end). */
interface Change {
  deleted: Uint8Array;
  inserted: Map<number, string[]>;
}

/** What `theirs` and `mine` made of `base`, together. Where both inserted at one place, theirs comes first. */
export function merge3(base: string, theirs: string, mine: string): Merged {
  if (base === theirs) return { text: mine, place: (at) => at };
  const letters = [...base];
  const [first, second] = [changeOf(letters, [...theirs]), changeOf(letters, [...mine])];
  let text = "";
  /** By the number of letters of `mine`: how long the result was behind them. */
  const places = [0];
  for (let i = 0; i <= letters.length; i++) {
    text += (first.inserted.get(i) ?? []).join("");
    for (const letter of second.inserted.get(i) ?? []) {
      text += letter;
      places.push(text.length);
    }
    if (i === letters.length) break;
    if (!first.deleted[i] && !second.deleted[i]) text += letters[i]!;
    if (!second.deleted[i]) places.push(text.length);
  }
  const place = (at: number): number => places[Math.min([...mine.slice(0, at)].length, places.length - 1)]!;
  return { text, place };
}

function changeOf(before: readonly string[], after: readonly string[]): Change {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let [endBefore, endAfter] = [before.length, after.length];
  while (endBefore > start && endAfter > start && before[endBefore - 1] === after[endAfter - 1]) endBefore--, endAfter--;
  const change: Change = { deleted: new Uint8Array(before.length), inserted: new Map() };
  const [a, b] = [before.slice(start, endBefore), after.slice(start, endAfter)];
  const kept = a.length > 0 && b.length > 0 ? matches(a, b) : [];
  let [i, j] = [0, 0];
  for (const [x, y] of [...kept, [a.length, b.length] as const]) {
    if (j < y) change.inserted.set(start + i, b.slice(j, y));
    change.deleted.fill(1, start + i, start + x);
    [i, j] = [x + 1, y + 1];
  }
  return change;
}

/** The pairs of letters that stayed, in order: the greedy search of Myers, "An O(ND) Difference Algorithm". */
function matches(a: readonly string[], b: readonly string[]): (readonly [number, number])[] {
  const most = Math.min(a.length + b.length, MAX_DIFFERENCES);
  const reach = new Int32Array(2 * most + 3);
  const middle = most + 1;
  const steps: Int32Array[] = [];
  for (let d = 0; d <= most; d++) {
    steps.push(reach.slice(middle - d - 1, middle + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && reach[middle + k - 1]! < reach[middle + k + 1]!);
      let x = down ? reach[middle + k + 1]! : reach[middle + k - 1]! + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach[middle + k] = x;
      if (x >= a.length && x - k >= b.length) return backtrack(steps, a.length, b.length);
    }
  }
  return [];
}

function backtrack(steps: readonly Int32Array[], endX: number, endY: number): (readonly [number, number])[] {
  const pairs: (readonly [number, number])[] = [];
  let [x, y] = [endX, endY];
  for (let d = steps.length - 1; d >= 0; d--) {
    const [reach, middle, k] = [steps[d]!, d + 1, x - y];
    const down = k === -d || (k !== d && reach[middle + k - 1]! < reach[middle + k + 1]!);
    const from = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : reach[middle + from]!;
    const [sx, sy] = d === 0 ? [0, 0] : [fromX, fromX - from];
    // Back along the diagonal to where this step came in.
    const [inX, inY] = d === 0 ? [0, 0] : down ? [sx, sy + 1] : [sx + 1, sy];
    while (x > inX && y > inY) pairs.push([--x, --y]);
    [x, y] = [sx, sy];
  }
  return pairs.reverse();
}
