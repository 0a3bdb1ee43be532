/** Everything public: the shapes an application sees. Times are milliseconds unless a name says otherwise. */

import type { Assets, WaitingUpload } from "./asset-types.js";
import type { History, HistoryEvent, StepOptions, UndoStep } from "./history-types.js";
import type { Limits } from "./limits.js";
import type { LogEvent, ObjectLog } from "./log-types.js";
import type { AnyEvents, CanvasObject, EventData, EventName, Json, JsonObject, NewObject, Patch, Shape, State } from "./shapes.js";

export type * from "./asset-types.js";
export type * from "./history-types.js";
export type * from "./limits.js";
export type * from "./log-types.js";
export type * from "./shapes.js";

/** How a person is shown to others. Each at most 64 characters. What a token says wins over it. */
export interface User {
  readonly name?: string;
  readonly color?: string;
  /** Which of the two a token vouches for: told by the server, never by the person. */
  readonly vouched?: readonly ("name" | "color")[];
}

/**
 * Where an op is. `failed` waits for {@link Op.retry} or {@link Op.discard}, unless the room is closed or disconnected for
 * good, or the op was discarded.
 */
export type OpState = "pending" | "sent" | "acked" | "failed";

/** What became of an op. */
export interface OpResult {
  /** Its place in the canvas's order; 0 when it took none (`ignored`, `unchanged`) or it is no longer known (`dup`). */
  readonly seq: number;
  /** `ok`: committed now. `dup`: was committed before. `ignored`: the object was not there any more. `unchanged`: every value was there already, so nothing was sent. */
  readonly status: "ok" | "dup" | "ignored" | "unchanged";
}

/**
 * Why something did not work: the server's error codes, and the client's own:
 * `gap` (a message was missing; healed by reconnecting), `bad-frame` (the server sent what could not be read),
 * `unknown-outcome` (an op may or may not have been committed), `discarded`, `closed`, `unauthorized`, `replaced`,
 * `refused` (the server closed for good, or refused an op for good and the reason was lost), `full` (the canvas or the
 * server is; it is tried again), `unreachable` (no connection; the message says why, and it is tried again), `no-socket` (the WebSocket constructor threw), `storage`, `listener` (a listener of yours threw).
 */
export type ErrorCode =
  | "bad-json" | "bad-message" | "unknown-type" | "too-large" | "bad-op" | "forbidden" | "rate-limited" | "overloaded"
  | "not-ready" | "gap" | "bad-frame" | "unknown-outcome" | "discarded" | "closed" | "unauthorized" | "replaced"
  | "refused" | "full" | "unreachable" | "no-socket" | "storage" | "listener" | (string & {});

/** One durable change on its way. Returned at once by every call that changes the canvas. */
export interface Op {
  /** Number within this page's life; stable, unlike the number on the wire. */
  readonly key: number;
  readonly type: "object-create" | "object-update" | "object-delete" | "log-append" | "log-compact" | "chat" | "broadcast";
  /** The object it concerns, where it concerns one. */
  readonly objectId?: string;
  readonly state: OpState;
  /** Why it failed, while `state` is `failed`. */
  readonly error?: { readonly code: ErrorCode; readonly message: string };
  /**
   * Refusals that may pass (`overloaded`, `rate-limited`) so far. However many: it is sent again as long as the room lives.
   * From the third on say that it is not saved yet, rather than that it is being saved.
   */
  readonly refusals: number;
  /**
   * Resolves when the op is acked. Rejects with a {@link ScumbleError} when it fails, is discarded, or the room closes or
   * is disconnected for good.
   * After {@link retry} of a failed op this is a new promise. A rejection nobody listens to is not reported as unhandled.
   */
  readonly done: Promise<OpResult>;
  /** Sends a failed op again. Does nothing in any other state, so a double click sends once. */
  retry(): void;
  /**
   * Takes a `pending` or `failed` op back; its effect disappears, and it is `failed` with the code `discarded`. False when
   * it is too late (`sent` or `acked`), was done before, or the room is closed.
   */
  discard(): boolean;
}

