//! Counters.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::tail::Committed;
use crate::backplane::latency::Latency;
use crate::time::millis;

/// A write-ahead log below 1 MiB is left alone.
pub(in crate::sqlite) const PASSIVE_FRAMES: u32 = 256;

/// What the threads count, and how the writer fares.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Counters {
    pub(in crate::sqlite) committed: AtomicU64,
    pub(in crate::sqlite) commits: AtomicU64,
    pub(in crate::sqlite) polls: AtomicU64,
    pub(in crate::sqlite) overloaded: AtomicU64,
    /// Of these, how many for want of room in a log.
    pub(in crate::sqlite) full: AtomicU64,
    /// How long the last commit took, the wait for its turn included, in microseconds.
    pub(in crate::sqlite) last_commit_us: AtomicU64,
    /// The write-ahead log's length in pages at the last commit that this process knows of.
    pub(in crate::sqlite) wal_frames: AtomicU32,
    /// How often this process started it anew.
    pub(in crate::sqlite) wal_restarts: AtomicU64,
    /// The last transaction failed.
    pub(in crate::sqlite) failing: AtomicBool,
    /// Why it did.
    pub(in crate::sqlite) trouble: Mutex<Option<String>>,
    /// When the last transaction was committed, on the relay's clock.
    pub(in crate::sqlite) committed_at_ms: AtomicI64,
    /// When the last heartbeat was.
    pub(in crate::sqlite) beaten_at_ms: AtomicI64,
    pub(in crate::sqlite) write: Latency,
    pub(in crate::sqlite) poll: Latency,
}

impl Counters {
    /// Nothing happened yet; commits and heartbeats count from now on.
    pub(in crate::sqlite) fn new(now_ms: i64) -> Self {
        Self {
            committed_at_ms: AtomicI64::new(now_ms),
            beaten_at_ms: AtomicI64::new(now_ms),
            ..Self::default()
        }
    }

    /// Whether nothing was committed for so long.
    pub(in crate::sqlite) fn stalled_for(&self, time: Duration, now_ms: i64) -> bool {
        let committed_at = self.committed_at_ms.load(Ordering::Acquire);
        self.failing.load(Ordering::Acquire) || now_ms - committed_at >= millis(time)
    }

    /// Counts a commit and how long its entries took. A commit without entries (a heartbeat) is none to speak of.
    pub(in crate::sqlite) fn count(
        &self,
        committed: &Committed,
        commit: Duration,
        took: impl ExactSizeIterator<Item = Duration>,
    ) {
        if took.len() == 0 {
            return;
        }
        let logged = committed.logged();
        self.commits.fetch_add(1, Ordering::Relaxed);
        let commit_us = u64::try_from(commit.as_micros()).unwrap_or(u64::MAX);
        self.last_commit_us.store(commit_us, Ordering::Relaxed);
        self.committed.fetch_add(logged as u64, Ordering::Relaxed);
        self.write.record(took);
    }
}
