//! The messages that each member of one canvas must have got. Pure: events in, faults out.
//!
//! `seq` is contiguous. So one number checks a member: the last `seq` that it got. A message is lost to a member if the
//! member never gets past it. The ledger keeps the first copy of each message that any member saw, until the slowest
//! member has passed it. So it also checks that all members see the same message at a `seq`.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};

/// An author that is not one of this load's clients.
pub const STRANGER: u32 = u32::MAX;

/// Entries of the log that are kept for the slowest member, and of one member's gaps. Beyond, the check of content ends
/// and the count of gaps goes on.
const MAX_KEPT: usize = 1 << 20;
/// How often the log is cut, in `seq`s.
const CUT_EVERY: u64 = 4096;

/// What was wrong so far, over all members of the canvas.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Messages that a member should have got by now and has not.
    pub lost: u64,
    /// Messages that came a second time, at the same `seq` or another.
    pub duplicated: u64,
    /// Messages out of their place: late, or another than the other members saw there.
    pub disordered: u64,
}

#[derive(Debug, Default)]
struct Member {
    joined: bool,
    epoch: u64,
    last: u64,
    gaps: BTreeSet<u64>,
    gaps_beyond: u64,
}

/// One canvas.
#[derive(Debug)]
pub struct Ledger {
    members: Vec<Member>,
    epoch: u64,
    /// The highest `seq` that is known to be committed.
    head: u64,
    /// Author and op at each `seq`, from `log_first` on; `None` where nobody has been yet.
    log: VecDeque<Option<(u32, u64)>>,
    log_first: u64,
    /// The highest op seen of each member, as an author.
    last_op: Vec<u64>,
    faults: Faults,
}

impl Ledger {
    /// A canvas on which nobody is yet.
    pub fn new(members: usize) -> Self {
        Self {
            members: std::iter::repeat_with(Member::default)
                .take(members)
                .collect(),
            epoch: 0,
            head: 0,
            log: VecDeque::new(),
            log_first: 0,
            last_op: vec![0; members],
            faults: Faults::default(),
        }
    }

