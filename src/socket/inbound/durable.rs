//! A durable message on its way to the queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Inbound, Peer};
use crate::backplane::Entry;
use crate::protocol::client_message::{Durable, Refused};
use crate::protocol::server_message::{self as say, ErrorCode};
use crate::room::Link;
use crate::socket::op_window::{OpWindow, Verdict};

impl Inbound {
    pub(super) fn durable(&mut self, peer: &Arc<Peer>, message: Durable, bytes: usize) {
        let op = message.op;
        let window = self
            .window
            .get_or_insert_with(|| OpWindow::new(peer.acked_op().unwrap_or(0)));
        if let Verdict::BadOp(message) = window.check(op) {
            return self.refuse(&Refused {
                code: ErrorCode::BadOp,
                message,
                op: Some(op),
            });
        }
        if !self.takes_durable(peer, op, bytes) {
            return;
        }
        let Some(canvas) = peer.room().and_then(|room| room.canvas()) else {
            return;
        };
        peer.in_flight.fetch_add(1, Ordering::AcqRel);
        let entry = Entry::Durable {
            author: peer.author().clone(),
            message,
        };
        self.appending = true;
        if let Err(refusal) = self.hub.backplane.append_more(canvas, entry) {
            peer.answered(1);
            let retry = refusal.retry_after_ms;
            let error = say::error(refusal.code, &refusal.message, Some(op), retry);
            self.out.with(|outbox| outbox.reply(error));
        }
    }

    /// The number was refused for good: it can't be sent again.
    pub(super) fn use_up(&mut self, op: u64) {
        if let Some(peer) = &self.peer {
            peer.author().give_up(op);
            let acked = peer.acked_op().unwrap_or(0);
            self.window
                .get_or_insert_with(|| OpWindow::new(acked))
                .refused(op);
        }
    }
}
