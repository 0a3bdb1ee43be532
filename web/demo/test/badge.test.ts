/** The words of the badge: what is true, and what one can do about it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { wordsFor, type Closed } from "../src/badge";
import type { Op, Room } from "../src/room";

function words(status: Room["status"], states: Op["state"][], closed?: Closed): { state: string; text: string; detail: string } {
  const outbox = states.map((state) => ({ state }) as Op);
  return wordsFor({ status, outbox, role: "write" }, closed);
}

test("a full canvas is called full, and that the page goes on trying is said", () => {
  const full = { code: "full", message: "this canvas is full (max_clients_per_canvas)" };
  for (const status of ["connecting", "reconnecting"] as const) {
    const { state, text, detail } = words(status, [], full);
    assert.deepEqual([state, text], ["full", "Canvas full, retrying"]);
    assert.match(detail, /this canvas is full \(max_clients_per_canvas\).*goes on trying/);
    const unsaved = words(status, ["pending", "sent"], full);
    assert.equal(unsaved.text, "Canvas full, retrying · 2");
    assert.match(unsaved.detail, /2 changes kept on this device/);
  }
  assert.equal(words("connected", [], full).text, "Saved", "once there was room it is over");
});

test("a link without permission asks for a new one, not for a reload, and counts what is unsaved", () => {
  for (const closed of [
    { code: "unauthorized", message: "the token is missing, wrong or expired: the token has expired" },
    { code: "refused", message: "closed with 4403: the token's canvases do not name board" },
  ]) {
    const { state, text, detail } = words("disconnected", ["pending", "failed", "acked"], closed);
    assert.equal(state, "ended");
    assert.match(text, / · 2$/);
    assert.match(detail, /Ask for a new link\. 2 not saved, kept on this device$/);
    assert.doesNotMatch(text + detail, /Offline|[Rr]eload/);
  }
  assert.equal(words("disconnected", [], { code: "unauthorized", message: "" }).text, "New link needed");
  assert.equal(words("disconnected", ["pending"], { code: "replaced", message: "" }).text, "Offline · 1");
});

test("otherwise the badge says what it always said", () => {
  assert.equal(words("connecting", []).text, "Connecting…");
  assert.equal(words("reconnecting", ["pending"]).text, "Offline · 1");
  assert.equal(words("connected", ["failed"]).text, "Not saved · 1");
  assert.equal(words("connected", ["sent"]).text, "Saving…");
});
