//! A whole canvas as bytes, for who starts without the log that led there. What follows from the rest is not written: totals,
//! and which of a client's messages are retained.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::entry::client;
use super::{Damaged, opened, sealed, unreadable};
use crate::backplane::Member;
use crate::machine::log::{Log, Row};
use crate::machine::objects::Objects;
use crate::machine::presence::{Grace, Table};
use crate::machine::{CanvasState, Client, Rules, Sender};
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{ClientId, ConnId, Epoch, Position};

/// Another layout has another number.
const STATE_VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct StateWire<'a> {
    epoch: u64,
    seq: u64,
    #[serde(borrow)]
    rows: Vec<RowWire<'a>>,
    next_place: u64,
    /// Place, id, JSON.
    objects: Vec<(u64, &'a str, &'a str)>,
    chat: Vec<&'a str>,
    clients: Vec<ClientWire<'a>>,
    presence_version: u64,
    members: Vec<MemberWire<'a>>,
    senders: Vec<(u32, u64, i64)>,
    forget_at_ms: i64,
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
    subject: &'a str,
    used_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct MemberWire<'a> {
    client: &'a str,
    conn: u64,
    user: &'a str,
    state: Option<&'a str>,
    /// If it is away.
    grace: Option<Grace>,
}

impl CanvasState {
    /// The state as bytes, the rules left out. Equal states are equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Position { epoch, seq } = self.log.head();
        let clients = self.clients.iter().map(|(name, client)| ClientWire {
            client: name.as_str(),
            last_op: client.last_op,
            subject: &client.subject,
            used_at_ms: client.used_at_ms,
        });
        let mut clients: Vec<_> = clients.collect();
        clients.sort_unstable();
        let senders = self.senders.iter();
        let state = StateWire {
            epoch: epoch.0,
            seq,
            rows: self.log.rows().map(RowWire::of).collect(),
            next_place: self.objects.next_place(),
            objects: self.objects.rows().collect(),
            chat: self.chat.iter().map(String::as_str).collect(),
            clients,
            presence_version: self.presence.version(),
            members: self.presence.rows().map(MemberWire::of).collect(),
            senders: senders
                .map(|(from, sender)| (*from, sender.serial, sender.used_at_ms))
                .collect(),
            forget_at_ms: self.forget_at_ms,
        };
        sealed(STATE_VERSION, &state)
    }

    /// The state that was encoded. It goes on as that one does if the rules are the same.
    ///
    /// # Errors
    /// [`Damaged`] for anything else.
    pub fn decode(bytes: &[u8], rules: Rules) -> Result<Self, Damaged> {
        let wire: StateWire = opened(STATE_VERSION, bytes)?;
        let head = Position {
            epoch: Epoch(wire.epoch),
            seq: wire.seq,
        };
        let rows = wire.rows.into_iter().map(RowWire::made);
        let log = Log::restore(head, rows.collect::<Result<VecDeque<_>, _>>()?)
            .ok_or_else(|| unreadable("the log has more messages than numbers"))?;
        let objects = Objects::restore(wire.next_place, wire.objects)
            .ok_or_else(|| unreadable("two objects are the same"))?;
        let members = wire.members.into_iter().map(MemberWire::made);
        let senders = wire.senders.into_iter();
        Ok(Self {
            rules,
            clients: clients(&wire.clients, &log)?,
            log,
            objects,
            chat: wire.chat.into_iter().map(str::to_owned).collect(),
            presence: Table::restore(
                wire.presence_version,
                members.collect::<Result<Vec<_>, _>>()?,
            ),
            senders: senders
                .map(|(from, serial, used_at_ms)| (from, Sender { serial, used_at_ms }))
                .collect(),
            forget_at_ms: wire.forget_at_ms,
        })
    }
}

/// The clients, with what of theirs is in the log.
fn clients(wire: &[ClientWire<'_>], log: &Log) -> Result<HashMap<ClientId, Client>, Damaged> {
    let made = wire.iter().map(|wire| {
        let made = Client {
            last_op: wire.last_op,
            retained: VecDeque::new(),
            subject: wire.subject.to_owned(),
            used_at_ms: wire.used_at_ms,
        };
        Ok((client(wire.client)?, made))
    });
    let mut clients: HashMap<_, _> = made.collect::<Result<_, Damaged>>()?;
    for (seq, row) in (log.first_seq()..).zip(log.rows()) {
        let author = clients
            .get_mut(&row.client)
            .ok_or_else(|| unreadable("a message's author is not there"))?;
        author.retained.push_back((row.op, seq));
    }
    Ok(clients)
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
    fn of((member, grace): (&'a Member, Option<Grace>)) -> Self {
        Self {
            client: member.client.as_str(),
            conn: member.conn.0,
            user: &member.user,
            state: member.state.as_deref(),
            grace,
        }
    }

    fn made(self) -> Result<(Member, Option<Grace>), Damaged> {
        let member = Member {
            client: client(self.client)?,
            conn: ConnId(self.conn),
            user: self.user.into(),
            state: self.state.map(Arc::from),
            away: self.grace.is_some(),
        };
        Ok((member, self.grace))
    }
}