/** `connecting` until the first welcome, `disconnected` for good (closed, or refused by the server). */
export type Status = "connecting" | "connected" | "reconnecting" | "disconnected";
/** Whether everything up to the canvas's head has arrived on this connection. */
export type SyncState = "synchronizing" | "synchronized";

/** Where unacked ops are: `indexeddb` where they outlive this page, `memory` where they do not. */
export type Storage = "indexeddb" | "memory";

/** Somebody else on the canvas. A new object whenever anything in it but the cursor changes. */
export interface Other<P extends object = JsonObject> {
  readonly client: string;
  /** Name and colour: from joining, overlaid by what {@link Room.setUser} said since. */
  readonly user: User;
  /** Their presence state, merged. Of other people's making: nothing in it is checked, whatever its type says. */
  readonly state: State<P>;
  /** Connection lost a moment ago; gone soon if it does not come back. */
  readonly away: boolean;
}

/** Where somebody points right now. */
export interface Cursor {
  readonly client: string;
  /** In the sender's units, interpolated between the points received. */
  readonly x: number;
  readonly y: number;
  /** The other small fields the sender gave. */
  readonly fields: JsonObject;
  /** No new point for 3 s: show it dimmed. After 60 s it is not listed any more. */
  readonly dim: boolean;
}

/** A chat message. Own unsent ones stand at the end. Treat as immutable. */
export interface ChatMessage {
  /** Stable while the message goes from pending to acked: fit for a list key. */
  readonly key: string;
  /** Place in the canvas's order; 0 while not confirmed. */
  readonly seq: number;
  readonly client: string;
  /** The author's name and colour, where known. */
  readonly user?: User;
  /** Server time in ms since the epoch; the local clock's while not confirmed. */
  readonly at: number;
  readonly text: string;
  /** `seq` of the message it answers. */
  readonly replyTo?: number;
  /** Written by this client. */
  readonly own: boolean;
  /** `acked` for everything confirmed. */
  readonly state: OpState;
  /** For own messages of this page: retry or discard them through it. */
  readonly op?: Op;
}

/** One object as it changed on the screen, or as somebody else changed it behind one's own pending ops. */
export interface ObjectChange {
  readonly id: string;
  /** As it appears on the screen. `update` also where {@link patch} changes nothing there. */
  readonly type: "create" | "update" | "delete";
  /** Whose op it was; own id for one's own, also when it is rolled back. Empty after a snapshot. */
  readonly client: string;
  readonly own: boolean;
  /**
   * `call`: one's own call, told before it returns. `rollback`: an own op failed, or was taken back. `remote`: the server
   * told of it. `snapshot`: the confirmed state was replaced, or read from this device.
   */
  readonly cause: "call" | "rollback" | "remote" | "snapshot";
  /**
   * Somebody else's update as it was committed: their merge patch. It is told even when own pending ops mask all of it,
   * or have deleted the object, and then before those ops are `acked`: it stands under them, so it is what taking them
   * back has to restore. Content of other people's making: nothing in it is checked.
   */
  readonly patch?: JsonObject;
}

/** Fired once per message or call with everything it changed; with `{ batch: "frame" }` once a frame. */
export interface ObjectsEvent {
  /** Each object once. */
  readonly ids: readonly string[];
  /** In the order they happened; seldom several of one object. */
  readonly changes: readonly ObjectChange[];
  /** True when a snapshot replaced the confirmed state. */
  readonly reset: boolean;
}

/** An application's own durable event. */
export type BroadcastEvent<E extends object = AnyEvents> = {
  readonly [K in EventName<E>]: {
    readonly event: K;
    readonly data: E[K];
    readonly client: string;
    /** True for one's own, which comes when it is committed. */
    readonly own: boolean;
    readonly seq: number;
    /** Server time, ms since the epoch. */
    readonly at: number;
  };
}[EventName<E>];

