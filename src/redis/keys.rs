//! What things are called in Redis. Channels are named by the relay, since they are shared by all databases of a server.

use crate::protocol::ids::CanvasId;

/// A hash: the relay's id, its rules, its era.
pub(super) const RELAY: &str = "scumble:relay";
/// A sorted set: the numbers of the live instances, by their last heartbeat.
pub(super) const INSTANCES: &str = "scumble:instances";
/// Before an instance's number. A hash: its token, name, process, host.
pub(super) const INSTANCE: &str = "scumble:instance:";

/// An instance's hash.
pub(super) fn instance(number: u32) -> String {
    format!("{INSTANCE}{number}")
}

/// A set: the names of the canvases that an instance has loaded.
pub(super) fn canvases_of(number: u32) -> String {
    format!("{INSTANCE}{number}:canvases")
}

/// A lock with an end: who turns the clients of a dead instance away.
pub(super) fn reaping(number: u32) -> String {
    format!("{INSTANCE}{number}:reaping")
}

/// A hash: how many batches a canvas has had, its first epoch, its snapshot.
pub(super) fn canvas(id: &CanvasId) -> String {
    format!("scumble:canvas:{id}")
}

/// A stream: a canvas's batches since the snapshot before the last.
pub(super) fn log(id: &CanvasId) -> String {
    format!("scumble:log:{id}")
}

/// Before all channels of a relay.
pub(super) fn channels(relay: &str) -> String {
    format!("scumble:{relay}:")
}

/// Where a canvas's batches are told.
pub(super) fn channel(relay: &str, id: &CanvasId) -> String {
    format!("scumble:{relay}:{id}")
}

/// What an instance listens to for as long as it lives: its connection's end is seen there first. No canvas has such a name.
pub(super) fn sign_of_life(relay: &str, number: u32) -> String {
    format!("scumble:{relay}:/{number}")
}
