//! What was pushed and what came: none may be lost, come twice, or come in another order.

use std::collections::HashMap;

use crate::payload::Payload;

#[derive(Default)]
pub struct Ledger {
    /// By producer: which of its messages have come.
    seen: Vec<Vec<bool>>,
    /// By partition and producer: the last that came.
    last: HashMap<(u32, usize), usize>,
    ordered: bool,
    pub pushed: u64,
    pub delivered: u64,
    pub acked: u64,
    pub repeated: u64,
    pub disordered: u64,
}

impl Ledger {
    pub fn new(ordered: bool) -> Self {
        Self {
            ordered,
            ..Self::default()
        }
    }

    pub fn came(&mut self, message: &Payload) {
        if self.seen.len() <= message.s {
            self.seen.resize_with(message.s + 1, Vec::new);
        }
        let seen = &mut self.seen[message.s];
        if seen.len() <= message.n {
            seen.resize(message.n + 1, false);
        }
        if std::mem::replace(&mut seen[message.n], true) {
            self.repeated += 1;
            return;
        }
        self.delivered += 1;
        if self.ordered {
            let last = self.last.entry((message.p, message.s)).or_insert(message.n);
            self.disordered += u64::from(*last > message.n);
            *last = message.n;
        }
    }

    pub fn lost(&self) -> u64 {
        self.pushed.saturating_sub(self.delivered)
    }

    /// Everything that was pushed came and was acked.
    pub fn is_complete(&self) -> bool {
        self.lost() == 0 && self.acked >= self.pushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(p: u32, n: usize) -> Payload {
        Payload { s: 0, n, p, due: 0 }
    }

    #[test]
    fn what_is_lost_repeated_or_out_of_order_is_found() {
        let mut ledger = Ledger {
            ordered: true,
            pushed: 5,
            ..Ledger::default()
        };
        for (p, n) in [(1, 0), (1, 2), (1, 1), (1, 1), (2, 0), (2, 4)] {
            ledger.came(&message(p, n));
        }
        // 0 of partition 2 is the 0 that came already: numbers count by producer, over all partitions.
        assert_eq!(
            (ledger.repeated, ledger.disordered, ledger.lost()),
            (2, 1, 1)
        );
        assert!(!ledger.is_complete());
    }

    #[test]
    fn a_queue_without_an_order_owes_none() {
        let mut ledger = Ledger {
            pushed: 2,
            acked: 2,
            ..Ledger::default()
        };
        ledger.came(&message(1, 1));
        ledger.came(&message(1, 0));
        assert_eq!((ledger.disordered, ledger.is_complete()), (0, true));
    }
}
