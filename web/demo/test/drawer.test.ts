/** Where a server may let itself be killed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback } from "../src/drawer";

test("controls are asked for on loopback only", () => {
  for (const name of ["localhost", "demo.localhost", "127.0.0.1", "127.1.2.3", "[::1]"]) assert.ok(isLoopback(name), name);
  for (const name of ["example.org", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "[::2]"]) assert.ok(!isLoopback(name), name);
});
