/** Words on the canvas: two people in one text, keyboards of all sorts, and where words stand. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, LIMITED } from "./cluster.js";
import { pair, Person, stage } from "./person.js";

const { browser, cluster } = await stage(2);

const text = async (who: Person, id: string): Promise<unknown> => (await who.object(id))?.text;

/** Puts a note, leaves it, and returns its id. */
async function note(who: Person, at: [number, number], words = ""): Promise<string> {
  const before = new Set(await who.objects);
  await who.page.keyboard.press("Escape");
  await who.page.keyboard.press("n");
  await who.page.mouse.click(...at);
  await who.page.keyboard.type(words);
  await who.page.keyboard.press("Escape");
  return (await who.objects).find((id) => !before.has(id))!;
}

const open = (who: Person, id: string): Promise<void> => who.page.evaluate((wanted) => {
  const { app, selection } = window.scumbleDemo!;
  selection.set([wanted]);
  app.editor.open(wanted, false, "end");
}, id);

const count = (letters: string): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const letter of [...letters].sort()) counts[letter] = (counts[letter] ?? 0) + 1;
  return counts;
};

test("two people type in one note at once: all letters of both are there, for both", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "both");
  const id = await note(ada, [450, 320], "Plan: ");
  await eventually("Ben has it", async () => (await text(ben, id)) === "Plan: ");
  await Promise.all([open(ada, id), open(ben, id)]);
  const [hers, his] = ["ada writes hello in here", "and ben says hello as well"];
  await Promise.all([ada.page.keyboard.type(hers, { delay: 45 }), ben.page.keyboard.type(his, { delay: 60 })]);
  const field = (who: Person): Promise<string> => who.see("text-editor").inputValue();
  const all = count(`Plan: ${hers}${his}`);
  await eventually("both editors hold the same", async () => (await field(ada)) === (await field(ben)));
  await eventually("and it is confirmed", async () => (await text(ada, id)) === (await field(ada)) && (await text(ben, id)) === (await field(ben)));
  assert.deepEqual(count(await field(ada)), all);
  // Each one's letters stay in their order.
  await ada.page.keyboard.press("Escape");
  await ben.page.keyboard.press("Escape");
  await Promise.all([ada.badge("Saved"), ben.badge("Saved")]);
  assert.equal(await text(ada, id), await text(ben, id));
  await Promise.all([ada.leave(), ben.leave()]);
});

test("the caret stays where one writes while another writes before it, and undo takes back one's own alone", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "caret");
  const id = await note(ada, [450, 320], "middle");
  await eventually("Ben has it", async () => (await text(ben, id)) === "middle");
  await open(ada, id);
  await ada.page.keyboard.type(" end");
  await eventually("Ben reads along", async () => (await text(ben, id)) === "middle end");
  await open(ben, id);
  await ben.page.keyboard.press("Control+Home");
  await ben.page.keyboard.type("start ");
  await eventually("Ada's editor takes it in", async () => (await ada.see("text-editor").inputValue()) === "start middle end");
  await ada.page.keyboard.type("!");
  await eventually("at the end", async () => (await text(ben, id)) === "start middle end!");
  await ada.page.keyboard.press("Escape");
  await ben.page.keyboard.press("Escape");
  await Promise.all([ada.badge("Saved"), ben.badge("Saved")]);
  assert.equal(await ada.see("toast").textContent().then((said) => said!.includes("undefined")), false);
  await Promise.all([ada.leave(), ben.leave()]);
});

test("who deletes a note that somebody writes on does not take away what they wrote", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "deleted");
  const id = await note(ada, [450, 320], "old");
  await ben.shows([id]);
  await open(ada, id);
  await ada.page.keyboard.type(" and new");
  await ben.page.evaluate((gone) => window.scumbleDemo!.room.objects.delete(gone), id);
  const kept = await eventually("a copy is there", async () => (await ada.objects).find((one) => one !== id));
  await ada.see("toast").getByText("kept as a new one").waitFor();
  await ada.page.keyboard.type("!");
  await eventually("Ben sees it", async () => (await text(ben, kept)) === "old and new!");
  await ada.page.keyboard.press("Escape");
  await ada.badge("Saved");
  await Promise.all([ada.leave(), ben.leave()]);
});

