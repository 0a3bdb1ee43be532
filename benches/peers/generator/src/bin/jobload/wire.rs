//! What every protocol can do.

use std::time::Duration;

use crate::args::Args;
use crate::payload::Payload;

/// A connection to a queue.
pub trait Wire: Sized + 'static {
    /// Connects to `host:port`.
    async fn connect(target: &str, args: &Args) -> anyhow::Result<Self>;

    /// Makes the queue, and the group that all consumers are in.
    async fn prepare(&mut self) -> anyhow::Result<()>;

    /// Pushes the messages into one partition. They are stored when this returns.
    async fn push(&mut self, partition: u32, payloads: &[String]) -> anyhow::Result<()>;

    /// Leases at most so many messages. With none there, waits about that long for one.
    async fn pop(&mut self, most: u32, wait: Duration) -> anyhow::Result<Vec<Payload>>;

    /// Completes what the last pop gave.
    async fn ack(&mut self) -> anyhow::Result<()>;
}
