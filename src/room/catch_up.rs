//! One member's place in its canvas's log. Pure.
//!
//! Live delivery is the fast path of the mechanism that serves a resume, a late join and a slow reader. A member needs
//! `next`, and is fed until `next` is past what the room has delivered.

use std::sync::Arc;

use super::parts::Parts;
use crate::protocol::encoding::Form;

/// How a member is fed.
#[derive(Debug)]
enum Mode {
    /// From the room's stream.
    Live,
    /// From the log: a read is under way.
    Reading,
    /// From the log, once the outbox has room.
    Full,
    /// From a snapshot in that form and since that older state, this part next, once the outbox has room.
    Snapshot(Arc<Parts>, (Form, Option<u64>), usize),
    /// Waits for a snapshot that is at this `seq` or later.
    Waiting(u64),
}

/// A member's place.
#[derive(Debug)]
pub struct Place {
    next: u64,
    mode: Mode,
}

/// What a live batch means for a member.
#[derive(Debug, PartialEq, Eq)]
pub enum Live {
    /// It is at the batch's first message: all of it.
    All,
    /// It has the messages before this one already.
    From(u64),
    /// Nothing: it has them, or is fed otherwise.
    Skip,
}

/// What to do next for a member that is not live.
#[derive(Debug)]
pub enum Step {
    /// Nothing: it is live, or something is under way.
    None,
    /// Read the log after this `seq`.
    Read(u64),
    /// Push this part, then [`Place::part_taken`] or [`Place::full`].
    Part(bytes::Bytes),
}

impl Place {
    /// Live from `next` on.
    pub fn live(next: u64) -> Self {
        Self {
            next,
            mode: Mode::Live,
        }
    }

    /// A read from `next` on is under way.
    pub fn reading(next: u64) -> Self {
        Self {
            next,
            mode: Mode::Reading,
        }
    }

    /// To be read from `next` on.
    pub fn behind(next: u64) -> Self {
        Self {
            next,
            mode: Mode::Full,
        }
    }

    /// Without a place until a snapshot gives one.
    pub fn waiting() -> Self {
        Self {
            next: 0,
            mode: Mode::Waiting(0),
        }
    }

    /// Whether it waits for a snapshot.
    pub fn is_waiting(&self) -> bool {
        matches!(self.mode, Mode::Waiting(_))
    }

    /// Whether it waits for a snapshot that is later than one at `seq`.
    pub fn waits_beyond(&self, seq: u64) -> bool {
        matches!(self.mode, Mode::Waiting(least) if least > seq)
    }

    /// Whether the room's stream feeds it.
    pub fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Live)
    }

    /// The next `seq` it needs.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// What a live batch from `first` to `last` means. Batches come without gaps between them.
    pub fn on_live(&self, first: u64, last: u64) -> Live {
        match self.mode {
            Mode::Live if self.next == first => Live::All,
            Mode::Live if self.next > first && self.next <= last => Live::From(self.next),
            _ => Live::Skip,
        }
    }

    /// The messages up to `last` were pushed.
    pub fn delivered(&mut self, last: u64) {
        self.next = self.next.max(last + 1);
    }

    /// The outbox is full: what comes next is read from the log when it has room again.
    pub fn full(&mut self) {
        if !matches!(self.mode, Mode::Snapshot(..) | Mode::Waiting(_)) {
            self.mode = Mode::Full;
        }
    }

    /// What it holds can't be continued: a snapshot that is at `least` or later must come first.
    pub fn lost(&mut self, least: u64) {
        self.mode = Mode::Waiting(least);
    }

    /// The snapshot it waits for; with a `base`, only what changed since that, if it is known.
    pub fn snapshot(&mut self, parts: Arc<Parts>, form: Form, base: Option<u64>) {
        self.mode = Mode::Snapshot(parts, (form, base), 0);
    }

    /// What to do now that the outbox has room. `delivered` is the room's own place.
    pub fn step(&mut self, delivered: u64) -> Step {
        match &self.mode {
            Mode::Live | Mode::Reading | Mode::Waiting(_) => Step::None,
            Mode::Snapshot(parts, (form, base), i) => match parts.of(*form, *base).get(*i) {
                Some(part) => Step::Part(part.clone()),
                None => {
                    self.next = parts.at.seq + 1;
                    self.mode = Mode::Full;
                    self.step(delivered)
                }
            },
            Mode::Full if self.next > delivered => {
                self.mode = Mode::Live;
                Step::None
            }
            Mode::Full => {
                self.mode = Mode::Reading;
                Step::Read(self.next - 1)
            }
        }
    }

    /// The part of [`Step::Part`] was pushed.
    pub fn part_taken(&mut self) {
        if let Mode::Snapshot(_, _, i) = &mut self.mode {
            *i += 1;
        }
    }

    /// The read of [`Step::Read`] came back. `false` if none was under way.
    pub fn read_done(&mut self) -> bool {
        let reading = matches!(self.mode, Mode::Reading);
        if reading {
            self.mode = Mode::Full;
        }
        reading
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::ids::{Epoch, Position};

    proptest! {
        /// Whatever the order of live batches, drains, reads and full outboxes: the member gets each number once, in order.
        #[test]
        fn every_message_once_in_order(steps in prop::collection::vec((0..6_u8, 1..5_u64), 1..200)) {
            let mut place = Place::live(1);
            let (mut delivered, mut got, mut reading) = (0_u64, Vec::new(), None);
            for (what, n) in steps {
                match what {
                    0 | 1 => {
                        let (first, last) = (delivered + 1, delivered + n);
                        delivered = last;
                        match place.on_live(first, last) {
                            Live::All => got.extend(first..=last),
                            Live::From(from) => got.extend(from..=last),
                            Live::Skip => continue,
                        }
                        place.delivered(last);
                    }
                    2 => place.full(),
                    3 => if let Step::Read(after) = place.step(delivered) { reading = Some(after) },
                    4 => if let Some(after) = reading.take()
                        && place.read_done()
                    {
                        let last = (after + n).min(delivered);
                        got.extend(after + 1..=last);
                        place.delivered(last);
                        if let Step::Read(after) = place.step(delivered) { reading = Some(after) }
                    },
                    // A batch that the outbox did not take: the live path drops it and falls back.
                    _ => {
                        let (first, last) = (delivered + 1, delivered + n);
                        delivered = last;
                        if place.on_live(first, last) != Live::Skip { place.full() }
                    }
                }
            }
            prop_assert_eq!(&got, &(1..=got.len() as u64).collect::<Vec<_>>());
            prop_assert_eq!(place.next(), got.len() as u64 + 1);
        }
    }

    #[test]
    fn a_snapshot_is_fed_part_by_part_then_the_log() {
        let at = Position {
            epoch: Epoch(1),
            seq: 7,
        };
        let parts = Arc::new(Parts::new(at, vec!["a".into(), "b".into()]));
        let mut place = Place::waiting();
        assert!(matches!(place.step(9), Step::None));
        place.snapshot(parts, Form::default(), None);
        let mut fed = Vec::new();
        while let Step::Part(part) = place.step(9) {
            fed.push(part);
            place.full();
            place.part_taken();
        }
        assert_eq!(fed, ["a", "b"]);
        assert_eq!(place.next(), 8);
        assert!(
            place.read_done(),
            "the step after the last part asks for the log"
        );
    }

    #[test]
    fn a_member_ahead_of_its_room_skips_what_it_has() {
        let place = Place::live(5);
        assert_eq!(place.on_live(3, 4), Live::Skip);
        assert_eq!(place.on_live(3, 6), Live::From(5));
    }
}
