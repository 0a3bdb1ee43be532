//! Refused tokens in the log: who came with one and why it was refused. Never the token, and one line a second at most.

use std::net::IpAddr;
use std::time::Instant;

use parking_lot::Mutex;

use crate::limits::REFUSED_TOKEN_LINE;

/// Those of this process.
static LINES: Mutex<Lines> = Mutex::new(Lines::new());

/// Tells of a refused token at this door, in words that have nothing of the token.
pub fn tell(door: &str, from: Option<IpAddr>, why: &str) {
    let Some(not_logged) = LINES.lock().next(Instant::now()) else {
        return;
    };
    let from = from.map(|address| address.to_canonical().to_string());
    tracing::warn!(door, from, why, not_logged, "a token was refused");
}

/// When there was a line, and how many refusals had none since.
#[derive(Debug)]
struct Lines {
    latest: Option<Instant>,
    not_logged: u64,
}

impl Lines {
    const fn new() -> Self {
        Self {
            latest: None,
            not_logged: 0,
        }
    }

    /// Whether this refusal gets a line, and how many before it got none.
    fn next(&mut self, now: Instant) -> Option<u64> {
        let is_soon = |latest| now.saturating_duration_since(latest) < REFUSED_TOKEN_LINE;
        if self.latest.is_some_and(is_soon) {
            self.not_logged += 1;
            return None;
        }
        self.latest = Some(now);
        Some(std::mem::take(&mut self.not_logged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_line_a_second_and_it_counts_the_others() {
        let (mut lines, begin) = (Lines::new(), Instant::now());
        assert_eq!(lines.next(begin), Some(0));
        for part in 1..10 {
            let soon = begin + REFUSED_TOKEN_LINE / 10 * part;
            assert_eq!(lines.next(soon), None, "{part}");
        }
        assert_eq!(lines.next(begin + REFUSED_TOKEN_LINE), Some(9));
        assert_eq!(lines.next(begin + REFUSED_TOKEN_LINE * 5), Some(0));
    }
}
