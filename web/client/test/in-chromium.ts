/** What tests of the built library in Chromium share: one browser for a file, and a model server of its own for each test. */

import { after, before, beforeEach } from "node:test";
import type { Browser } from "playwright-core";
import { launch } from "../../test/person.js";
import { RealServer } from "./real-server.js";

export let browser: Browser;
export let server: RealServer;

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async (t) => {
  server = await RealServer.start(process.cwd());
  (t as { after?: (task: () => void) => void }).after?.(() => server.stop());
});
