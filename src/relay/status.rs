//! The state of the process, for its pages and probes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::http::RelayStatus;
use crate::limits::LAG_INTERVAL;
use crate::room::registry::Registry;
use crate::socket::connection::{Hub, Peer};

/// How late a timer fires tells how long tasks keep the threads from others.
pub(super) async fn measure_lag(lag: &AtomicU64) {
    loop {
        let due = Instant::now() + LAG_INTERVAL;
        tokio::time::sleep_until(due.into()).await;
        let late = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        lag.store(late, Ordering::Relaxed);
    }
}

/// The process in numbers.
pub(super) struct Status {
    pub(super) hub: Arc<Hub>,
    pub(super) registry: Arc<Registry<Peer>>,
    /// Microseconds.
    pub(super) lag: Arc<AtomicU64>,
}

impl RelayStatus for Status {
    fn connections(&self) -> u64 {
        self.hub.connections()
    }

    fn rooms(&self) -> u64 {
        self.registry.len() as u64
    }

    fn draining(&self) -> bool {
        self.hub.draining()
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds of lag are small")]
    fn event_loop_lag_ms(&self) -> f64 {
        self.lag.load(Ordering::Relaxed) as f64 / 1_000.0
    }
}
