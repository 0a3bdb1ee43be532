//! The framed snapshots of a room, shared by clients that join together. Pure.
//!
//! A client that joins gets the state of that moment. But each snapshot that is being sent holds the whole canvas in
//! memory until its slowest reader has it. So once several are being sent, new clients share the latest one, which is a
//! little older, and read from the log what came since. On a canvas that nobody changes, one is kept for a few seconds
//! more for whoever comes next.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::limits::{SNAPSHOT_REUSE, SNAPSHOTS_UNDER_WAY};
use crate::room::parts::Parts;

/// See the module's head.
#[derive(Default)]
pub(super) struct Shared {
    latest: Option<(Instant, Weak<Parts>)>,
    /// That one, while it is kept for more than those who read it.
    kept: Option<Arc<Parts>>,
    under_way: Vec<Weak<Parts>>,
}

impl Shared {
    /// A snapshot was read.
    pub fn put(&mut self, parts: Arc<Parts>, now: Instant) {
        self.under_way.push(Arc::downgrade(&parts));
        self.latest = Some((now, Arc::downgrade(&parts)));
        self.kept = Some(parts);
    }

    /// Some time passed since one was read.
    pub fn old(&mut self, now: Instant) {
        let read_at = self.latest.as_ref().map(|(read_at, _)| *read_at);
        if read_at.is_none_or(|at| now.duration_since(at) >= SNAPSHOT_REUSE) {
            self.kept = None;
        }
    }

    /// What was read so far is of no use any more.
    pub fn forget(&mut self) {
        self.latest = None;
        self.kept = None;
    }

    /// The log went on past `latest`: unless it may be needed in spite of that, its memory is freed.
    pub fn outdated(&mut self) {
        if self.latest.is_some() && !self.is_crowded() {
            self.forget();
        }
    }

    /// Whether as many are on their way as may be.
    pub fn is_crowded(&mut self) -> bool {
        self.under_way.retain(|parts| parts.strong_count() > 0);
        self.under_way.len() >= SNAPSHOTS_UNDER_WAY
    }

    /// One for a member that comes when the room is at `head`.
    pub fn take(&mut self, head: u64, now: Instant) -> Option<Arc<Parts>> {
        let crowded = self.is_crowded();
        let (read_at, parts) = self.latest.as_ref()?;
        let parts = parts.upgrade()?;
        let young = crowded && now.duration_since(*read_at) < SNAPSHOT_REUSE;
        (parts.at.seq >= head || young).then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::ids::{Epoch, Position};

    fn parts(seq: u64) -> Arc<Parts> {
        let epoch = Epoch(1);
        Arc::new(Parts::new(Position { epoch, seq }, Vec::new()))
    }

    #[test]
    fn a_joiner_gets_the_state_as_it_is() {
        let (mut shared, now) = (Shared::default(), Instant::now());
        assert!(shared.take(0, now).is_none());
        shared.put(parts(7), now);
        let later = now + SNAPSHOT_REUSE * 2;
        assert!(shared.take(7, later).is_some(), "nothing came since");
        assert!(shared.take(8, now).is_none());
        shared.outdated();
        assert!(shared.take(7, now).is_none(), "its memory is freed");
    }

    #[test]
    fn one_that_nobody_reads_is_not_kept_for_long() {
        let (mut shared, now) = (Shared::default(), Instant::now());
        let later = now + SNAPSHOT_REUSE;
        shared.put(parts(7), now);
        shared.old(later - Duration::from_millis(1));
        assert!(shared.take(7, now).is_some(), "it is young");
        let reader = shared.take(7, now);
        shared.old(later);
        assert!(shared.take(7, later).is_some(), "its reader has it");
        drop(reader);
        assert!(shared.take(7, later).is_none(), "its memory is freed");
        shared.put(parts(8), later);
        shared.old(later);
        assert!(
            shared.take(8, later).is_some(),
            "the time was the one before's"
        );
    }

    #[test]
    fn slow_readers_of_many_snapshots_make_others_share() {
        let (mut shared, now) = (Shared::default(), Instant::now());
        let mut held = Vec::new();
        for seq in (1..).take(SNAPSHOTS_UNDER_WAY) {
            assert!(shared.take(seq, now).is_none());
            held.push(parts(seq));
            shared.put(held[held.len() - 1].clone(), now);
        }
        shared.outdated();
        assert!(shared.take(1_000, now).is_some(), "one that is young");
        assert!(shared.take(1_000, now + SNAPSHOT_REUSE).is_none());
        held.clear();
        assert!(shared.take(1_000, now).is_none(), "there is room again");
    }
}
