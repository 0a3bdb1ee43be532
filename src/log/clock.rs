//! The relay's clock, which all instances share: the engine's time, counted on with the kernel's boot clock. If the
//! server's clock is set, this one does not jump.

use std::time::Duration;

use parking_lot::Mutex;

use crate::time::{millis, since_boot};

/// Told times may be off by so much beside what the request took.
const SLACK_MS: i64 = 1_000;
/// What an answer may take whose time is always taken over.
const SOON_MS: i64 = 250;
/// Milliseconds in which the clocks of two hosts part by one, at most.
const DRIFT: i64 = 1_000;

/// The relay's time, once it is known.
#[derive(Debug, Default)]
pub struct Clock(Mutex<Option<Known>>);

/// A time that was told.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// When it came here, since the boot.
    then: Duration,
    at_ms: i64,
    /// It was so much later when it came, at most: what the answer took.
    unsure_ms: i64,
}

impl Known {
    fn now_ms(&self) -> i64 {
        self.at_ms.saturating_add(self.age_ms())
    }

    fn age_ms(&self) -> i64 {
        millis(since_boot().saturating_sub(self.then))
    }

    fn unsure_ms(&self) -> i64 {
        self.unsure_ms + self.age_ms() / DRIFT
    }
}

impl Clock {
    /// Milliseconds since the epoch; 0 while it is not known.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.0.lock().map_or(0, |known| known.now_ms())
    }

    /// The first that is heard of it, in an answer that took so long.
    pub fn begin(&self, now_ms: i64, took: Duration) {
        self.0.lock().get_or_insert(Known {
            then: since_boot(),
            at_ms: now_ms,
            unsure_ms: millis(took),
        });
    }

    /// What the engine told in answer to a request of `sent_ms`. Gives by how much the engine is behind (less than
    /// nothing: ahead) if that can't be: its clock stepped. An answer that took long says only roughly how late it is.
    /// If it were taken over, the next one would look like a step, and instances would correct the clock against each
    /// other.
    pub fn observe(&self, sent_ms: i64, told_ms: i64) -> Option<i64> {
        let mut known = self.0.lock();
        let (now_ms, unsure_ms) = known.map_or((0, 0), |known| (known.now_ms(), known.unsure_ms()));
        let slack_ms = SLACK_MS + unsure_ms;
        if told_ms < sent_ms - slack_ms || told_ms > now_ms + slack_ms {
            return Some(now_ms - told_ms);
        }
        let took_ms = (now_ms - sent_ms).max(0);
        if took_ms <= unsure_ms.max(SOON_MS) {
            *known = Some(Known {
                then: since_boot(),
                at_ms: told_ms,
                unsure_ms: took_ms,
            });
        }
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
        clock.begin(1_000_000, Duration::ZERO);
        let now_ms = clock.now_ms();
        assert_eq!(clock.observe(now_ms, now_ms + 300), None);
        let ahead = clock.observe(clock.now_ms(), 4_600_000).expect("a step");
        assert!((-3_600_000..-3_590_000).contains(&ahead), "{ahead}");
        let behind = clock.observe(clock.now_ms(), 0).expect("a step");
        assert!((1_000_000..1_010_000).contains(&behind), "{behind}");
        assert!((1_000_000..1_010_000).contains(&clock.now_ms()));
        // A long wait for the answer is no step.
        assert_eq!(clock.observe(clock.now_ms() - 7_000, 995_000), None);
    }

    /// The engine told the right time, at once; the answer was late. Nothing stepped, now or at the next answer.
    #[test]
    fn an_answer_that_is_late_does_not_set_the_clock_back() {
        let clock = Clock::default();
        clock.begin(1_000_000, Duration::ZERO);
        let now_ms = clock.now_ms();
        assert_eq!(clock.observe(now_ms - 3_000, now_ms - 3_000), None);
        assert_eq!(clock.observe(clock.now_ms(), now_ms), None);
        assert!(clock.now_ms() >= now_ms);
    }

    /// So was the first one: the clock is wrong until one comes in time.
    #[test]
    fn a_clock_that_began_late_is_put_right_by_what_comes_in_time() {
        let clock = Clock::default();
        clock.begin(1_000_000, Duration::from_secs(3));
        assert_eq!(clock.observe(clock.now_ms(), 1_003_500), None);
        assert!(clock.now_ms() >= 1_003_500, "{}", clock.now_ms());
        assert!(clock.observe(clock.now_ms(), 1_006_500).is_some());
    }
}
