/** The dashboard: who is in, which section is shown, and when it is asked again. */

import { ask, get, onEnded, Refused, type Session } from "./api";
import { Canvas } from "./canvas";
import { Canvases } from "./canvases";
import { byId, el, say } from "./dom";
import { clock } from "./format";
import { Hooks } from "./hooks";
import { logIn } from "./login";
import { Overview } from "./overview";
import type { Context, Page } from "./page";
import { Queues } from "./queues";
import { startTheme } from "./theme";

const SECTIONS = [["", "Overview"], ["canvases", "Canvases"], ["queues", "Queues"], ["hooks", "Hooks"]] as const;

let session: Session | undefined;
let page: Page | undefined;
/** Grows with each page that is shown: an answer for an earlier one is late. */
let turn = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let answeredAt = 0;

const main = byId("main");
const notice = byId("notice");

function tell(text: string | undefined, kind: "warn" | "bad" | "good" = "bad"): void {
  notice.hidden = !text;
  notice.className = `notice ${kind}`;
  if (text !== notice.textContent) notice.textContent = text ?? "";
}

function pageOf([section, name]: readonly string[], context: Context): Page {
  if (section === "canvases") return new Canvases();
  if (section === "canvas" && name) return new Canvas(name, context);
  if (section === "queues") return new Queues(context);
  if (section === "hooks") return new Hooks(context);
  return new Overview();
}

/** The parts of the address behind the `#`. */
const parts = (): string[] => location.hash.replace(/^#\/?/, "").split("/").map((text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
});

const context = (): Context => ({
  session: session!,
  async act(what, done, how) {
    try {
      await how();
      say(done);
      tell(done, "good");
      setTimeout(() => notice.textContent === done && tell(undefined), 6_000);
      return true;
    } catch (error) {
      tell(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    } finally {
      soon(0);
    }
  },
});

/** Asks again in a while. What nobody sees is not asked for. */
function soon(after: number): void {
  clearTimeout(timer);
  timer = setTimeout(() => void round(), after);
}

async function round(): Promise<void> {
  const [shown, at] = [page, turn];
  if (!shown || document.hidden) return;
  try {
    await shown.refresh();
    if (at !== turn) return;
    answeredAt = Date.now();
    if (notice.className.includes("bad")) tell(undefined);
  } catch (error) {
    if (at !== turn) return;
    const old = answeredAt > 0 ? ` What is shown is of ${clock(answeredAt)}.` : "";
    tell(`${error instanceof Error ? error.message : String(error)}${error instanceof Refused && error.status === 404 ? "" : old}`);
  }
  soon(shown.every);
}

function show(): void {
  if (!session?.open) return;
  const where = parts();
  turn++;
  answeredAt = 0;
  tell(undefined);
  page = pageOf(where, context());
  document.title = `${page.title} · scumble dashboard`;
  main.replaceChildren(page.element);
  const section = where[0] === "canvas" ? "canvases" : where[0];
  for (const link of byId("nav").querySelectorAll("a")) {
    if (link.hash === `#/${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  void round();
}

function chrome(open: boolean): void {
  byId("top").hidden = !open;
  if (!open || !session) return;
  byId("nav").replaceChildren(...SECTIONS.map(([path, name]) => el("a", { attrs: { href: `#/${path}` }, testid: `nav-${path || "overview"}` }, name)));
  const mode = byId("mode");
  mode.textContent = session.writes ? "writes on" : "read-only";
  mode.title = session.writes ? "Started with --admin-writes" : "Start the server with --admin-writes to disconnect, delete, review and replay";
  byId("logout").hidden = !session.tokens;
}

async function start(): Promise<void> {
  page = undefined;
  turn++;
  clearTimeout(timer);
  tell(undefined);
  let refusal: string | undefined;
  try {
    session = await get<Session>("session");
  } catch (error) {
    session = undefined;
    refusal = error instanceof Error ? error.message : String(error);
  }
  chrome(session?.open ?? false);
  if (session?.open) {
    show();
    if (!session.tokens) tell("This server has no API tokens: whoever has an account on this host may look here. --api-token-file asks for a login.", "warn");
    return;
  }
  document.title = "Log in · scumble dashboard";
  main.replaceChildren(logIn(session, refusal, () => void start()));
  main.querySelector("input")?.focus();
}

onEnded(() => void start());
byId("logout").onclick = () => void ask("DELETE", "session").catch(() => {}).then(start);
startTheme(byId<HTMLButtonElement>("theme"));
addEventListener("hashchange", () => {
  show();
  if (page) {
    main.focus();
    say(page.title);
  }
});
document.addEventListener("visibilitychange", () => document.hidden || void round());
document.querySelector<HTMLAnchorElement>(".skip")!.onclick = (event) => {
  event.preventDefault();
  main.focus();
};
void start();
