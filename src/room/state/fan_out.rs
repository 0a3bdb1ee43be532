//! Sends one committed run to every member: the same bytes for all, with acks in their places for the authors.

use std::ops::Bound;

use bytes::Bytes;

use super::wordings::{Recipients, Run, Wordings};
use super::{Link, State};
use crate::backplane::{Author, LogBatch, OpEnd};
use crate::counts;
use crate::protocol::encoding::Encoding;
use crate::protocol::ids::ConnId;
use crate::protocol::msgpack;
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
        let first = batch.first_seq;
        let last = batch.last_seq();
        debug_assert!(first <= self.delivered + 1, "a gap must be filled first");
        let make = |wording, recipients: &Recipients<'_>| Run::new(batch, wording, recipients);
        let runs = Wordings::new(&self.roster, &make);
        let mut behind = Vec::new();
        for (conn, seat) in &mut self.seats {
            let from = match seat.place.on_live(first, last) {
                Live::Skip => continue,
                Live::All => first,
                Live::From(from) => from,
            };
            if !seat.link.features().has_all(batch.needs) {
                // It hears something else under those numbers, which is read with the log.
                seat.place.full();
                behind.push(*conn);
                continue;
            }
            let run = runs.of(&*seat.link);
            let whole = |frames, _| frames;
            give(
                &*seat.link,
                *conn,
                &mut seat.place,
                (batch, run),
                from,
                whole,
            );
        }
        self.delivered = last;
        self.snapshots.outdated();
        behind.into_iter().for_each(|conn| self.feed(conn));
    }
}

/// Pushes a run from `from` on to one member; a full outbox sends it to the log. `shorter` may write the frames in fewer bytes, and
/// is told whether all of them are for everybody.
pub(super) fn give<L: Link>(
    link: &L,
    conn: ConnId,
    place: &mut Place,
    (batch, run): (&LogBatch, &Run),
    from: u64,
    shorter: impl FnOnce(Bytes, bool) -> Bytes,
) {
    let encoding = link.form().encoding;
    let (frames, own) = for_member(batch, run, conn, from, encoding);
    if link.push(shorter(frames, own == 0)) {
        counts::DELIVERIES.add((batch.last_seq() + 1).saturating_sub(from));
        settle_own(link.author(), batch, run);
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
fn settle_own(author: &Author, batch: &LogBatch, run: &Run) {
    let own = author.mark();
    if !run.is_by(own) {
        return;
    }
    for mark in batch.marks.iter().filter(|mark| mark.client == own) {
        author.ops.ended(mark.op, OpEnd::Decided);
    }
}

/// The run's bytes for one member: shared, unless it wrote some of them. Also how many it wrote.
fn for_member(
    batch: &LogBatch,
    run: &Run,
    conn: ConnId,
    from: u64,
    encoding: Encoding,
) -> (Bytes, u32) {
    let skip = usize::try_from(from - batch.first_seq).unwrap_or(usize::MAX);
    let skip = skip.min(batch.marks.len());
    let marks = &batch.marks[skip..];
    let start = if skip == 0 {
        0
    } else {
        run.end(batch, skip - 1)
    };
    if !run.is_of(conn) || !marks.iter().any(|mark| mark.origin == conn) {
        return (run.frames.slice(start..), 0);
    }
    let mut out = Vec::with_capacity(marks.len() * 64);
    let mut own = 0;
    let mut at = start;
    for ((seq, mark), place) in (from..).zip(marks).zip(skip..) {
        let end = run.end(batch, place);
        match encoding {
            _ if mark.origin != conn => out.extend_from_slice(&run.frames[at..end]),
            Encoding::Json => ack(&mut out, mark.op, seq, AckStatus::Ok),
            Encoding::Msgpack => msgpack::ack(&mut out, mark.op, seq, AckStatus::Ok),
        }
        own += u32::from(mark.origin == conn);
        at = end;
    }
    (Bytes::from(out), own)
}
