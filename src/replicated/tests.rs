//! What unit tests of instances over a log share.

use std::time::Duration;

use super::ReplicatedConfig;
use crate::config::AuthMode;
use crate::limits::{CanvasRules, ObjectBounds, Quotas};
use crate::protocol::ids::InstanceId;

/// An instance of that name, with few objects on a canvas.
pub(super) fn config(name: &str) -> ReplicatedConfig {
    ReplicatedConfig {
        instance_id: InstanceId::parse(name).expect("a name"),
        rules: CanvasRules {
            message_ttl: Duration::from_secs(60),
            presence_grace: Duration::from_secs(10),
            bounds: ObjectBounds {
                max_objects: 100,
                max_bytes: 1 << 20,
            },
            quotas: Quotas::default(),
        },
        auth: AuthMode::None,
        wait_replicas: 0,
        fail_points: Vec::new(),
    }
}
