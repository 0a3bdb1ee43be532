//! How long to wait before a process that died is started again. Pure.

use std::time::Duration;

/// The first wait. Short: one death is an accident, and its clients are on their way back.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10);
/// Who ran for this long is not in a crash loop.
const STABLE: Duration = Duration::from_secs(10);

/// Doubles with each early death.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    early_deaths: u32,
}

impl Backoff {
    /// The wait after a death, given how long the process had run.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        self.early_deaths = if ran >= STABLE {
            0
        } else {
            self.early_deaths.saturating_add(1)
        };
        let doublings = self.early_deaths.saturating_sub(1).min(16);
        (FIRST * 2u32.pow(doublings)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_deaths_double_the_wait_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8)
            .map(|_| backoff.after(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff.after(STABLE), FIRST);
        assert_eq!(backoff.after(Duration::ZERO), FIRST);
    }

    #[test]
    fn a_crash_loop_of_years_does_not_overflow() {
        let mut backoff = Backoff {
            early_deaths: u32::MAX,
        };
        assert_eq!(backoff.after(Duration::ZERO), LONGEST);
    }
}
