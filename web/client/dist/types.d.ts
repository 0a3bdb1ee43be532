/** Everything public: the shapes an application sees. Times are milliseconds unless a name says otherwise. */
/** A value JSON can hold. Numbers must be finite; at most 15 levels deep. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object. Members that are `undefined` are left out when it is sent. */
export interface JsonObject {
    readonly [key: string]: Json | undefined;
}
/** An object on the canvas. Treat it as immutable: a change makes a new one, and what is unchanged stays identical. */
export interface CanvasObject extends JsonObject {
    /** 1–64 characters, unique on the canvas. */
    readonly id: string;
    /** 1–32 characters; the application's own word. */
    readonly kind: string;
}
/** How a person is shown to others. Each at most 64 characters. What a token says wins over it. */
export interface User {
    readonly name?: string;
    readonly color?: string;
}
/**
 * Where an op is. `failed` waits for {@link Op.retry} or {@link Op.discard}, unless the room is closed or disconnected for
 * good, or the op was discarded.
 */
export type OpState = "pending" | "sent" | "acked" | "failed";
/** What became of an op. */
export interface OpResult {
    /** Its place in the canvas's order; 0 when it took none (`ignored`) or it is no longer known (`dup`). */
    readonly seq: number;
    /** `ok`: committed now. `dup`: was committed before. `ignored`: the object was not there any more. */
    readonly status: "ok" | "dup" | "ignored";
}
/**
 * Why something did not work: the server's error codes, and the client's own:
 * `gap` (a message was missing; healed by reconnecting), `bad-frame` (the server sent what could not be read),
 * `unknown-outcome` (an op may or may not have been committed), `discarded`, `closed`, `unauthorized`, `replaced`,
 * `refused` (the server closed for good, or refused an op for good and the reason was lost), `full` (the canvas or the
 * server is; it is tried again), `no-socket` (the WebSocket constructor threw), `storage`, `listener` (a listener of yours threw).
 */
