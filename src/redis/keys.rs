//! The names of keys and channels in Redis. Channels are named by the relay, since all databases of a server share them.

use crate::protocol::ids::{CanvasId, InstanceNumber};

/// The channel of jobs. No canvas has such a name.
pub(super) const JOBS: &str = "/jobs";

/// All names of one relay begin alike.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    fn named(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// A hash: the relay's id, its rules, its era.
    pub(super) fn relay(&self) -> String {
        self.named("relay")
    }

    /// A sorted set: the numbers of the live instances, by their last heartbeat.
    pub(super) fn instances(&self) -> String {
        self.named("instances")
    }

    /// Before an instance's number.
    pub(super) fn instance_prefix(&self) -> String {
        self.named("instance:")
    }

    /// An instance's hash: its token, name, process, host.
    pub(super) fn instance(&self, number: InstanceNumber) -> String {
        format!("{}{number}", self.instance_prefix())
    }

    /// A set: the names of the canvases that an instance has loaded.
    pub(super) fn canvases_of(&self, number: InstanceNumber) -> String {
        format!("{}:canvases", self.instance(number))
    }

    /// A lock with an end: who turns the clients of a dead instance away.
    pub(super) fn reaping(&self, number: InstanceNumber) -> String {
        format!("{}:reaping", self.instance(number))
    }

    /// A set: the instances that have not said yet, in a new era, whether what they know is there.
    pub(super) fn awaited(&self) -> String {
        self.named("awaited")
    }

    /// A sorted set: canvases that nobody has loaded and somebody is away on, by when the grace ends.
    pub(super) fn leaving(&self) -> String {
        self.named("leaving")
    }

    /// A set: canvases of which hooks may not have been told everything. The scripts name it themselves.
    pub(super) fn undispatched(&self) -> String {
        self.named("untold")
    }

    /// A hash: what all canvases take.
    pub(super) fn totals(&self) -> String {
        self.named("totals")
    }

    /// A sorted set: the names of all canvases.
    pub(super) fn names(&self) -> String {
        self.named("names")
    }

    /// A sorted set: canvases that nobody has loaded and that are to be looked after, by when.
    pub(super) fn due(&self) -> String {
        self.named("due")
    }

    /// Before a canvas's name: its hash. How many batches it has had, and what they are chained to; its first epoch, its snapshot.
    pub(super) fn canvas_prefix(&self) -> String {
        self.named("canvas:")
    }

    pub(super) fn canvas(&self, id: &CanvasId) -> String {
        format!("{}{id}", self.canvas_prefix())
    }

    /// Before a canvas's name: a stream, its batches since the snapshot before the last.
    pub(super) fn log_prefix(&self) -> String {
        self.named("log:")
    }

    pub(super) fn log(&self, id: &CanvasId) -> String {
        format!("{}{id}", self.log_prefix())
    }

    /// Before a canvas's name: a stream, its messages that may be resumed from, up to the last snapshot.
    pub(super) fn rows_prefix(&self) -> String {
        self.named("rows:")
    }

    pub(super) fn rows(&self, id: &CanvasId) -> String {
        format!("{}{id}", self.rows_prefix())
    }

    /// Before a canvas's name, a colon and a large snapshot's name: a hash, its parts.
    pub(super) fn snapshot_prefix(&self) -> String {
        self.named("snapshot:")
    }

    pub(super) fn snapshots(&self, id: &CanvasId) -> String {
        format!("{}{id}:", self.snapshot_prefix())
    }

    /// A part of the queue of jobs. All of them are in one slot: a commit changes several.
    pub(super) fn jobs(&self, part: &str) -> String {
        self.named(&format!("{{jobs}}:{part}"))
    }

    /// Where commits of the queue of jobs are told.
    pub(super) fn of_jobs(&self, relay: &str) -> String {
        format!("{}{JOBS}", self.channels(relay))
    }

    /// What the instances said about themselves.
    pub(super) fn samples(&self, part: &str) -> String {
        self.named(&format!("samples:{part}"))
    }

    /// Before everything.
    pub(super) fn all(&self) -> String {
        self.named("")
    }

    /// Before all channels of a relay.
    pub(super) fn channels(&self, relay: &str) -> String {
        self.named(&format!("{relay}:"))
    }

    /// Where a canvas's batches are told.
    pub(super) fn channel(&self, relay: &str, id: &CanvasId) -> String {
        format!("{}{id}", self.channels(relay))
    }

    /// What an instance listens to for as long as it lives: its connection's end is seen there first. No canvas has such a name.
    pub(super) fn sign_of_life(&self, relay: &str, number: InstanceNumber) -> String {
        format!("{}/{number}", self.channels(relay))
    }
}
