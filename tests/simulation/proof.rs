//! The proof over all clients of a world that has come to rest.

use std::collections::{BTreeMap, HashMap};

use scumble::backplane::{Member, Snapshot};
use serde_json::Value;

use crate::client::{Client, Entry};

/// A world that has come to rest: its clients, and what is on the canvas.
pub struct Rest<'a> {
    pub seed: u64,
    pub clients: &'a [Client],
    pub canvas: Snapshot,
    pub members: Vec<Member>,
}

/// One order in each epoch, nothing twice, everything acked in its place, everybody at the end with the canvas as the model
/// has it.
pub fn check(rest: &Rest<'_>) {
    let seed = rest.seed;
    let mut history: BTreeMap<(&str, u64), &Entry> = BTreeMap::new();
    for stream in rest.clients.iter().flat_map(|client| &client.streams) {
        for (seq, entry) in (stream.began + 1..).zip(&stream.entries) {
            let known = history.entry((&stream.epoch, seq)).or_insert(entry);
            assert_eq!(*known, entry, "seed {seed}: seq {seq}");
        }
    }
    let mut places = HashMap::new();
    for ((epoch, seq), entry) in &history {
        let before = places.insert((*epoch, entry.client.as_str(), entry.op), *seq);
        assert_eq!(before, None, "seed {seed}: {entry:?} stands twice");
    }
    let head = rest.canvas.at;
    let objects: Vec<Value> = rest
        .canvas
        .objects
        .iter()
        .map(|text| serde_json::from_str(text).expect("JSON"))
        .collect();
    let here: BTreeMap<String, bool> = rest
        .members
        .iter()
        .map(|member| (member.client.as_str().to_owned(), member.away))
        .collect();
    for client in rest.clients {
        let id = &client.id;
        assert_eq!(client.seq, head.seq, "seed {seed}: {id} is at the end");
        assert_eq!(client.epoch, head.epoch.to_string(), "seed {seed}: {id}");
        assert!(
            client.pending.is_empty(),
            "seed {seed}: {id} has all answers"
        );
        for (op, (epoch, status, seq)) in &client.acked {
            let place = places.get(&(epoch.as_str(), id.as_str(), *op)).copied();
            match (status.as_str(), *seq) {
                ("ignored", _) => assert_eq!(place, None, "seed {seed}: {id} op {op}"),
                ("dup", 0) => {}
                // Everybody may have been away while it was in the log.
                (_, seq) => {
                    let there = history.get(&(epoch.as_str(), seq));
                    assert!(
                        place.is_none_or(|place| place == seq)
                            && there.is_none_or(|it| it.client == *id && it.op == *op),
                        "seed {seed}: {id} op {op}"
                    );
                }
            }
        }
        let seen: Vec<Value> = client
            .model
            .objects
            .iter()
            .map(|(_, o)| o.clone())
            .collect();
        assert_eq!(seen, objects, "seed {seed}: {id} sees the canvas");
        assert_eq!(client.roster, here, "seed {seed}: {id} sees who is here");
    }
}
