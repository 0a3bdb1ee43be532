//! The judge sees what chaos could do: histories of real clients that were changed by a loss are refused, and as they were they are not.

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::history::{judge, state, written};
use crate::harness::server::Process;
use crate::harness::{Client, Random};

/// What two clients and one that came later were told by two processes, one of which was killed on the way.
async fn history() -> (TempDir, Vec<Value>) {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let mut processes = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let mut process = Process::launch(&db, &[]);
        addresses.push(process.ready().await);
        processes.push(process);
    }
    let mut random = Random::seeded(11);
    let mut ada = Client::join(addresses[0], "board").await;
    let mut ben = Client::join(addresses[1], "board").await;
    ada.write(&mut random, 60, 12).await.expect("a connection");
    ben.write(&mut random, 60, 12).await.expect("a connection");
    processes[0].kill().await;
    ada.resume(addresses[1]).await.expect("a welcome");
    ada.write(&mut random, 60, 12).await.expect("a connection");
    ben.reach(ada.seq).await;
    let late = Client::join(addresses[1], "board").await;
    let now = state(&late);
    (dir, written([&ada, &ben, &late], [now]))
}

fn is(line: &Value, what: &str) -> bool {
    line["what"] == what
}

/// The place of the nth line of that kind that changed something.
fn nth(history: &[Value], what: &str, n: usize) -> usize {
    let found = history.iter().enumerate();
    let found = found.filter(|(_, line)| is(line, what) && line["seq"].as_u64() > Some(0));
    found.map(|(at, _)| at).nth(n).expect("so many")
}

/// What is done to a history, and what the judge must call it.
const CHANGES: [(&str, &str); 8] = [
    ("a message did not come", "lost"),
    ("a message came twice", "doubled"),
    ("two are at one place", "disorder"),
    ("another message came than was sent", "changed"),
    ("nobody sent what was acked", "ghost"),
    ("the store lacks the last message", "lost"),
    ("the store lacks an object", "changed"),
    ("a stream goes back", "lost"),
];

fn change(history: &mut Vec<Value>, what: &str) {
    let at = nth(history, "seen", 40);
    let end = history.len() - 1;
    match what {
        "a message did not come" => drop(history.remove(at)),
        "a message came twice" => history.insert(at + 1, history[at].clone()),
        "two are at one place" => {
            history[at]["op"] = (history[at]["op"].as_u64().expect("an op") + 1).into();
        }
        "another message came than was sent" => history[at]["message"]["more"] = 1.into(),
        "nobody sent what was acked" => {
            let acked = history[nth(history, "acked", 40)].clone();
            let same =
                |line: &Value| line["client"] == acked["client"] && line["op"] == acked["op"];
            history.retain(|line| !is(line, "sent") || !same(line));
        }
        "the store lacks the last message" => {
            history[end]["seq"] = (history[end]["seq"].as_u64().expect("a place") - 1).into();
            history[end]["objects"] = Value::Null;
        }
        "the store lacks an object" => {
            let objects = history[end]["objects"].as_object_mut().expect("objects");
            let first = objects.keys().next().expect("one").clone();
            objects.remove(&first);
        }
        "a stream goes back" => {
            let mut back = history[at].clone();
            back["what"] = "joined".into();
            back["epoch"] = history[end]["epoch"].clone();
            back["seq"] = 3.into();
            let later = nth(history, "seen", 60);
            history.insert(later, back);
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_was_changed_by_a_loss_is_refused() {
    let (_dir, whole) = history().await;
    let told = judge(&whole).expect("as it was it keeps all promises");
    assert!(told.contains(" 0 lost"), "{told}");
    assert!(whole.len() > 300, "{}", whole.len());
    for (what, kind) in CHANGES {
        let mut history = whole.clone();
        change(&mut history, what);
        let refused = judge(&history).expect_err(what);
        assert!(refused.contains(&format!("{kind}: ")), "{what}: {refused}");
        let kept = refused.rsplit(' ').next().expect("its file");
        std::fs::remove_file(kept).expect("it was kept to be looked at");
    }
}
