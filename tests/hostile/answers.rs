//! Long answers of the server API, asked for by readers that do not read: what they hold is bounded, and who reads gets all.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Relay, http};
use crate::raw::Raw;

const LOCAL: &str = "Host: localhost\r\n";
/// A canvas of 30 MB.
const OBJECTS: usize = 150;
const OBJECT_BYTES: usize = 200_000;
const READERS: usize = 12;
/// What all long answers of a process may hold (`LONG_ANSWERS_BYTES`).
const MOST_BYTES: usize = 128 * 1024 * 1024;
/// Longer than a request waits for room.
const PATIENCE: Duration = Duration::from_secs(20);

async fn fill(relay: &Relay) {
    let path = "/api/v1/canvases/large/messages";
    for n in 0..OBJECTS {
        let text = "x".repeat(OBJECT_BYTES);
        let object = json!({"type": "object-create", "object": {"id": format!("o{n}"), "kind": "k", "text": text}});
        let body = object.to_string();
        let answer = http::ask(relay.address(0), "POST", path, LOCAL, &body)
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// Asks for the canvas's objects and reads the begin of the answer only. Gives its status.
async fn begin(relay: &Relay) -> (Raw, String) {
    let mut raw = Raw::connect_narrow(relay.address(0)).await;
    let request = format!("GET /api/v1/canvases/large/objects HTTP/1.1\r\n{LOCAL}\r\n");
    raw.send(request.as_bytes()).await;
    let mut bytes = Vec::new();
    timeout(PATIENCE, raw.read_into(&mut bytes))
        .await
        .expect("an answer");
    let line = String::from_utf8_lossy(&bytes);
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    (raw, status)
}

#[tokio::test]
async fn readers_that_do_not_read_hold_no_more_than_all_answers_may() {
    let mut relay = Relay::start(1, &["--max-message-bytes=262144"]).await;
    fill(&relay).await;
    let before = relay.process(0).resident_kib();
    let asking = (0..READERS).map(|_| begin(&relay));
    let asked: Vec<(Raw, String)> = futures::future::join_all(asking).await;
    let count = |wanted: &str| asked.iter().filter(|(_, status)| status == wanted).count();
    let room = MOST_BYTES / (OBJECTS * OBJECT_BYTES);
    assert_eq!((count("200"), count("503")), (room, READERS - room));
    let held = relay.process(0).resident_kib().saturating_sub(before) * 1024;
    assert!(held < 2 * MOST_BYTES as u64, "{held} bytes");

    // Those who go give their room back, and who reads gets all of it.
    drop(asked);
    let path = "/api/v1/canvases/large/objects";
    let answer = http::ask(relay.address(0), "GET", path, LOCAL, "")
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string()
    );
    let objects: Value = answer.json();
    let objects = objects["objects"].as_array().unwrap();
    assert_eq!(objects.len(), OBJECTS);
    assert!(
        objects
            .iter()
            .zip(0..)
            .all(|(object, n)| object["id"] == format!("o{n}"))
    );
    relay.unharmed().await;
}
