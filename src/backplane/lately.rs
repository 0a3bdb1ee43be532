//! The latest changes of a canvas, for clients that hold an older state and need not get the whole canvas again. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{EntriesOf, Snapshot};

/// What a snapshot knows of how it came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lately {
    /// The `seq` of each object's last change, in the order of [`Snapshot::objects`]. What is at or before `from` may be any number up to it.
    pub changed: Vec<u64>,
    /// The ids of what was deleted after `from`, each with the `seq` of that, in order. At most [`crate::limits::DELETIONS_KEPT`].
    pub deleted: Vec<(u64, Arc<str>)>,
    /// Before this `seq` nothing is known.
    pub from: u64,
}

/// What is to be told to somebody who holds an older state.
#[derive(Debug, PartialEq, Eq)]
pub struct Since<'a> {
    /// Objects that came or changed, in the order of their creation.
    pub objects: Vec<&'a str>,
    /// Ids of what was deleted, each once. What was made again is among the objects, too.
    pub deleted: Vec<&'a str>,
    /// Ids of objects whose log was compacted: what was known of it is to be dropped.
    pub compacted: Vec<&'a str>,
    /// Entries that came, and all of what was compacted: the object, the `seq`, the bytes in base64.
    pub entries: Vec<LogEntry<'a>>,
}

/// An entry of a log: the object's id, its `seq`, its bytes in base64.
pub type LogEntry<'a> = (&'a str, u64, &'a str);

impl Snapshot {
    /// All entries of all logs, those of each log in order.
    pub fn entries(&self) -> impl Iterator<Item = (&EntriesOf, LogEntry<'_>)> {
        self.logs.iter().flat_map(|log| {
            log.entries
                .iter()
                .map(move |(seq, data)| (log, (&*log.id, *seq, &**data)))
        })
    }

    /// What changed since the state at `base` of the same epoch; `None` if that is not known.
    pub fn since(&self, base: u64) -> Option<Since<'_>> {
        let lately = &self.lately;
        if !(lately.from..=self.at.seq).contains(&base)
            || lately.changed.len() != self.objects.len()
        {
            return None;
        }
        let objects = self.objects.iter().zip(&lately.changed);
        let objects = objects.filter(|(_, changed)| **changed > base);
        let deleted = lately.deleted.iter().filter(|(seq, _)| *seq > base);
        let mut names = BTreeSet::new();
        let compacted = self.logs.iter().filter(|log| log.compacted_seq > base);
        let entries = self
            .entries()
            .filter(|(log, (_, seq, _))| *seq > base || log.compacted_seq > base);
        Some(Since {
            compacted: compacted.map(|log| &*log.id).collect(),
            entries: entries.map(|(_, entry)| entry).collect(),
            objects: objects.map(|(object, _)| &**object).collect(),
            deleted: deleted
                .map(|(_, id)| &**id)
                .filter(|id| names.insert(*id))
                .collect(),
        })
    }
}
