//! Measures how long things take.

use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::histogram::{self, Buckets};

/// Latencies of the last moments, in microseconds.
#[derive(Debug)]
pub(crate) struct Latency {
    /// The younger half and the older half: the older one is dropped when the younger is full.
    halves: Mutex<(Histogram<u32>, Histogram<u32>)>,
    /// All there ever were.
    ever: histogram::Histogram,
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
            ever: histogram::Histogram::default(),
        }
    }
}

impl Latency {
    /// Takes samples.
    pub(crate) fn record(&self, samples: impl Iterator<Item = Duration>) {
        let mut halves = self.halves.lock();
        for sample in samples {
            self.ever.record(sample);
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

    /// All samples since the start.
    pub(crate) fn buckets(&self) -> Buckets {
        self.ever.buckets()
    }

    /// The distribution in milliseconds; zeros without samples.
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most a minute in microseconds"
    )]
    pub(crate) fn quantiles_ms(&self) -> Quantiles {
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
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}
