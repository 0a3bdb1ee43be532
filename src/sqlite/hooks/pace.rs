//! How much of what is set aside the writer tells in a turn. Pure.

/// What a turn tells that has nothing else to do.
const IDLE: i64 = 256;
/// The others tell one event for so many of their own. To tell one takes about as long as five of those, so it is a thirteenth of the
/// writer's time.
const SHARE: i64 = 64;
/// A longer event counts as several.
const BYTES: u64 = 1024;

/// What may be told.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// In events of the writer's own. Below zero: too much was told, and those to come pay for it.
    credit: i64,
    /// The last row of the queue of messages, of whatever process, when the last turn began.
    last: i64,
}

impl Pace {
    /// A turn begins that has so many entries of its own. So many processes write; theirs end at row `last`.
    pub(super) fn begin(&mut self, own: usize, last: i64, processes: usize) {
        let most = IDLE * SHARE;
        let [own, processes] = [own, processes].map(|n| i64::try_from(n).unwrap_or(most));
        let others = last - std::mem::replace(&mut self.last, last);
        self.credit = match (own, others) {
            (0, 0) => most,
            // A process that does nothing itself has its part of what others do.
            _ => {
                let own = own.max(others / processes.max(1)).clamp(0, most);
                self.credit.saturating_add(own).min(most)
            }
        };
    }

    /// Whether a row with so much may be told in this turn, too.
    pub(super) fn takes(&mut self, events: u64, bytes: u64) -> bool {
        let takes = self.credit > 0;
        if takes {
            let cost = i64::try_from(events.saturating_add(bytes / BYTES)).unwrap_or(i64::MAX);
            self.credit = self.credit.saturating_sub(cost.saturating_mul(SHARE));
        }
        takes
    }

    /// Nothing is set aside.
    pub(super) fn end(&mut self) {
        self.credit = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many rows of so many events are told over so many turns, each with entries of its own, and of others.
    fn dispatched(pace: &mut Pace, turns: usize, (own, others): (usize, i64), events: u64) -> u64 {
        let (mut rows, mut last) = (0, pace.last);
        for _ in 0..turns {
            last += others;
            pace.begin(own, last, 2);
            while pace.takes(events, 0) {
                rows += 1;
            }
        }
        rows
    }

    #[test]
    fn a_busy_writer_tells_one_event_for_64_of_its_own() {
        for (own, events) in [(512, 128), (512, 3), (40, 128), (1, 128), (512, 5_000)] {
            let turns = 10_000;
            let rows = dispatched(&mut Pace::default(), turns, (own, own as i64), events);
            let all = (turns * own) as u64 / 64;
            assert!(rows * events <= all + events, "{own} {events}: {rows}");
            assert!((rows + 1) * events >= all, "{own} {events}: {rows}");
        }
    }

    #[test]
    fn who_does_nothing_while_others_are_busy_has_its_part_of_that() {
        let rows = dispatched(&mut Pace::default(), 1_000, (0, 512), 128);
        assert_eq!(rows, 1_000 * 512 / 2 / 64 / 128 + 1);
    }

    #[test]
    fn an_idle_writer_goes_on_at_once_in_turns_that_are_short() {
        let mut pace = Pace::default();
        assert_eq!(dispatched(&mut pace, 1, (0, 0), 128), 2);
        assert_eq!(dispatched(&mut pace, 5, (0, 0), 128), 10);
        // However much a row is, it is told.
        assert_eq!(dispatched(&mut pace, 3, (0, 0), 1_000_000), 3);
        assert_eq!(dispatched(&mut pace, 1, (0, 0), 128), 2);
    }

    #[test]
    fn a_long_event_counts_as_several() {
        let mut pace = Pace::default();
        pace.begin(0, 0, 1);
        assert!(pace.takes(1, 1024 * 1024));
        assert!(!pace.takes(1, 0));
    }
}
