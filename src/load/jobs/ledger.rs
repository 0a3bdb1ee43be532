//! The pushed jobs and their outcome: none may be lost, come twice, or come in another order.

use std::collections::HashMap;

pub struct Ledger {
    /// By group and producer: which of its messages have come.
    seen: Vec<Vec<Vec<bool>>>,
    /// By group, partition and producer: the last that came.
    last: HashMap<(usize, String, usize), usize>,
    ordered: bool,
    groups: u64,
    pub pushed: u64,
    pub delivered: u64,
    pub doubled: u64,
    pub disordered: u64,
    pub refused: u64,
}

impl Ledger {
    pub fn new(groups: usize, producers: usize, ordered: bool) -> Self {
        Self {
            seen: vec![vec![Vec::new(); producers]; groups],
            last: HashMap::new(),
            ordered,
            groups: groups as u64,
            pushed: 0,
            delivered: 0,
            doubled: 0,
            disordered: 0,
            refused: 0,
        }
    }

    /// The `n`th message of a producer came to a group.
    pub fn came(&mut self, group: usize, partition: &str, producer: usize, n: usize) {
        let Some(seen) = self
            .seen
            .get_mut(group)
            .and_then(|all| all.get_mut(producer))
        else {
            return;
        };
        if seen.len() <= n {
            seen.resize(n + 1, false);
        }
        if std::mem::replace(&mut seen[n], true) {
            self.doubled += 1;
            return;
        }
        self.delivered += 1;
        let key = (group, partition.to_owned(), producer);
        let last = self.last.entry(key).or_insert(n);
        if self.ordered && *last > n {
            self.disordered += 1;
        }
        *last = n;
    }

    pub fn lost(&self) -> u64 {
        (self.pushed * self.groups).saturating_sub(self.delivered)
    }

    pub fn is_complete(&self) -> bool {
        self.lost() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_out_of_order_is_found() {
        let mut ledger = Ledger::new(2, 1, true);
        ledger.pushed = 3;
        for n in [0, 2, 1, 1] {
            ledger.came(0, "p", 0, n);
        }
        ledger.came(1, "p", 0, 0);
        ledger.came(1, "other", 0, 2);
        assert_eq!(
            (ledger.doubled, ledger.disordered, ledger.lost()),
            (1, 1, 1)
        );
        assert!(!ledger.is_complete());
    }
}
