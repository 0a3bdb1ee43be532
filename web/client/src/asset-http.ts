/** The requests for assets. A page's own has progress; elsewhere there is `fetch`. */

export interface AssetRequest {
  readonly method: "PUT" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Blob;
  readonly sent?: (bytes: number) => void;
  readonly signal: AbortSignal;
}

export interface AssetAnswer {
  /** 0: nothing answers. */
  readonly status: number;
  readonly text: string;
  /** Of `Retry-After`. */
  readonly retryAfterMs?: number;
}

export type AskForAsset = (request: AssetRequest) => Promise<AssetAnswer>;

const NOBODY: AssetAnswer = { status: 0, text: "" };

function answer(status: number, text: string, retryAfter: string | null): AssetAnswer {
  const seconds = Number(retryAfter ?? "");
  return { status, text, ...(seconds > 0 && { retryAfterMs: seconds * 1_000 }) };
}

async function withFetch({ method, url, headers, body, signal }: AssetRequest): Promise<AssetAnswer> {
  try {
    const response = await fetch(url, { method, headers, ...(body && { body }), cache: "no-store", credentials: "omit", redirect: "error", signal });
    return answer(response.status, await response.text(), response.headers.get("retry-after"));
  } catch {
    return NOBODY;
  }
}

function withProgress({ method, url, headers, body, sent, signal }: AssetRequest): Promise<AssetAnswer> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    const abort = (): void => request.abort();
    const end = (said: AssetAnswer): void => {
      signal.removeEventListener("abort", abort);
      resolve(said);
    };
    request.upload.onprogress = ({ loaded }) => sent?.(loaded);
    request.onload = () => end(answer(request.status, request.responseText, request.getResponseHeader("retry-after")));
    request.onerror = request.onabort = () => end(NOBODY);
    signal.addEventListener("abort", abort);
    if (signal.aborted) return end(NOBODY);
    request.send(body ?? null);
  });
}

export const askForAsset: AskForAsset = (request) =>
  request.sent && typeof XMLHttpRequest === "function" ? withProgress(request) : withFetch(request);
