//! Configuration: parsed twice, first as flags and environment (`Cli`), then as something meaningful ([`Config`]).
//! Nothing else reads the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::ids::InstanceId;

/// Everything `serve` needs to know, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The queue file and how it is used; `None` for `--queue off`.
    pub queue: QueueConfig,
    /// `--queue off`: this process alone, in memory.
    pub in_memory: bool,
    /// Own clients hear at commit, without waiting for a poll.
    pub local_broadcast: bool,
    /// The cursor flusher's shortest interval.
    pub cursor_flush_min: Duration,
    /// The cursor flusher's longest interval.
    pub cursor_flush_max: Duration,
    /// How long a shutdown may take.
    pub drain_timeout: Duration,
    /// Bytes of one client message.
    pub max_message_bytes: usize,
    /// Connections of one canvas on this instance.
    pub max_clients_per_canvas: usize,
    /// Objects of one canvas.
    pub max_objects: usize,
    /// A socket that takes no byte for this long is closed.
    pub write_timeout: Duration,
    /// With snapshots off, who can't resume starts empty and is told so.
    pub snapshots: bool,
}

/// What the queue needs to know.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The SQLite file.
    pub db: PathBuf,
    /// This process's name.
    pub instance_id: InstanceId,
    /// The safety poll after activity.
    pub poll_interval: Duration,
    /// The safety poll when idle.
    pub poll_idle: Duration,
    /// Rows of one poll.
    pub max_messages_per_poll: u32,
    /// How long a log message is kept.
    pub message_ttl: Duration,
    /// How long rows of the ephemeral lane are kept.
    pub cursor_ttl: Duration,
    /// How often expired rows go.
    pub cleanup_interval: Duration,
    /// Own commits are delivered at once from memory.
    pub local_broadcast: bool,
    /// `PRAGMA synchronous`.
    pub synchronous: Synchronous,
    /// How long a lost client stays `away` before it is gone.
    pub presence_grace: Duration,
    /// Objects of one canvas.
    pub max_objects: usize,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// The kernel has it: survives the process, not a power cut.
    Normal,
    /// The disk has it.
    Full,
}
