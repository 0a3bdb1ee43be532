//! Decides which messages a connection may send, and how many.

use std::sync::Arc;
use std::time::Instant;

use super::{Inbound, Peer};
use crate::auth::refusals;
use crate::backplane::Refusal;
use crate::protocol::client_message::Durable;
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
            Err(denied) => {
                refusals::tell("canvas", self.address, &denied.message);
                self.out.deny(&denied);
            }
        }
    }

    /// Whether a message of the ephemeral lane is taken. If not, the client is told, once a second at most.
    pub(super) fn takes_ephemeral(&mut self, bytes: usize) -> bool {
        let Err(over) = self.limiter.ephemeral(bytes) else {
            return true;
        };
        if self.limiter.notice_is_due(Instant::now()) {
            let message = format!("{}: some are dropped", over.message);
            let error = say::error(ErrorCode::RateLimited, &message, None, Some(1_000));
            self.out.with(|outbox| outbox.reply(error));
        }
        false
    }

    /// Whether the connection may send a durable message now. If not, it is told why.
    pub(super) fn takes_durable(&mut self, peer: &Peer, message: &Durable, bytes: usize) -> bool {
        let author = peer.author();
        let op = message.op;
        let ops = || message.ops().collect::<Vec<_>>();
        if !peer.session.may_write() {
            ops().into_iter().for_each(|op| self.use_up(op));
            let refusal = Refusal {
                code: ErrorCode::Forbidden,
                message: "the token allows reading only".to_owned(),
                retry_after_ms: None,
            };
            self.refuse_ops(&ops(), &refusal);
            return false;
        }
        // What waits for an earlier op is refused by the backplane, and takes nothing from the buckets.
        if author.ops.holds(op) {
            return true;
        }
        let Err(over) = self.limiter.batch(message.ops().len(), bytes) else {
            return true;
        };
        // Only this task appends for its author, so nothing can slip in between.
        let limited = author.ops.offer(op, || {
            Err::<(), _>(Refusal {
                code: ErrorCode::RateLimited,
                message: over.message,
                retry_after_ms: Some(over.retry_after_ms),
            })
        });
        if let Err(refusal) = limited {
            self.refuse_ops(&ops(), &refusal);
        }
        false
    }
}
