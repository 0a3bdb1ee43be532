/** What the server is asked. Paths are relative to this script, so that the dashboard works below any path of a proxy. */

const BASE = new URL("./api/", import.meta.url);
const PATIENCE_MS = 10_000;

export interface Session {
  open: boolean;
  name: string | null;
  /** Whether the server has tokens at all. */
  tokens: boolean;
  writes: boolean;
  version: string;
}

/** An answer that is no 2xx, or none at all (status 0), in the server's own words. */
export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

let ended: () => void = () => {};

/** Called when a session has ended. */
export function onEnded(then: () => void): void {
  ended = then;
}

export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(new URL(path, BASE), {
      method,
      headers: { "x-scumble-admin": "1", ...(body === undefined ? {} : { "content-type": "application/json" }) },
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  const text = await answer.text();
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    throw new Refused(answer.status, `The server answered ${answer.status} in words that are no JSON: is there a proxy in between?`);
  }
  if (answer.ok) return said as T;
  const { message } = said as { message?: string };
  if (answer.status === 401 && path !== "session") ended();
  throw new Refused(answer.status, message ?? `The server answered ${answer.status}.`);
}

export const get = <T>(path: string): Promise<T> => ask<T>("GET", path);

/** A part of a path that may hold anything. */
export const part = encodeURIComponent;

type Line = (number | null)[];

export interface History {
  step_ms: number;
  at_ms: number[];
  connections: Line;
  event_loop_lag_ms: Line;
  writer_depth: Line;
  messages: number[];
  deliveries: number[];
  bytes_in: number[];
  bytes_out: number[];
  joins: number[];
  refusals: number[];
  commit_p50_ms: Line;
  commit_p99_ms: Line;
  delivery_p50_ms: Line;
  delivery_p99_ms: Line;
}

interface Times {
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
}

export interface Instance {
  instance_id: string;
  pid: number;
  state: string;
  todo: string | null;
  heartbeat_age_ms: number;
  lag: number;
  version?: string;
  uptime_ms?: number;
  connections?: number;
  rooms?: number;
  event_loop_lag_ms?: number;
  writer_depth?: number;
  messages_per_second?: number;
  commit_p99_ms?: number | null;
  delivery_p99_ms?: number | null;
  trouble?: string | null;
}

export interface Analytics {
  scope: "relay" | "process";
  note: string | null;
  instance_id: string;
  version: string;
  now_ms: number;
  health: { state: string; ready: boolean; reason: string | null; cause: string | null; todo: string | null };
  queue: { size: number; oldest_unprocessed_ms: number; rows: number; spilled: number; wal_bytes: number; db_bytes: number };
  connections: number;
  live: {
    seconds: number;
    messages_per_second: number;
    deliveries_per_second: number;
    received_bytes_per_second: number;
    sent_bytes_per_second: number;
    joins: number;
    refusals: number;
    overloaded: number;
    commit: Times;
    delivery: Times;
  };
  instances: Instance[];
  history: History;
}
