//! The JSON object at the end.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::args::Mode;
use crate::load::Run;
use crate::process;

/// Latencies, in microseconds from below 1 to a minute.
pub struct Latency(RefCell<Histogram<u64>>);

impl Default for Latency {
    fn default() -> Self {
        // Of these bounds it can be made.
        let histogram = Histogram::new_with_bounds(1, 60_000_000, 3);
        Self(RefCell::new(
            histogram.unwrap_or_else(|_| unreachable!("the bounds are right")),
        ))
    }
}

impl Latency {
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.borrow_mut().saturating_record(us);
    }

    /// In milliseconds; `null` where nothing was measured.
    fn json(&self) -> Value {
        let histogram = self.0.borrow();
        if histogram.is_empty() {
            return Value::Null;
        }
        let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        json!({
            "p50": ms(0.5), "p95": ms(0.95), "p99": ms(0.99), "max": histogram.max() as f64 / 1e3,
            "count": histogram.len(),
        })
    }
}

/// Counters at a moment.
pub struct Sample {
    pub at: Instant,
    pub pushed: u64,
    pub acked: u64,
    /// CPU seconds: of this process, of the servers, of the hypervisor's other guests.
    pub own: f64,
    pub servers: f64,
    pub steal: f64,
}

pub fn summary(run: &Run, from: &Sample, to: &Sample) -> Value {
    let span = (to.at - from.at).as_secs_f64().max(1e-9);
    let ledger = run.ledger.borrow();
    let args = &run.args;
    // What is left over on purpose is not lost.
    let lost = match args.mode {
        Mode::Through | Mode::Paced => ledger.lost(),
        Mode::Push | Mode::Drain | Mode::Fill => 0,
    };
    let servers = process::family(&args.server_pid).into_iter();
    json!({
        "protocol": format!("{:?}", args.protocol).to_lowercase(),
        "mode": format!("{:?}", args.mode).to_lowercase(),
        "duration_s": span,
        "pushed": ledger.pushed, "acked": ledger.acked,
        "lost": lost, "duplicated": ledger.repeated, "disordered": ledger.disordered,
        "pushed_per_s": (to.pushed - from.pushed) as f64 / span,
        "acked_per_s": (to.acked - from.acked) as f64 / span,
        "latency_ms": {"push": run.push.json(), "delivery": run.delivery.json(), "ack": run.ack.json()},
        "generator_cpu": (to.own - from.own) / span,
        "server_cpu": (to.servers - from.servers) / span,
        "steal": (to.steal - from.steal) / span,
        "server_rss_kib": servers.map(process::rss_kib).sum::<u64>(),
    })
}
