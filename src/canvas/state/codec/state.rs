//! A whole canvas as bytes, for an instance that begins without the log that led there. Values that follow from the
//! rest (totals and sums) are not written. Nor are the retained messages: they are bytes of their own
//! ([`CanvasState::rows_after`]), which are written once and not with each snapshot.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::entry::client;
use super::{Damaged, opened, sealed, unreadable};
use crate::backplane::{EntriesOf, Lately, Snapshot};
use crate::canvas::state::chat::Chat;
use crate::canvas::state::clients::Clients;
use crate::canvas::state::log::{Log, Row};
use crate::canvas::state::logs::Logs;
use crate::canvas::state::objects::Objects;
use crate::canvas::state::presence::Table;
use crate::canvas::state::{CanvasState, Sender, Tables};
use crate::canvas::{Away, ClientRow, Head, ObjectLog, Place, Rules};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{ClientId, ConnId, Epoch, Position};

/// Another layout has another number.
const STATE_VERSION: u8 = 5;
/// Of retained messages.
const ROWS_VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct StateWire<'a> {
    epoch: u64,
    seq: u64,
    /// Place, id, JSON.
    #[serde(borrow)]
    objects: Vec<(u64, &'a str, &'a str)>,
    /// By the objects' ids.
    logs: Vec<LogWire<'a>>,
    chat: Vec<&'a str>,
    clients: Vec<ClientWire<'a>>,
    presence_version: u64,
    members: Vec<MemberWire<'a>>,
    senders: Vec<(u32, u64, i64)>,
    forget_at_ms: i64,
    /// What all of it adds up to.
    hash: u64,
}

#[derive(Serialize, Deserialize)]
struct LogWire<'a> {
    id: &'a str,
    upto: u64,
    compacted_seq: u64,
    #[serde(borrow)]
    entries: Vec<(u64, &'a str)>,
}

#[derive(Serialize, Deserialize)]
struct RowsWire<'a> {
    epoch: u64,
    first_seq: u64,
    #[serde(borrow)]
    rows: Vec<RowWire<'a>>,
}

#[derive(Serialize, Deserialize)]
struct RowWire<'a> {
    kind: Kind,
    origin: u64,
    op: u64,
    client: &'a str,
    at_ms: i64,
    #[serde(serialize_with = "super::in_one")]
    body: &'a [u8],
}

/// By name, so that equal states are equal bytes.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct ClientWire<'a> {
    client: &'a str,
    last_op: u64,
    last_seq: u64,
    subject: &'a str,
    used_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct MemberWire<'a> {
    client: &'a str,
    conn: u64,
    user: &'a str,
    state: Option<&'a str>,
    /// Since when it is lost, and whether its instance is.
    away: Option<(i64, bool)>,
}

/// A canvas as it was at one moment. Made in no time, since texts are shared; what takes long is done with it, on whatever thread.
#[derive(Debug)]
pub struct Frozen {
    head: Position,
    objects: Vec<(u64, Arc<str>, Arc<str>)>,
    logs: Vec<(ObjectLog, EntriesOf)>,
    /// Told to who comes, and not kept.
    lately: Lately,
    chat: Vec<String>,
    clients: Vec<(ClientId, ClientRow, i64)>,
    presence_version: u64,
    members: Vec<(ClientId, Place)>,
    senders: Vec<(u32, u64, i64)>,
    forget_at_ms: i64,
    hash: u64,
}

