//! The settings that rooms get from the configuration.

use std::time::Duration;

use crate::config::Config;
use crate::protocol::server_message::Limits;
use crate::room::Settings;

/// The settings of all rooms.
pub(super) fn settings(config: &Config) -> Settings {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Settings {
        instance: config.instance_id.clone(),
        local_broadcast: config.local_broadcast,
        cursor_quiet: config.cursor_flush_min,
        snapshots: config.snapshots,
        limits: Limits {
            max_message_bytes: config.max_message_bytes,
            cursor_interval_ms: ms(config.cursor_flush_min),
            ops_per_s: config.limits.ops_per_s,
            max_objects: config.rules.bounds.max_objects,
            max_clients: config.max_clients_per_canvas,
            max_canvas_bytes: config.rules.bounds.max_bytes,
            max_json_depth: config.limits.max_json_depth,
            max_asset_bytes: config.assets.are_taken().then_some(config.assets.max_bytes),
        },
        heartbeat_ms: ms(config.deadlines.ping_interval),
    }
}
