/** The words of the badge: what is true, and what one can do about it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { wordsFor, type Closed } from "../src/badge";
import type { Op, Room } from "../src/room";

function words(status: Room["status"], states: Op["state"][], closed?: Closed): { state: string; text: string; detail: string } {
  const outbox = states.map((state) => ({ state }) as Op);
  return wordsFor({ status, outbox, role: "write", storage: "indexeddb" }, closed);
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

test("what was refused is counted beside what waits, also without a connection", () => {
  for (const [status, closed] of [["connecting", undefined], ["reconnecting", undefined], ["reconnecting", { code: "full", message: "full" }]] as const) {
    assert.match(words(status, ["failed"], closed).detail, /1 not saved/, status);
    assert.match(words(status, ["pending", "failed"], closed).detail, /1 change kept on this device.*1 not saved/, status);
  }
  assert.notEqual(words("connecting", ["failed"]).text, "Connecting…");
});

test("why there is no connection is said where one looks for it, until there is one", () => {
  const closed = { code: "unreachable", message: "no connection to ws://x/ws/c: the server answers 404. It is tried again" };
  for (const status of ["connecting", "reconnecting"] as const) {
    for (const states of [[], ["pending"]] as Op["state"][][]) assert.match(words(status, states, closed).detail, /\. No connection to ws:.*404/, status);
  }
  assert.equal(words("connected", [], closed).detail, "The server has everything");
});

test("otherwise the badge says what it always said", () => {
  assert.equal(words("connecting", []).text, "Connecting…");
  assert.equal(words("reconnecting", ["pending"]).text, "Offline · 1");
  assert.equal(words("connected", ["failed"]).text, "Not saved · 1");
  assert.equal(words("connected", ["sent"]).text, "Saving…");
});

test("what the server keeps refusing for now is not called saving, nor lost", () => {
  const outbox = [{ state: "pending", refusals: 3 }, { state: "pending", refusals: 0 }] as Op[];
  const { state, text, detail } = wordsFor({ status: "connected", outbox, role: "write", storage: "indexeddb" });
  assert.deepEqual([state, text], ["unsaved", "Not saved yet · 2"]);
  assert.match(detail, /2 changes will be sent again/);
});

test("what is in memory only is not promised to be kept on the device", () => {
  const outbox = [{ state: "pending", refusals: 0 }] as Op[];
  for (const [status, closed] of [["reconnecting"], ["connecting", { code: "full", message: "" }], ["disconnected", { code: "refused", message: "" }]] as const) {
    const { detail } = wordsFor({ status, outbox, role: "write", storage: "memory" }, closed);
    assert.match(detail, /in this page only/, status);
    assert.doesNotMatch(detail, /on this device/);
  }
});
