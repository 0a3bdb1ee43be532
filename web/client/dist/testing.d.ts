/**
 * `scumble-client/testing`: a relay in memory, for an application's own tests. No network, no timers of its own: what is
 * sent arrives in the next microtasks, or after `latencyMs`.
 *
 *   const relay = new FakeRelay();
 *   const room = await connect({ url: "ws://fake", canvas: "c", WebSocket: relay.WebSocket });
 */
import type { CanvasObject, Json, JsonObject, WebSocketConstructor } from "./types.js";
type Message = Record<string, Json | undefined> & {
    readonly type: string;
};
export declare class FakeRelay {
    /** To be given to `connect`. Every canvas name is a canvas of its own, empty at first; clients of the same meet. */
    readonly WebSocket: WebSocketConstructor;
    /** How long everything that is said takes. 0: no timer at all. */
    latencyMs: number;
    /** Refuses an op with this code when it gives one: `overloaded` may pass, `forbidden` and `too-large` are final. */
    refuse: (op: Message, client: string) => string | undefined;
    private readonly canvases;
    private readonly sockets;
    private up;
    constructor();
    /** What is committed on a canvas, in the order of creation. */
    objects(canvas: string): CanvasObject[];
    /** The texts of its chat. */
    chat(canvas: string): string[];
    /** Commits an op as if somebody else had sent it. */
    commit(canvas: string, op: JsonObject & {
        readonly type: string;
    }, client?: string): void;
    /** Everybody's connection breaks. They come back by themselves. */
    cut(): void;
    /** The same, and nobody gets in until {@link online}. */
    offline(): void;
    online(): void;
    private at;
    private members;
    private others;
    private hello;
    private op;
    /** False for a compaction that covers nothing. */
    private logged;
    /** False when it concerned an object that is not there. */
    private committed;
}
export {};
