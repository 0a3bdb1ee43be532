//! The proof over all clients of a world that has come to rest.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::client::Entry;
use crate::world::World;

/// One order, nothing twice, everything acked in its place, everybody at the end with the canvas as the model has it.
pub fn check(world: &World) {
    let seed = world.seed;
    let mut history: BTreeMap<u64, &Entry> = BTreeMap::new();
    for stream in world.clients.iter().flat_map(|client| &client.streams) {
        for (seq, entry) in (stream.began + 1..).zip(&stream.entries) {
            let known = history.entry(seq).or_insert(entry);
            assert_eq!(*known, entry, "seed {seed}: seq {seq}");
        }
    }
    let mut places = HashMap::new();
    for (seq, entry) in &history {
        let before = places.insert((entry.client.as_str(), entry.op), *seq);
        assert_eq!(before, None, "seed {seed}: {entry:?} stands twice");
    }
    let head = world.canvas.head().seq;
    let snapshot = world.canvas.snapshot();
    let objects: Vec<Value> = snapshot
        .objects
        .iter()
        .map(|text| serde_json::from_str(text).expect("JSON"))
        .collect();
    let here: BTreeMap<String, bool> = world
        .canvas
        .members()
        .members
        .into_iter()
        .map(|member| (member.client.as_str().to_owned(), member.away))
        .collect();
    for client in &world.clients {
        let id = &client.id;
        assert_eq!(client.seq, head, "seed {seed}: {id} is at the end");
        assert!(
            client.pending.is_empty(),
            "seed {seed}: {id} has all answers"
        );
        for (op, (status, seq)) in &client.acked {
            let place = places.get(&(id.as_str(), *op)).copied();
            match (status.as_str(), *seq) {
                ("ignored", _) => assert_eq!(place, None, "seed {seed}: {id} op {op}"),
                ("dup", 0) => {}
                // Everybody may have been away while it was in the log.
                (_, seq) => assert!(
                    place.is_none_or(|place| place == seq),
                    "seed {seed}: {id} op {op}"
                ),
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