/** An application's ephemeral event. */
export type SignalEvent<E extends object = AnyEvents> = {
  readonly [K in EventName<E>]: { readonly client: string; readonly event: K; readonly data: E[K] };
}[EventName<E>];

export interface ListenOptions {
  /** For `objects` only. */
  readonly batch?: "frame";
}

/** What each event carries. */
export interface RoomEvents<P extends object = JsonObject, E extends object = AnyEvents> {
  status: Status;
  sync: SyncState;
  objects: ObjectsEvent;
  log: LogEvent;
  /** Somebody came, went, or changed presence. */
  others: readonly Other<P>[];
  /** New points arrived or a cursor went: the ids. Draw from {@link Cursors.sample} on animation frames. */
  cursors: readonly string[];
  /** The new list; the same as `room.chat.messages`. */
  chat: readonly ChatMessage[];
  broadcast: BroadcastEvent<E>;
  signal: SignalEvent<E>;
  /** The new list; the same as `room.outbox`. */
  outbox: readonly Op[];
  /** A step was made, taken back or forgotten. */
  history: HistoryEvent;
  storage: Storage;
  /** Uploads that wait; the same as `room.assets.waiting`. */
  assets: readonly WaitingUpload[];
  error: ScumbleError;
}

/**
 * The canvas's objects as shown: the confirmed ones with one's own pending ops on top. Iterates in creation order over
 * what was there at the beginning.
 *
 * Calls that change something throw `TypeError` for values of the wrong type or that JSON cannot hold, and `RangeError`
 * for an id or kind out of bounds.
 */
export interface Objects<S extends Shape = CanvasObject> extends Iterable<S> {
  readonly size: number;
  get(id: string): S | undefined;
  has(id: string): boolean;
  ids(): Iterable<string>;
  values(): Iterable<S>;
  /** All as an array; the same array until something changes (fit for `useSyncExternalStore`). */
  all(): readonly S[];
  /** What the server last confirmed, without one's own pending ops. */
  confirmed(id: string): S | undefined;
  /**
   * Puts an object; one of the same id is replaced. Without an `id` a random one is made: read it from `op.objectId`.
   */
  create(object: NewObject<S>): Op & { readonly objectId: string };
  /**
   * Merges a patch (RFC 7396: `null` deletes a property). Values that are there already are not sent. An update that was not sent yet takes the new patch in, and
   * its Op is returned again. Throws `TypeError` for a patch that changes the id.
   */
  update(id: string, patch: Patch<S>): Op & { readonly objectId: string };
  /**
   * Writes values at their paths as they stand: nulls are kept, and an object replaces what is there as a whole. A path is
   * names with dots between them (`"style.width"`; a backslash stands before a dot or a backslash in a name); missing
   * parents are made. `RangeError` for what is no path, or is within another of them.
   */
  set(id: string, values: JsonObject): Op & { readonly objectId: string };
  /** Deletes what is at these paths. */
  unset(id: string, paths: string | readonly string[]): Op & { readonly objectId: string };
  /**
   * Puts elements behind an array's, or a text behind a text, at their paths: what grows costs what is new of it. What was
   * not sent yet takes the new tail in.
   */
  append(id: string, tails: Readonly<Record<string, readonly Json[] | string>>): Op & { readonly objectId: string };
  /** Removes an object. */
  delete(id: string): Op & { readonly objectId: string };
}

/** The chat: confirmed messages in order (the latest 1,000), then one's own that are not. */
export interface Chat {
  readonly messages: readonly ChatMessage[];
  /**
   * Sends a text of 1–4,000 characters. `replyTo` is the `seq` of a confirmed message, from 1. `RangeError` for what is
   * out of these bounds, `TypeError` for what is no text or number. Given an Op of an earlier `send` it retries that one
   * if it failed and does nothing otherwise.
   */
  send(text: string | Op, options?: { readonly replyTo?: number }): Op;
}

