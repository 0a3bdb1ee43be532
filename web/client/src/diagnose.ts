/** Why a WebSocket can't be opened. It does not say so itself: the same address is asked as a page would be. */

const WITHIN_MS = 1_900;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function ask(url: string, mode: RequestMode): Promise<Answer> {
  const response = await fetch(url, { mode, redirect: "manual", cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(WITHIN_MS) });
  const { status, type } = response;
  return { status, type, text: status >= 400 ? (await response.text()).slice(0, 4096) : "" };
}

/** What the relay says of a request that it refuses. */
function saidIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? ` (${message})` : "";
  } catch {
    return "";
  }
}

function reasonOf({ status, type, text }: Answer): string {
  if (type === "opaque") return "something answers there, but takes no WebSocket: is the path right?";
  if (type === "opaqueredirect" || (status >= 300 && status < 400)) {
    return "the server redirects to another address, which WebSockets do not follow: give that one as url";
  }
  if (status === 404 || status === 405 || status < 300) return `the server answers ${status}: there is no relay at this path`;
  if (status === 401 || status === 407) return `the server answers ${status}: it asks for a login before it lets a WebSocket through`;
  if (status === 426) return "the relay is there, but no WebSocket gets through to it: it is shutting down, or a proxy between does not pass upgrades on";
  const said = `the server answers ${status}${saidIn(text)}`;
  if (status === 403) return `${said}: it lets nobody in from this address, or from this page's origin`;
  if (status === 429) return `${said}: too many attempts from this address`;
  return status >= 500 ? `${said}: it, or what stands behind a proxy, takes nobody just now` : said;
}

/** A name for what keeps a request from being answered; only Node knows one. */
function causeOf(error: unknown): string {
  const code = (error as { cause?: { code?: unknown } }).cause?.code;
  return typeof code === "string" ? ` (${code})` : "";
}

/** Finds out why there is no connection to this address. */
export async function diagnose(socketUrl: string): Promise<string> {
  if ((globalThis.navigator as Navigator | undefined)?.onLine === false) return "this device is offline";
  const url = socketUrl.replace(/^ws/, "http");
  try {
    return reasonOf(await ask(url, "cors"));
  } catch (error) {
    // Another origin's answer can't be read; that there is one can be told.
    if (typeof document === "undefined") return `nothing answers there${causeOf(error)}`;
    return await ask(url, "no-cors").then(reasonOf, () => "nothing answers there");
  }
}
