/** What the tests use of `selenium-webdriver`, which comes without types. */

declare module "selenium-webdriver" {
  interface Actions {
    sendKeys(...keys: string[]): Actions;
    move(to: { x: number; y: number; duration?: number }): Actions;
    press(): Actions;
    release(): Actions;
    perform(): Promise<void>;
  }
  export interface WebDriver {
    get(url: string): Promise<void>;
    executeScript<T>(script: string, ...values: unknown[]): Promise<T>;
    actions(options?: { async: boolean }): Actions;
    navigate(): { refresh(): Promise<void> };
    quit(): Promise<void>;
  }
  export class Capabilities {
    constructor(wanted: Record<string, unknown>);
  }
  export class Builder {
    usingServer(url: string): Builder;
    withCapabilities(capabilities: Capabilities): Builder;
    build(): Promise<WebDriver>;
  }
}