/** Others' cursors. */
export interface Cursors {
  /** Cursors to draw at `nowMs` (default `performance.now()`), hidden ones left out. O(number of cursors). */
  sample(nowMs?: number): readonly Cursor[];
  /** One cursor, or `undefined` when hidden or unknown. */
  at(client: string, nowMs?: number): Cursor | undefined;
}

/**
 * One canvas, live. `Shapes` is the union of the application's objects, `Presence` its presence state, `Events` the data of
 * its events by their names; plain interfaces, each. The types are a promise of the application's: what others send is
 * not checked.
 */
export interface Room<Shapes extends Shape = CanvasObject, Presence extends object = JsonObject, Events extends object = AnyEvents> {
  readonly canvas: string;
  /** This client's id. Changes only when a copied tab turns out to use the same. */
  readonly client: string;
  /** Oneself as others see one: what the server said last, overlaid by {@link setUser}. */
  readonly user: User;
  /** `write` until the server says otherwise. */
  readonly role: "read" | "write";
  /** The server process this connection is on; empty before the first welcome. */
  readonly instance: string;
  /** Opaque: the numbering that `seq` belongs to. */
  readonly epoch: string;
  /** The last durable message held. */
  readonly seq: number;
  readonly limits: Limits;
  readonly status: Status;
  /** What the connection goes over; `undefined` while there is none. */
  readonly transport: Transport | undefined;
  readonly sync: SyncState;
  /** Whether unacked ops outlive this page, as things are: say no more than this. */
  readonly storage: Storage;
  readonly objects: Objects<Shapes>;
  /** The log of the object of that id, whether or not it is there yet. */
  log(id: string): ObjectLog;
  readonly chat: Chat;
  /** Images and files. */
  readonly assets: Assets;
  readonly history: History;
  /** As in {@link history}. */
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  undo(): UndoStep | undefined;
  redo(): UndoStep | undefined;
  /**
   * Calls `changes` at once, and gives what it returned. All ops it makes are sent and told together, with one `objects`
   * event, and are one step of undo; none with `undo: false`. Within a batch, or an open group, it joins that one's step.
   * The server does all of them or none, where it has the feature `batch` and they are at most 1,000 and fit into one
   * message; otherwise each by itself.
   */
  batch<T>(changes: () => T, options?: StepOptions & { readonly undo?: boolean }): T;
  readonly others: readonly Other<Presence>[];
  /** Ops that are not acked, in order; failed ones too. A new array after every change. */
  readonly outbox: readonly Op[];
  readonly cursors: Cursors;
  readonly cursor: {
    /**
     * Where one points, with at most 512 bytes of fields (`RangeError`) of JSON (`TypeError`). `type`, `client` and `hidden`
     * are taken (`TypeError`). Call it as often as you like.
     */
    set(point: { readonly x: number; readonly y: number } & JsonObject): void;
    /** One does not point any more; others hide the cursor. */
    clear(): void;
  };
  readonly presence: {
    /** One's own state as merged here. */
    readonly state: State<Presence>;
    /**
     * Merges a patch (`null` deletes). Sent at most every 50 ms; after a reconnect the whole state is told anew. Throws
     * `RangeError`, and changes nothing, for a state over 8 KiB after the merge or too large for a message to this server.
     */
    update(patch: Patch<State<Presence>>): void;
  };
  /** Sends a durable event of the application's: stored, ordered, resent like any op. `event` has 1–64 characters. */
  broadcast<K extends EventName<Events>>(event: K, ...data: EventData<Events, K>): Op;
  /**
   * Sends an ephemeral event. False, and not sent, while there is no connection. Throws `RangeError` for one over
   * `limits.max_message_bytes` as a message.
   */
  signal<K extends EventName<Events>>(event: K, ...data: EventData<Events, K>): boolean;
  /**
   * Changes name and colour: others see it at once. Fields not given stay, and so does what a token says. Throws
   * `TypeError` for what is no text, `RangeError` for more than 64 characters.
   */
  setUser(user: User): void;
  /**
   * Gives a new token: extends a live connection, or reconnects at once. There it goes before a token function, until it
   * was taken or refused.
   */
  refreshToken(token: string): void;
  /** Round trip to the server in ms. Rejects with `closed` when the connection goes first. */
  ping(): Promise<number>;
  /** Drops the connection, or an attempt, without a goodbye and comes back after `awayMs` (default: by the usual backoff). */
  cut(awayMs?: number): void;
  /**
   * Resolves when `sync` is `synchronized`; rejects when the room is disconnected for good. A rejection nobody listens to
   * is not reported as unhandled.
   */
  whenSynced(): Promise<void>;
  /**
   * Leaves for good. Unacked ops stay stored with `persist: "indexeddb"`, and are dropped otherwise; here they are `failed`
   * with the code `closed`, and not listed any more. Idempotent.
   */
  close(): void;
  /**
   * Calls `listener` on every such event; returns the function that stops it. `objects` with `{ batch: "frame" }`: at most
   * once a frame, with the changes of all events since, in order; not before a call returns, then.
   */
  on<K extends keyof RoomEvents>(
    event: K,
    listener: (value: RoomEvents<Presence, Events>[K]) => void,
    options?: ListenOptions,
  ): () => void;
}

