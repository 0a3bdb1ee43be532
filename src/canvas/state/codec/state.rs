//! A whole canvas as bytes, for an instance that begins without the log that led there. Values that follow from the
//! rest (totals and sums) are not written. Nor are the retained messages: they are bytes of their own
//! ([`CanvasState::rows_after`]), which are written once and not with each snapshot.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::entry::client;
use super::reading::Reading;
use super::{Damaged, opened, put, sealed};
use crate::backplane::EntriesOf;
use crate::canvas::state::log::{Log, Row};
use crate::canvas::state::objects::Object;
use crate::canvas::state::{CanvasState, Tables};
use crate::canvas::{Away, ClientRow, ObjectLog, Place, Rules};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{ClientId, ConnId, InstanceNumber, Position};

/// Another layout has another number.
pub(super) const STATE_VERSION: u8 = 5;
/// Of retained messages.
const ROWS_VERSION: u8 = 1;

/// What a state begins with. Then come as many objects as that (place, id, JSON), a number of logs, those by the objects' ids, and the
/// rest.
#[derive(Serialize, Deserialize)]
pub(super) struct BeginWire {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) objects: usize,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RestWire<'a> {
    #[serde(borrow)]
    pub(super) chat: Vec<&'a str>,
    pub(super) clients: Vec<ClientWire<'a>>,
    pub(super) presence_version: u64,
    pub(super) members: Vec<MemberWire<'a>>,
    pub(super) senders: Vec<(InstanceNumber, u64, i64)>,
    pub(super) forget_at_ms: i64,
    /// What all of it adds up to.
    pub(super) hash: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LogWire<'a> {
    pub(super) id: &'a str,
    pub(super) upto: u64,
    pub(super) compacted_seq: u64,
    #[serde(borrow)]
    pub(super) entries: Vec<(u64, &'a str)>,
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
    body: &'a str,
}

/// By name, so that equal states are equal bytes.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientWire<'a> {
    pub(super) client: &'a str,
    pub(super) last_op: u64,
    pub(super) last_seq: u64,
    pub(super) subject: &'a str,
    pub(super) used_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MemberWire<'a> {
    pub(super) client: &'a str,
    pub(super) conn: u64,
    pub(super) user: &'a str,
    pub(super) state: Option<&'a str>,
    /// Since when it is lost, and whether its instance is.
    pub(super) away: Option<(i64, bool)>,
}

/// A canvas as it was at one moment. Made in no time, since texts are shared; what takes long is done with it, on whatever thread.
#[derive(Debug)]
pub struct Frozen {
    head: Position,
    objects: Vec<Object>,
    logs: Vec<(ObjectLog, EntriesOf)>,
    chat: Vec<String>,
    clients: Vec<(ClientId, ClientRow, i64)>,
    presence_version: u64,
    members: Vec<(ClientId, Place)>,
    senders: Vec<(InstanceNumber, u64, i64)>,
    forget_at_ms: i64,
    hash: u64,
}

impl Frozen {
    /// The state as bytes, the rules and the retained messages left out. Equal states are equal bytes.
    pub fn encode(self) -> Vec<u8> {
        self.pieces(usize::MAX).next().unwrap_or_default()
    }

    /// The same in pieces of so many bytes: the whole of a large state is never there twice.
    pub fn pieces(self, bytes: usize) -> Pieces {
        Pieces {
            state: self,
            bytes,
            step: 0,
            written: Vec::new(),
            from: 0,
        }
    }

    /// Writes the first things, an object, a log or what is left; `false` if nothing is.
    fn write(&self, step: usize, out: &mut Vec<u8>) -> bool {
        let first_log = self.objects.len() + 2;
        if step == 0 {
            let Position { epoch, seq } = self.head;
            out.push(STATE_VERSION);
            let objects = self.objects.len();
            let epoch = epoch.0;
            put(
                out,
                &BeginWire {
                    epoch,
                    seq,
                    objects,
                },
            );
        } else if let Some(object) = self.objects.get(step - 1) {
            put(out, &(object.place(), object.id(), &**object.text()));
        } else if step < first_log {
            put(out, &self.logs.len());
        } else if let Some(log) = self.logs.get(step - first_log) {
            put(out, &LogWire::of(log));
        } else if step == first_log + self.logs.len() {
            put(out, &self.rest());
        } else {
            return false;
        }
        true
    }

    fn rest(&self) -> RestWire<'_> {
        let wires = self
            .clients
            .iter()
            .map(|(name, row, used_at_ms)| ClientWire {
                client: name.as_str(),
                last_op: row.last_op,
                last_seq: row.last_seq.map_or(0, NonZeroU64::get),
                subject: &row.subject,
                used_at_ms: *used_at_ms,
            });
        let mut clients: Vec<_> = wires.collect();
        clients.sort_unstable();
        let members = self.members.iter();
        RestWire {
            chat: self.chat.iter().map(String::as_str).collect(),
            clients,
            presence_version: self.presence_version,
            members: members
                .map(|(client, place)| MemberWire::of((client, place)))
                .collect(),
            senders: self.senders.clone(),
            forget_at_ms: self.forget_at_ms,
            hash: self.hash,
        }
    }

    /// About how many bytes of text it has.
    pub fn text_bytes(&self) -> usize {
        let objects = self.objects.iter().map(|object| object.text().len());
        let logs = self.logs.iter().flat_map(|(_, log)| &log.entries);
        objects.sum::<usize>() + logs.map(|(_, data)| data.len()).sum::<usize>()
    }
}

/// See [`Frozen::pieces`].
#[derive(Debug)]
pub struct Pieces {
    state: Frozen,
    bytes: usize,
    step: usize,
    /// Written, and given away up to `from`.
    written: Vec<u8>,
    from: usize,
}

impl Iterator for Pieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.written.len() - self.from < self.bytes {
            self.written.drain(..std::mem::take(&mut self.from));
        }
        while self.written.len() - self.from < self.bytes
            && self.state.write(self.step, &mut self.written)
        {
            self.step += 1;
        }
        let left = self.written.len() - self.from;
        if left <= self.bytes && self.from == 0 {
            return Some(std::mem::take(&mut self.written)).filter(|last| !last.is_empty());
        }
        let upto = self.from + left.min(self.bytes);
        let piece = self.written[self.from..upto].to_vec();
        self.from = upto;
        Some(piece).filter(|last| !last.is_empty())
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
            objects: objects.each(Object::clone),
            logs: logs.rows(),
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
    /// See [`Reading::done`].
    pub fn decode(bytes: &[u8], rules: Rules) -> Result<Self, Damaged> {
        let mut reading = Reading::default();
        reading.feed(bytes);
        reading.done(rules)
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
            if next == Some(head.seq + 1) {
                // Others have kept more since.
                break;
            }
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
            body: ByteString::from(self.body),
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

    pub(super) fn made(&self) -> Place {
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
