//! The proof: what every client saw, taken together, is one history.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::Client;

/// A place in the canvas's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Who wrote it.
    pub client: String,
    /// Under which of its numbers.
    pub op: u64,
    /// The message itself, without what the server adds.
    pub message: Value,
}

/// The entries after `began`, without a gap.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// The `seq` before the first.
    pub began: u64,
    /// One a `seq`.
    pub entries: Vec<Entry>,
}

/// Asserts that all streams agree on one order, in which everyone's ops stand once and in their own order, and that every op that was
/// acknowledged stands where its ack said, in every stream that reaches there. Streams of one client's earlier lives count too.
pub fn check_history<'a>(clients: impl IntoIterator<Item = &'a Client> + Clone) {
    let mut history: BTreeMap<u64, (&Entry, &str)> = BTreeMap::new();
    for client in clients.clone() {
        for stream in client.streams() {
            for (seq, entry) in (stream.began + 1..).zip(&stream.entries) {
                let (known, by) = history.entry(seq).or_insert((entry, &client.id));
                assert_eq!(
                    *known, entry,
                    "{by} and {} disagree about seq {seq}",
                    client.id
                );
            }
        }
    }
    let mut places: HashMap<(&str, u64), u64> = HashMap::new();
    let mut last_ops: HashMap<&str, u64> = HashMap::new();
    for (seq, (entry, _)) in &history {
        let before = last_ops.insert(&entry.client, entry.op).unwrap_or(0);
        assert!(
            before < entry.op,
            "seq {seq}, {entry:?}, stands after op {before}"
        );
        places.insert((&entry.client, entry.op), *seq);
    }
    let last = history.keys().next_back().copied().unwrap_or(0);
    for client in clients {
        for (op, acked) in &client.acked {
            let place = places.get(&(client.id.as_str(), *op)).copied();
            match (acked.status.as_str(), acked.seq) {
                ("ignored", _) => assert_eq!(place, None, "{} op {op} was ignored", client.id),
                // Committed, but where is no longer known to the server.
                ("dup", 0) => {}
                // Everybody got a snapshot that has it.
                ("dup", seq) if seq <= last && !history.contains_key(&seq) => {}
                (_, seq) => assert_eq!(place, Some(seq), "{} op {op} is lost", client.id),
            }
        }
    }
}

/// Brings all clients to the same place and asserts that they see the same canvas.
pub async fn check_agreement(clients: &mut [Client]) {
    let head = clients.iter().map(|client| client.seq).max().unwrap_or(0);
    for client in clients.iter_mut() {
        client.reach(head).await;
    }
    for pair in clients.windows(2) {
        assert_eq!(pair[0].seq, pair[1].seq);
        assert_eq!(pair[0].epoch, pair[1].epoch);
        assert_eq!(
            pair[0].model, pair[1].model,
            "{} and {}",
            pair[0].id, pair[1].id
        );
    }
    check_history(clients.iter());
}
