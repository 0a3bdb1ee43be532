//! Bounds the work of canvases, because here the event loop does it.
//!
//! Entries of little work are free. The others share one allowance. When it is used up, the canvases that have just
//! used it wait, and all others go on.

use crate::limits::{CANVAS_QUANTUM_BYTES, MEMORY_WORK, MEMORY_WORK_MS};

/// For how long a canvas counts as one that is much work, in milliseconds.
const REMEMBERED_MS: i64 = 1_000;

/// The allowance.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Bytes of work that were done and are not allowed yet.
    used: usize,
    /// Until when the allowance was reckoned, ms since the epoch.
    at_ms: i64,
}

impl Meter {
    /// Work was done. `true` if it was much.
    pub(super) fn spend(&mut self, work: usize) -> bool {
        let much = work.saturating_sub(CANVAS_QUANTUM_BYTES);
        self.used += much;
        much > 0
    }

    /// Whether a canvas that last did much work then has to wait now.
    pub(super) fn refuses(&mut self, worked_at_ms: Option<i64>, now_ms: i64) -> bool {
        let since_ms = usize::try_from(now_ms - self.at_ms).unwrap_or_default();
        self.at_ms = now_ms;
        self.used = self
            .used
            .saturating_sub(since_ms.saturating_mul(MEMORY_WORK_MS));
        let works = worked_at_ms.is_some_and(|at_ms| now_ms - at_ms < REMEMBERED_MS);
        works && self.used > MEMORY_WORK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_used_the_allowance_up_waits_and_not_for_ever() {
        let mut meter = Meter::default();
        assert!(!meter.refuses(None, 1_000));
        let mut worked_at_ms = None;
        let mut done = 0;
        while !meter.refuses(worked_at_ms, 1_000) {
            assert!(meter.spend(400_000));
            worked_at_ms = Some(1_000);
            done += 400_000;
        }
        assert!(
            (MEMORY_WORK..MEMORY_WORK + 800_000).contains(&done),
            "{done}"
        );
        assert!(!meter.refuses(None, 1_000), "another canvas");
        assert!(meter.refuses(worked_at_ms, 1_001));
        assert!(!meter.refuses(worked_at_ms, 1_030));
    }

    #[test]
    fn little_work_is_free() {
        let mut meter = Meter::default();
        for _ in 0..100_000 {
            assert!(!meter.spend(3_000));
        }
        assert!(!meter.refuses(Some(5), 5));
    }
}
