//! How much of the waiting entries one batch does. A canvas is charged for the work, not for the bytes of its messages.
//!
//! A patch of sixty bytes may have an object of 256 KiB read, parsed and written again. So each canvas has a share of a
//! batch's work, and the batch has a bound. Entries beyond it go back to the front of their lane, and only their canvas
//! waits.

use std::collections::HashMap;

use crate::backplane::CanvasKey;
use crate::limits;

/// What one batch may do.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    done: usize,
    canvases: HashMap<CanvasKey, Share>,
    closed: bool,
}

/// A canvas's part in it.
#[derive(Debug, Default)]
struct Share {
    work: usize,
    /// One of its entries has to wait: so have all behind it.
    waits: bool,
}

impl Budget {
    /// Whether the canvas's next entry is done in this batch. The first one of all is, however much it is: nothing waits for ever.
    pub(crate) fn takes(&mut self, key: CanvasKey) -> bool {
        if self.canvases.is_empty() && !self.closed {
            return true;
        }
        let closed = self.closed || self.done >= limits::BATCH_WORK;
        match self.canvases.get_mut(&key) {
            Some(share) => {
                share.waits |= closed || share.work >= limits::CANVAS_WORK;
                !share.waits
            }
            None if closed => {
                let share = Share {
                    work: 0,
                    waits: true,
                };
                self.canvases.insert(key, share);
                false
            }
            None => true,
        }
    }

    /// An entry of the canvas was done, with so much work beyond its own bytes.
    pub(crate) fn spent(&mut self, key: CanvasKey, work: usize) {
        self.done += work;
        // Hardly any entry has some: those that have none cost nothing here.
        if work > 0 {
            self.canvases.entry(key).or_default().work += work;
        }
    }

    /// Nothing more is done: time is over.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// What each canvas has to be charged for.
    pub(crate) fn charges(&self) -> impl Iterator<Item = (CanvasKey, usize)> {
        let worked = self.canvases.iter().filter(|(_, share)| share.work > 0);
        worked.map(|(key, share)| (*key, share.work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canvas_that_works_much_waits_and_others_go_on() {
        let mut budget = Budget::default();
        let mut done = 0;
        while budget.takes(CanvasKey(1)) {
            budget.spent(CanvasKey(1), 100_000);
            done += 1;
        }
        assert!(done * 100_000 >= limits::CANVAS_WORK && done * 100_000 < 2 * limits::CANVAS_WORK);
        assert!(budget.takes(CanvasKey(2)));
        budget.spent(CanvasKey(2), 0);
        assert!(!budget.takes(CanvasKey(1)), "its order stays");
        assert_eq!(
            budget.charges().collect::<Vec<_>>(),
            [(CanvasKey(1), done * 100_000)]
        );
    }

    #[test]
    fn a_batch_has_a_bound_however_many_canvases_work() {
        let mut budget = Budget::default();
        let mut key = CanvasKey::default();
        while budget.takes(key) {
            budget.spent(key, 100_000);
            key = key.next();
        }
        let done = usize::try_from(key.0).unwrap() * 100_000;
        assert!((limits::BATCH_WORK..limits::BATCH_WORK + 100_000).contains(&done));
        assert!(!budget.takes(key.next()));
    }

    #[test]
    fn the_first_entry_is_done_however_much_it_is() {
        let mut budget = Budget::default();
        assert!(budget.takes(CanvasKey(1)));
        budget.spent(CanvasKey(1), usize::MAX / 2);
        assert!(!budget.takes(CanvasKey(1)));
        assert!(!budget.takes(CanvasKey(2)));
    }
}
