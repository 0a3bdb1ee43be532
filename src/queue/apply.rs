//! One transaction of the writer: each entry's message, its place, its effect on the canvas's state and its author's
//! `op` together. Heads and clients are read and written once a transaction, however many entries name them.

mod ephemeral;
mod queued;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::carried::QueueRow;
use super::objects::Effect;
use super::sql;
use super::tail::{Committed, Logged, Step};
use crate::backplane::intake::Waiting;
use crate::backplane::object_bounds::{ObjectBounds, Totals};
use crate::backplane::{Author, Delivery, Entry, Outcome};
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{ClientId, ConnId};
use crate::protocol::server_message::AckStatus;
use queued::Queued;

/// How far back the place of a resent op is looked for. A client resends its last few ops.
const DUP_STEPS: usize = 64;

/// What does not change from one transaction to the next.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) instance_id: String,
    pub(super) number: u32,
    pub(super) message_ttl_ms: i64,
    pub(super) cursor_ttl_ms: i64,
    pub(super) grace_ms: i64,
    pub(super) bounds: ObjectBounds,
}

/// A canvas's head while the transaction runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) head_id: i64,
    pub(super) presence_version: u64,
    pub(super) totals: Totals,
    pub(super) chatted: bool,
    dirty: bool,
}

/// A client's idempotence row while the transaction runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Client {
    pub(super) user_id: String,
    pub(super) last_op: u64,
    pub(super) last_seq: u64,
    pub(super) dirty: bool,
}

/// A place in the presence table that this process has taken, to take it again should the table forget.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) author: Arc<Author>,
    pub(super) state: Option<Arc<str>>,
}

/// How the set of held places changes when the transaction is committed.
#[derive(Debug)]
pub(super) enum HeldChange {
    Take(i64, Held),
    Drop(i64, ClientId, ConnId),
}

/// An open transaction.
pub(super) struct Txn<'a> {
    pub(super) conn: &'a Connection,
    pub(super) setup: &'a Setup,
    pub(super) now_ms: i64,
    pub(super) out: Committed,
    pub(super) held: Vec<HeldChange>,
    queued: Queued<'a>,
    heads: HashMap<i64, Head>,
    clients: HashMap<(i64, ClientId), Client>,
}

impl<'a> Txn<'a> {
    pub(super) fn new(conn: &'a Connection, setup: &'a Setup, now_ms: i64) -> Self {
        let out = Committed {
            now_ms,
            ..Committed::default()
        };
        let (heads, clients) = Default::default();
        Self {
            conn,
            setup,
            now_ms,
            out,
            held: Vec::new(),
            queued: Queued::new(conn),
            heads,
            clients,
        }
    }

    /// Does what an entry asks for.
    pub(super) fn apply(&mut self, waiting: &Waiting) -> rusqlite::Result<()> {
        let key = waiting.key;
        match &waiting.entry {
            Entry::Durable { author, message } => self.durable(key, author, message),
            Entry::Join { author } => self.join(key, author),
            Entry::State { author, state } => self.state(key, author, state),
            Entry::Leave { author, clean } => self.leave(key, author, *clean),
            Entry::Signal { author, body } => self.signal(key, author, body),
            Entry::Cursors { cursors } => self.cursors(key, cursors),
            Entry::Kick { conn } => self.kick(key, *conn),
        }
    }

    /// Writes what was collected, and gives what the rooms are to be told once it is committed.
    pub(super) fn finish(mut self) -> rusqlite::Result<(Committed, Vec<HeldChange>)> {
        self.queued.write()?;
        let mut set_head = self.conn.prepare_cached(sql::SET_HEAD)?;
        let mut trim = self.conn.prepare_cached(sql::TRIM_CHAT)?;
        for (key, head) in self.heads.iter().filter(|(_, head)| head.dirty) {
            let (seq, version) = (head.seq.cast_signed(), head.presence_version.cast_signed());
            let (objects, bytes) = (head.totals.objects, head.totals.bytes);
            let totals = (objects.cast_signed(), bytes.cast_signed());
            set_head.execute(params![key, seq, head.head_id, version, totals.0, totals.1])?;
            if head.chatted {
                trim.execute(params![key, crate::limits::CHAT_HISTORY])?;
            }
        }
        let mut set_client = self.conn.prepare_cached(sql::SET_CLIENT)?;
        for ((key, name), client) in self.clients.iter().filter(|(_, client)| client.dirty) {
            let (op, seq) = (client.last_op.cast_signed(), client.last_seq.cast_signed());
            let row = params![key, name.as_str(), client.user_id, op, seq, self.now_ms];
            set_client.execute(row)?;
        }
        Ok((std::mem::take(&mut self.out), self.held))
    }

    fn durable(&mut self, key: i64, author: &Author, m: &Durable) -> rusqlite::Result<()> {
        let client = self.client(key, &author.client)?;
        if m.op <= client.last_op {
            let seq = if m.op == client.last_op {
                client.last_seq
            } else {
                0
            };
            let seq = if m.op < client.last_op {
                self.place_of(key, author, m.op)?
            } else {
                seq
            };
            let outcome = Outcome::Ack {
                seq,
                status: AckStatus::Dup,
            };
            return self.answer(key, author, m.op, outcome);
        }
        let (seq, outcome) = match self.change(key, author, m)? {
            Effect::Logged(body) => (self.log(key, author, m, body)?, None),
            Effect::Ignored => (
                0,
                Some(Outcome::Ack {
                    seq: 0,
                    status: AckStatus::Ignored,
                }),
            ),
            Effect::Refused(refusal) => (0, Some(Outcome::Refused(refusal))),
        };
        let client = self.client(key, &author.client)?;
        (client.last_op, client.last_seq, client.dirty) = (m.op, seq, true);
        if client.user_id.is_empty() {
            // An author without a seat has not joined.
            client.user_id.clone_from(&author.subject);
        }
        match outcome {
            Some(outcome) => self.answer(key, author, m.op, outcome),
            None => Ok(()),
        }
    }

