//! Small numbers for people: each gets the smallest free one.

use std::collections::BTreeSet;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    free: BTreeSet<u32>,
    next: u32,
}

impl Numbers {
    pub(super) fn take(&mut self) -> u32 {
        let next = self.next;
        self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            next
        })
    }

    pub(super) fn give_back(&mut self, number: u32) {
        self.free.insert(number);
        if self.free.len() == self.next as usize {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_small() {
        let mut numbers = Numbers::default();
        let taken: Vec<u32> = (0..4).map(|_| numbers.take()).collect();
        assert_eq!(taken, [0, 1, 2, 3]);
        numbers.give_back(2);
        numbers.give_back(0);
        assert_eq!((numbers.take(), numbers.take(), numbers.take()), (0, 2, 4));
        (0..5).for_each(|number| numbers.give_back(number));
        assert!(numbers.free.is_empty(), "nothing is kept for nobody");
        assert_eq!(numbers.take(), 0);
    }
}
