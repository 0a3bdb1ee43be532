//! Clients that lost their connection and came back, how long that took, and the others' latency meanwhile.

use serde_json::{Value, json};

use crate::load::latency::Latency;

/// All that was lost and came back in a run. Times are microseconds of the load's clock.
#[derive(Debug, Default)]
pub struct Returns {
    /// Connections lost by clients that had joined.
    pub lost: u64,
    /// From the loss until the client had what it missed.
    pub back: Latency,
    /// Latency between clients that never lost a connection, of what was due before anybody did.
    pub before: Latency,
    /// The same, of what was due from the first loss to the last return.
    pub during: Latency,
    first_lost_us: Option<u64>,
    last_back_us: u64,
}

impl Returns {
    /// A client lost its connection.
    pub fn lost(&mut self, now: u64) {
        self.lost += 1;
        self.first_lost_us.get_or_insert(now);
    }

    /// A client that lost its connection then has what it missed.
    pub fn back(&mut self, lost_us: u64, now: u64) {
        self.back.record(now.saturating_sub(lost_us));
        self.last_back_us = self.last_back_us.max(now);
    }

    /// A message from one client that never lost a connection came to another.
    pub fn others(&mut self, due_us: u64, latency_us: u64) {
        let someone_is_away = self.back.count() < self.lost;
        match self.first_lost_us {
            None => self.before.record(latency_us),
            Some(first) if due_us < first => self.before.record(latency_us),
            Some(_) if someone_is_away || due_us <= self.last_back_us => {
                self.during.record(latency_us);
            }
            Some(_) => {}
        }
    }

    /// For the JSON object.
    pub fn json(&self) -> Value {
        json!({
            "lost": self.lost, "back": self.back.count(), "ms": self.back.json(),
            "others_before_ms": self.before.json(), "others_during_ms": self.during.json(),
        })
    }

    /// For people.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        if self.lost == 0 {
            return Vec::new();
        }
        vec![
            ("lost to back", self.back.text()),
            ("others, before", self.before.text()),
            ("others, during", self.during.text()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_are_told_apart_by_when_it_was_due() {
        let mut returns = Returns::default();
        returns.others(100, 10);
        returns.lost(1_000);
        returns.lost(1_100);
        // Due before, come after.
        returns.others(900, 10);
        returns.others(1_050, 20);
        returns.back(1_000, 3_000);
        returns.others(4_000, 20);
        returns.back(1_100, 5_000);
        returns.others(4_900, 20);
        returns.others(5_100, 30);
        assert_eq!(
            (returns.before.count(), returns.during.count()),
            (2, 3),
            "{returns:?}"
        );
        assert_eq!((returns.lost, returns.back.count()), (2, 2));
        assert!((returns.back.ms(1.0) - 3.9).abs() < 0.01);
    }
}
