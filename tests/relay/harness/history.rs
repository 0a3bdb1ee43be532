//! The proof: what every client sent and was told, taken together, is judged by `scripts/judge`, which is written from the promises of
//! docs/PROTOCOL.md and knows nothing of the server's code. This file only writes the history down; `tests/judge/judge.py` says what
//! is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::{Value, json};

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

/// What came after a welcome or a snapshot.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// One a `seq`, without a gap.
    pub entries: Vec<Entry>,
}

/// A line of a history, and its place among all.
#[derive(Debug, Clone)]
pub struct Record {
    order: u64,
    line: Value,
}

/// The one clock of all histories of this process.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
static LINES: AtomicU64 = AtomicU64::new(0);
/// What each client ever sent, by its id, which no other client has: whoever hears it may be there when its author is gone.
static SENT: Mutex<BTreeMap<String, Vec<Record>>> = Mutex::new(BTreeMap::new());

/// Milliseconds of the histories' clock.
pub fn now_ms() -> f64 {
    BEGAN.elapsed().as_secs_f64() * 1_000.0
}

/// Something that happened on a canvas at this moment, with the fields of its kind.
pub fn record(canvas: &str, what: &str, mut fields: Value) -> Record {
    fields["t"] = now_ms().into();
    fields["canvas"] = canvas.into();
    fields["what"] = what.into();
    let order = LINES.fetch_add(1, Ordering::SeqCst);
    Record {
        order,
        line: fields,
    }
}

/// A durable message is about to leave.
pub fn sends(canvas: &str, client: &str, op: u64, message: &Value) {
    let mut message = message.clone();
    message.as_object_mut().expect("an object").remove("op");
    let fields = json!({"client": client, "op": op, "message": message});
    let record = record(canvas, "sent", fields);
    let mut all = SENT.lock();
    all.entry(client.to_owned()).or_default().push(record);
}

/// What these clients were told, what they and those whom they heard sent, and what else is known; in order.
pub fn written<'a>(
    clients: impl IntoIterator<Item = &'a Client>,
    more: impl IntoIterator<Item = Record>,
) -> Vec<Value> {
    let mut all: Vec<Record> = more.into_iter().collect();
    let mut authors = BTreeSet::new();
    for client in clients {
        authors.insert(client.id.clone());
        all.extend(client.records.iter().cloned());
    }
    let heard = all
        .iter()
        .filter_map(|record| record.line["author"].as_str());
    authors.extend(heard.map(str::to_owned));
    let sent = SENT.lock();
    for author in &authors {
        match sent.get(author) {
            Some(records) => all.extend(records.iter().cloned()),
            // Sent past the clients of these tests: by a socket of its own, or by the server API.
            None => all.extend(invented(&all, author)),
        }
    }
    drop(sent);
    all.sort_by_key(|record| record.order);
    all.into_iter().map(|record| record.line).collect()
}

/// What an author must have sent, if what was heard of it is right.
fn invented(all: &[Record], author: &str) -> Vec<Record> {
    let mut first: BTreeMap<u64, Record> = BTreeMap::new();
    for heard in all.iter().filter(|record| record.line["author"] == author) {
        let op = heard.line["op"].as_u64().expect("an op");
        let earlier = first
            .get(&op)
            .is_some_and(|known| known.order <= heard.order);
        if earlier {
            continue;
        }
        let line = json!({
            "t": 0, "canvas": heard.line["canvas"], "what": "sent",
            "client": author, "op": op, "message": heard.line["message"],
        });
        first.insert(op, Record { order: 0, line });
    }
    first.into_values().collect()
}

/// Has a history judged. What is wrong with it is the error.
pub fn judge(history: &[Value]) -> Result<String, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    for line in history {
        writeln!(file, "{line}").expect("it is written");
    }
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/judge");
    let judged = Command::new(judge).arg(file.path()).output();
    let judged = judged.expect("scripts/judge runs: it needs python3");
    let mut told = String::from_utf8_lossy(&judged.stdout).into_owned();
    if judged.status.success() {
        return Ok(told);
    }
    told.push_str(&String::from_utf8_lossy(&judged.stderr));
    let (_, kept) = file.keep().expect("it stays");
    Err(format!("{told}\nthe history is {}", kept.display()))
}

/// Asserts that what these clients saw is a history that keeps all promises.
pub fn check_history<'a>(clients: impl IntoIterator<Item = &'a Client>) {
    check(clients, []);
}

/// The same, with what else is known.
pub fn check<'a>(
    clients: impl IntoIterator<Item = &'a Client>,
    more: impl IntoIterator<Item = Record>,
) {
    if let Err(why) = judge(&written(clients, more)) {
        panic!("{why}");
    }
}

/// The canvas as a client has it now, which stands for what the store has: whoever joined last was given it by the store.
pub fn state(client: &Client) -> Record {
    let objects = client.model.objects.iter();
    let objects: serde_json::Map<_, _> = objects
        .map(|(id, object)| (id.clone(), object.clone()))
        .collect();
    let fields = json!({
        "epoch": client.epoch, "seq": client.seq,
        "objects": client.model.complete.then_some(objects),
    });
    record(client.canvas(), "state", fields)
}

/// Brings all clients to the same place and asserts that they see the same canvas, and that it is what was written.
pub async fn check_agreement(clients: &mut [Client]) {
    see_the_same(clients).await;
    check(clients.iter(), clients.last().map(state));
}

/// Brings all clients to the same place and asserts that they see the same canvas.
pub async fn see_the_same(clients: &mut [Client]) {
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
}
