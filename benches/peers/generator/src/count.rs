//! What is counted.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Counts of every peer's run. `…_all` includes warm-up and drain, the others the measured time only.
#[derive(Default)]
pub struct Count {
    pub sent: u64,
    pub expected_all: u64,
    pub delivered_all: u64,
    /// Deliveries that came within the measured time.
    pub in_time: u64,
    pub duplicated: u64,
    pub disordered: u64,
    pub echo: u64,
    pub other_frames: u64,
    pub stalls: u64,
    pub disconnects: u64,
    pub blocked_writes: u64,
    pub bytes_in: u64,
    pub reads: u64,
}

/// Counts that only our protocol has.
#[derive(Default)]
pub struct OwnCount {
    /// Ops without an ack.
    pub pending: u64,
    pub acks: u64,
    pub acks_in_time: u64,
    pub acks_dup: u64,
    pub acks_ignored: u64,
    pub resent: u64,
    pub seq_gaps: u64,
    pub seq_repeats: u64,
    pub resyncs: u64,
    pub cursors_sent: u64,
    pub cursor_frames: u64,
    pub cursors: u64,
    pub cursors_superseded: u64,
    pub errors: BTreeMap<String, u64>,
}

/// Latencies in microseconds.
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        // The bounds are constants that the histogram takes.
        Self(Histogram::new_with_bounds(1, 120_000_000, 3).unwrap_or_else(|_| unreachable!()))
    }
}

impl Latency {
    /// Counts one, in nanoseconds.
    pub fn record_ns(&mut self, ns: u64) {
        self.0.saturating_record((ns / 1000).max(1));
    }

    /// `{n, p50, p95, p99, max}` in milliseconds, or `null`.
    pub fn json(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let ms = |us: u64| us as f64 / 1000.0;
        let at = |q: f64| ms(self.0.value_at_quantile(q));
        json!({"n": self.0.len(), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": ms(self.0.max())})
    }
}

/// All latencies of a run.
#[derive(Default)]
pub struct Latencies {
    pub all: Latency,
    /// The second stream alone.
    pub second: Latency,
    /// Between two servers.
    pub cross: Latency,
    pub ack: Latency,
    /// How late the generator itself was.
    pub send_lag: Latency,
}
