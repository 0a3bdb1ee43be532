//! A batch: several messages that are done as one. They are tried beside the rows first, and done if none of them is
//! refused.

use std::num::NonZeroU64;

use super::RESENT_STEPS;
use super::messages::ack;
use super::moment::Moment;
use super::overlay::Overlay;
use super::refusals;
use super::store::Store;
use crate::backplane::{Author, Outcome, Refusal};
use crate::limits::ONE_BATCH_WORK;
use crate::protocol::client_message::Durable;
use crate::protocol::server_message::AckStatus;

/// Which message of a batch can't be done, and why.
pub(super) struct Misfit {
    at: usize,
    refusal: Refusal,
}

impl<S: Store> Moment<'_, S> {
    /// All of them take places that follow one another, or none does. Each is answered under its own number.
    pub(super) fn batch(&mut self, author: &Author, ops: &[Durable]) -> Result<(), S::Error> {
        let (Some(first), Some(last)) = (ops.first(), ops.last()) else {
            return Ok(());
        };
        let client = self.store.client(&author.client)?;
        if client.is_not_of(author) {
            self.refuse_all(author, ops, &refusals::not_yours());
            return Ok(());
        }
        let last_op = client.last_op;
        let last_seq = client.last_seq;
        if last.op <= last_op {
            return self.batch_again(author, ops, (last_op, last_seq));
        }
        if first.op <= last_op {
            self.refuse_all(author, ops, &refusals::other_batch(last_op));
            return self.used(author, last.op);
        }
        if let Some(Misfit { at, refusal }) = self.try_out(author, ops)? {
            let failed = &ops[at];
            let why = refusals::of_batch(at, failed.op, &refusal);
            self.answer(author, failed.op, Outcome::Refused(why));
            let others = || ops.iter().filter(|message| message.op != failed.op);
            let with_it = refusals::with_batch(at, failed.op, refusal.code);
            for message in others() {
                self.answer(author, message.op, Outcome::Refused(with_it.clone()));
            }
            return self.used(author, last.op);
        }
        for message in ops {
            self.single(author, message)?;
        }
        Ok(())
    }

    /// It was decided before: what became of its youngest messages is known.
    fn batch_again(
        &mut self,
        author: &Author,
        ops: &[Durable],
        (last_op, last_seq): (u64, Option<NonZeroU64>),
    ) -> Result<(), S::Error> {
        let old = ops.len().saturating_sub(RESENT_STEPS);
        for (at, message) in ops.iter().enumerate() {
            let seq = match at {
                _ if message.op == last_op => last_seq,
                at if at < old => None,
                _ => self.place_of(author, message.op)?,
            };
            self.answer(author, message.op, ack(seq, AckStatus::Dup));
        }
        Ok(())
    }

    fn try_out(&mut self, author: &Author, ops: &[Durable]) -> Result<Option<Misfit>, S::Error> {
        let spare = self.spare;
        let tried = Moment::new(Overlay::new(&mut self.store), self.rules, self.now_ms);
        let mut tried = tried.with_spare(spare);
        let mut misfit = None;
        for (at, message) in ops.iter().enumerate() {
            let refusal = tried.refusal_of(author, message)?;
            let too_much = (tried.work() > ONE_BATCH_WORK).then(refusals::too_much);
            if let Some(refusal) = refusal.or(too_much) {
                misfit = Some(Misfit { at, refusal });
                break;
            }
        }
        // What is tried is copied and merged, as it is once more when it is done.
        self.work += 2 * tried.work();
        Ok(misfit)
    }

    fn refuse_all(&mut self, author: &Author, ops: &[Durable], refusal: &Refusal) {
        for message in ops {
            self.answer(author, message.op, Outcome::Refused(refusal.clone()));
        }
    }

    fn used(&mut self, author: &Author, op: u64) -> Result<(), S::Error> {
        self.use_up(author, op, None)
    }
}
