/** Presses on the canvas: which are clicks and which move the view. */

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { App } from "../src/app";
import type { Overlay } from "../src/overlay";
import { Stage } from "../src/stage";
import { annAndBen } from "./desk";

/** A stage on an element that only passes events on, over an empty canvas with the select tool in hand. Time stands still. */
async function stage(t: TestContext): Promise<{ stage: Stage; app: App; opened: () => number; press: (button?: number) => void; key: () => void }> {
  const { app } = (await annAndBen()).ann;
  t.mock.method(performance, "now", () => 1_000);
  let opened = 0;
  Object.assign(app, {
    tool: "select",
    style: { color: "ink", fill: "tint", stroke: 4 },
    setTool: () => {},
    editor: { open: () => opened++, close: () => {} },
  });
  const listeners = new Map<string, (event: object) => void>();
  const ownerDocument = { addEventListener: (type: string, listener: (event: object) => void) => listeners.set(type, listener) };
  const element = {
    ownerDocument,
    addEventListener: (type: string, listener: (event: object) => void) => listeners.set(type, listener),
    focus: () => {},
    setPointerCapture: () => {},
    getBoundingClientRect: () => ({ left: 0, top: 0 }),
    style: {},
  };
  const overlay = { handleAt: () => undefined } as unknown as Overlay;
  const made = new Stage(app, element as unknown as HTMLElement, overlay);
  const press = (button = 0): void => {
    const event = { clientX: 50, clientY: 50, button, pointerId: 1, pointerType: "mouse", preventDefault: () => {} };
    for (const type of ["pointerdown", "pointerup"]) listeners.get(type)!(event);
  };
  return { stage: made, app, opened: () => opened, press, key: () => listeners.get("keydown")!({ key: "Escape" }) };
}

test("two clicks in a row begin a text", async (t) => {
  const { press, opened } = await stage(t);
  press();
  press();
  assert.equal(opened(), 1);
});

test("two clicks with a key between them are two clicks", async (t) => {
  const { press, key, opened } = await stage(t);
  press();
  key();
  press();
  assert.equal(opened(), 0);
  press();
  assert.equal(opened(), 1);
});

test("two pans from one place, with space or the middle button, are no double click", async (t) => {
  const { stage: made, app, press, opened } = await stage(t);
  press(1);
  press(1);
  made.spaceHeld = true;
  press();
  press();
  made.spaceHeld = false;
  press();
  press(1);
  press();
  assert.deepEqual([opened(), app.room.objects.size], [0, 0]);
});
