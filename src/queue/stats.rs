//! Counters, and how long things take.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::tail::Committed;

/// Latencies of the last moments, in microseconds.
#[derive(Debug)]
pub(super) struct Latency {
    /// The younger half and the older half: the older one is dropped when the younger is full.
    halves: Mutex<(Histogram<u32>, Histogram<u32>)>,
}

/// Samples in each half.
const HALF: u64 = 65_536;

impl Default for Latency {
    fn default() -> Self {
        // Two digits up to a minute: 8 KiB each.
        let empty = || Histogram::new_with_bounds(1, 60_000_000, 2);
        let empty = || empty().unwrap_or_else(|_| unreachable!("the bounds are constants"));
        Self {
            halves: Mutex::new((empty(), empty())),
        }
    }
}

impl Latency {
    /// Takes samples.
    pub(super) fn record(&self, samples: impl Iterator<Item = Duration>) {
        let mut halves = self.halves.lock();
        for sample in samples {
            halves
                .0
                .saturating_record(u64::try_from(sample.as_micros()).unwrap_or(u64::MAX));
        }
        if halves.0.len() >= HALF {
            let (young, old) = &mut *halves;
            std::mem::swap(young, old);
            young.reset();
        }
    }

    /// The distribution in milliseconds; zeros without samples.
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most a minute in microseconds"
    )]
    pub(super) fn quantiles_ms(&self) -> Quantiles {
        let halves = self.halves.lock();
        let mut all = halves.1.clone();
        // Both have the same bounds.
        let _ = all.add(&halves.0);
        let at = |q| all.value_at_quantile(q) as f64 / 1_000.0;
        Quantiles {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// A distribution, in milliseconds.
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

/// What the threads count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) committed: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) polls: AtomicU64,
    pub(super) overloaded: AtomicU64,
    /// How long the last commit took, the wait for its turn included, in microseconds.
    pub(super) last_commit_us: AtomicU64,
    /// The write-ahead log's length in pages at the last commit that this process knows of.
    pub(super) wal_frames: AtomicU32,
    /// The last transaction failed.
    pub(super) failing: AtomicBool,
    /// When the last transaction was committed, on the relay's clock.
    pub(super) committed_at_ms: AtomicI64,
    /// When the last heartbeat was.
    pub(super) beaten_at_ms: AtomicI64,
    pub(super) write: Latency,
    pub(super) poll: Latency,
}

impl Counters {
    /// Nothing happened yet; commits and heartbeats count from now on.
    pub(super) fn new(now_ms: i64) -> Self {
        Self {
            committed_at_ms: AtomicI64::new(now_ms),
            beaten_at_ms: AtomicI64::new(now_ms),
            ..Self::default()
        }
    }

    /// Counts a commit and how long its entries took. A commit without entries (a heartbeat) is none to speak of.
    pub(super) fn count(
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