    fn answer(
        &mut self,
        key: i64,
        author: &Author,
        op: u64,
        outcome: Outcome,
    ) -> rusqlite::Result<()> {
        let delivery = Delivery::Outcome {
            conn: author.conn,
            op,
            outcome,
        };
        self.out.steps.push(Step::Answer { key, delivery });
        Ok(())
    }

    /// Gives the message the next place in its canvas's log.
    fn log(
        &mut self,
        key: i64,
        author: &Author,
        m: &Durable,
        body: Bytes,
    ) -> rusqlite::Result<u64> {
        let (now_ms, expires_at) = (self.now_ms, self.now_ms + self.setup.message_ttl_ms);
        let head = self.head(key)?;
        let (seq, prev_id) = (head.seq + 1, head.head_id);
        let payload = std::str::from_utf8(&body)?;
        let row = QueueRow {
            key,
            seq: Some(seq.cast_signed()),
            kind: m.kind.as_str(),
            origin: author.conn.0,
            client: author.client.as_str(),
            op: m.op,
            at_ms: now_ms,
            expires_at,
            payload,
        };
        let id = self.insert(&row, prev_id)?;
        let head = self.head(key)?;
        (head.seq, head.head_id, head.dirty) = (seq, id, true);
        let (origin, client) = (author.conn, author.client.clone());
        let logged = Logged {
            key,
            seq,
            kind: m.kind,
            origin,
            op: m.op,
            client,
            body,
        };
        self.out.steps.push(Step::Log(logged));
        Ok(seq)
    }

    /// Puts a row into the queue; gives its id.
    fn insert(&mut self, row: &QueueRow<'_>, prev_id: i64) -> rusqlite::Result<i64> {
        let id = self.queued.push(row, prev_id)?;
        if self.out.first_id == 0 {
            self.out.first_id = id;
        }
        self.out.last_id = id;
        self.out.carried.push(row);
        Ok(id)
    }

    /// The place that a client's op has had; 0 if it is not among the last few messages, or had none.
    fn place_of(&mut self, key: i64, author: &Author, op: u64) -> rusqlite::Result<u64> {
        self.queued.write()?;
        let mut id = self.head(key)?.head_id;
        let mut step = self.conn.prepare_cached(sql::STEP)?;
        for _ in 0..DUP_STEPS {
            let mut rows = step.query([id])?;
            let Some(row) = rows.next()? else { break };
            if row.get::<_, i64>(2)? == op.cast_signed()
                && row.get_ref(3)?.as_str()? == author.client.as_str()
            {
                return Ok(row.get::<_, i64>(0)?.cast_unsigned());
            }
            id = row.get(1)?;
        }
        Ok(0)
    }

    /// The canvas's head, read once a transaction.
    pub(super) fn head(&mut self, key: i64) -> rusqlite::Result<&mut Head> {
        match self.heads.entry(key) {
            Slot::Occupied(slot) => Ok(slot.into_mut()),
            Slot::Vacant(slot) => {
                let mut statement = self.conn.prepare_cached(sql::HEAD)?;
                let head = statement.query_row([key], |row| {
                    Ok(Head {
                        seq: row.get::<_, i64>(1)?.cast_unsigned(),
                        head_id: row.get(2)?,
                        presence_version: row.get::<_, i64>(3)?.cast_unsigned(),
                        totals: Totals {
                            objects: row.get::<_, i64>(4)?.cast_unsigned(),
                            bytes: row.get::<_, i64>(5)?.cast_unsigned(),
                        },
                        ..Head::default()
                    })
                })?;
                Ok(slot.insert(head))
            }
        }
    }

    /// The canvas's log ends here, and it has no objects. Gives the head.
    pub(super) fn forget_log(&mut self, key: i64) -> rusqlite::Result<u64> {
        let head = self.head(key)?;
        (head.head_id, head.totals, head.dirty) = (0, Totals::default(), true);
        Ok(head.seq)
    }

    /// The canvas's next presence version.
    pub(super) fn next_version(&mut self, key: i64) -> rusqlite::Result<u64> {
        let head = self.head(key)?;
        head.presence_version += 1;
        head.dirty = true;
        Ok(head.presence_version)
    }

    /// The client's row, read once a transaction.
    pub(super) fn client(&mut self, key: i64, name: &ClientId) -> rusqlite::Result<&mut Client> {
        match self.clients.entry((key, name.clone())) {
            Slot::Occupied(slot) => Ok(slot.into_mut()),
            Slot::Vacant(slot) => {
                let mut statement = self.conn.prepare_cached(sql::CLIENT)?;
                let client = statement.query_row(params![key, name.as_str()], |row| {
                    Ok(Client {
                        user_id: row.get(0)?,
                        last_op: row.get::<_, i64>(1)?.cast_unsigned(),
                        last_seq: row.get::<_, i64>(2)?.cast_unsigned(),
                        dirty: false,
                    })
                });
                Ok(slot.insert(client.optional()?.unwrap_or_default()))
            }
        }
    }
}
