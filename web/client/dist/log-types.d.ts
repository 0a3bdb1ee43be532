/** Logs of objects as an application sees them. */
import type { Op } from "./types.js";
/** An entry of an object's log. */
export interface LogEntry {
    /** The place of the message that appended it; of a compaction, that of the last entry that it covers. */
    readonly seq: number;
    readonly data: Uint8Array;
}
/** The log of an object changed, as it is confirmed. */
export interface LogEvent {
    /** The object. */
    readonly id: string;
    /**
     * `append`: an entry came. `compact`: one entry, or none, stands for those up to `upto`. `reset`: a snapshot came,
     * or the object was deleted.
     */
    readonly type: "append" | "compact" | "reset";
    /** What came; after a `reset` all there are. */
    readonly entries: readonly LogEntry[];
    readonly upto?: number;
    /** Who did it; empty for a `reset`. */
    readonly client: string;
    readonly own: boolean;
}
/**
 * The log of one object: bytes in the canvas's order, which mean something to the application only. It is there while the
 * object is, and undo does not touch it.
 */
export interface ObjectLog {
    readonly id: string;
    /** The confirmed entries; the same array until something changes. */
    readonly entries: readonly LogEntry[];
    /** Puts an entry behind the others. `ignored` if the object is not there. One message holds about 190 KB. */
    append(data: Uint8Array): Op;
    /**
     * Puts one entry, or none, in the place of all up to `upto`, the `seq` of the last entry that `data` covers. `ignored`
     * where somebody else has done so: nothing is lost then.
     */
    compact(upto: number, data?: Uint8Array): Op;
    on(type: LogEvent["type"], listener: (event: LogEvent) => void): () => void;
}
