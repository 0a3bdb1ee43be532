//! Watches the queue: one log line when its health changes, and the rate of commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::diagnosis::diagnose;
use super::{HttpState, QUEUE_ANSWER_TIMEOUT};
use crate::backplane::Stats;

/// How often the queue is looked at. Its thresholds are tens of seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// The latest that is known about the queue.
#[derive(Debug, Default)]
pub struct Monitor {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The last logged state; `None` before the first look, which is silent when all is well.
    health: Option<&'static str>,
    committed: Option<(Instant, u64)>,
    messages_per_second: f64,
    /// The numbers themselves.
    stats: Option<Arc<Stats>>,
}

/// What to do about a queue that has never given any.
const UNSEEN_REMEDY: &str = "see that what --db or --redis names can be reached and works";
/// The state of a queue that gave no numbers.
const UNAVAILABLE: &str = "unavailable";

impl Monitor {
    /// Looks at the queue now and then, until dropped.
    pub async fn run(state: HttpState) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            state.metrics.run_upkeep();
            crate::telemetry::tell_of_dropped_lines();
            if state.relay.draining() {
                continue;
            }
            let stats = timeout(QUEUE_ANSWER_TIMEOUT, state.lifecycle.stats()).await;
            match stats {
                Ok(Ok(stats)) => state.monitor.look(&stats, state.relay.event_loop_lag_ms()),
                Ok(Err(error)) => state.monitor.unavailable(&error.to_string()),
                Err(_) => state.monitor.unavailable("it does not answer"),
            }
        }
    }

    /// Whether the queue was critical when last looked at.
    pub(super) fn is_critical(&self) -> bool {
        self.seen.lock().health == Some("critical")
    }

    /// Messages that this process committed per second, over the latest interval.
    pub(super) fn messages_per_second(&self) -> f64 {
        self.seen.lock().messages_per_second
    }

    /// The numbers when last looked at; `None` before the first look.
    pub(super) fn latest(&self) -> Option<Arc<Stats>> {
        self.seen.lock().stats.clone()
    }

    pub(super) fn look(&self, stats: &Stats, event_loop_lag_ms: f64) {
        self.seen.lock().stats = Some(Arc::new(stats.clone()));
        self.count(Instant::now(), stats.committed);
        let health = stats.queue_health;
        if !self.changes_to(health) {
            return;
        }
        let size = stats.queue_size;
        let oldest_ms = stats.oldest_unprocessed_ms;
        if health == "healthy" {
            tracing::info!(size, oldest_ms, "the queue is healthy again");
            return;
        }
        let found = diagnose(stats, event_loop_lag_ms);
        if health == "critical" {
            tracing::error!(size, oldest_ms, cause = %found.cause, todo = found.advice, "the queue is critical");
        } else {
            tracing::warn!(size, oldest_ms, cause = %found.cause, todo = found.advice, "the queue falls behind");
        }
    }

    fn unavailable(&self, reason: &str) {
        if self.changes_to(UNAVAILABLE) {
            let todo = self.latest().map_or(UNSEEN_REMEDY, |stats| stats.remedy);
            tracing::error!(reason, todo, "the queue gives no numbers");
        }
    }

    /// Notes the state; `true` if it is another than before. The first one counts as a change if it is bad.
    fn changes_to(&self, health: &'static str) -> bool {
        let before = self.seen.lock().health.replace(health);
        before.unwrap_or("healthy") != health
    }

    fn count(&self, now: Instant, committed: u64) {
        let mut seen = self.seen.lock();
        if let Some((then, before)) = seen.committed.replace((now, committed)) {
            let seconds = now.duration_since(then).as_secs_f64();
            if seconds > 0.0 {
                #[expect(clippy::cast_precision_loss, reason = "commits of two seconds")]
                let messages = committed.saturating_sub(before) as f64;
                seen.messages_per_second = messages / seconds;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_told() {
        let monitor = Monitor::default();
        assert!(!monitor.changes_to("healthy"));
        assert!(monitor.changes_to("critical"));
        assert!(monitor.is_critical());
        assert!(!monitor.changes_to("critical"));
        assert!(monitor.changes_to(UNAVAILABLE));
        assert!(!monitor.is_critical());
        assert!(monitor.changes_to("healthy"));
        assert!(Monitor::default().changes_to("warning"));
    }

    #[test]
    fn the_rate_is_that_of_the_latest_interval() {
        let (monitor, start) = (Monitor::default(), Instant::now());
        monitor.count(start, 500);
        assert!(monitor.messages_per_second().abs() < f64::EPSILON);
        monitor.count(start + Duration::from_secs(2), 700);
        assert!((monitor.messages_per_second() - 100.0).abs() < 1e-9);
        monitor.count(start + Duration::from_secs(4), 700);
        assert!(monitor.messages_per_second().abs() < f64::EPSILON);
    }
}
