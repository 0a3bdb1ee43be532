//! Clients that hold older states: what changed since, put onto what they hold, must be the whole.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::backplane::{LogEntry, SharedText, Snapshot};
use crate::canvas::bounds::entry_bytes;
use crate::protocol::ids::Position;

/// States that somebody holds, and how often one could be continued.
#[derive(Default)]
pub(super) struct Held {
    states: Vec<(Position, Vec<SharedText>, Logs)>,
    pub(super) continued: usize,
}

/// Entries by their objects and places.
type Logs = BTreeMap<(String, u64), String>;

fn logs<'a>(entries: impl Iterator<Item = LogEntry<'a>>) -> Logs {
    entries
        .map(|(id, seq, data)| ((id.to_owned(), seq), data.to_owned()))
        .collect()
}

/// What all entries are charged with.
pub(super) fn log_bytes(snapshot: &Snapshot) -> usize {
    let entries = snapshot.entries();
    entries
        .map(|(_, (_, _, data))| entry_bytes(data.len()))
        .sum()
}

fn id(object: &str) -> String {
    let object: Value = serde_json::from_str(object).unwrap();
    object["id"].as_str().unwrap().to_owned()
}

impl Held {
    /// Everybody who holds a state comes, and somebody new.
    pub(super) fn come(&mut self, snapshot: &Snapshot) {
        let all = logs(snapshot.entries().map(|(_, entry)| entry));
        for (at, objects, entries) in &self.states {
            if at.epoch != snapshot.at.epoch {
                continue;
            }
            let since = snapshot.since(at.seq).unwrap();
            let mut mine = objects.clone();
            mine.retain(|object| !since.deleted.contains(&&*id(object)));
            for object in since.objects {
                let place = mine.iter_mut().find(|mine| id(mine) == id(object));
                match place {
                    Some(mine) => *mine = object.into(),
                    None => mine.push(object.into()),
                }
            }
            assert_eq!(mine, snapshot.objects, "since {}", at.seq);
            let mut mine = entries.clone();
            let gone = |id: &str| since.deleted.contains(&id) || since.compacted.contains(&id);
            mine.retain(|(id, _), _| !gone(id));
            mine.extend(logs(since.entries.into_iter()));
            assert_eq!(mine, all, "since {}", at.seq);
            self.continued += 1;
        }
        self.states
            .push((snapshot.at, snapshot.objects.clone(), all));
        if self.states.len() > 12 {
            // Some are held for long.
            self.states.remove(5);
        }
    }
}
