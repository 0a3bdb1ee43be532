//! How an instance makes itself known to an engine, and what may come of that.

use std::sync::Arc;

use thiserror::Error;

use super::Clock;

/// An instance, as it makes itself known.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// Tells this process from others that may be given its number by an engine that forgot.
    pub token: String,
    /// Its name.
    pub instance_id: String,
    /// The flags that all processes of a relay must agree on.
    pub relay_rules: String,
    /// Those of them that the batches of a canvas are done by.
    pub canvas_rules: String,
    /// How long a message may be resumed from.
    pub message_ttl_ms: i64,
    /// How long a lost client stays away before it is gone.
    pub presence_grace_ms: i64,
    /// The relay's time, as far as it is known here.
    pub clock: Arc<Clock>,
}

/// Why a connection did not come about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// It may work a moment later.
    #[error("{0}")]
    Now(String),
    /// It never will.
    #[error("{0}")]
    ForGood(String),
}
