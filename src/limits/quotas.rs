//! Bounds that flags set: what canvases are held to, and what is kept of them and of jobs.

use std::time::Duration;

/// What canvases are held to, whatever store they are in. Set by flags; the processes of a relay must agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanvasRules {
    /// How long a log message is kept.
    pub message_ttl: Duration,
    /// How long a lost client stays `away` before it is gone.
    pub presence_grace: Duration,
    /// What the objects of one canvas are held to.
    pub bounds: ObjectBounds,
    /// What is kept of all canvases.
    pub quotas: Quotas,
}

/// What a canvas's objects are held to, beside [`super::MAX_OBJECT_BYTES`] for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectBounds {
    /// How many there may be.
    pub max_objects: usize,
    /// Bytes of all together.
    pub max_bytes: usize,
}

/// What is kept of all canvases at most. Set by flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Bytes of one canvas's retained messages.
    pub canvas_log_bytes: u64,
    /// Bytes of all canvases' retained messages.
    pub log_bytes: u64,
    /// Bytes of all that is kept of canvases: objects, chat and retained messages.
    pub total_bytes: Option<u64>,
    /// How many canvases there may be.
    pub canvases: Option<u64>,
    /// A canvas that nobody was on for so long is emptied.
    pub idle_ttl: Option<Duration>,
}

/// How much longer a canvas's log may be than what is left for all. A canvas that is alone gets four fifths of the total, two get four
/// ninths each: some room is always left for who comes next, and no canvas with little in its log waits for those with much.
pub const LOG_SHARE: u64 = 4;

/// How full the logs are, in bytes as they are charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Logs {
    /// That canvas's.
    pub canvas: u64,
    /// All together.
    pub total: u64,
}

/// Which of the logs is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullLog {
    /// The canvas's own.
    Canvas,
    /// That of all, and the canvas has more than its share.
    All,
}

impl Quotas {
    /// Which log has no room for a message that is charged with `bytes`; `None` if there is room. What is empty takes one, however
    /// small the quota: it would be refused for ever.
    #[must_use]
    pub fn full_log(&self, logs: Logs, bytes: u64) -> Option<FullLog> {
        let own = logs.canvas.saturating_add(bytes);
        if own > self.canvas_log_bytes && logs.canvas > 0 {
            return Some(FullLog::Canvas);
        }
        let left = self.log_bytes.saturating_sub(logs.total);
        let over = own > left.saturating_mul(LOG_SHARE) || bytes > left;
        (over && logs.total > 0).then_some(FullLog::All)
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            canvas_log_bytes: 64 << 20,
            log_bytes: 1 << 30,
            total_bytes: None,
            canvases: None,
            idle_ttl: None,
        }
    }
}

/// What the jobs of a queue, and of all queues, may take. Set by flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLimits {
    /// Bytes of one queue: waiting messages, dead ones, marks of duplicates.
    pub queue_bytes: i64,
    /// Bytes of all queues.
    pub bytes: i64,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            queue_bytes: 1 << 30,
            bytes: 4 << 30,
        }
    }
}
