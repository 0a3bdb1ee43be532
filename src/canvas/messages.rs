//! Durable messages: which is a duplicate, what each does to the canvas, and how it ends.

use std::num::NonZeroU64;

use bytestring::ByteString;
use serde_json::Value;

use super::RESENT_STEPS;
use super::moment::Moment;
use super::quotas::Spare;
use super::refusals;
use super::store::{Logged, Store};
use crate::backplane::{Author, Delivery, Outcome, Refusal};
use crate::protocol::client_message::{Change, Durable};
use crate::protocol::edit::Edits;
use crate::protocol::server_message::AckStatus;

/// What one step back in a log costs, in bytes of work.
const STEP_WORK: usize = 64;

/// How a message ends.
pub(super) enum End {
    /// It has this place.
    Logged(u64),
    /// It had nothing to change.
    Ignored,
    /// It can't be done, now or later.
    Refused(Refusal),
}

impl<S: Store> Moment<'_, S> {
    /// A message takes its place, or is answered.
    ///
    /// # Errors
    /// The store's.
    pub fn durable(&mut self, author: &Author, message: &Durable) -> Result<(), S::Error> {
        if let Change::Batch(ops) = &message.change {
            return self.batch(author, ops);
        }
        let op = message.op;
        let client = self.store.client(&author.client)?;
        if client.is_not_of(author) {
            // Neither its numbers nor what they have become are this author's business.
            self.answer(author, op, Outcome::Refused(refusals::not_yours()));
            return Ok(());
        }
        if op <= client.last_op {
            let seq = if op == client.last_op {
                client.last_seq
            } else {
                self.place_of(author, op)?
            };
            self.answer(author, op, ack(seq, AckStatus::Dup));
            return Ok(());
        }
        self.single(author, message)
    }

    /// The place that an op which was decided before has had, if that is still known.
    pub(super) fn place_of(
        &mut self,
        author: &Author,
        op: u64,
    ) -> Result<Option<NonZeroU64>, S::Error> {
        self.work += RESENT_STEPS * STEP_WORK;
        self.store.place_of(&author.client, op)
    }

    /// A new message, which is no batch, takes its place, or is answered.
    pub(super) fn single(&mut self, author: &Author, message: &Durable) -> Result<(), S::Error> {
        let op = message.op;
        let end = self.change(author, message)?;
        let seq = match end {
            End::Logged(seq) => NonZeroU64::new(seq),
            End::Ignored | End::Refused(_) => None,
        };
        self.use_up(author, op, seq)?;
        match end {
            End::Logged(_) => {}
            End::Ignored => self.answer(author, op, ack(None, AckStatus::Ignored)),
            End::Refused(refusal) => self.answer(author, op, Outcome::Refused(refusal)),
        }
        Ok(())
    }

    /// Does what the message says; why it can't be done, if that is so.
    pub(super) fn refusal_of(
        &mut self,
        author: &Author,
        message: &Durable,
    ) -> Result<Option<Refusal>, S::Error> {
        Ok(match self.change(author, message)? {
            End::Refused(refusal) => Some(refusal),
            End::Logged(_) | End::Ignored => None,
        })
    }

    /// However a message ended, it has used its number up.
    pub(super) fn use_up(
        &mut self,
        author: &Author,
        op: u64,
        seq: Option<NonZeroU64>,
    ) -> Result<(), S::Error> {
        self.store.use_client(&author.client, |client| {
            client.last_op = op;
            client.last_seq = seq;
            if client.subject.is_empty() {
                // An author without a seat has not joined.
                client.subject.clone_from(&author.subject);
            }
        })
    }

    pub(super) fn answer(&mut self, author: &Author, op: u64, outcome: Outcome) {
        let conn = author.conn;
        self.store.answer(Delivery::Outcome { conn, op, outcome });
    }

    /// Changes the canvas as the message says.
    fn change(&mut self, author: &Author, message: &Durable) -> Result<End, S::Error> {
        let text = &message.body;
        match &message.change {
            // A batch is done message by message, and none of them is one.
            Change::None | Change::Batch(_) => {}
            Change::Chat => return self.chat(author, message, text),
            Change::Put { id, object } => {
                let object = text.get(object.clone()).unwrap_or_default();
                if let Err(refusal) = self.put(id, object)? {
                    return Ok(End::Refused(refusal));
                }
            }
            Change::Merge { id, patch, edits } => match self.merge(id, patch, edits.as_deref())? {
                Err(refusal) => return Ok(End::Refused(refusal)),
                Ok(false) => return Ok(End::Ignored),
                Ok(true) => {}
            },
            Change::Remove { id } => {
                if !self.delete(id)? {
                    return Ok(End::Ignored);
                }
            }
            Change::Append { id, data } => {
                let data = text.get(data.clone()).unwrap_or_default();
                if let Err(end) = self.append(id, data)? {
                    return Ok(end);
                }
            }
            Change::Compact(compact) => {
                let data = compact.data.clone().and_then(|data| text.get(data));
                if let Err(end) = self.compact(compact, data)? {
                    return Ok(end);
                }
            }
        }
        self.log(author, message, message.body.clone())
    }

    /// Gives the message the next place.
    fn log(
        &mut self,
        author: &Author,
        message: &Durable,
        body: ByteString,
    ) -> Result<End, S::Error> {
        let seq = self.next_seq();
        self.store.head_mut().seq = seq;
        self.store.push(Logged {
            seq,
            kind: message.kind,
            author,
            op: message.op,
            body,
        })?;
        Ok(End::Logged(seq))
    }

    /// The place of the next message.
    pub(super) fn next_seq(&self) -> u64 {
        self.store.head().seq + 1
    }

    fn put(&mut self, id: &str, text: &str) -> Result<Result<(), Refusal>, S::Error> {
        let old = self.store.object_bytes(id)?;
        // Its own bytes are the message's.
        self.work += old.unwrap_or_default();
        let bounds = &self.rules.bounds;
        let put = bounds.put(self.store.head().totals, old, text.len());
        let spare = left_of(self.spare, old.unwrap_or(0), text.len());
        match spare.and_then(|spare| Ok((put?, spare))) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok((totals, spare)) => {
                self.spare = spare;
                self.store.head_mut().totals = totals;
            }
        }
        let seq = self.next_seq();
        self.store.put_object(id, seq, text)?;
        Ok(Ok(()))
    }

    /// `false` if the object is not there.
    fn merge(
        &mut self,
        id: &str,
        patch: &Value,
        edits: Option<&Edits>,
    ) -> Result<Result<bool, Refusal>, S::Error> {
        let totals = self.store.head().totals;
        let seq = self.next_seq();
        let spare = self.spare;
        let Some((object, fresh)) = self.store.open_object(id)? else {
            return Ok(Ok(false));
        };
        let old = object.bytes();
        if fresh {
            // It is read, taken apart and written again, however small the patch.
            self.work += 3 * old;
        }
        let bounds = &self.rules.bounds;
        let fits = |bytes| -> Result<_, Refusal> {
            Ok((
                left_of(spare, old, bytes)?,
                bounds.put(totals, Some(old), bytes)?,
            ))
        };
        match object.merge(seq, (patch, edits), fits) {
            Ok((spare, totals)) => {
                self.spare = spare;
                self.store.head_mut().totals = totals;
            }
            Err((refusal, spoilt)) => {
                if spoilt {
                    self.store.drop_object(id);
                }
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(true))
    }

    /// `false` if the object is not there.
    fn delete(&mut self, id: &str) -> Result<bool, S::Error> {
        let Some(bytes) = self.store.object_bytes(id)? else {
            return Ok(false);
        };
        let of_log = usize::try_from(self.end_log(id)?).unwrap_or(usize::MAX);
        self.work += bytes + of_log;
        // It does not grow.
        self.spare = left_of(self.spare, bytes + of_log, 0).unwrap_or(self.spare);
        self.store.remove_object(id)?;
        let head = self.store.head_mut();
        head.totals = head.totals.without(bytes);
        Ok(true)
    }

    /// Chat is told with who the author was then: readers of a snapshot may never have met it.
    fn chat(&mut self, author: &Author, message: &Durable, text: &str) -> Result<End, S::Error> {
        let fields = text.strip_suffix('}').unwrap_or(text);
        let body = format!("{fields},\"user\":{}}}", author.user);
        let seq = self.next_seq();
        let now_ms = self.now_ms;
        let fields = body.strip_prefix('{').unwrap_or(&body);
        let client = &author.client;
        let entry = format!("{{\"seq\":{seq},\"client\":\"{client}\",\"at\":{now_ms},{fields}");
        match left_of(self.spare, 0, entry.len()) {
            Ok(spare) => self.spare = spare,
            Err(refusal) => return Ok(End::Refused(refusal)),
        }
        self.store.push_chat(seq, entry)?;
        self.log(author, message, ByteString::from(body))
    }
}

/// What is left of the room for all canvases after what had `old` bytes has `new`; no room if nothing bounds it.
pub(super) fn left_of(
    spare: Option<Spare>,
    old: usize,
    new: usize,
) -> Result<Option<Spare>, Refusal> {
    spare.map(|spare| spare.takes(old, new)).transpose()
}

/// The answer says 0 for no place, as the wire does.
pub(super) fn ack(seq: Option<NonZeroU64>, status: AckStatus) -> Outcome {
    let seq = seq.map_or(0, NonZeroU64::get);
    Outcome::Ack { seq, status }
}
