//! One canvas as a pure machine: an entry and the time in, deliveries out. No clock, no lock, no I/O.
//!
//! It is the whole of what a backplane means by one canvas, so tests of other backplanes compare against it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

use crate::backplane::object_bounds::ObjectBounds;
use crate::backplane::{Author, Delivery, Entry, Member, Outcome, Read, Refusal, Snapshot};
use crate::limits::{CHAT_HISTORY, CLIENT_MEMORY};
use crate::protocol::client_message::{Durable, Kind};
use crate::protocol::ids::{ClientId, Epoch, Position};
use crate::protocol::server_message::{AckStatus, ErrorCode};
use log::{Log, Row};
use objects::Objects;
use presence::Table;

pub mod codec;
mod command;
mod log;
mod objects;
mod presence;

pub use command::Command;

/// How often clients that were not heard of for [`CLIENT_MEMORY`] are looked for, in milliseconds.
const FORGET_INTERVAL_MS: i64 = 3_600_000;

/// What a canvas is held to.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long a message is retained, in milliseconds.
    pub message_ttl_ms: i64,
    /// How long a lost client stays `away`, in milliseconds.
    pub presence_grace_ms: i64,
    /// What its objects are held to.
    pub bounds: ObjectBounds,
}

/// What is remembered of a client, present or not.
#[derive(Debug, Default)]
struct Client {
    last_op: u64,
    /// `(op, seq)` of its messages that are still in the log, both increasing.
    retained: VecDeque<(u64, u64)>,
    /// The first subject that was not empty.
    subject: String,
    used_at_ms: i64,
}

/// What is remembered of an instance that sends batches.
#[derive(Debug)]
struct Sender {
    /// Of its last batch.
    serial: u64,
    used_at_ms: i64,
}

/// Everything about one canvas.
#[derive(Debug)]
pub struct CanvasState {
    rules: Rules,
    log: Log,
    objects: Objects,
    chat: VecDeque<String>,
    clients: HashMap<ClientId, Client>,
    presence: Table,
    senders: BTreeMap<u32, Sender>,
    forget_at_ms: i64,
}

impl CanvasState {
    /// A canvas that was never used.
    pub fn new(epoch: Epoch, rules: Rules) -> Self {
        Self {
            rules,
            log: Log::new(epoch),
            objects: Objects::default(),
            chat: VecDeque::new(),
            clients: HashMap::new(),
            presence: Table::default(),
            senders: BTreeMap::new(),
            forget_at_ms: 0,
        }
    }

    /// From here on other rules hold.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Applies an entry of the instance numbered `from`, at a time (ms since the epoch) that never
    /// goes back; appends what follows to `out`.
    pub fn apply(&mut self, from: u32, entry: Entry, now_ms: i64, out: &mut Vec<Delivery>) {
        self.tick(now_ms, out);
        match entry {
            Entry::Durable { author, message } => {
                out.extend(self.durable(&author, message, now_ms))
            }
            Entry::Join { author } => self.join(&author, now_ms, out),
            Entry::State { author, state } => {
                out.extend(self.presence.state(&author, &state).map(Delivery::Presence));
            }
            Entry::Leave { author, clean } => {
                let gone_at_ms = now_ms.saturating_add(self.rules.presence_grace_ms);
                let event = self.presence.leave(&author, clean, gone_at_ms);
                out.extend(event.map(Delivery::Presence));
            }
            ephemeral => out.extend(ephemeral.told(from)),
        }
    }

    /// Empties the canvas and begins a new epoch, in which the numbers go on.
    pub fn restart(&mut self, epoch: Epoch, out: &mut Vec<Delivery>) {
        self.objects = Objects::default();
        self.chat.clear();
        self.renumber(epoch, out);
    }

    /// Begins a new epoch, in which the numbers go on, and keeps what is on the canvas: what clients were told may be more
    /// than what is here.
    pub fn renumber(&mut self, epoch: Epoch, out: &mut Vec<Delivery>) {
        self.log.restart(epoch);
        for client in self.clients.values_mut() {
            client.retained.clear();
        }
        let Position { epoch, seq } = self.log.head();
        out.push(Delivery::Reset { epoch, seq });
    }

    /// How many objects there are.
    pub fn objects(&self) -> u64 {
        self.objects.totals().objects
    }

