/** The guide's examples compile, as an application would compile them, and so do applications' own types. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { transformSync } from "esbuild";

const web = process.cwd();
const folder = mkdtempSync(join(tmpdir(), "scumble-docs-"));
after(() => rmSync(folder, { recursive: true }));

const examples = [...readFileSync(join(web, "../docs/CLIENT.md"), "utf8").matchAll(/^```(tsx?)\n([^]*?)^```/gm)].map(([, kind, text], i) => ({
  name: `example${i}.${kind}`, text: text as string,
}));

/** What has to be refused is marked, so that nothing is allowed by types that allow everything. */
const TYPES = `
import { connect, type Room, type CanvasObject } from "scumble-client";
interface Rect { id: string; kind: "rect"; x: number; fill?: string; style: { color: string; dash?: number[] } }
interface Note { id: string; kind: "note"; text: string }
interface Presence { tool: "pen" | "hand"; at?: { x: number } }
interface Events { vote: { up: boolean }; bell: undefined; said: string | null }
export async function typed(): Promise<void> {
  const room = await connect<Rect | Note, Presence, Events>({ canvas: "c" });
  room.objects.create({ kind: "rect", x: 1, style: { color: "red" } });
  room.objects.create({ id: "n", kind: "note", text: "" });
  // @ts-expect-error a rect has an x
  room.objects.create({ kind: "rect", style: { color: "red" } });
  // @ts-expect-error there is no such kind
  room.objects.create({ kind: "circle", x: 1 });
  room.objects.update("a", { style: { color: "blue", dash: null }, fill: null });
  room.objects.update("n", { text: "b" });
  // @ts-expect-error x may not be missing
  room.objects.update("a", { x: null });
  // @ts-expect-error x is a number
  room.objects.update("a", { x: "1" });
  const first: Rect | Note | undefined = room.objects.get("a");
  if (first?.kind === "rect") first.style.color satisfies string;
  room.presence.update({ tool: "pen", at: null });
  // @ts-expect-error there is no such tool
  room.presence.update({ tool: "axe" });
  room.others[0]?.state.tool satisfies "pen" | "hand" | undefined;
  room.broadcast("vote", { up: true });
  room.broadcast("bell");
  room.signal("said", null);
  // @ts-expect-error a vote has data
  room.broadcast("vote");
  // @ts-expect-error there is no such event
  room.signal("shout", 1);
  room.on("signal", (event) => { if (event.event === "vote") event.data.up satisfies boolean; });
  room.on("objects", ({ changes }) => changes[0]?.cause satisfies "call" | "rollback" | "remote" | "snapshot" | undefined);
}
export async function plain(): Promise<CanvasObject | undefined> {
  const room: Room = await connect({ canvas: "c" });
  room.objects.create({ kind: "any", deep: { list: [1, { a: null }] } });
  room.objects.update("a", { any: { thing: [1] }, gone: null });
  room.presence.update({ anything: true });
  room.broadcast("e");
  room.broadcast("e", { a: 1 });
  // @ts-expect-error a function is no JSON
  room.objects.update("a", { f: () => 1 });
  return room.objects.get("a");
}
`;

function project(): void {
  const modules = join(folder, "node_modules");
  if (existsSync(modules)) return;
  mkdirSync(join(modules, "scumble-client"), { recursive: true });
  // As npm would install it.
  for (const part of ["package.json", "dist"]) cpSync(join(web, "client", part), join(modules, "scumble-client", part), { recursive: true });
  for (const name of ["@types", "react", "ws", "csstype"]) symlinkSync(join(web, "node_modules", name), join(modules, name));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  for (const { name, text } of examples) writeFileSync(join(folder, name), name.endsWith("x") ? text : `${text}\nexport {};\n`);
  writeFileSync(join(folder, "types.ts"), TYPES);
}

test("the guide's test of an application passes", () => {
  project();
  const { name, text } = examples.find(({ text }) => text.includes("FakeRelay"))!;
  const program = join(folder, name.replace(/ts$/, "mjs"));
  writeFileSync(program, transformSync(text, { loader: "ts" }).code);
  const { status, stderr } = spawnSync(process.execPath, [program], { encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 0, stderr);
});

function compile(settings: Record<string, unknown>, files: string[]): string {
  const compilerOptions = {
    target: "ES2022", lib: ["ES2022", "DOM", "DOM.Iterable"], jsx: "react-jsx", types: ["node", "react"], strict: true, noEmit: true, skipLibCheck: false, ...settings,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(web, "node_modules/typescript/bin/tsc"), "-p", folder], { encoding: "utf8" });
  return status === 0 ? stdout : `${status}: ${stdout}${stderr}`;
}

test("the guide's examples and applications' own types compile, strictly, for bundlers and for Node", () => {
  project();
  const files = [...examples.map(({ name }) => name), "types.ts"];
  assert.ok(files.some((name) => name.endsWith(".tsx")) && files.length >= 4, files.join());
  for (const settings of [
    { module: "ESNext", moduleResolution: "bundler", noUncheckedIndexedAccess: false },
    { module: "node16", moduleResolution: "node16" },
    { module: "ESNext", moduleResolution: "bundler", exactOptionalPropertyTypes: true },
  ]) assert.equal(compile(settings, files), "", JSON.stringify(settings));
  writeFileSync(join(folder, "wrong.ts"), 'import { connect } from "scumble-client";\nconnect({ canvas: 1 });\n');
  assert.match(compile({ module: "node16", moduleResolution: "node16" }, ["wrong.ts"]), /wrong\.ts.*not assignable/, "it is looked at");
});