    /// A member holds the state at `seq`: a snapshot was complete. What follows is `seq + 1`.
    pub fn snapshot(&mut self, member: usize, epoch: u64, seq: u64) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.head = 0;
            self.log.clear();
            self.last_op.fill(0);
        }
        let m = &mut self.members[member];
        m.joined = true;
        m.epoch = epoch;
        m.last = seq;
        self.head = self.head.max(seq);
    }

    /// A member goes on from what it holds; the canvas is at `head`.
    pub fn resumed(&mut self, member: usize, head: u64) {
        if self.members[member].epoch == self.epoch {
            self.head = self.head.max(head);
        }
    }

    /// A member gets nothing more, and is owed nothing.
    pub fn left(&mut self, member: usize) {
        self.members[member].joined = false;
    }

    /// Where a member is: epoch and `seq`, once it has joined.
    pub fn position(&self, member: usize) -> Option<(u64, u64)> {
        let m = &self.members[member];
        m.joined.then_some((m.epoch, m.last))
    }

    /// A member got the message at `seq`, by delivery or as the ack of its own. Returns whether it was new to it.
    pub fn got(&mut self, member: usize, seq: u64, author: u32, op: u64) -> bool {
        let m = &mut self.members[member];
        match seq.cmp(&(m.last + 1)) {
            Ordering::Equal => m.last = seq,
            Ordering::Greater => {
                let missing = seq - m.last - 1;
                let room =
                    (MAX_KEPT - m.gaps.len()).min(usize::try_from(missing).unwrap_or(usize::MAX));
                m.gaps.extend((m.last + 1..seq).take(room));
                m.gaps_beyond += missing - room as u64;
                m.last = seq;
            }
            Ordering::Less if m.gaps.remove(&seq) => self.faults.disordered += 1,
            Ordering::Less => {
                self.faults.duplicated += 1;
                return false;
            }
        }
        if m.epoch == self.epoch {
            self.head = self.head.max(seq);
            self.compare(seq, author, op);
        }
        true
    }

    fn compare(&mut self, seq: u64, author: u32, op: u64) {
        if self.log.is_empty() {
            self.log_first = seq;
        }
        let Some(at) = seq
            .checked_sub(self.log_first)
            .and_then(|n| usize::try_from(n).ok())
        else {
            return;
        };
        if at >= MAX_KEPT {
            self.log.clear();
            return;
        }
        if at >= self.log.len() {
            self.log.resize(at + 1, None);
        }
        match self.log[at] {
            Some(seen) if seen != (author, op) => self.faults.disordered += 1,
            Some(_) => {}
            None => {
                self.log[at] = Some((author, op));
                self.committed_once(author, op);
                if seq.is_multiple_of(CUT_EVERY) {
                    self.cut();
                }
            }
        }
    }

    /// An author's ops only grow: an op that is there again was committed twice.
    fn committed_once(&mut self, author: u32, op: u64) {
        if let Some(last) = self.last_op.get_mut(author as usize) {
            if op <= *last {
                self.faults.duplicated += 1;
            } else {
                *last = op;
            }
        }
    }

    fn cut(&mut self) {
        let slowest = self
            .members
            .iter()
            .filter(|m| m.joined)
            .map(|m| m.last)
            .min()
            .unwrap_or(0);
        while self.log.len() > 1 && self.log_first < slowest {
            self.log.pop_front();
            self.log_first += 1;
        }
    }

    /// What was wrong, counting as lost what some member that ever joined has not got by now.
    pub fn faults(&self) -> Faults {
        let behind = |m: &Member| {
            let last = if m.epoch == self.epoch { m.last } else { 0 };
            self.head.saturating_sub(last) + m.gaps.len() as u64 + m.gaps_beyond
        };
        let lost = self.members.iter().filter(|m| m.joined).map(behind).sum();
        Faults {
            lost,
            ..self.faults
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(members: usize) -> Ledger {
        let mut ledger = Ledger::new(members);
        (0..members).for_each(|m| ledger.snapshot(m, 7, 10));
        ledger
    }

    fn faults(lost: u64, duplicated: u64, disordered: u64) -> Faults {
        Faults {
            lost,
            duplicated,
            disordered,
        }
    }

    #[test]
    fn everything_in_order_is_no_fault() {
        let mut ledger = joined(2);
        for seq in 11..=20_000 {
            for member in 0..2 {
                assert!(ledger.got(member, seq, 0, seq));
            }
        }
        assert_eq!(ledger.faults(), faults(0, 0, 0));
        assert!((ledger.log.len() as u64) <= CUT_EVERY + 1);
    }

    #[test]
    fn what_one_got_and_another_did_not_is_lost() {
        let mut ledger = joined(3);
        ledger.got(0, 11, 0, 1);
        ledger.got(0, 12, 0, 2);
        ledger.got(1, 11, 0, 1);
        assert_eq!(ledger.faults(), faults(3, 0, 0));
        ledger.got(1, 12, 0, 2);
        ledger.got(2, 11, 0, 1);
        ledger.got(2, 12, 0, 2);
        assert_eq!(ledger.faults(), faults(0, 0, 0));
    }

    #[test]
    fn a_gap_is_lost_until_it_is_filled_and_then_out_of_order() {
        let mut ledger = joined(1);
        ledger.got(0, 13, 0, 3);
        assert_eq!(ledger.faults(), faults(2, 0, 0));
        assert!(ledger.got(0, 11, 0, 1));
        assert_eq!(ledger.faults().lost, 1);
        assert!(ledger.faults().disordered >= 1);
    }

    #[test]
    fn the_same_seq_twice_is_a_repeat() {
        let mut ledger = joined(1);
        ledger.got(0, 11, 0, 1);
        assert!(!ledger.got(0, 11, 0, 1));
        assert!(!ledger.got(0, 10, 0, 1));
        assert_eq!(ledger.faults(), faults(0, 2, 0));
    }

    #[test]
    fn one_op_at_two_places_is_a_repeat() {
        let mut ledger = joined(1);
        ledger.got(0, 11, 0, 1);
        ledger.got(0, 12, 0, 1);
        assert_eq!(ledger.faults(), faults(0, 1, 0));
        ledger.got(0, 13, STRANGER, 1);
        ledger.got(0, 14, STRANGER, 1);
        assert_eq!(ledger.faults(), faults(0, 1, 0));
    }

    #[test]
    fn members_that_see_different_orders_are_told() {
        let mut ledger = joined(2);
        ledger.got(0, 11, 0, 1);
        ledger.got(0, 12, 1, 1);
        ledger.got(1, 11, 1, 1);
        ledger.got(1, 12, 0, 1);
        assert_eq!(ledger.faults(), faults(0, 0, 2));
    }

    #[test]
    fn a_resume_must_bring_what_was_missed() {
        let mut ledger = joined(1);
        ledger.got(0, 11, 0, 1);
        assert_eq!(ledger.position(0), Some((7, 11)));
        ledger.resumed(0, 13);
        assert_eq!(ledger.faults().lost, 2);
        ledger.got(0, 12, 0, 2);
        ledger.got(0, 13, 0, 3);
        assert_eq!(ledger.faults(), faults(0, 0, 0));
    }

    #[test]
    fn a_snapshot_stands_for_what_it_holds() {
        let mut ledger = joined(2);
        (11..=15).for_each(|seq| {
            ledger.got(0, seq, 0, seq);
        });
        assert_eq!(ledger.faults().lost, 5);
        ledger.snapshot(1, 7, 15);
        assert_eq!(ledger.faults().lost, 0);
    }

    #[test]
    fn a_new_epoch_begins_anew() {
        let mut ledger = joined(2);
        ledger.got(0, 11, 0, 1);
        ledger.snapshot(0, 8, 0);
        ledger.got(0, 1, 0, 2);
        assert_eq!(ledger.faults().lost, 1, "the other has not moved yet");
        ledger.snapshot(1, 8, 1);
        assert_eq!(ledger.faults(), faults(0, 0, 0));
    }
}
