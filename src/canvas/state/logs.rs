//! The logs of one canvas's objects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::sum::{self, Sum};
use crate::backplane::EntriesOf;
use crate::canvas::ObjectLog;
use crate::canvas::bounds::entry_bytes;

/// The logs by the ids of their objects. Entries are shared with whoever reads or keeps them.
#[derive(Debug, Default)]
pub(super) struct Logs {
    rows: BTreeMap<Arc<str>, One>,
    sum: Sum,
}

/// The log of one object.
#[derive(Debug, Default)]
struct One {
    log: ObjectLog,
    /// `seq` and base64 of each, in order.
    entries: VecDeque<(u64, Arc<str>)>,
}

impl Logs {
    /// What they add up to.
    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    /// All of them, by id.
    pub(super) fn rows(&self) -> Vec<(ObjectLog, EntriesOf)> {
        let rows = self.rows.iter().map(|(id, one)| {
            let of = EntriesOf {
                id: id.clone(),
                compacted_seq: one.log.compacted_seq,
                entries: one.entries.iter().cloned().collect(),
            };
            (one.log, of)
        });
        rows.collect()
    }

    /// A log with those entries, of an object that has none; what it takes. `None` if they are not in order, or behind `seq`.
    pub(super) fn restore<'a>(
        &mut self,
        seq: u64,
        (id, upto, compacted_seq): (&str, u64, u64),
        entries: impl IntoIterator<Item = (u64, &'a str)>,
    ) -> Option<u64> {
        if self.rows.contains_key(id) || upto > seq || compacted_seq > seq {
            return None;
        }
        let mut log = ObjectLog::default();
        let mut last = 0;
        log.upto = upto;
        log.compacted_seq = compacted_seq;
        for (at, data) in entries {
            if at <= last || at > seq {
                return None;
            }
            self.put(id, at, data);
            log.entries += 1;
            log.bytes += entry_bytes(data.len()) as u64;
            last = at;
        }
        self.set(id, log);
        Some(log.bytes)
    }

    /// What there is once a log.
    pub(super) fn get(&self, id: &str) -> ObjectLog {
        self.rows
            .get(id)
            .map_or(ObjectLog::default(), |one| one.log)
    }

    /// The same, to be written.
    pub(super) fn set(&mut self, id: &str, log: ObjectLog) {
        let one = one(&mut self.rows, id);
        self.sum.remove(head_sum(id, one.log));
        one.log = log;
        self.sum.add(head_sum(id, log));
    }

    /// How many entries there are up to a `seq`, and what they are charged with.
    pub(super) fn upto(&self, id: &str, upto: u64) -> (u64, u64) {
        let Some(one) = self.rows.get(id) else {
            return (0, 0);
        };
        let covered = one.entries.iter().take_while(|(seq, _)| *seq <= upto);
        covered.fold((0, 0), |(entries, bytes), (_, data)| {
            (entries + 1, bytes + entry_bytes(data.len()) as u64)
        })
    }

    /// Writes an entry: behind all others, or, after a compaction, before them.
    pub(super) fn put(&mut self, id: &str, seq: u64, data: &str) {
        self.sum.add(sum::row(&[seq], &[id, data]));
        let entries = &mut one(&mut self.rows, id).entries;
        let at = entries.partition_point(|(other, _)| *other < seq);
        entries.insert(at, (seq, data.into()));
    }

    /// Removes the entries up to a `seq`.
    pub(super) fn drop_upto(&mut self, id: &str, upto: u64) {
        let Some(one) = self.rows.get_mut(id) else {
            return;
        };
        while let Some((seq, data)) = one.entries.pop_front_if(|(seq, _)| *seq <= upto) {
            self.sum.remove(sum::row(&[seq], &[id, &data]));
        }
    }

    /// Removes a log.
    pub(super) fn remove(&mut self, id: &str) {
        self.drop_upto(id, u64::MAX);
        if let Some(one) = self.rows.remove(id) {
            self.sum.remove(head_sum(id, one.log));
        }
    }
}

fn one<'a>(rows: &'a mut BTreeMap<Arc<str>, One>, id: &str) -> &'a mut One {
    if !rows.contains_key(id) {
        rows.insert(id.into(), One::default());
    }
    rows.entry(id.into()).or_default()
}

/// What there is once a log adds this. Nothing adds nothing.
fn head_sum(id: &str, log: ObjectLog) -> u64 {
    if log == ObjectLog::default() {
        return 0;
    }
    let ObjectLog {
        entries,
        bytes,
        upto,
        compacted_seq,
    } = log;
    sum::row(&[entries, bytes, upto, compacted_seq], &[id])
}
