//! A durable message on its way to the queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Inbound, Peer};
use crate::backplane::{Entry, OpEnd, Refusal, Together};
use crate::limits::MAX_BAD_IN_A_ROW;
use crate::protocol::client_message::{Durable, Refused};
use crate::protocol::close_code::CloseCode;
use crate::protocol::server_message::{self as say, ErrorCode};
use crate::room::Link;
use crate::socket::op_window::{OpWindow, Verdict};

impl Inbound {
    pub(super) fn durable(&mut self, peer: &Arc<Peer>, message: Durable, bytes: usize) {
        let window = self
            .window
            .get_or_insert_with(|| OpWindow::new(peer.acked_op().unwrap_or(0)));
        for one in message.ops() {
            if let Verdict::BadOp(wrong) = window.check(one) {
                return self.refuse(&Refused {
                    code: ErrorCode::BadOp,
                    message: wrong,
                    op: Some(one),
                    others: message.ops().filter(|other| *other != one).collect(),
                });
            }
        }
        if !self.takes_durable(peer, &message, bytes) {
            return;
        }
        let Some(canvas) = peer.room().and_then(|room| room.canvas()) else {
            return;
        };
        let ops: Vec<u64> = message.ops().collect();
        let count = u32::try_from(ops.len()).unwrap_or(u32::MAX);
        peer.in_flight.fetch_add(count, Ordering::AcqRel);
        let entry = Entry::Durable {
            author: peer.author().clone(),
            message,
        };
        let together = self
            .together
            .get_or_insert_with(|| Together::on(self.hub.backplane.clone()));
        if let Err(refusal) = together.append(canvas, entry) {
            peer.answered(count);
            self.refuse_ops(&ops, &refusal);
        }
    }

    /// The ops, several if they are a batch, were not taken.
    pub(super) fn refuse_ops(&self, ops: &[u64], refusal: &Refusal) {
        let retry = refusal.retry_after_ms;
        for op in ops {
            let error = say::error(refusal.code, &refusal.message, Some(*op), retry);
            self.out.with(|outbox| outbox.reply(error));
        }
    }

    /// The number was refused for good: it can't be sent again.
    pub(super) fn use_up(&mut self, op: u64) {
        if let Some(peer) = &self.peer {
            peer.author().ops.ended(op, OpEnd::GivenUp);
            let acked = peer.acked_op().unwrap_or(0);
            self.window
                .get_or_insert_with(|| OpWindow::new(acked))
                .refused(op);
        }
    }

    /// Answers a bad message. Too many in a row end the connection.
    pub(super) fn refuse(&mut self, refused: &Refused) {
        if let Some(op) = refused.op
            && refused.code != ErrorCode::BadOp
        {
            self.use_up(op);
        }
        let error = say::error(refused.code, &refused.message, refused.op, None);
        self.out.with(|outbox| outbox.reply(error));
        for other in &refused.others {
            let message = "nothing of the batch was done: another message of it was refused";
            self.use_up(*other);
            let error = say::error(refused.code, message, Some(*other), None);
            self.out.with(|outbox| outbox.reply(error));
        }
        if refused.code == ErrorCode::UnknownType {
            return; // A newer client's message is not malformed.
        }
        self.bad_in_a_row += 1;
        if self.bad_in_a_row >= MAX_BAD_IN_A_ROW {
            self.out
                .close(CloseCode::Malformed, "ten bad messages in a row");
        }
    }
}
