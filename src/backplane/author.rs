//! Who writes: a connection, and which of its ops must wait for an earlier one that was refused.

use std::ops::RangeInclusive;

use parking_lot::Mutex;
use rangemap::RangeInclusiveSet;

use super::Refusal;
use crate::limits::{MAX_REFUSED_GAPS, RETRY_AFTER_MS};
use crate::protocol::ids::{ClientId, ConnId};
use crate::protocol::server_message::ErrorCode;

/// One connection as an author of entries.
#[derive(Debug)]
pub struct Author {
    /// The connection.
    pub conn: ConnId,
    /// The client it belongs to.
    pub client: ClientId,
    /// Name and colour as a JSON object.
    pub user: String,
    /// The `sub` of its token; empty without auth.
    pub subject: String,
    mark: u64,
    ops: Mutex<Ops>,
}

/// How far the ops of a connection are.
#[derive(Debug, Default)]
struct Ops {
    /// Those that were refused for the moment, and neither taken nor decided since: each has to come again before any later one.
    refused: RangeInclusiveSet<u64>,
    /// What the first of them was refused with.
    code: Option<ErrorCode>,
    /// The last op that was taken, if nothing was refused since. A client sends in order: what it leaves out behind this one
    /// it has given up.
    passed: Option<u64>,
    /// The highest op that was taken and not refused since.
    taken: u64,
    /// The highest op that was answered for good.
    settled: u64,
}

impl Ops {
    /// The op that has to come first.
    fn awaited(&self) -> Option<u64> {
        self.refused.first().map(|ops| *ops.start())
    }

    fn hold(&mut self, op: u64, code: ErrorCode) {
        if op <= self.settled {
            return;
        }
        if self.awaited().is_none_or(|awaited| op <= awaited) {
            self.code = Some(code);
        }
        self.taken = self.taken.min(op - 1);
        self.refuse(op);
    }

    fn refuse(&mut self, op: u64) {
        self.passed = None;
        let from = match self.refused.last() {
            Some(last) if self.refused.len() > MAX_REFUSED_GAPS => op.min(*last.start()),
            _ => op,
        };
        self.refused.insert(from..=op);
    }

    /// These are waited for no more.
    fn forget(&mut self, ops: RangeInclusive<u64>) {
        if !self.refused.is_empty() {
            self.refused.remove(ops);
        }
    }

    /// The code of the one that `op` has to wait for.
    fn held(&self, op: u64) -> Option<ErrorCode> {
        if self.passed.is_some_and(|passed| passed < op) {
            return None;
        }
        self.awaited()
            .filter(|awaited| *awaited < op)
            .and(self.code)
    }
}

/// Names are compared once a member and message: numbers are faster. That two clients of a canvas share one is as likely
/// as that two UUIDs are the same, and would only let an op pass that waits for an earlier one.
pub(super) fn client_mark(name: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(name, &mut hasher);
    std::hash::Hasher::finish(&hasher)
}

impl Author {
    /// An author whose ops are not held.
    pub fn new(conn: ConnId, client: ClientId, user: String, subject: String) -> Self {
        Self {
            mark: client_mark(client.as_str()),
            conn,
            client,
            user,
            subject,
            ops: Mutex::default(),
        }
    }

    /// Holds all ops from `op` on, after a retryable refusal of it: if `op + 1` were committed, a resent `op` would look like a duplicate.
    /// `code` is `rate-limited` or `overloaded`; later ops are refused with the same.
    /// Nothing is held for a second copy of an op that was answered for good: its author will not send it again.
    pub fn hold(&self, op: u64, code: ErrorCode) {
        self.ops.lock().hold(op, code);
    }

    /// The code that `op` is refused with because a lower one waits to be sent again; `None` if it is not.
    pub fn held(&self, op: u64) -> Option<ErrorCode> {
        self.ops.lock().held(op)
    }

    /// Whether `op` may be taken: no lower one waits to be sent again.
    /// Must be called under the same lock as [`Self::hold`] of the same backplane, or where no other can append for this author.
    ///
    /// # Errors
    /// The refusal with the code of the op that it waits for; it has to be sent again after that.
    pub fn admits(&self, op: u64) -> Result<(), Refusal> {
        let mut ops = self.ops.lock();
        if let Some(code) = ops.held(op) {
            ops.refuse(op);
            return Err(Refusal {
                code,
                message: "an earlier op was refused: send that first".to_owned(),
                retry_after_ms: Some(RETRY_AFTER_MS),
            });
        }
        Ok(())
    }

    /// `op` was refused for good: its author will not send it again, so nothing waits for it any more. Earlier ops may still
    /// be under way, so unlike [`Self::settle`] this says nothing of them.
    pub fn give_up(&self, op: u64) {
        self.ops.lock().forget(op..=op);
    }

