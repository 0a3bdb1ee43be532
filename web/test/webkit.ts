/** A demo page in WebKit: Debian's `webkit2gtk-driver` on a display of its own (`xvfb`), by `selenium-webdriver`. */

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Builder, Capabilities, type WebDriver } from "selenium-webdriver";
import { Child, eventually, freePort } from "./cluster.js";

/** The browser that the driver belongs to, wherever the distribution put it. */
function miniBrowser(): string {
  const roots = ["/usr/lib", "/usr/libexec"].filter((root) => existsSync(root));
  const folders = roots.flatMap((root) => [root, ...readdirSync(root).map((name) => join(root, name))]);
  for (const version of ["webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0"]) {
    const found = folders.map((folder) => join(folder, version, "MiniBrowser")).find((path) => existsSync(path));
    if (found) return found;
  }
  assert.fail("WebKit's MiniBrowser is missing: scripts/install-test-deps installs it");
}

export class WebKit {
  private drawn = 0;

  private constructor(private readonly driver: WebDriver, private readonly parts: readonly Child[]) {}

  static async start(): Promise<WebKit> {
    const display = new Child("Xvfb", "Xvfb", ["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "1100x800x24"]);
    const [, number] = await display.said(/^(\d+)$/m);
    const port = await freePort();
    const environment = { DISPLAY: `:${number}`, WEBKIT_DISABLE_COMPOSITING_MODE: "1" };
    const driver = new Child("WebKitWebDriver", "WebKitWebDriver", ["--host=127.0.0.1", `--port=${port}`], environment);
    const url = `http://127.0.0.1:${port}`;
    await eventually("the driver answers", () => fetch(`${url}/status`).then((answer) => answer.ok, () => false));
    const options = { binary: miniBrowser(), args: ["--automation"] };
    const wanted = new Capabilities({ browserName: "MiniBrowser", "webkitgtk:browserOptions": options });
    return new WebKit(await new Builder().usingServer(url).withCapabilities(wanted).build(), [driver, display]);
  }

  async open(url: string): Promise<void> {
    await this.driver.get(url);
    await this.arrived();
  }

  async reload(): Promise<void> {
    await this.driver.navigate().refresh();
    await this.arrived();
  }

  private async arrived(): Promise<void> {
    await eventually("the page is there", () => this.ask<boolean>("document.documentElement.dataset.ready === 'true'"));
  }

  /** The value of an expression in the page. */
  ask<T>(expression: string): Promise<T> {
    return this.driver.executeScript<T>(`return ${expression}`);
  }

  get objects(): Promise<string[]> {
    return this.ask("[...window.scumbleDemo.room.objects.ids()]");
  }

  async badge(text: string): Promise<void> {
    let said = "";
    const look = async (): Promise<boolean> => (said = await this.ask<string>("document.getElementById('badge-text').textContent")) === text;
    await eventually(() => `the badge says ${text} (it says ${said})`, look);
  }

  keys(...keys: string[]): Promise<void> {
    return this.driver.actions().sendKeys(...keys).perform();
  }

  /** Draws with the pencil, somewhere else each time. */
  async stroke(): Promise<void> {
    await this.keys("p");
    const n = this.drawn++;
    const [x, y] = [200 + (n % 6) * 80, 180 + (Math.floor(n / 6) % 5) * 70];
    const at = (dx: number, dy: number): { x: number; y: number; duration: number } => ({ x: x + dx, y: y + dy, duration: 20 });
    await this.driver.actions().move(at(0, 0)).press().move(at(20, 30)).move(at(45, 5)).release().perform();
  }

  async quit(): Promise<void> {
    await this.driver.quit().catch(() => {});
    for (const part of this.parts) await part.end("SIGTERM");
  }
}
