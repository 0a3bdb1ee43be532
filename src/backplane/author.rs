//! Who writes: a connection, and which of its ops must wait for an earlier one that was refused.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// The op after whose retryable refusal all later ones wait, twice, and 1 more if that was `rate-limited`; 0 for none.
    held: AtomicU64,
    /// The highest op that was taken and not refused since.
    taken: AtomicU64,
    /// The highest op that was answered for good.
    settled: AtomicU64,
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
            held: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            settled: AtomicU64::new(0),
        }
    }

    /// Holds all ops from `op` on, after a retryable refusal of it: if `op + 1` were committed, a resent `op` would look like a duplicate.
    /// `code` is `rate-limited` or `overloaded`; later ops are refused with the same.
    /// Nothing is held for a second copy of an op that was answered for good: its author will not send it again.
    pub fn hold(&self, op: u64, code: ErrorCode) {
        if op <= self.settled.load(Ordering::Acquire) {
            return;
        }
        self.taken.fetch_min(op - 1, Ordering::AcqRel);
        let new = op << 1 | u64::from(code == ErrorCode::RateLimited);
        let lower = |held: u64| (held == 0 || op <= held >> 1).then_some(new);
        // `Err` only says that a lower op is held already.
        let _ = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, lower);
        // It may have been settled in the meantime.
        self.settle(self.settled.load(Ordering::Acquire));
    }

    /// The code that `op` is refused with because a lower one waits to be sent again; `None` if it is not.
    pub fn held(&self, op: u64) -> Option<ErrorCode> {
        let held = self.held.load(Ordering::Acquire);
        let code = match held & 1 {
            0 => ErrorCode::Overloaded,
            _ => ErrorCode::RateLimited,
        };
        (held != 0 && op > held >> 1).then_some(code)
    }

    /// Whether `op` is the one that all later ones wait for.
    pub fn awaits(&self, op: u64) -> bool {
        self.held.load(Ordering::Acquire) >> 1 == op
    }

    /// Whether `op` may be taken: nothing is held, or it is the held op itself, which ends the hold, or a lower one: a resend of
    /// what was answered before, which changes nothing for what waits.
    /// Must be called under the same lock as [`Self::hold`] of the same backplane, or where no other can append for this author.
    ///
    /// # Errors
    /// The refusal with the code of the held op's.
    pub fn admits(&self, op: u64) -> Result<(), Refusal> {
        if let Some(code) = self.held(op) {
            return Err(Refusal {
                code,
                message: "an earlier op was refused: send that first".to_owned(),
                retry_after_ms: Some(crate::limits::RETRY_AFTER_MS),
            });
        }
        if self.awaits(op) {
            self.held.store(0, Ordering::Release);
        }
        Ok(())
    }

    /// `op` was refused for good: its author will not send it again, so nothing waits for it any more. Earlier ops may still
    /// be under way, so unlike [`Self::settle`] this says nothing of them.
    pub fn give_up(&self, op: u64) {
        let release = |held: u64| (held >> 1 == op).then_some(0);
        // `Err` only says that it is not what is held.
        let _ = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, release);
    }

    /// `op` was taken: until it is refused, another copy of it that is refused holds nothing.
    pub fn take(&self, op: u64) {
        self.taken.fetch_max(op, Ordering::AcqRel);
    }

    /// Whether a copy of `op` was taken and is not refused.
    pub fn has_taken(&self, op: u64) -> bool {
        op <= self.taken.load(Ordering::Acquire)
    }

    /// `op` was answered for good: whatever waits for it, or for an earlier one, waits no more.
    pub fn settle(&self, op: u64) {
        self.settled.fetch_max(op, Ordering::AcqRel);
        let release = |held: u64| (held != 0 && held >> 1 <= op).then_some(0);
        // `Err` only says that nothing of it is held.
        let _ = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, release);
    }

    /// A number that stands for the client's name in [`super::Mark::client`].
    pub fn mark(&self) -> u64 {
        self.mark
    }
}
