//! A canvas as plain rows, which carry it from one store to another. The clients that are on it are not carried: they
//! come back by themselves.

use std::sync::Arc;

use super::chat::Chat;
use super::log::{Log, Row};
use super::logs::Logs;
use super::objects::Objects;
use super::presence::Table;
use super::{CanvasState, Clients, Tables};
use crate::backplane::{EntriesOf, Lately, SharedText};
use crate::canvas::{ClientRow, Head, ObjectLog, Rules};
use crate::protocol::ids::{ClientId, Position};

/// A message that is retained.
pub type KeptMessage = Row;

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptObject {
    /// The `seq` of the message that created it.
    pub place: u64,
    /// Its name.
    pub id: Arc<str>,
    /// Its JSON.
    pub text: SharedText,
    /// The `seq` of its last change, or any later one where that is not known.
    pub changed: u64,
}

/// What is remembered of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptClient {
    /// Its name.
    pub name: ClientId,
    /// Whose the name is, and its last op.
    pub row: ClientRow,
    /// When it was last heard of, ms since the epoch.
    pub used_at_ms: i64,
}

/// All that a canvas is, but for who is on it.
#[derive(Debug)]
pub struct Contents {
    /// Its last message.
    pub at: Position,
    /// How many changes its presence table has had.
    pub presence_version: u64,
    /// In the order of their creation.
    pub objects: Vec<KeptObject>,
    /// The logs of those that have one, by their ids.
    pub logs: Vec<(ObjectLog, EntriesOf)>,
    /// The latest chat messages as a snapshot tells them, the oldest first.
    pub chat: Vec<String>,
    /// Clients, present or not.
    pub clients: Vec<KeptClient>,
    /// The youngest messages, without a gap up to the last one.
    pub messages: Vec<KeptMessage>,
    /// What was deleted after `from`, with the `seq` of that.
    pub deleted: Vec<(u64, Arc<str>)>,
    /// Before this `seq` nothing is known of deletions.
    pub from: u64,
}

impl CanvasState {
    /// The retained messages after a `seq`, each with its own.
    pub fn messages_after(&self, seq: u64) -> impl Iterator<Item = (u64, &KeptMessage)> {
        let numbered = (self.first_seq()..).zip(self.tables.log.rows());
        numbered.filter(move |(of, _)| *of > seq)
    }

    /// The canvas as rows.
    pub fn contents(&self) -> Contents {
        let Tables {
            head,
            log,
            objects,
            logs,
            chat,
            clients,
            ..
        } = &self.tables;
        let Lately { deleted, from, .. } = objects.lately();
        let clients = clients.rows.iter();
        let mut clients: Vec<_> = clients
            .map(|(name, client)| KeptClient {
                name: name.clone(),
                row: client.row.clone(),
                used_at_ms: client.used_at_ms,
            })
            .collect();
        clients.sort_by(|a, b| a.name.cmp(&b.name));
        Contents {
            at: self.head(),
            presence_version: head.presence_version,
            objects: objects
                .rows()
                .map(|object| KeptObject {
                    place: object.place(),
                    id: object.id().into(),
                    text: object.text().clone(),
                    changed: object.changed(),
                })
                .collect(),
            logs: logs.rows(),
            chat: chat.entries().cloned().collect(),
            clients,
            messages: log.rows().cloned().collect(),
            deleted,
            from,
        }
    }

    /// The canvas of those rows; nobody is on it. `None` if two objects are the same or not in order, or
    /// there are more messages than numbers.
    pub fn of_contents(contents: Contents, rules: Rules) -> Option<Self> {
        let Position { epoch, seq } = contents.at;
        let log = Log::restore(contents.at, contents.messages.into())?;
        let objects = contents.objects.iter();
        let objects = objects.map(|object| (object.place, &*object.id, &*object.text));
        let (objects, mut totals) = Objects::restore(seq, objects)?;
        let mut logs = Logs::default();
        for (log, of) in &contents.logs {
            let entries = of.entries.iter().map(|(seq, data)| (*seq, &**data));
            let head = (&*of.id, log.upto, log.compacted_seq);
            totals.bytes += logs.restore(seq, head, entries)?;
            totals.logs += 1;
        }
        let mut chat = Chat::default();
        for entry in contents.chat {
            chat.push(entry);
        }
        let mut clients = Clients::default();
        for kept in contents.clients {
            clients.update(&kept.name, |client| {
                client.row = kept.row;
                client.used_at_ms = kept.used_at_ms;
            });
        }
        let mut state = Self::new(epoch, rules);
        state.tables = Tables {
            head: Head {
                seq,
                presence_version: contents.presence_version,
                totals,
            },
            log,
            objects,
            logs,
            chat,
            clients,
            presence: Table::default(),
        };
        Some(state)
    }
}
