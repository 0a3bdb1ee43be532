/** Text that does not fit. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { cutLines } from "../src/text";

test("a text that is cut says so, in the room there is", () => {
  const fits = (line: string): boolean => [...line].length <= 5;
  assert.deepEqual(cutLines(["one", "two"], 2, fits), ["one", "two"]);
  assert.deepEqual(cutLines(["one", "two", "six"], 2, fits), ["one", "two…"]);
  assert.deepEqual(cutLines(["three", "three"], 1, fits), ["thre…"]);
  assert.deepEqual(cutLines(["to be", "or"], 1, (line) => line.length <= 4), ["to…"], "no space before it");
  assert.deepEqual(cutLines(["", "or"], 1, fits), ["…"]);
  assert.deepEqual(cutLines(["😀😀😀😀😀", ""], 1, fits), ["😀😀😀😀…"], "nothing is cut in half");
});
