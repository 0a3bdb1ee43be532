//! Durations in buckets, as Prometheus wants them: each bucket counts the durations up to its bound.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds in microseconds: from a commit without a sync to what is about to be refused.
pub const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Counts, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// Of each bucket alone; the last is for what took longer than all bounds.
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets {
    /// How many took no longer than each bound.
    pub upto: Vec<u64>,
    /// How many there were.
    pub count: u64,
    /// What they took together.
    pub sum_us: u64,
}

impl Histogram {
    /// Takes one.
    pub(crate) fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// What was counted.
    pub(crate) fn buckets(&self) -> Buckets {
        let mut count = 0;
        let mut upto: Vec<u64> = self
            .counts
            .iter()
            .map(|bucket| {
                count += bucket.load(Ordering::Relaxed);
                count
            })
            .collect();
        // The last is all of them.
        upto.pop();
        let sum_us = self.sum_us.load(Ordering::Relaxed);
        Buckets {
            upto,
            count,
            sum_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_counts_what_is_below_it() {
        let histogram = Histogram::default();
        for us in [0, 500, 501, 10_000_000, 10_000_001] {
            histogram.record(Duration::from_micros(us));
        }
        let buckets = histogram.buckets();
        assert_eq!(buckets.upto[..3], [2, 3, 3]);
        assert_eq!((buckets.upto[13], buckets.count), (4, 5));
        assert_eq!(buckets.sum_us, 20_001_002);
    }
}
