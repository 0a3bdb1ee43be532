/**
 * `scumble-client/yjs`: a Yjs document in the log of an object. Needs the package `yjs`, and no other.
 *
 *   const room = await connect({ canvas: "board" });
 *   const doc = new Y.Doc();
 *   const provider = new ScumbleProvider(room, "notes", doc);
 *
 * Each change of the document is an entry of the log. Whoever comes reads the entries, in any order and as often as they
 * come: that is what a CRDT allows. Now and then a client puts the whole document in the place of the entries.
 */
import * as Y from "yjs";
import type { Room } from "./types.js";
/** Options of a {@link ScumbleProvider}. */
export interface ProviderOptions {
    /** The `kind` of the object, where the provider has to create it. Default `"yjs"`. */
    readonly kind?: string;
    /** Changes within so many milliseconds are one entry. Default 30. */
    readonly flushMs?: number;
    /** From so many entries on the log is compacted. Default 200. */
    readonly compactEntries?: number;
    /** Carets and names of others: `new Awareness(doc)` of the package `y-protocols`. It is in the presence of the room's clients. */
    readonly awareness?: AwarenessLike;
}
/** What is needed of an `Awareness` of `y-protocols`. */
export interface AwarenessLike {
    readonly clientID: number;
    readonly states: Map<number, any>;
    readonly meta: Map<number, {
        clock: number;
        lastUpdated: number;
    }>;
    getLocalState(): object | null;
    on(event: any, listener: (...given: any[]) => void): void;
    off(event: any, listener: (...given: any[]) => void): void;
    emit(event: any, given: any): void;
}
/** The types of rooms do not matter here. */
type AnyRoom = Pick<Room, "log" | "on" | "sync" | "role" | "client" | "status" | "limits" | "batch"> & {
    readonly others: readonly {
        readonly client: string;
        readonly away: boolean;
        readonly state: object;
    }[];
    readonly presence: {
        update(patch: any): void;
    };
    readonly objects: {
        has(id: string): boolean;
        create(object: {
            readonly id: string;
            readonly kind: string;
        }): unknown;
    };
};
export declare class ScumbleProvider {
    private readonly room;
    private readonly id;
    readonly doc: Y.Doc;
    /** The log holds all that the document has, as far as is known here: nothing of one's own waits. */
    synced: boolean;
    /** As it was given; editors look for it here. */
    readonly awareness: AwarenessLike | undefined;
    private readonly carets;
    private readonly log;
    private readonly flushMs;
    private readonly compactEntries;
    private readonly kind;
    private readonly pieces;
    private readonly stops;
    private readonly waiting;
    /** Changes that are not appended yet. */
    private pending;
    private unacked;
    private timer;
    private compactTimer;
    private compacting;
    /** The log may lack something that the document has. */
    private lacking;
    private destroyed;
    constructor(room: AnyRoom, id: string, doc: Y.Doc, options?: ProviderOptions);
    /** Resolves when all has come that was there, and all of one's own is committed. */
    whenSynced(): Promise<void>;
    /** Appends what waits, and stops. The document stays as it is, and its carets go. */
    destroy(): void;
    private heard;
    private restarted;
    private take;
    /** The log may lack something: that is looked for once all of it has come. */
    private lack;
    private changed;
    private get arrived();
    /** What waits for the canvas to have come, or for an answer. */
    private settle;
    /** What the document has and the log has not. */
    private missing;
    private flush;
    private append;
    private entriesOf;
    private follow;
    /** Pieces mean something together only: another client may have compacted some of them away meanwhile. */
    private check;
    private get isFull();
    /** One client of those that are here does it: the first by its name. The others, if it does not. */
    private compactSoon;
    /** Puts the whole document in the place of the entries that are there. Done by itself when the log is long. */
    compact(): Promise<void>;
}
export {};