/** What the library needs of a WebSocket: the browser's, Node's or the `ws` package's constructor. */
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => unknown;

/** What a connection goes over: a WebSocket, or a stream of server-sent events and posts. */
export type Transport = "websocket" | "sse";
/** Which of them is wanted. */
export type TransportOption = Transport | "auto";

export interface ConnectOptions {
  /** Server, as `wss://host`, `https://host` or with a path before `/ws/…`. Default: where the page came from. */
  readonly url?: string;
  /** `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}` */
  readonly canvas: string;
  readonly user?: User;
  /** A token, or a function that gets one: called before every connection. */
  readonly token?: string | (() => string | Promise<string>);
  /**
   * Where unacked ops and the confirmed canvas are kept. Default `memory`. `indexeddb` falls back to memory where it does
   * not work, with a `storage` error, and is tried again: see {@link Room.storage}.
   */
  readonly persist?: "indexeddb" | "memory";
  /**
   * How messages are written: `json`, or `msgpack` for fewer bytes. A server that is too old for the latter gets JSON.
   * Default `msgpack`.
   */
  readonly encoding?: "json" | "msgpack";
  /** Whether large canvases may come compressed, where the server and this place can do that. Default `true`. */
  readonly compress?: boolean;
  /**
   * How the server is reached. `auto`, the default: with a WebSocket, and where none gets through with a stream of events
   * over HTTP, until one does. Where you give a {@link WebSocket} of your own, the default is `websocket`.
   */
  readonly transport?: TransportOption;
  /** A WebSocket constructor, where there is no global one (Node 20). */
  readonly WebSocket?: WebSocketConstructor;
  /**
   * A fixed client id, 8–64 of `[A-Za-z0-9_-]`. Default: made here, and kept for the tab. Whoever gives one vouches that
   * nobody else uses it: a second connection ends the first for good.
   */
  readonly client?: string;
  /** Aborted before the room is there, `connect` rejects with its reason; after that the room is closed. */
  readonly signal?: AbortSignal;
  /**
   * In a page the same canvas, opened again with the same options, shares the connection (default): each has listeners and
   * an end of its own, and the last one that closes ends it. A token function counts as the same as any other.
   */
  readonly share?: boolean;
}

/** What `room.on("error")`, `op.done` and `whenSynced()` give. */
export class ScumbleError extends Error {
  override readonly name = "ScumbleError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    /** The op concerned, where there is one. */
    readonly op?: Op,
  ) {
    super(message);
  }
}