impl Frozen {
    /// The state as bytes, the rules and the retained messages left out. Equal states are equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Position { epoch, seq } = self.head;
        let wires = self
            .clients
            .iter()
            .map(|(name, row, used_at_ms)| ClientWire {
                client: name.as_str(),
                last_op: row.last_op,
                last_seq: row.last_seq,
                subject: &row.subject,
                used_at_ms: *used_at_ms,
            });
        let mut clients: Vec<_> = wires.collect();
        clients.sort_unstable();
        let objects = self.objects.iter();
        let members = self.members.iter();
        let state = StateWire {
            epoch: epoch.0,
            seq,
            objects: objects
                .map(|(place, id, text)| (*place, &**id, &**text))
                .collect(),
            logs: self.logs.iter().map(LogWire::of).collect(),
            chat: self.chat.iter().map(String::as_str).collect(),
            clients,
            presence_version: self.presence_version,
            members: members
                .map(|(client, place)| MemberWire::of((client, place)))
                .collect(),
            senders: self.senders.clone(),
            forget_at_ms: self.forget_at_ms,
            hash: self.hash,
        };
        sealed(STATE_VERSION, &state)
    }

    /// About how many bytes of text it has.
    pub fn text_bytes(&self) -> usize {
        let objects = self.objects.iter().map(|(_, _, text)| text.len());
        let logs = self.logs.iter().flat_map(|(_, log)| &log.entries);
        objects.sum::<usize>() + logs.map(|(_, data)| data.len()).sum::<usize>()
    }

    /// As those see it who come.
    pub fn snapshot(&self) -> Snapshot {
        let objects = self.objects.iter();
        Snapshot {
            at: self.head,
            objects: objects
                .map(|(_, _, text)| text.as_ref().to_owned())
                .collect(),
            logs: self.logs.iter().map(|(_, log)| log.clone()).collect(),
            chat: self.chat.clone(),
            lately: self.lately.clone(),
        }
    }
}

impl CanvasState {
    /// The canvas as it is now.
    pub fn freeze(&self) -> Frozen {
        let Tables {
            objects,
            logs,
            chat,
            clients,
            presence,
            head,
            ..
        } = &self.tables;
        let clients = clients.rows.iter();
        let members = presence.rows();
        let senders = self.senders.iter();
        Frozen {
            head: self.head(),
            objects: objects
                .rows()
                .map(|(place, id, text)| (place, id.clone(), text.clone()))
                .collect(),
            logs: logs.rows(),
            lately: objects.lately(),
            chat: chat.entries().cloned().collect(),
            clients: clients
                .map(|(name, client)| (name.clone(), client.row.clone(), client.used_at_ms))
                .collect(),
            presence_version: head.presence_version,
            members: members
                .map(|(client, place)| (client.clone(), place.clone()))
                .collect(),
            senders: senders
                .map(|(from, sender)| (*from, sender.serial, sender.used_at_ms))
                .collect(),
            forget_at_ms: self.forget_at_ms,
            hash: self.agreed_hash(),
        }
    }

    /// The state that was encoded; no messages are retained. It goes on as that one does if the rules are the same.
    ///
    /// # Errors
    /// [`Damaged`] for anything else, also where it does not add up to what its writer had.
    pub fn decode(bytes: &[u8], rules: Rules) -> Result<Self, Damaged> {
        let wire: StateWire = opened(STATE_VERSION, bytes)?;
        let position = Position {
            epoch: Epoch(wire.epoch),
            seq: wire.seq,
        };
        let log = Log::restore(position, VecDeque::new())
            .ok_or_else(|| unreadable("no number is left for another message"))?;
        let (objects, mut totals) = Objects::restore(wire.seq, wire.objects)
            .ok_or_else(|| unreadable("two objects are the same"))?;
        let mut logs = Logs::default();
        for log in wire.logs {
            let head = (log.id, log.upto, log.compacted_seq);
            let bytes = logs.restore(wire.seq, head, log.entries);
            let bytes = bytes.filter(|_| objects.bytes(log.id).is_some());
            totals.bytes += bytes.ok_or_else(|| unreadable("a log is not in order"))?;
            totals.logs += 1;
        }
        let mut chat = Chat::default();
        for entry in wire.chat {
            chat.push(entry.to_owned());
        }
        let mut presence = Table::default();
        for member in &wire.members {
            presence.set(&client(member.client)?, member.made());
        }
        let head = Head {
            seq: wire.seq,
            presence_version: wire.presence_version,
            totals,
        };
        let tables = Tables {
            head,
            log,
            objects,
            logs,
            chat,
            clients: clients(&wire.clients)?,
            presence,
        };
        let senders = wire.senders.into_iter();
        let state = Self {
            rules,
            tables,
            senders: senders
                .map(|(from, serial, used_at_ms)| (from, Sender { serial, used_at_ms }))
                .collect(),
            forget_at_ms: wire.forget_at_ms,
            work: 0,
            spare: None,
            ears: None,
        };
        match state.agreed_hash() == wire.hash {
            true => Ok(state),
            false => Err(unreadable("it does not add up to what was written")),
        }
    }