test("typing on a selected shape writes in it, and tools wait", LIMITED, async () => {
  const [ada, ben] = await pair(browser, cluster, "typing");
  const rect = await ada.drag("r", [200, 200], [360, 300]);
  // Just made: the next tool's letter is the tool's, and so the next shape can follow.
  const ellipse = await ada.drag("o", [420, 200], [580, 320]);
  const both = [rect, ellipse];
  await ada.shows(both);
  await ada.page.keyboard.press("v");
  for (const [id, at, words] of [[rect, [280, 202], "route"], [ellipse, [500, 260], "nothing, or 1+1"]] as const) {
    await ada.page.mouse.click(at[0], at[1]);
    await ada.page.keyboard.type(words);
    await ada.page.keyboard.press("Escape");
    await eventually(`${words} is written`, async () => (await text(ben, id)) === words);
  }
  await ada.shows(both);
  assert.equal(await ada.page.evaluate(() => window.scumbleDemo!.app.tool), "select");
  // A word over what was just made is a word, though its first letter is a tool's.
  const third = await ada.drag("r", [200, 380], [360, 460]);
  await ada.page.keyboard.type("hello");
  await ada.page.keyboard.press("Escape");
  await eventually("hello", async () => (await text(ben, third)) === "hello");
  // Enter and double click do as well, and an empty text leaves the shape.
  await ada.page.mouse.dblclick(280, 420);
  assert.equal(await ada.see("text-editor").inputValue(), "hello");
  await ada.page.keyboard.press("Backspace");
  await ada.page.keyboard.press("Escape");
  await eventually("it is empty", async () => (await text(ben, third)) === "");
  assert.ok((await ben.objects).includes(third));
  await ada.badge("Saved");
  await Promise.all([ada.leave(), ben.leave()]);
});

/** A key as a keyboard of another layout, or an input method, tells it. */
const press = (who: Person, key: string, code: string, more: object = {}): Promise<boolean> => who.page.evaluate(([k, c, rest]) => {
  const event = new KeyboardEvent("keydown", { key: k as string, code: c as string, bubbles: true, cancelable: true, ...(rest as object) });
  (document.activeElement ?? document.body).dispatchEvent(event);
  return event.defaultPrevented;
}, [key, code, more]);

test("shortcuts are keys, not letters, where a layout has no Latin ones", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/layouts`, "Ada");
  await ada.badge("Saved");
  const id = await ada.drag("r", [200, 200], [360, 300]);
  await ada.page.keyboard.press("Escape");
  assert.ok(await press(ada, "я", "KeyZ", { ctrlKey: true }), "Ctrl+Я is Ctrl+Z");
  await ada.shows([]);
  assert.ok(await press(ada, "Я", "KeyZ", { ctrlKey: true, shiftKey: true }));
  await ada.shows([id]);
  for (const [key, code, tool] of [["к", "KeyR", "rect"], ["щ", "KeyO", "ellipse"], ["ζ", "KeyV", "select"], ["ו", "KeyP", "draw"]] as const) {
    assert.ok(await press(ada, key, code), key);
    assert.equal(await ada.page.evaluate(() => window.scumbleDemo!.app.tool), tool, key);
  }
  // A Latin layout with its keys elsewhere goes by the letters: Dvorak has its P where others have R.
  await press(ada, "v", "Period");
  assert.equal(await ada.page.evaluate(() => window.scumbleDemo!.app.tool), "select");
  await ada.badge("Saved");
  await ada.leave();
});

test("keys of an input method are its own: nothing is sent, closed or chosen by them", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/method`, "Ada");
  await ada.badge("Saved");
  const [chrome, safari] = [{ isComposing: true, keyCode: 229 }, { isComposing: false, keyCode: 229 }];
  await ada.openChat();
  await ada.see("chat-input").fill("にほん");
  for (const how of [chrome, safari]) assert.equal(await press(ada, "Enter", "Enter", how), false);
  assert.equal(await ada.see("chat-input").inputValue(), "にほん");
  assert.equal(await press(ada, "Escape", "Escape", safari), false);
  assert.ok(await ada.see("chat").isVisible());
  await ada.see("chat-close").click();
  await ada.page.locator("#overlay").focus();
  await ada.page.keyboard.press("n");
  await ada.page.mouse.click(450, 320);
  for (const how of [chrome, safari]) {
    for (const key of ["Escape", "Enter", "Tab"]) await press(ada, key, key, { ...how, ctrlKey: key === "Enter" });
  }
  assert.equal(await ada.see("text-editor").count(), 1, "the editor is still open");
  // What somebody else writes in the middle of a composition waits for its end, and is not lost.
  const [id] = await ada.objects;
  const cdp = await ada.context.newCDPSession(ada.page);
  await cdp.send("Input.imeSetComposition", { text: "に", selectionStart: 1, selectionEnd: 1 });
  const ben = await Person.at(browser, `${cluster.url(1)}/c/method`, "Ben");
  await ben.shows([id!]);
  await open(ben, id!);
  await ben.page.keyboard.type("Ben");
  await eventually("Ben's is confirmed", async () => (await ada.page.evaluate((one) => window.scumbleDemo!.room.objects.confirmed(one)?.text, id!)) === "Ben");
  await cdp.send("Input.imeSetComposition", { text: "にほ", selectionStart: 2, selectionEnd: 2 });
  await cdp.send("Input.insertText", { text: "日本" });
  await eventually("both are there", async () => count(String(await text(ben, id!)))["日"] === 1 && count(String(await text(ben, id!)))["B"] === 1);
  assert.equal(await ada.see("text-editor").inputValue(), await ben.see("text-editor").inputValue());
  await Promise.all([ada.leave(), ben.leave()]);
});

