/** The same canvas several times in a page, and the guide's React example with a real React. The built library in Chromium. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build, type Plugin } from "esbuild";
import type { Page } from "playwright-core";
import { browser, server } from "./in-chromium.js";

const eventually = async (what: string, done: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; !(await done()); i++) {
    assert.ok(i < 200, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const connections = (): number => [...server.model.conns].filter(({ client }) => client !== undefined).length;

async function visit(): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url);
  return page;
}

test("the same canvas twice in a page is one connection, with two ends", async () => {
  const page = await visit();
  const told = await page.evaluate(async () => {
    const { connect } = await import("/client.js" as string);
    const [a, b] = await Promise.all([connect({ canvas: "c" }), connect({ canvas: "c" })]);
    const other = await connect({ canvas: "c", share: false });
    await Promise.all([a.whenSynced(), b.whenSynced(), other.whenSynced()]);
    const heard: string[] = [];
    a.on("objects", () => heard.push("a"));
    a.on("status", (status: string) => heard.push(`a ${status}`));
    b.on("objects", () => heard.push("b"));
    await a.objects.create({ id: "x", kind: "rect" }).done;
    a.close();
    a.close();
    await b.objects.update("x", { y: 1 }).done;
    let thrown = "";
    try {
      a.objects.update("x", { y: 2 });
    } catch (error) {
      thrown = (error as { code: string }).code;
    }
    Object.assign(window, { b, other });
    return [heard, a.client === b.client, other.client === b.client, a.status, b.status, thrown, b.others.length];
  });
  assert.deepEqual(told, [["a", "b", "a disconnected", "b"], true, false, "disconnected", "connected", "closed", 1]);
  assert.equal(connections(), 2);
  await page.evaluate(() => (window as unknown as { b: { close(): void } }).b.close());
  await eventually("the last one ends it", () => connections() === 1);
  const again = await page.evaluate(async () => {
    const { connect } = await import("/client.js" as string);
    const room = await connect({ canvas: "c" });
    await room.whenSynced();
    return room.objects.size;
  });
  assert.deepEqual([again, connections()], [1, 2], "and another one may come");
});

test("a component that is mounted twice in a row keeps one connection, whoever aborts", async () => {
  const page = await visit();
  const status = await page.evaluate(async () => {
    const { connect } = await import("/client.js" as string);
    const first = new AbortController();
    const aborted = connect({ canvas: "c", signal: first.signal }).then(() => "opened", (error: Error) => error.name);
    first.abort();
    const room = await connect({ canvas: "c" });
    await room.whenSynced();
    return [await aborted, room.status];
  });
  assert.deepEqual([status, server.model.hellos.length, connections()], [["AbortError", "connected"], 1, 1]);
});

/** The guide's example, with something that mounts it, and with what may stand beside it as "test:…". */
async function example(mount: string, platform: "browser" | "node"): Promise<string> {
  const web = process.cwd();
  const text = /^```tsx\n([^]*?)^```/m.exec(readFileSync(join(web, "../docs/CLIENT.md"), "utf8"))![1]!;
  // React finds a hook for hot reloads where there is one before it starts.
  const modules: Record<string, string> = {
    edited: text.replace("Saved", "All saved"),
    hook: 'import Refresh from "react-refresh/runtime";\nRefresh.injectIntoGlobalHook(window);',
  };
  const beside: Plugin = {
    name: "beside",
    setup: (made) => {
      made.onResolve({ filter: /^test:/ }, ({ path }) => ({ path: path.slice("test:".length), namespace: "test" }));
      made.onLoad({ filter: /./, namespace: "test" }, ({ path }) => ({ contents: modules[path]!, loader: "tsx", resolveDir: web }));
    },
  };
  const { outputFiles } = await build({
    stdin: { contents: `${text}\n${mount}`, loader: "tsx", resolveDir: web },
    bundle: true, format: platform === "browser" ? "esm" : "cjs", platform, jsx: "automatic", write: false,
    define: { "process.env.NODE_ENV": '"development"' },
    alias: { "scumble-client": join(web, "client/dist/client.js") }, plugins: [beside],
  });
  return outputFiles[0]!.text;
}

test("the guide's React example works in StrictMode and when it is unmounted", async () => {
  const page = await visit();
  const mount = `
    import { StrictMode } from "react";
    import { createRoot } from "react-dom/client";
    function App() { return <Shapes room={useBoard(location.origin, "c")} />; }
    const root = createRoot(document.body);
    root.render(<StrictMode><App /></StrictMode>);
    Object.assign(window, { root });`;
  await page.addScriptTag({ content: await example(mount, "browser"), type: "module" });
  await eventually("it is connected", () => connections() === 1);
  server.model.commit("somebody-else", { type: "object-create", object: { id: "r", kind: "rect", x: 5, y: 5 } });
  await page.locator("rect[x='5']").click();
  await eventually("the click is saved", () => server.model.objects.get("r")?.x === 15);
  await page.locator("rect[x='15']").waitFor();
  assert.equal(server.model.hellos.length, 1, "mounted twice, connected once");
  await page.evaluate(() => (window as unknown as { root: { unmount(): void } }).root.unmount());
  await eventually("it has left", () => connections() === 0);
});

test("the guide's React example goes on over a hot reload: same connection, same client, and what is unsaved", async () => {
  const page = await visit();
  // The runtime that Vite, Next and others use; registering by hand is what their plugins write into each module.
  const mount = `
    import "test:hook";
    import Refresh from "react-refresh/runtime";
    import { StrictMode } from "react";
    import { createRoot } from "react-dom/client";
    import * as after from "test:edited";
    const parts = (module) => {
      function App() { return <module.Shapes room={window.room = module.useBoard(location.origin, "c")} />; }
      Refresh.register(App, "App");
      Refresh.register(module.Shapes, "Shapes");
      return App;
    };
    const App = parts({ Shapes, useBoard });
    createRoot(document.body).render(<StrictMode><App /></StrictMode>);
    window.hotReload = () => (parts(after), Refresh.performReactRefresh());`;
  await page.addScriptTag({ content: await example(mount, "browser"), type: "module" });
  await eventually("it is connected", () => connections() === 1);
  server.model.commit("somebody-else", { type: "object-create", object: { id: "r", kind: "rect", x: 5, y: 5 } });
  await page.locator("rect[x='5']").waitFor();
  const client = await page.evaluate(() => (window as unknown as { room: { client: string } }).room.client);
  for (const online of [true, false]) {
    if (!online) server.goDown();
    await page.locator("rect").click();
    await page.evaluate(() => (window as unknown as { hotReload(): void }).hotReload());
    await page.getByText(online ? "All saved" : "Saving…").waitFor();
    await page.locator(`rect[x='${online ? 15 : 25}']`).waitFor();
  }
  server.down = false;
  await page.getByText("All saved").waitFor();
  assert.equal(server.model.objects.get("r")?.x, 25);
  assert.deepEqual([server.model.hellos.map((hello) => hello.client), connections()], [[client, client], 1], "one connection, and one after it broke");
});

test("the guide's React example renders on a server, where nothing is connected", async () => {
  const mount = `
    import { renderToString } from "react-dom/server";
    function App() { return <Shapes room={useBoard("ws://127.0.0.1:9", "c")} />; }
    module.exports = renderToString(<App />);`;
  const module = { exports: "" };
  const { createRequire } = await import("node:module");
  new Function("module", "exports", "require", await example(mount, "node"))(module, {}, createRequire(join(process.cwd(), "package.json")));
  assert.match(module.exports, /<svg><\/svg><p>Saved<\/p>/);
  assert.equal(connections(), 0);
});
