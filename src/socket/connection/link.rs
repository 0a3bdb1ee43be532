//! A connection as its room sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Peer;
use crate::backplane::{Author, Post};
use crate::counts;
use crate::protocol::close_code::CloseCode;
use crate::protocol::encoding::Form;
use crate::protocol::features::{Feature, Features};
use crate::protocol::ids::ClientId;
use crate::room::{Latest, Link};
use crate::socket::places::household;

impl Link for Peer {
    fn author(&self) -> &Arc<Author> {
        &self.author
    }

    fn role(&self) -> &'static str {
        self.session.access().word()
    }

    fn maker(&self) -> String {
        match (self.author.subject.as_str(), self.address) {
            ("", Some(address)) => format!("address {}", household(address)),
            (subject, _) => format!("sub {subject}"),
        }
    }

    fn features(&self) -> Features {
        self.features
    }

    fn form(&self) -> Form {
        Form {
            encoding: self.out.encoding(),
            deflate: self.deflate,
            logs: self.features.has(Feature::Log),
        }
    }

    fn has_sent_roster(&self) -> bool {
        self.out.with(|outbox| outbox.has_sent_roster())
    }

    fn push(&self, frames: Bytes) -> bool {
        self.out.with(|outbox| outbox.push(frames))
    }

    fn reply(&self, frame: Bytes) {
        self.out.with(|outbox| outbox.reply(frame));
    }

    fn reply_in_pieces(&self, pieces: Vec<Bytes>) {
        self.out.with(|outbox| outbox.raw_in_pieces(pieces));
    }

    fn latest_of_many(&self, frames: Bytes) -> bool {
        self.out.with(|outbox| outbox.latest_of_many(frames))
    }

    fn latest(&self, lane: Latest, client: &ClientId, frame: &Bytes) {
        let kept = self.out.with(|outbox| outbox.latest(lane, client, frame));
        if !kept {
            let reason = "the socket is too slow for the news about clients that join and leave";
            self.out.close(CloseCode::Timeout, reason);
        }
    }

    fn cursors(&self, frame: &Bytes, cursors: &[(ClientId, Arc<str>)]) {
        self.out.with(|outbox| outbox.cursors(frame, cursors));
    }

    fn droppable(&self, frames: &Bytes) {
        let taken = self.out.with(|outbox| outbox.droppable(frames));
        if !taken && self.out.standing().blocked.is_none() {
            // Only a socket that takes nothing more is a reason to drop something.
            self.flushed();
            self.out.with(|outbox| outbox.droppable(frames));
        }
    }

    fn welcomed(&self, acked_op: u64) {
        // Set once: a room takes a member in once.
        let _ = self.welcomed.set(acked_op);
        counts::JOINS.add(1);
        self.out.wake.notify_one();
    }

    fn answered(&self, ops: u32) {
        // Never below none: after a snapshot, answers to what it did not contain yet come too.
        let left = |in_flight: u32| Some(in_flight.saturating_sub(ops));
        let set = Ordering::AcqRel;
        let fetch = Ordering::Acquire;
        // `left` always gives a number.
        let _ = self.in_flight.fetch_update(set, fetch, left);
        if self.out.paused.load(Ordering::Acquire) {
            self.out.wake.notify_one();
        }
    }

    fn started_over(&self) {
        self.in_flight.store(0, Ordering::Release);
        self.out.wake.notify_one();
    }

    fn posted(&self, post: Post) {
        // It came from another instance: nobody there waits for an answer, and what is not taken is posted again.
        let _ = self.out.post(post);
    }

    fn flush(&self) {
        self.flushed();
    }

    fn close(&self, code: CloseCode, reason: &'static str) {
        self.out.close(code, reason);
    }
}
