/**
 * scumble-client: a canvas that stays in sync over a scumble relay.
 *
 * `connect` gives a room at once, connected or not. Everything is optimistic: calls show immediately and are sent,
 * resent and confirmed behind the scenes.
 */
import type { AnyEvents, CanvasObject, ConnectOptions, JsonObject, Room, Shape } from "./types.js";
export * from "./types.js";
/**
 * Opens a room. Resolves as soon as it can be drawn on, which does not wait for the server: see `room.whenSynced()`.
 * Rejects with `TypeError` for bad options or where there is no WebSocket, with `RangeError` for a name or colour that
 * is too long, and with the signal's reason when that is aborted before.
 */
export declare function connect<Shapes extends Shape = CanvasObject, Presence extends object = JsonObject, Events extends object = AnyEvents>(options: ConnectOptions): Promise<Room<Shapes, Presence, Events>>;
