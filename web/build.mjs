/**
 * Builds the client library, the demo and the dashboard, deterministically: the same sources and lock file give the same bytes.
 *
 *   node build.mjs           client/dist/, demo/dist/ and admin/dist/
 *   node build.mjs --check   fails when the committed dist folders are not what the sources give
 *   node build.mjs --test    bundles *.test.ts of client/test/ and demo/test/ and runs them with node:test
 *   node build.mjs --test-browser [PART OF A NAME]
 *                            the same with *.browser.ts of client/test/ and test/, two files at a time. They need
 *                            Chromium (SCUMBLE_CHROMIUM, default /usr/bin/chromium), webkit.browser.ts WebKit's driver
 *                            and Xvfb, firefox.browser.ts Firefox; those of test/ need the server as well
 *                            (SCUMBLE_BIN, seen from the repository; default target/debug/scumble), nginx and flock
 *   node build.mjs --measure [PART OF A NAME]   the same with *.measure.ts, which print numbers
 *
 * The demo imports the library as "scumble-client" (or "/client.js"), which stays an import of "./client.js" in the
 * bundle: the server has it beside the demo, and a browser loads it once for everything.
 */

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const web = dirname(fileURLToPath(import.meta.url));
const TARGET = "es2022";
/** The declarations an application needs; the others describe the inside. */
const PUBLIC_TYPES = ["client.d.ts", "types.d.ts", "shapes.d.ts", "history-types.d.ts", "log-types.d.ts", "asset-types.d.ts", "limits.d.ts", "testing.d.ts", "yjs.d.ts"];

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: web, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** An error that nobody catches shows the line it came from: that is to be a line, not the whole file. */
const LINE_LIMIT = 160;

/** Bundles one file, with its source map beside it. */
async function bundle(entryPoint, outfile, more) {
  await build({
    entryPoints: [entryPoint],
    outfile,
    bundle: true,
    format: "esm",
    target: TARGET,
    minify: true,
    lineLimit: LINE_LIMIT,
    sourcemap: true,
    legalComments: "none",
    ...more,
  });
  // The same wherever it is built.
  const map = JSON.parse(readFileSync(`${outfile}.map`, "utf8"));
  map.sources = map.sources.map((source) => relative(web, resolve(dirname(outfile), source)));
  writeFileSync(`${outfile}.map`, `${JSON.stringify(map)}\n`);
}

async function buildClient(out) {
  mkdirSync(out, { recursive: true });
  const { version } = JSON.parse(readFileSync(join(web, "client/package.json"), "utf8"));
  const banner = { js: `/* scumble-client ${version}, MIT OR Apache-2.0 */` };
  await bundle(join(web, "client/src/client.ts"), join(out, "client.js"), { banner });
  await bundle(join(web, "client/src/testing.ts"), join(out, "testing.js"), { banner });
  await bundle(join(web, "client/src/yjs.ts"), join(out, "yjs.js"), { banner, external: ["yjs"] });
  const types = mkdtempSync(join(tmpdir(), "scumble-types-"));
  run(process.execPath, [join(web, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.client.json", "--outDir", types]);
  for (const file of PUBLIC_TYPES) cpSync(join(types, file), join(out, file));
  rmSync(types, { recursive: true });
}

const clientFromServer = {
  name: "client-from-server",
  setup: ({ onResolve }) => onResolve({ filter: /^(scumble-client|\/client\.js)$/ }, () => ({ path: "./client.js", external: true })),
};

async function buildDemo(out) {
  const src = join(web, "demo/src");
  if (!existsSync(join(src, "main.ts"))) return;
  mkdirSync(out, { recursive: true });
  await bundle(join(src, "main.ts"), join(out, "demo.js"), { plugins: [clientFromServer] });
  const css = readFileSync(join(src, "demo.css"), "utf8");
  writeFileSync(join(out, "demo.css"), (await transform(css, { loader: "css", minify: true, target: TARGET })).code);
  cpSync(join(src, "index.html"), join(out, "index.html"));
}

async function buildAdmin(out) {
  const src = join(web, "admin/src");
  mkdirSync(out, { recursive: true });
  await bundle(join(src, "main.ts"), join(out, "admin.js"));
  const css = readFileSync(join(src, "admin.css"), "utf8");
  writeFileSync(join(out, "admin.css"), (await transform(css, { loader: "css", minify: true, target: TARGET })).code);
  cpSync(join(src, "index.html"), join(out, "index.html"));
}

const parts = [
  ["client/dist", buildClient],
  ["demo/dist", buildDemo],
  ["admin/dist", buildAdmin],
];

function filesIn(folder) {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

async function check() {
  const fresh = mkdtempSync(join(tmpdir(), "scumble-web-"));
  const wrong = [];
  for (const [part, make] of parts) {
    const out = join(fresh, part);
    await make(out);
    for (const file of new Set([...filesIn(out), ...filesIn(join(web, part))])) {
      const [built, committed] = [join(out, file), join(web, part, file)];
      const same = existsSync(built) && existsSync(committed) && readFileSync(built).equals(readFileSync(committed));
      if (!same) wrong.push(`${part}/${file}`);
    }
  }
  rmSync(fresh, { recursive: true });
  if (wrong.length === 0) return console.log("the committed build is what the sources give");
  console.error(`not what the sources give (run "npm --prefix web run build"):\n  ${wrong.join("\n  ")}`);
  process.exit(1);
}

async function test(ending, only = "") {
  const out = join(web, ".build/test");
  rmSync(out, { recursive: true, force: true });
  const entryPoints = ["client/test", "demo/test", "test"].flatMap((folder) =>
    filesIn(join(web, folder)).filter((file) => file.endsWith(ending)).map((file) => join(web, folder, file)))
    .filter((file) => relative(web, file).includes(only));
  await build({
    entryPoints,
    outdir: out,
    outbase: web,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    external: ["/client.js"],
    sourcemap: "inline",
  });
  const bundles = entryPoints.map((file) => join(".build/test", relative(web, file).replace(/\.ts$/, ".mjs")));
  // Two files at a time: they wait more than they compute, but two browsers and their servers are enough for a small
  // machine. What a failed test left open, such as a room that connects again and again, must not keep its file running for ever.
  run(process.execPath, ["--enable-source-maps", "--test", "--test-force-exit", "--test-concurrency=2", ...bundles]);
}

switch (process.argv[2]) {
  case undefined:
    for (const [part, make] of parts) await make(join(web, part));
    break;
  case "--check":
    await check();
    break;
  case "--test":
    await test(".test.ts");
    break;
  case "--measure":
    await test(".measure.ts", process.argv[3]);
    break;
  case "--test-browser":
    await test(".browser.ts", process.argv[3]);
    break;
  default:
    console.error(`unknown argument ${process.argv[2]}`);
    process.exit(2);
}
