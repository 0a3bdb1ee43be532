//! The backplane as a part of this process: its name, its health, its end.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{Answer, Stats};
use crate::protocol::ids::{ConnId, InstanceId, InstanceNumber};

/// This process among those of the relay.
pub trait Instance: Send + Sync + 'static {
    /// This instance's name.
    fn instance_id(&self) -> &InstanceId;

    /// A connection number of this instance's that was never used before.
    fn new_conn(&self) -> ConnId;

    /// The number of this instance, as its connections have it ([`ConnId::instance`]).
    fn number(&self) -> InstanceNumber;

    /// A [`super::seal()`] with a key that all instances of the relay have, and nobody else.
    fn seal(&self, what: &[u8]) -> [u8; super::SEAL_BYTES];
}

/// What starts, watches and ends a backplane asks this.
pub trait Lifecycle: Instance {
    /// How long the last commit took. The cursor flusher paces itself by it.
    fn last_commit(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether entries can be committed now; the reason if not.
    fn ready<'a>(&'a self) -> Answer<'a, ()>;

    /// Numbers for `/api/v1/stats` and `/metrics`.
    fn stats<'a>(&'a self) -> Answer<'a, Stats>;

    /// Commits what was taken, removes this instance and what it had in the presence table, and stops.
    fn shutdown<'a>(&'a self) -> BoxFuture<'a, ()>;
}