    /// The retained messages after a `seq`, from the oldest on if that is younger, as many as about fit. `None` if there are none;
    /// otherwise the last one's `seq`, and bytes for [`Self::adopt_rows`].
    pub fn rows_after(&self, seq: u64, max_bytes: usize) -> Option<(u64, Vec<u8>)> {
        let oldest = self.first_seq();
        let first_seq = oldest.max(seq.saturating_add(1));
        let skip = usize::try_from(first_seq - oldest).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let rows = self.tables.log.rows().skip(skip).take_while(|row| {
            let fits = bytes < max_bytes;
            bytes += row.body.len() + 64;
            fits
        });
        let rows: Vec<_> = rows.map(RowWire::of).collect();
        if rows.is_empty() {
            return None;
        }
        let last_seq = first_seq + rows.len() as u64 - 1;
        let epoch = self.head().epoch.0;
        let rows = RowsWire {
            epoch,
            first_seq,
            rows,
        };
        Some((last_seq, sealed(ROWS_VERSION, &rows)))
    }

    /// Takes messages that were retained before, given in order, if they lead without a gap to the head. Otherwise, and if they
    /// can't be read, whoever wants one of them starts over from a snapshot: `false`.
    pub fn adopt_rows(&mut self, chunks: &[Vec<u8>]) -> bool {
        let head = self.head();
        let mut rows = VecDeque::new();
        let mut next = None;
        for chunk in chunks {
            let Ok(wire) = opened::<RowsWire>(ROWS_VERSION, chunk) else {
                return false;
            };
            if wire.epoch != head.epoch.0 || next.is_some_and(|next| next != wire.first_seq) {
                return false;
            }
            // What is behind the head is in the log of batches, too.
            for (seq, row) in (wire.first_seq..=head.seq).zip(wire.rows) {
                let Ok(row) = row.made() else { return false };
                rows.push_back(row);
                next = Some(seq + 1);
            }
        }
        if next != Some(head.seq + 1) {
            return false;
        }
        match Log::restore(head, rows) {
            Some(log) => {
                self.tables.log = log;
                true
            }
            None => false,
        }
    }
}

fn clients(wire: &[ClientWire<'_>]) -> Result<Clients, Damaged> {
    let mut clients = Clients::default();
    for wire in wire {
        clients.update(&client(wire.client)?, |client| {
            client.row = ClientRow {
                subject: wire.subject.to_owned(),
                last_op: wire.last_op,
                last_seq: wire.last_seq,
            };
            client.used_at_ms = wire.used_at_ms;
        });
    }
    Ok(clients)
}

impl<'a> LogWire<'a> {
    fn of((head, log): &'a (ObjectLog, EntriesOf)) -> Self {
        let entries = log.entries.iter().map(|(seq, data)| (*seq, &**data));
        Self {
            id: &log.id,
            upto: head.upto,
            compacted_seq: head.compacted_seq,
            entries: entries.collect(),
        }
    }
}

impl<'a> RowWire<'a> {
    fn of(row: &'a Row) -> Self {
        Self {
            kind: row.kind,
            origin: row.origin.0,
            op: row.op,
            client: row.client.as_str(),
            at_ms: row.at_ms,
            body: &row.body,
        }
    }

    fn made(self) -> Result<Row, Damaged> {
        Ok(Row {
            kind: self.kind,
            origin: ConnId(self.origin),
            op: self.op,
            client: client(self.client)?,
            at_ms: self.at_ms,
            body: Bytes::copy_from_slice(self.body),
        })
    }
}

impl<'a> MemberWire<'a> {
    fn of((client, place): (&'a ClientId, &'a Place)) -> Self {
        Self {
            client: client.as_str(),
            conn: place.conn.0,
            user: &place.user,
            state: place.state.as_deref(),
            away: place.away.map(|away| (away.since_ms, away.instance_lost)),
        }
    }

    fn made(&self) -> Place {
        Place {
            conn: ConnId(self.conn),
            user: self.user.into(),
            state: self.state.map(Arc::from),
            away: self.away.map(|(since_ms, instance_lost)| Away {
                since_ms,
                instance_lost,
            }),
        }
    }
}
