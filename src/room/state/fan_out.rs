//! One committed run to every member: the same bytes for all, acks in their place for the authors.

use std::ops::Bound;

use bytes::Bytes;

use super::{Link, State};
use crate::backplane::{Author, LogBatch};
use crate::protocol::ids::ConnId;
use crate::protocol::server_message::{AckStatus, ack};
use crate::room::catch_up::{Live, Place};

/// Members that are written to before anything else has a turn: it takes less than a millisecond.
const WRITTEN_AT_ONCE: usize = 32;

impl<L: Link> State<L> {
    /// Writes what was pushed, once per round of events, so that one write carries many messages: to the first few members, or
    /// to the next few after that one. Gives where to go on if there are more.
    pub fn flush_after(&self, conn: Option<ConnId>) -> Option<ConnId> {
        let from = conn.map_or(Bound::Unbounded, Bound::Excluded);
        let mut seats = self.seats.range((from, Bound::Unbounded));
        let mut last = None;
        for (conn, seat) in seats.by_ref().take(WRITTEN_AT_ONCE) {
            seat.link.flush();
            last = Some(*conn);
        }
        last.filter(|_| seats.next().is_some())
    }

    /// Writes what was pushed to all members, for who has nothing else to do.
    pub fn flush(&self) {
        let mut written = self.flush_after(None);
        while written.is_some() {
            written = self.flush_after(written);
        }
    }

    /// Pushes a run that follows on what was delivered (its head may overlap) to all live members.
    pub(super) fn fan_out(&mut self, batch: &LogBatch) {
        let (first, last) = (batch.first_seq, batch.last_seq());
        debug_assert!(first <= self.delivered + 1, "a gap must be filled first");
        for (conn, seat) in &mut self.seats {
            match seat.place.on_live(first, last) {
                Live::Skip => {}
                Live::All => give(&*seat.link, *conn, &mut seat.place, batch, first),
                Live::From(from) => give(&*seat.link, *conn, &mut seat.place, batch, from),
            }
        }
        self.delivered = last;
        self.snapshots.outdated();
    }
}

/// Pushes a run from `from` on to one member; a full outbox sends it to the log.
pub(super) fn give<L: Link>(
    link: &L,
    conn: ConnId,
    place: &mut Place,
    batch: &LogBatch,
    from: u64,
) {
    let (frames, own) = for_member(batch, conn, from);
    if link.push(frames) {
        settle_own(link.author(), batch);
        place.delivered(batch.last_seq());
        if own > 0 {
            link.answered(own);
        }
    } else {
        place.full();
    }
}

/// What a client sent through an earlier connection is decided when it comes. It may have been sent again and refused
/// here; then all later ops wait for it, and the client will not send it a third time.
fn settle_own(author: &Author, batch: &LogBatch) {
    let own = author.mark();
    for mark in batch.marks.iter().filter(|mark| mark.client == own) {
        author.settle(mark.op);
    }
}

/// The run's bytes for one member: shared, unless it wrote some of them. Also how many it wrote.
fn for_member(batch: &LogBatch, conn: ConnId, from: u64) -> (Bytes, u32) {
    let skip = usize::try_from(from - batch.first_seq).unwrap_or(usize::MAX);
    let marks = &batch.marks[skip.min(batch.marks.len())..];
    let start = if skip == 0 {
        0
    } else {
        batch.marks[skip - 1].end
    };
    if !marks.iter().any(|mark| mark.origin == conn) {
        return (batch.frames.slice(start..), 0);
    }
    let mut out = Vec::with_capacity(marks.len() * 64);
    let (mut own, mut at) = (0, start);
    for (seq, mark) in (from..).zip(marks) {
        if mark.origin == conn {
            ack(&mut out, mark.op, seq, AckStatus::Ok);
            own += 1;
        } else {
            out.extend_from_slice(&batch.frames[at..mark.end]);
        }
        at = mark.end;
    }
    (Bytes::from(out), own)
}
