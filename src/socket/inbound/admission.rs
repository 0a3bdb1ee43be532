//! What a connection may say, and how much of it.

use std::sync::Arc;
use std::time::Instant;

use super::{Inbound, Peer};
use crate::protocol::server_message::{self as say, ErrorCode};
use crate::room::Link;

impl Inbound {
    /// A new token before the old one expires.
    pub(super) fn refresh(&mut self, peer: &Arc<Peer>, token: &str) {
        let Some(old) = peer.session.grant() else {
            return;
        };
        match self.hub.gate.refresh(&old, token, &self.canvas) {
            Ok(new) => {
                peer.session.replace(new.clone());
                if self.hub.gate.is_revoked(&new) {
                    peer.revoke();
                }
            }
            Err(denied) => self.out.deny(&denied),
        }
    }

    /// Whether a message of the ephemeral lane is taken. If not, the client is told, once a second at most.
    pub(super) fn takes_ephemeral(&mut self, bytes: usize) -> bool {
        let Err(over) = self.limiter.ephemeral(bytes) else {
            return true;
        };
        if self.limiter.tells(Instant::now()) {
            let message = format!("{}: some are dropped", over.message);
            let error = say::error(ErrorCode::RateLimited, &message, None, Some(1_000));
            self.out.with(|outbox| outbox.reply(error));
        }
        false
    }

    /// Whether the connection may send a durable message now. If not, it is told why.
    pub(super) fn takes_durable(&mut self, peer: &Peer, op: u64, bytes: usize) -> bool {
        let author = peer.author();
        if !peer.session.may_write() {
            let message = "the token allows reading only";
            self.use_up(op);
            let error = say::error(ErrorCode::Forbidden, message, Some(op), None);
            self.out.with(|outbox| outbox.reply(error));
            return false;
        }
        // What waits for an earlier op is refused by the backplane, and takes nothing from the buckets.
        if author.held(op).is_some() {
            return true;
        }
        let Err(over) = self.limiter.durable(bytes) else {
            return true;
        };
        // Only this task appends for its author, so nothing can slip in between.
        author.hold_untaken(op, ErrorCode::RateLimited);
        let (code, wait_ms) = (ErrorCode::RateLimited, Some(over.retry_after_ms));
        let error = say::error(code, &over.message, Some(op), wait_ms);
        self.out.with(|outbox| outbox.reply(error));
        false
    }
}
