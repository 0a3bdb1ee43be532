//! Who comes back too late to resume, with an older state in its hands, gets what changed since.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::client::{Client, new_id};
use crate::harness::{Relay, Socket, eventually};

const TTL: [&str; 2] = ["--message-ttl", "1s"];

type Objects = BTreeMap<String, Value>;

/// Comes with that hello; gives the welcome's mode, and the parts of a snapshot.
async fn come(relay: &Relay, at: usize, hello: Value) -> Option<Vec<Value>> {
    let mut socket = Socket::open(relay.address(at), "board").await.expect("up");
    socket.send(&hello).await.expect("sent");
    let mut parts = Vec::new();
    loop {
        let message = socket.receive().await.expect("a message");
        match message["type"].as_str() {
            Some("welcome") if message["mode"] == "resume" => return None,
            Some("snapshot") => {
                let last = message["last"] == true;
                parts.push(message);
                if last {
                    return Some(parts);
                }
            }
            _ => {}
        }
    }
}

fn objects(parts: &[Value]) -> Vec<Value> {
    let lists = parts.iter().filter_map(|part| part["objects"].as_array());
    lists.flatten().cloned().collect()
}

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

async fn fill(author: &mut Client) {
    for n in 0..200 {
        let object = json!({"id": format!("o{n}"), "kind": "box", "text": "x".repeat(300)});
        author
            .op(json!({"type": "object-create", "object": object}))
            .await;
    }
    author
        .commit(json!({"type": "chat", "text": "all are there"}))
        .await;
}

async fn change(author: &mut Client) {
    for n in 0..10 {
        let id = format!("o{n}");
        author
            .op(json!({"type": "object-update", "id": id, "patch": {"x": n}}))
            .await;
    }
    for id in ["o20", "o21", "o22"] {
        author.op(json!({"type": "object-delete", "id": id})).await;
    }
    for id in ["o21", "new"] {
        let object = json!({"id": id, "kind": "late"});
        author
            .op(json!({"type": "object-create", "object": object}))
            .await;
    }
    author
        .commit(json!({"type": "object-delete", "id": "o199"}))
        .await;
}

async fn what_changed_is_enough(flags: &[&str], processes: usize) {
    let relay = Relay::start(processes, &[&TTL[..], flags].concat()).await;
    let mut ada = relay.join(0, "board").await;
    fill(&mut ada).await;
    let since = json!({"epoch": ada.epoch, "seq": ada.seq});
    let before = come(
        &relay,
        0,
        json!({"type": "hello", "v": 1, "client": new_id()}),
    );
    let held = objects(&before.await.expect("a snapshot"));
    change(&mut ada).await;
    let hello = |features: Value| json!({"type": "hello", "v": 1, "client": new_id(), "since": since, "features": features});
    let parts = eventually("an end of resuming", || {
        come(&relay, processes - 1, hello(json!(["base"])))
    })
    .await;
    assert_eq!(parts.len(), 1);
    let part = &parts[0];
    assert_eq!(part["base"], since);
    assert_eq!(part["deleted"], json!(["o20", "o21", "o22", "o199"]));
    assert_eq!(part["chat"].as_array().expect("chat").len(), 1);
    assert!(
        part.to_string().len() < 5_000,
        "{} bytes",
        part.to_string().len()
    );
    let whole = come(&relay, 0, hello(json!([]))).await.expect("a snapshot");
    assert!(
        whole[0].get("base").is_none(),
        "it did not say that it understands"
    );
    // What is held, without what was deleted, with what changed in its place or at the end.
    let deleted: Vec<&str> = part["deleted"]
        .as_array()
        .expect("ids")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut mine: Vec<Value> = held
        .into_iter()
        .filter(|object| !deleted.contains(&&*id(object)))
        .collect();
    let changed: Objects = objects(&parts)
        .into_iter()
        .map(|object| (id(&object), object))
        .collect();
    for object in &mut mine {
        if let Some(changed) = changed.get(&id(object)) {
            *object = changed.clone();
        }
    }
    let there: Vec<String> = mine.iter().map(id).collect();
    mine.extend(
        objects(&parts)
            .into_iter()
            .filter(|object| !there.contains(&id(object))),
    );
    assert_eq!(mine, objects(&whole));
    let later = json!({"epoch": "0123456789abcdef", "seq": ada.seq});
    let other =
        json!({"type": "hello", "v": 1, "client": new_id(), "since": later, "features": ["base"]});
    let other = come(&relay, 0, other).await.expect("a snapshot");
    assert!(
        other[0].get("base").is_none(),
        "of another epoch nothing can be used"
    );
}

#[tokio::test]
async fn an_older_state_is_continued_over_the_file_by_any_process() {
    what_changed_is_enough(&[], 2).await;
}

#[tokio::test]
async fn an_older_state_is_continued_in_memory() {
    what_changed_is_enough(&["--queue", "off"], 1).await;
}