export type ErrorCode = "bad-json" | "bad-message" | "unknown-type" | "too-large" | "bad-op" | "forbidden" | "rate-limited" | "overloaded" | "not-ready" | "gap" | "bad-frame" | "unknown-outcome" | "discarded" | "closed" | "unauthorized" | "replaced" | "refused" | "full" | "no-socket" | "storage" | "listener" | (string & {});
/** One durable change on its way. Returned at once by every call that changes the canvas. */
export interface Op {
    /** Number within this page's life; stable, unlike the number on the wire. */
    readonly key: number;
    /** The wire type: `object-create`, `object-update`, `object-delete`, `chat` or `broadcast`. */
    readonly type: "object-create" | "object-update" | "object-delete" | "chat" | "broadcast";
    /** The object it concerns, for the three object types. */
    readonly objectId?: string;
    readonly state: OpState;
    /** Why it failed, while `state` is `failed`. */
    readonly error?: {
        readonly code: ErrorCode;
        readonly message: string;
    };
    /** Refusals that may pass (`overloaded`, `rate-limited`) so far; the third makes it `failed`. */
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
/** Somebody else on the canvas. A new object whenever anything in it but the cursor changes. */
export interface Other {
    readonly client: string;
    /** Name and colour: from joining, overlaid by what {@link Room.setUser} said since. */
    readonly user: User;
    /** Their presence state, merged. */
    readonly state: JsonObject;
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
     * Somebody else's update as it was committed: their merge patch. It is told even when own pending ops mask all of it,
     * or have deleted the object, and then before those ops are `acked`: it stands under them, so it is what taking them
     * back has to restore. Content of other people's making: nothing in it is checked.
     */
    readonly patch?: JsonObject;
}
/** Fired once per message or call with everything it changed. */
export interface ObjectsEvent {
    /** Each object once. */
    readonly ids: readonly string[];
    /** In the order they happened; seldom several of one object. */
    readonly changes: readonly ObjectChange[];
    /** True when a snapshot replaced the confirmed state. */
    readonly reset: boolean;
}
/** An application's own durable event. */
export interface BroadcastEvent {
    readonly event: string;
    readonly data: Json;
    readonly client: string;
    /** True for one's own, which comes when it is committed. */
    readonly own: boolean;
    readonly seq: number;
    /** Server time, ms since the epoch. */
    readonly at: number;
}
/** An application's ephemeral event. */
export interface SignalEvent {
    readonly client: string;
    readonly event: string;
    readonly data: Json;
}
/** What each event carries. */
export interface RoomEvents {
    status: Status;
    sync: SyncState;
    objects: ObjectsEvent;
    /** Somebody came, went, or changed presence. */
    others: readonly Other[];
    /** New points arrived or a cursor went: the ids. Draw from {@link Cursors.sample} on animation frames. */
    cursors: readonly string[];
    /** The new list; the same as `room.chat.messages`. */
    chat: readonly ChatMessage[];
    broadcast: BroadcastEvent;
    signal: SignalEvent;
    /** The new list; the same as `room.outbox`. */
    outbox: readonly Op[];
    error: ScumbleError;
}
/**
 * The canvas's objects as shown: the confirmed ones with one's own pending ops on top. Iterates in creation order over
 * what was there at the beginning.
 *
 * Calls that change something throw `TypeError` for values of the wrong type or that JSON cannot hold, and `RangeError`
 * for an id or kind out of bounds.
 */
export interface Objects extends Iterable<CanvasObject> {
    readonly size: number;
    get(id: string): CanvasObject | undefined;
    has(id: string): boolean;
    ids(): Iterable<string>;
    values(): Iterable<CanvasObject>;
    /** All as an array; the same array until something changes (fit for `useSyncExternalStore`). */
    all(): readonly CanvasObject[];
    /** What the server last confirmed, without one's own pending ops. */
    confirmed(id: string): CanvasObject | undefined;
    /**
     * Puts an object; one of the same id is replaced. Without an `id` a random one is made: read it from `op.objectId`.
     */
    create(object: {
        readonly id?: string;
        readonly kind: string;
    } & JsonObject): Op & {
        readonly objectId: string;
    };
    /**
     * Merges a patch (RFC 7396: `null` deletes a property). An update that was not sent yet takes the new patch in, and
     * its Op is returned again. Throws `TypeError` for a patch that changes the id.
     */
    update(id: string, patch: JsonObject): Op & {
        readonly objectId: string;
    };
    /** Removes an object. */
    delete(id: string): Op & {
        readonly objectId: string;
    };
}
/** The chat: confirmed messages in order (the latest 1,000), then one's own that are not. */
export interface Chat {
    readonly messages: readonly ChatMessage[];
    /**
     * Sends a text of 1–4,000 characters. `replyTo` is the `seq` of a confirmed message, from 1. `RangeError` for what is
     * out of these bounds, `TypeError` for what is no text or number. Given an Op of an earlier `send` it retries that one
     * if it failed and does nothing otherwise.
     */
    send(text: string | Op, options?: {
        readonly replyTo?: number;
    }): Op;
}
/** Others' cursors. */
export interface Cursors {
    /** Cursors to draw at `nowMs` (default `performance.now()`), hidden ones left out. O(number of cursors). */
    sample(nowMs?: number): readonly Cursor[];
    /** One cursor, or `undefined` when hidden or unknown. */
    at(client: string, nowMs?: number): Cursor | undefined;
}
/** The server's bounds, from its welcome. */
export interface Limits {
    readonly max_message_bytes: number;
    readonly cursor_interval_ms: number;
    /** Durable messages a second; 0 for no limit. */
    readonly ops_per_s: number;
    readonly max_objects: number;
    readonly max_clients: number;
    /** Bytes of all objects together. */
    readonly max_canvas_bytes: number;
    /** Levels of arrays and objects in a message, its own braces included. */
    readonly max_json_depth: number;
}
/** One canvas, live. */
export interface Room {
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
    readonly sync: SyncState;
    readonly objects: Objects;
    readonly chat: Chat;
    readonly others: readonly Other[];
    /** Ops that are not acked, in order; failed ones too. A new array after every change. */
    readonly outbox: readonly Op[];
    readonly cursors: Cursors;
    readonly cursor: {
        /**
         * Where one points, with at most 512 bytes of fields (`RangeError`) of JSON (`TypeError`). Call it as often as you
         * like.
         */
        set(point: {
            readonly x: number;
            readonly y: number;
        } & JsonObject): void;
        /** One does not point any more; others hide the cursor. */
        clear(): void;
    };
    readonly presence: {
        /** One's own state as merged here. */
        readonly state: JsonObject;
        /**
         * Merges a patch (`null` deletes). Sent at most every 50 ms; after a reconnect the whole state is told anew. Throws
         * `RangeError`, and changes nothing, for a state over 8 KiB after the merge or too large for a message to this server.
         */
        update(patch: JsonObject): void;
    };
    /** Sends a durable event of the application's: stored, ordered, resent like any op. `event` has 1–64 characters. */
    broadcast(event: string, data?: Json): Op;
    /**
     * Sends an ephemeral event. False, and not sent, while there is no connection. Throws `RangeError` for one over
     * `limits.max_message_bytes` as a message.
     */
    signal(event: string, data?: Json): boolean;
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
    /** Resolves when `sync` is `synchronized`; rejects when the room is disconnected for good. */
    whenSynced(): Promise<void>;
    /**
     * Leaves for good. Unacked ops stay stored with `persist: "indexeddb"`, and are dropped otherwise; here they are `failed`
     * with the code `closed`, and not listed any more. Idempotent.
     */
    close(): void;
    /** Calls `listener` on every such event; returns the function that stops it. */
    on<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void): () => void;
}
/** What the library needs of a WebSocket: the browser's, Node's or the `ws` package's constructor. */
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => unknown;
/** Options of {@link connect}. */
export interface ConnectOptions {
    /** Server, as `wss://host`, `https://host` or with a path before `/ws/…`. Default: where the page came from. */
    readonly url?: string;
    /** `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}` */
    readonly canvas: string;
    readonly user?: User;
    /** A token, or a function that gets one: called before every connection. */
    readonly token?: string | (() => string | Promise<string>);
    /** Where unacked ops are kept. Default `memory`. `indexeddb` falls back to memory where there is none. */
    readonly persist?: "indexeddb" | "memory";
    /** A WebSocket constructor, where there is no global one (Node 20). */
    readonly WebSocket?: WebSocketConstructor;
    /**
     * A fixed client id, 8–64 of `[A-Za-z0-9_-]`. Default: made here, and kept for the tab. Whoever gives one vouches that
     * nobody else uses it: a second connection ends the first for good.
     */
    readonly client?: string;
}
/** What `room.on("error")`, `op.done` and `whenSynced()` give. */
export declare class ScumbleError extends Error {
    readonly code: ErrorCode;
    /** The op concerned, where there is one. */
    readonly op?: Op | undefined;
    readonly name = "ScumbleError";
    constructor(code: ErrorCode, message: string, 
    /** The op concerned, where there is one. */
    op?: Op | undefined);
}
