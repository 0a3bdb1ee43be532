//! Clients that hold older states: what changed since, put onto what they hold, must be the whole.

use serde_json::Value;

use crate::backplane::Snapshot;
use crate::protocol::ids::Position;

/// States that somebody holds, and how often one could be continued.
#[derive(Default)]
pub(super) struct Held {
    states: Vec<(Position, Vec<String>)>,
    pub(super) continued: usize,
}

fn id(object: &str) -> String {
    let object: Value = serde_json::from_str(object).unwrap();
    object["id"].as_str().unwrap().to_owned()
}

impl Held {
    /// Everybody who holds a state comes, and somebody new.
    pub(super) fn come(&mut self, snapshot: &Snapshot) {
        for (at, objects) in &self.states {
            if at.epoch != snapshot.at.epoch {
                continue;
            }
            let since = snapshot.since(at.seq).unwrap();
            let mut mine = objects.clone();
            mine.retain(|object| !since.deleted.contains(&&*id(object)));
            for object in since.objects {
                let place = mine.iter_mut().find(|mine| id(mine) == id(object));
                match place {
                    Some(mine) => *mine = object.to_owned(),
                    None => mine.push(object.to_owned()),
                }
            }
            assert_eq!(mine, snapshot.objects, "since {}", at.seq);
            self.continued += 1;
        }
        self.states.push((snapshot.at, snapshot.objects.clone()));
        if self.states.len() > 12 {
            // Some are held for long.
            self.states.remove(5);
        }
    }
}