    /// `op`, which was admitted, was taken: until it is refused, another copy of it that is refused holds nothing.
    pub fn take(&self, op: u64) {
        let mut ops = self.ops.lock();
        ops.taken = ops.taken.max(op);
        let from = ops.passed.replace(op).map_or(op, |passed| op.min(passed));
        ops.forget(from..=op);
    }

    /// As [`Self::hold`], after `op` was not taken. Nothing is held for a second copy of one that was: the first has an answer of its
    /// own, after which nobody would send the number again.
    pub fn hold_untaken(&self, op: u64, code: ErrorCode) {
        let mut ops = self.ops.lock();
        if op > ops.taken {
            ops.hold(op, code);
        }
    }

    /// `op` was answered for good, and those before it: nothing waits for them any more. Who was refused because of them still has
    /// to be sent again before anything new: it would look like a duplicate after that.
    pub fn settle(&self, op: u64) {
        let mut ops = self.ops.lock();
        ops.settled = ops.settled.max(op);
        ops.forget(0..=op);
    }

    /// A number that stands for the client's name in [`super::Mark::client`].
    pub fn mark(&self) -> u64 {
        self.mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        let client = ClientId::parse("client-1").unwrap();
        Author::new(ConnId::new(1, 1), client, "{}".into(), String::new())
    }

    fn refuse(author: &Author, op: u64) {
        author.admits(op).unwrap();
        author.hold(op, ErrorCode::Overloaded);
    }

    /// The first is refused, and the others because of it.
    fn refuse_all(author: &Author, ops: RangeInclusive<u64>) {
        refuse(author, *ops.start());
        for later in ops.skip(1) {
            assert!(author.admits(later).is_err());
        }
    }

    fn take(author: &Author, op: u64) {
        author.admits(op).unwrap();
        author.take(op);
    }

    /// Refused here, and committed through the client's earlier connection: those that were refused after it come before new ones,
    /// and in their order. What comes now may be the middle of what was sent again when that was not known yet.
    #[test]
    fn what_was_refused_because_of_an_op_comes_first_when_that_is_settled() {
        let author = author();
        refuse_all(&author, 3..=6);
        author.settle(3);
        author.settle(4);
        assert!(author.admits(7).is_err(), "5 and 6 would be lost");
        assert!(author.admits(6).is_err(), "5 would be lost");
        for op in [3, 5, 6, 7, 8] {
            take(&author, op);
        }
    }

    #[test]
    fn a_resend_that_is_refused_holds_what_follows_it() {
        let author = author();
        refuse_all(&author, 4..=7);
        author.settle(4);
        author.hold(5, ErrorCode::RateLimited);
        assert_eq!(author.held(7), Some(ErrorCode::RateLimited));
        author.settle(6);
        assert!(author.admits(8).is_err(), "7 was refused, too");
        take(&author, 7);
        take(&author, 8);
    }

    /// However many numbers are left out, what is kept is bounded, and nothing passes what was refused.
    #[test]
    fn gaps_without_end_take_no_memory_without_end() {
        let author = author();
        refuse(&author, 1);
        for op in 1..10_000 {
            assert!(author.admits(2 * op + 1).is_err());
        }
        assert!(author.ops.lock().refused.len() <= MAX_REFUSED_GAPS + 1);
        author.settle(1);
        assert!(author.admits(5).is_err(), "3 was refused");
        author.settle(20_000);
        author.admits(20_001).unwrap();
    }

    #[test]
    fn nothing_waits_when_all_that_was_refused_is_settled() {
        let author = author();
        refuse(&author, 3);
        assert!(author.admits(4).is_err());
        author.settle(4);
        author.admits(5).unwrap();
        // What was decided before holds nothing.
        author.hold(4, ErrorCode::Overloaded);
        author.admits(6).unwrap();
    }

    #[test]
    fn an_op_that_is_given_up_is_not_waited_for() {
        let author = author();
        refuse(&author, 3);
        assert_eq!(author.held(4), Some(ErrorCode::Overloaded));
        author.give_up(3);
        author.admits(4).unwrap();
    }

    /// Sent again in order, but for one that its author has taken back meanwhile.
    #[test]
    fn what_is_left_out_behind_a_resent_op_is_not_waited_for() {
        let author = author();
        refuse_all(&author, 3..=6);
        take(&author, 3);
        take(&author, 5);
        author.hold(5, ErrorCode::Overloaded);
        assert!(author.admits(6).is_err(), "5 was refused again");
        take(&author, 5);
        take(&author, 6);
    }
}
