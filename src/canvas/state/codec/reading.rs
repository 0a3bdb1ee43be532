//! A state that is read while its bytes come: what was understood is not kept.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use super::entry::client;
use super::state::{BeginWire, ClientWire, LogWire, RestWire, STATE_VERSION};
use super::{Damaged, opened_rest, unreadable};
use crate::canvas::bounds::Totals;
use crate::canvas::state::chat::Chat;
use crate::canvas::state::clients::Clients;
use crate::canvas::state::log::Log;
use crate::canvas::state::logs::Logs;
use crate::canvas::state::objects::{CHUNK, Objects, Row};
use crate::canvas::state::presence::Table;
use crate::canvas::state::{CanvasState, Sender, Tables};
use crate::canvas::{ClientRow, Head, Rules};
use crate::protocol::ids::{Epoch, Position};

const NOT_IN_ORDER: &str = "two objects are the same, or they are not in order";
/// Objects for which there is room at once when a chunk of them is read.
const SOME: usize = 1024;

/// A state of which some bytes were read.
#[derive(Debug, Default)]
pub struct Reading {
    /// What was read of the piece before, and is not a whole thing yet.
    bytes: Vec<u8>,
    next: Next,
    epoch: u64,
    seq: u64,
    objects: Objects,
    logs: Logs,
    totals: Totals,
    damage: Option<Damaged>,
}

/// What comes next.
#[derive(Debug, Default)]
enum Next {
    #[default]
    Begin,
    /// So many objects.
    Objects(usize),
    /// How many logs there are.
    Logs,
    /// So many logs.
    Log(usize),
    Rest,
}

impl Reading {
    /// The next piece. What is wrong with it, [`Self::done`] says.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.damage.is_some() {
            return;
        }
        self.bytes.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = &bytes[..];
        loop {
            match self.read(rest) {
                Ok(Some(left)) => rest = left,
                Ok(None) => break,
                Err(damage) => {
                    self.damage = Some(damage);
                    return;
                }
            }
        }
        let read = bytes.len() - rest.len();
        self.bytes = bytes;
        self.bytes.drain(..read);
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }

    /// Reads the next thing; gives what is behind it. `None`: it is not all there, or is read last.
    fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Damaged> {
        match &mut self.next {
            Next::Begin => {
                let Some((version, bytes)) = bytes.split_first() else {
                    return Ok(None);
                };
                if *version != STATE_VERSION {
                    return Err(Damaged::Version(*version));
                }
                let Some((begin, rest)) = whole::<BeginWire>(bytes)? else {
                    return Ok(None);
                };
                self.epoch = begin.epoch;
                self.seq = begin.seq;
                self.objects = Objects::from(begin.seq);
                self.objects.expect(begin.objects);
                self.next = Next::Objects(begin.objects);
                Ok(Some(rest))
            }
            Next::Objects(0) => {
                self.objects.shrink();
                self.next = Next::Logs;
                Ok(Some(bytes))
            }
            Next::Objects(left) => {
                let mut rows = Vec::with_capacity(SOME.min(*left));
                let mut rest = bytes;
                while *left > 0 && bytes.len() - rest.len() < CHUNK {
                    let Some((row, behind)) = whole::<Row<'_>>(rest)? else {
                        break;
                    };
                    *left -= 1;
                    rows.push(row);
                    rest = behind;
                }
                if rows.is_empty() {
                    return Ok(None);
                }
                let read = self.objects.read(&rows, &mut self.totals);
                read.ok_or_else(|| unreadable(NOT_IN_ORDER))?;
                Ok(Some(rest))
            }
            Next::Logs => {
                let Some((logs, rest)) = whole::<usize>(bytes)? else {
                    return Ok(None);
                };
                self.next = Next::Log(logs);
                Ok(Some(rest))
            }
            Next::Log(0) => {
                self.next = Next::Rest;
                Ok(Some(bytes))
            }
            Next::Log(left) => {
                let Some((log, rest)) = whole::<LogWire<'_>>(bytes)? else {
                    return Ok(None);
                };
                *left -= 1;
                self.take_log(log)?;
                Ok(Some(rest))
            }
            Next::Rest => Ok(None),
        }
    }

    fn take_log(&mut self, log: LogWire<'_>) -> Result<(), Damaged> {
        let head = (log.id, log.upto, log.compacted_seq);
        let bytes = self.logs.restore(self.seq, head, log.entries);
        let bytes = bytes.filter(|_| self.objects.bytes(log.id).is_some());
        self.totals.bytes += bytes.ok_or_else(|| unreadable("a log is not in order"))?;
        self.totals.logs += 1;
        Ok(())
    }

    /// The state, once all of it was fed.
    ///
    /// # Errors
    /// [`Damaged`] for anything but what was encoded, also where it does not add up to what its writer had.
    pub fn done(self, rules: Rules) -> Result<CanvasState, Damaged> {
        if let Some(damage) = self.damage {
            return Err(damage);
        }
        if !matches!(self.next, Next::Rest) {
            return Err(unreadable("it ends early"));
        }
        let wire: RestWire<'_> = opened_rest(&self.bytes)?;
        let position = Position {
            epoch: Epoch(self.epoch),
            seq: self.seq,
        };
        let log = Log::restore(position, VecDeque::new())
            .ok_or_else(|| unreadable("no number is left for another message"))?;
        let mut chat = Chat::default();
        for entry in wire.chat {
            chat.push(entry.to_owned());
        }
        let mut presence = Table::default();
        for member in &wire.members {
            presence.set(&client(member.client)?, member.made());
        }
        let head = Head {
            seq: self.seq,
            presence_version: wire.presence_version,
            totals: self.totals,
        };
        let tables = Tables {
            head,
            log,
            objects: self.objects,
            logs: self.logs,
            chat,
            clients: clients(&wire.clients)?,
            presence,
        };
        let senders = wire.senders.into_iter();
        let state = CanvasState {
            rules,
            tables,
            senders: senders
                .map(|(from, serial, used_at_ms)| (from, Sender { serial, used_at_ms }))
                .collect(),
            forget_at_ms: wire.forget_at_ms,
            work: 0,
            spare: None,
            collector: None,
        };
        match state.agreed_hash() == wire.hash {
            true => Ok(state),
            false => Err(unreadable("it does not add up to what was written")),
        }
    }
}

/// A thing and what is behind it; `None` if it is not all there.
fn whole<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<Option<(T, &'a [u8])>, Damaged> {
    match postcard::take_from_bytes(bytes) {
        Ok(read) => Ok(Some(read)),
        Err(postcard::Error::DeserializeUnexpectedEnd) => Ok(None),
        Err(error) => Err(unreadable(error)),
    }
}

fn clients(wire: &[ClientWire<'_>]) -> Result<Clients, Damaged> {
    let mut clients = Clients::default();
    for wire in wire {
        clients.update(&client(wire.client)?, |client| {
            client.row = ClientRow {
                subject: wire.subject.to_owned(),
                last_op: wire.last_op,
                last_seq: NonZeroU64::new(wire.last_seq),
            };
            client.used_at_ms = wire.used_at_ms;
        });
    }
    Ok(clients)
}
