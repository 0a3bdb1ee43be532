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
  /** Bytes of one client's presence state. */
  readonly max_state_bytes: number;
  /** Bytes of one asset; left out where the server has none. */
  readonly max_asset_bytes?: number;
}
