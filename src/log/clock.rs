//! The relay's clock, which all instances share: the engine's time, counted on with the kernel's boot clock. If the
//! server's clock is set, this one does not jump.

use std::time::Duration;

use parking_lot::Mutex;

use crate::time::{millis, since_boot};

/// Told times may be off by so much beside what the request took.
const SLACK_MS: i64 = 1_000;

/// The relay's time, once it is known.
#[derive(Debug, Default)]
pub struct Clock(Mutex<Option<(Duration, i64)>>);

impl Clock {
    /// Milliseconds since the epoch; 0 while it is not known.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let known = *self.0.lock();
        known.map_or(0, |(then, at_ms)| {
            at_ms.saturating_add(millis(since_boot().saturating_sub(then)))
        })
    }

    /// The first that is heard of it.
    pub fn begin(&self, now_ms: i64) {
        self.0.lock().get_or_insert((since_boot(), now_ms));
    }

    /// What the engine told in answer to a request of `sent_ms`. Gives by how much the engine is behind (less than nothing: ahead) if that
    /// can't be: its clock stepped.
    pub fn told(&self, sent_ms: i64, told_ms: i64) -> Option<i64> {
        let now_ms = self.now_ms();
        if told_ms < sent_ms - SLACK_MS || told_ms > now_ms + SLACK_MS {
            return Some(now_ms - told_ms);
        }
        *self.0.lock() = Some((since_boot(), told_ms));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_servers_clock_is_not_followed() {
        let clock = Clock::default();
        assert_eq!(clock.now_ms(), 0);
        clock.begin(1_000_000);
        let now_ms = clock.now_ms();
        assert_eq!(clock.told(now_ms, now_ms + 300), None);
        let ahead = clock.told(clock.now_ms(), 4_600_000).expect("a step");
        assert!((-3_600_000..-3_590_000).contains(&ahead), "{ahead}");
        let behind = clock.told(clock.now_ms(), 0).expect("a step");
        assert!((1_000_000..1_010_000).contains(&behind), "{behind}");
        assert!((1_000_000..1_010_000).contains(&clock.now_ms()));
        // A long wait for the answer is no step.
        assert_eq!(clock.told(clock.now_ms() - 7_000, 995_000), None);
    }
}