    /// Lets time pass: expired messages go, and so does who was away for too long.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<Delivery>) {
        let until_ms = now_ms.saturating_sub(self.rules.message_ttl_ms);
        while let Some(row) = self.log.pop_expired(until_ms) {
            if let Some(client) = self.clients.get_mut(&row.client) {
                client.retained.pop_front();
            }
        }
        while let Some(event) = self.presence.pop_expired(now_ms) {
            out.push(Delivery::Presence(event));
        }
        if now_ms >= self.forget_at_ms {
            self.forget_at_ms = now_ms.saturating_add(FORGET_INTERVAL_MS);
            self.forget_clients(now_ms);
        }
    }

    /// Whether time alone changes nothing any more.
    pub fn is_settled(&self) -> bool {
        self.log.is_empty() && !self.presence.waits()
    }

    /// When time alone next changes something (the oldest message expires, or somebody's grace ends), ms since the epoch; it may
    /// be past. `None` if it is settled.
    pub fn due_at_ms(&self) -> Option<i64> {
        let due = [
            self.log.due_at_ms(self.rules.message_ttl_ms),
            self.presence.due_at_ms(),
        ];
        due.into_iter().flatten().min()
    }

    /// Removes everyone whose place that instance holds.
    pub fn remove_instance(&mut self, instance: u32, out: &mut Vec<Delivery>) {
        while let Some(event) = self.presence.pop_of_instance(instance) {
            out.push(Delivery::Presence(event));
        }
    }

    /// The position of the youngest message.
    pub fn head(&self) -> Position {
        self.log.head()
    }

    /// Messages retained.
    pub fn retained(&self) -> usize {
        self.log.len()
    }

    /// The messages after a position: see [`crate::backplane::Backplane::read`]. Call [`Self::tick`] first.
    pub fn read(&self, after: Position, max_bytes: usize) -> Read {
        self.log.read(after, max_bytes)
    }

    /// The state at the head.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            at: self.log.head(),
            objects: self.objects.texts().cloned().collect(),
            chat: self.chat.iter().cloned().collect(),
        }
    }

    /// Who is here, and the version of the table that says so.
    pub fn members(&self) -> (u64, Vec<Member>) {
        (self.presence.version(), self.presence.members())
    }

    fn durable(&mut self, author: &Author, message: Durable, now_ms: i64) -> Option<Delivery> {
        let op = message.op;
        let answer = |outcome| {
            Some(Delivery::Outcome {
                conn: author.conn,
                op,
                outcome,
            })
        };
        let client = self.clients.entry(author.client.clone()).or_default();
        client.used_at_ms = now_ms;
        if op <= client.last_op {
            let seq = client.seq_of(op);
            return answer(Outcome::Ack {
                seq,
                status: AckStatus::Dup,
            });
        }
        // However it ends, it uses its number up.
        client.last_op = op;
        if client.subject.is_empty() {
            // An author without a seat has not joined.
            client.subject.clone_from(&author.subject);
        }
        match self.objects.apply(&message, &self.rules.bounds) {
            Err(refusal) => return answer(Outcome::Refused(refusal)),
            Ok(false) => {
                return answer(Outcome::Ack {
                    seq: 0,
                    status: AckStatus::Ignored,
                });
            }
            Ok(true) => {}
        }
        let seq = self.log.head().seq + 1;
        client.retained.push_back((op, seq));
        let Durable { kind, mut body, .. } = message;
        if kind == Kind::Chat {
            body = with_user(&body, &author.user);
            if self.chat.len() >= CHAT_HISTORY as usize {
                self.chat.pop_front();
            }
            self.chat
                .push_back(chat_entry(seq, &author.client, now_ms, &body));
        }
        let (origin, client) = (author.conn, author.client.clone());
        self.log
            .push(Row {
                kind,
                origin,
                op,
                client,
                at_ms: now_ms,
                body,
            })
            .map(Delivery::Log)
    }

    fn join(&mut self, author: &Author, now_ms: i64, out: &mut Vec<Delivery>) {
        let client = self.clients.entry(author.client.clone()).or_default();
        client.used_at_ms = now_ms;
        if client.subject.is_empty() {
            client.subject.clone_from(&author.subject);
        }
        let acked_op = if author.subject.is_empty() || client.subject == author.subject {
            out.push(Delivery::Presence(self.presence.join(author)));
            Ok(client.last_op)
        } else {
            Err(Refusal {
                code: ErrorCode::Forbidden,
                message: "this client id belongs to somebody else: use a new one".to_owned(),
                retry_after_ms: None,
            })
        };
        out.push(Delivery::Joined {
            conn: author.conn,
            acked_op,
        });
    }

    /// A client's row is what makes its resent ops duplicates, and what binds it to a subject. An instance's makes its resent
    /// batches old ones.
    fn forget_clients(&mut self, now_ms: i64) {
        let memory_ms = i64::try_from(CLIENT_MEMORY.as_millis()).unwrap_or(i64::MAX);
        let presence = &self.presence;
        self.clients.retain(|id, client| {
            now_ms.saturating_sub(client.used_at_ms) < memory_ms
                || !client.retained.is_empty()
                || presence.has(id)
        });
        self.senders
            .retain(|_, sender| now_ms.saturating_sub(sender.used_at_ms) < memory_ms);
    }
}

impl Client {
    /// The place of an op that is still in the log, else 0.
    fn seq_of(&self, op: u64) -> u64 {
        let found = self.retained.binary_search_by_key(&op, |(op, _)| *op);
        found
            .ok()
            .and_then(|i| self.retained.get(i))
            .map_or(0, |(_, seq)| *seq)
    }
}

/// A chat message's body with its author's name and colour: readers of the history may never have met it.
fn with_user(body: &[u8], user: &str) -> Bytes {
    let fields = body.strip_suffix(b"}").unwrap_or(body);
    Bytes::from([fields, b",\"user\":", user.as_bytes(), b"}"].concat())
}

fn chat_entry(seq: u64, client: &ClientId, at_ms: i64, body: &[u8]) -> String {
    let fields = String::from_utf8_lossy(body.strip_prefix(b"{").unwrap_or(body));
    format!("{{\"seq\":{seq},\"client\":\"{client}\",\"at\":{at_ms},{fields}")
}

#[cfg(test)]
mod tests;
