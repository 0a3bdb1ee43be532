//! The op numbers that a connection has used, to tell a resend from a mistake. Pure.
//!
//! The store answers "already committed" to any number at or below the client's highest. That would be wrong for a
//! number that was never sent, or was refused for good: those are `bad-op` here.

use std::collections::VecDeque;

/// Numbers remembered. Older ones are left to the store.
const REMEMBERED: usize = 1_024;

/// The highest first number of a client: a time in microseconds is below it, and as many numbers are left above.
const MAX_FIRST_OP: u64 = 1 << 52;
/// How far a number may be from the one before. Without a bound whoever takes a client's place once could use all numbers up.
const MAX_OP_STEP: u64 = 1 << 20;

/// The numbers that one connection used.
#[derive(Debug)]
pub struct OpWindow {
    /// Up to here the store knows: committed before this connection began, or no longer remembered.
    left_to_store: u64,
    /// Increasing; `false` where the number was refused for good.
    used: VecDeque<(u64, bool)>,
}

/// Whether an op may go on to the store.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New, or a resend that the store knows how to answer.
    Pass,
    /// Neither: the text says what would be right.
    BadOp(String),
}

impl OpWindow {
    /// The window of a connection whose client had committed `acked` when it came.
    pub fn new(acked: u64) -> Self {
        Self {
            left_to_store: acked,
            used: VecDeque::new(),
        }
    }

    /// The highest number so far.
    fn highest(&self) -> u64 {
        self.used.back().map_or(self.left_to_store, |(op, _)| *op)
    }

    /// Judges a number and notes that it was used.
    pub fn check(&mut self, op: u64) -> Verdict {
        let highest = self.highest();
        if op > highest {
            let furthest = match highest {
                0 => MAX_FIRST_OP,
                some => some.saturating_add(MAX_OP_STEP),
            };
            if op > furthest {
                return Verdict::BadOp(format!(
                    "op {op} is too far ahead: {furthest} at most, numbers follow one another"
                ));
            }
            self.note(op, true);
            return Verdict::Pass;
        }
        match self.used.binary_search_by_key(&op, |(used, _)| *used) {
            Ok(i) if self.used[i].1 => Verdict::Pass,
            Ok(_) => Verdict::BadOp(format!("op {op} was refused for good: use a higher number")),
            Err(_) if op <= self.left_to_store => Verdict::Pass,
            Err(_) => Verdict::BadOp(format!(
                "op {op} was never sent before {}: numbers must increase",
                self.highest()
            )),
        }
    }

    /// The number was refused for good.
    pub fn refused(&mut self, op: u64) {
        match self.used.binary_search_by_key(&op, |(used, _)| *used) {
            Ok(i) => self.used[i].1 = false,
            Err(_) if op > self.highest() => self.note(op, false),
            Err(_) => {}
        }
    }

    fn note(&mut self, op: u64, usable: bool) {
        if self.used.len() == REMEMBERED {
            let forgotten = self.used.pop_front();
            self.left_to_store = forgotten.map_or(self.left_to_store, |(op, _)| op);
        }
        self.used.push_back((op, usable));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resends_pass_and_mistakes_do_not() {
        let mut window = OpWindow::new(3);
        assert_eq!(
            window.check(2),
            Verdict::Pass,
            "before this connection: the store knows"
        );
        assert_eq!(window.check(5), Verdict::Pass, "numbers may be skipped");
        assert_eq!(window.check(5), Verdict::Pass, "a resend");
        assert!(matches!(window.check(4), Verdict::BadOp(_)), "never sent");
        window.refused(6);
        assert!(matches!(window.check(6), Verdict::BadOp(_)), "used up");
        assert_eq!(window.check(7), Verdict::Pass);
    }

    #[test]
    fn nobody_uses_all_numbers_up() {
        let last = crate::protocol::client_message::MAX_OP;
        for (acked, op, good) in [
            (0, MAX_FIRST_OP, true),
            (0, MAX_FIRST_OP + 1, false),
            (0, last, false),
            (1, last, false),
            (1, 1 + MAX_OP_STEP, true),
            (1, 2 + MAX_OP_STEP, false),
            (last - 1, last, true),
        ] {
            let verdict = OpWindow::new(acked).check(op);
            assert_eq!(verdict == Verdict::Pass, good, "{acked} {op}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut window = OpWindow::new(0);
        for op in 1..=5_000 {
            assert_eq!(window.check(op), Verdict::Pass);
        }
        assert_eq!(window.used.len(), REMEMBERED);
        assert_eq!(window.check(1), Verdict::Pass, "forgotten: the store knows");
    }
}