test("text breaks within its width, and more than a note holds is scrolled, written and read", LIMITED, async () => {
  const ada = await Person.at(browser, `${cluster.url(0)}/c/wrapped`, "Ada");
  await ada.badge("Saved");
  await ada.page.keyboard.press("t");
  await ada.page.mouse.click(60, 150);
  await ada.page.keyboard.insertText("many words ".repeat(30));
  await ada.page.keyboard.press("Escape");
  const [id] = await ada.objects;
  const size = async (): Promise<{ w: number; h: number }> => (await ada.object(id!)) as unknown as { w: number; h: number };
  const { w, h } = await size();
  assert.ok(w <= 660 && h > 60, `${w} by ${h}`);
  // Its side pulled in, it is narrower and has more lines.
  await ada.pull([60 + w + 5, 136 + h / 2], [60 + 300, 136 + h / 2]);
  await eventually("it is narrower", async () => (await size()).w < 320 && (await size()).h > h * 1.5);
  await ada.page.keyboard.press("Control+a");
  await ada.page.keyboard.press("Delete");

  const long = Array.from({ length: 60 }, (_, i) => `line ${i}`).join("\n");
  const noted = await note(ada, [450, 320]);
  await open(ada, noted);
  await ada.page.keyboard.insertText(long);
  const area = ada.see("text-editor");
  const scroll = await area.evaluate((field: HTMLTextAreaElement) => ({ more: field.scrollHeight > field.clientHeight + 50, at: field.scrollTop, how: getComputedStyle(field).overflowY }));
  assert.deepEqual([scroll.more, scroll.at > 0, scroll.how], [true, true, "auto"], "the end, where one writes, is seen");
  await ada.page.keyboard.press("Escape");
  const lines = (): Promise<string> => ada.page.evaluate((one) => {
    const item = window.scumbleDemo!.scene.order().find(({ shape }) => shape.id === one)!;
    return item.layout?.lines.join("|") ?? "";
  }, noted);
  await eventually("its beginning is shown", async () => (await lines()).startsWith("line 0|"));
  await ada.page.mouse.click(450, 320);
  const view = (): Promise<number> => ada.page.evaluate(() => window.scumbleDemo!.camera.y);
  const before = await view();
  await ada.page.mouse.wheel(0, 200);
  await eventually("the wheel moves it on", async () => /^line [1-9]/.test(await lines()));
  assert.equal(await view(), before, "and not the view");
  await ada.badge("Saved");
  await ada.leave();
});
