//! A backplane in numbers, for `/api/v1/stats` and `/metrics`.

use super::histogram::Buckets;

/// A backplane in numbers. Fields that a backplane has no meaning for are 0.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Stats {
    /// Rows that are not expired and that some live instance with members has not processed.
    pub queue_size: u64,
    /// The age of the oldest of them, in milliseconds.
    pub oldest_unprocessed_ms: u64,
    /// `healthy`, `warning` or `critical`.
    pub queue_health: &'static str,
    /// Rows in the queue, those kept only for their TTL included.
    pub rows: u64,
    /// Entries waiting for this process's writer.
    pub writer_depth: u64,
    /// Messages in this process's spill file.
    pub spilled: u64,
    /// Messages committed by this process since it started.
    pub committed: u64,
    /// Commits since it started; messages per commit is the batch.
    pub commits: u64,
    /// Entries refused as `overloaded` since it started.
    pub overloaded: u64,
    /// Of these, how many because a log was full.
    pub log_full: u64,
    /// Copies of canvases that were found to differ from another instance's, since the start.
    #[serde(skip)]
    pub copies_diverged: u64,
    /// Canvases of which this process has a copy, where copies are what is read.
    #[serde(skip)]
    pub copies: u64,
    /// Bytes of their objects and chat.
    #[serde(skip)]
    pub copies_bytes: u64,
    /// Bytes of all canvases' retained messages, as quotas count.
    pub log_bytes: u64,
    /// The most that they may be.
    pub max_log_bytes: u64,
    /// Queries of polls since the start.
    pub polls: u64,
    /// Median, 95th, 99th percentile and maximum of a poll's query, in milliseconds.
    pub poll_p50_ms: f64,
    /// See `poll_p50_ms`.
    pub poll_p95_ms: f64,
    /// See `poll_p50_ms`.
    pub poll_p99_ms: f64,
    /// See `poll_p50_ms`.
    pub poll_max_ms: f64,
    /// Median and 99th percentile from taking an entry to its commit, in milliseconds.
    pub write_p50_ms: f64,
    /// See `write_p50_ms`.
    pub write_p99_ms: f64,
    /// From a message's transaction to the rooms here, since the start.
    #[serde(skip)]
    pub delivery: Buckets,
    /// From taking an entry to its commit, since the start.
    #[serde(skip)]
    pub commit: Buckets,
    /// The queries of polls, since the start.
    #[serde(skip)]
    pub poll: Buckets,
    /// Canvases that are polled.
    pub active_poll_tasks: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes of the database file.
    pub db_bytes: u64,
    /// Why this process can't commit, while it can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What to do about it.
    #[serde(skip)]
    pub remedy: &'static str,
    /// The live instances.
    pub instances: Vec<InstanceStats>,
}

/// One instance as the registry has it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct InstanceStats {
    /// Its name.
    pub instance_id: String,
    /// Its process.
    pub pid: u32,
    /// Milliseconds since its last heartbeat.
    pub heartbeat_age_ms: u64,
    /// Rows it has not processed, over the canvases it has members on.
    pub lag: u64,
}
