//! Latencies in a histogram of bounded size, and the four numbers that are reported.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest latency told apart, in microseconds. What took longer counts as this.
const MAX_US: u64 = 600_000_000;

/// Latencies in microseconds, to three digits.
#[derive(Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        // The bounds are constants that the histogram takes.
        Self(Histogram::new_with_bounds(1, MAX_US, 3).unwrap_or_else(|_| unreachable!()))
    }
}

impl Latency {
    /// Counts one.
    pub fn record(&mut self, us: u64) {
        self.0.saturating_record(us.max(1));
    }

    /// Counts all of another's.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        self.0.add(&other.0).unwrap_or_else(|_| unreachable!());
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that the share `q` (0 to 1) of all stays at or below, in milliseconds.
    pub fn ms(&self, q: f64) -> f64 {
        to_ms(self.0.value_at_quantile(q))
    }

    /// `{p50, p95, p99, max}` in milliseconds; each `null` when nothing was counted.
    pub fn json(&self) -> Value {
        if self.0.is_empty() {
            return json!({"p50": null, "p95": null, "p99": null, "max": null});
        }
        json!({
            "p50": self.ms(0.5), "p95": self.ms(0.95), "p99": self.ms(0.99), "max": to_ms(self.0.max()),
        })
    }

    /// The same for people.
    pub fn text(&self) -> String {
        if self.0.is_empty() {
            return "none".to_owned();
        }
        format!(
            "p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, max {:.2} ms ({} samples)",
            self.ms(0.5),
            self.ms(0.95),
            self.ms(0.99),
            to_ms(self.0.max()),
            self.0.len()
        )
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bounded by MAX_US, far below 2^52"
)]
fn to_ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_in_milliseconds() {
        let mut latency = Latency::default();
        (1..=100).for_each(|ms| latency.record(ms * 1000));
        let close = |q: f64, want: f64| assert!((latency.ms(q) - want).abs() < want / 500.0, "{q}");
        close(0.5, 50.0);
        close(0.99, 99.0);
        assert_eq!(latency.count(), 100);
    }

    #[test]
    fn nothing_counted_is_null_and_too_much_is_the_limit() {
        let mut latency = Latency::default();
        assert!(latency.json()["p50"].is_null());
        latency.record(u64::MAX);
        assert!(latency.json()["max"].as_f64().unwrap() >= 600_000.0);
    }
}
