//! Who writes: a connection, and which of its ops must wait for an earlier one that was refused.

use parking_lot::Mutex;

use super::Refusal;
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
    hold: Option<Hold>,
    /// The highest op that was refused for the moment.
    refused: u64,
    /// The highest op that was taken and not refused since.
    taken: u64,
    /// The highest op that was answered for good.
    settled: u64,
}

/// After a refusal for the moment: ops beyond `last` wait until one from `first` to `last` comes again.
#[derive(Debug, Clone, Copy)]
struct Hold {
    first: u64,
    last: u64,
    code: ErrorCode,
}

impl Hold {
    /// Whether `op` is among those of which one has to come.
    fn awaits(&self, op: u64) -> bool {
        self.first <= op && op <= self.last
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
        let mut ops = self.ops.lock();
        if op <= ops.settled {
            return;
        }
        ops.taken = ops.taken.min(op - 1);
        ops.refused = ops.refused.max(op);
        // Its author has gone past what waits before it.
        if ops.hold.is_none_or(|hold| op <= hold.last) {
            let (first, last) = (op, op);
            ops.hold = Some(Hold { first, last, code });
        }
    }

    /// The code that `op` is refused with because a lower one waits to be sent again; `None` if it is not.
    pub fn held(&self, op: u64) -> Option<ErrorCode> {
        let hold = self.ops.lock().hold?;
        (op > hold.last).then_some(hold.code)
    }

    /// Whether `op` is the one that all later ones wait for.
    pub fn awaits(&self, op: u64) -> bool {
        self.ops.lock().hold.is_some_and(|hold| hold.awaits(op))
    }

    /// Whether `op` may be taken: nothing is held, or it is the held op itself, which ends the hold, or a lower one: a resend of
    /// what was answered before, which changes nothing for what waits.
    /// Must be called under the same lock as [`Self::hold`] of the same backplane, or where no other can append for this author.
    ///
    /// # Errors
    /// The refusal with the code of the held op's.
    pub fn admits(&self, op: u64) -> Result<(), Refusal> {
        let mut ops = self.ops.lock();
        let Some(hold) = ops.hold else { return Ok(()) };
        if op > hold.last {
            ops.refused = ops.refused.max(op);
            return Err(Refusal {
                code: hold.code,
                message: "an earlier op was refused: send that first".to_owned(),
                retry_after_ms: Some(crate::limits::RETRY_AFTER_MS),
            });
        }
        if hold.awaits(op) {
            ops.hold = None;
        }
        Ok(())
    }

    /// `op` was refused for good: its author will not send it again, so nothing waits for it any more. Earlier ops may still
    /// be under way, so unlike [`Self::settle`] this says nothing of them.
    pub fn give_up(&self, op: u64) {
        let mut ops = self.ops.lock();
        ops.hold = ops.hold.filter(|hold| !hold.awaits(op));
    }

    /// `op` was taken: until it is refused, another copy of it that is refused holds nothing.
    pub fn take(&self, op: u64) {
        let mut ops = self.ops.lock();
        ops.taken = ops.taken.max(op);
    }

    /// Whether a copy of `op` was taken and is not refused.
    pub fn has_taken(&self, op: u64) -> bool {
        op <= self.ops.lock().taken
    }

    /// `op` was answered for good, and those before it: nothing waits for them any more. Who was refused because of them still has
    /// to be sent again before anything new: it would look like a duplicate after that.
    pub fn settle(&self, op: u64) {
        let mut ops = self.ops.lock();
        ops.settled = ops.settled.max(op);
        let (settled, refused) = (ops.settled, ops.refused);
        if let Some(hold) = &mut ops.hold
            && hold.first <= settled
        {
            (hold.first, hold.last) = (settled + 1, hold.last.max(refused));
            if hold.first > hold.last {
                ops.hold = None;
            }
        }
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

    /// Refused here, and committed through the client's earlier connection: those that were refused after it come before new ones.
    #[test]
    fn what_was_refused_because_of_an_op_comes_first_when_that_is_settled() {
        let author = author();
        refuse(&author, 3);
        for later in 4..=6 {
            assert!(author.admits(later).is_err());
        }
        author.settle(3);
        author.settle(4);
        assert!(author.admits(7).is_err(), "5 and 6 would be lost");
        author.admits(3).unwrap();
        assert!(author.admits(7).is_err(), "3 was decided before");
        assert!(author.awaits(5));
        for op in 5..=8 {
            author.admits(op).unwrap();
        }
    }

    /// 5 was given up by its author, who sends 6 next.
    #[test]
    fn a_resend_that_is_refused_holds_what_follows_it() {
        let author = author();
        refuse(&author, 4);
        for later in 5..=7 {
            assert!(author.admits(later).is_err());
        }
        author.settle(4);
        author.hold(6, ErrorCode::RateLimited);
        assert_eq!(author.held(7), Some(ErrorCode::RateLimited));
        author.settle(6);
        assert!(author.admits(8).is_err(), "7 was refused, too");
        author.admits(7).unwrap();
        author.admits(8).unwrap();
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
}
