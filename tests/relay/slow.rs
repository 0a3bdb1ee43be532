//! A reader that does not read: the others don't notice, the process does not grow, and it gets everything in order.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tungstenite::Message;

use crate::harness::client::new_id;
use crate::harness::history::check_agreement;
use crate::harness::{Client, Relay, Socket};

/// More than all buffers between the two ends hold.
const MESSAGES: u64 = 900;
const BYTES: usize = 30_000;

async fn slow_reader(flags: &[&str]) {
    let relay_flags = [flags, &["--write-timeout", "2m"]].concat();
    let mut relay = Relay::start(1, &relay_flags).await;
    let socket = Socket::open_narrow(relay.address(0), "board").await;
    let mut slow = Client::enter(socket, "board", json!({"client": new_id()})).await;
    let mut brisk = relay.join(0, "board").await;
    let mut writer = relay.join(0, "board").await;
    let data = "x".repeat(BYTES);
    let before = relay.process(0).resident_kib();
    for n in 0..MESSAGES {
        writer
            .commit(json!({"type": "broadcast", "event": "blob", "data": [n, data]}))
            .await;
        brisk.reach(n + 1).await;
        let moved = json!({"type": "cursor", "x": n, "y": 0});
        writer.say(moved).await;
    }
    let grown = relay.process(0).resident_kib().saturating_sub(before);
    // 27 MB went by; what a connection may hold is a quarter of a megabyte.
    assert!(grown < 24 * 1024, "{grown} KiB more");
    assert_eq!(slow.seq, 0, "it has not read yet");
    slow.reach(MESSAGES).await;
    let last = MESSAGES - 1;
    slow.hear(|m| m["cursors"][0]["x"] == last).await;
    let cursors = slow.heard_of("cursor-batch").len() as u64;
    assert!(
        cursors < MESSAGES,
        "superseded cursors are dropped: {cursors}"
    );
    check_agreement(&mut [slow, brisk, writer]).await;
}

#[tokio::test]
async fn a_reader_that_pauses_gets_everything_in_order() {
    slow_reader(&[]).await;
}

#[tokio::test]
async fn a_reader_that_never_reads_is_closed() {
    let relay = Relay::start(1, &["--write-timeout", "1s", "--presence-grace", "0s"]).await;
    let socket = Socket::open_narrow(relay.address(0), "board").await;
    let stuck = Client::enter(socket, "board", json!({"client": new_id()})).await;
    let mut writer = relay.join(0, "board").await;
    let data = "x".repeat(BYTES);
    let told = loop {
        writer
            .commit(json!({"type": "broadcast", "event": "blob", "data": data}))
            .await;
        let gone = |m: &&serde_json::Value| m["type"] == "user-disconnected";
        if let Some(told) = writer.heard.iter().find(gone) {
            break told.clone();
        }
        assert!(writer.seq < 20_000, "it is still there");
    };
    assert_eq!(told["client"], stuck.id.as_str());
}

/// Below the oldest retained message the catch-up turns into a snapshot on the same connection.
#[tokio::test]
async fn a_reader_that_pauses_too_long_gets_a_snapshot() {
    let flags = [
        "--message-ttl",
        "1s",
        "--cleanup-interval",
        "100ms",
        "--write-timeout",
        "2m",
    ];
    let relay = Relay::start(1, &flags).await;
    let socket = Socket::open_narrow(relay.address(0), "board").await;
    let mut slow = Client::enter(socket, "board", json!({"client": new_id()})).await;
    let mut writer = relay.join(0, "board").await;
    let create = json!({"type": "object-create", "object": {"id": "a", "kind": "box"}});
    writer.commit(create).await;
    for n in 0..MESSAGES {
        let patch = json!({"n": n, "blob": "x".repeat(BYTES)});
        writer
            .commit(json!({"type": "object-update", "id": "a", "patch": patch}))
            .await;
    }
    relay
        .until_number(
            "SELECT count(*) FROM message_queue WHERE seq IS NOT NULL",
            |n| n == 0,
        )
        .await;
    slow.reach(MESSAGES + 1).await;
    assert_eq!(slow.heard_of("resync").len(), 1, "it was told");
    let next = writer.commit(json!({"type": "chat", "text": "on"})).await;
    slow.reach(next).await;
    check_agreement(&mut [slow, writer]).await;
}

/// The pong is written by whoever reads: that must not use up the sign that the room may push again.
#[tokio::test]
async fn a_reader_that_pings_while_it_catches_up_gets_everything() {
    const COUNT: u64 = 500;
    let mut relay = Relay::start(1, &[]).await;
    // Enough that one write can make all the room that the sign asks for.
    let socket = Socket::open_buffered(relay.address(0), "board", 400_000).await;
    let mut slow = Client::enter(socket, "board", json!({"client": new_id()})).await;
    let mut writer = relay.join(0, "board").await;
    let data = "x".repeat(BYTES);
    for _ in 0..COUNT {
        writer
            .commit(json!({"type": "broadcast", "event": "blob", "data": data}))
            .await;
    }
    // While the process is stopped, its socket gets room and a ping: both are there when it goes on.
    for _ in 0..20 {
        relay.process(0).signal(Signal::STOP);
        let ping = Message::Ping(Default::default());
        slow.socket.send_raw(ping).await.expect("a connection");
        let quiet = Duration::from_millis(50);
        while tokio::time::timeout(quiet, slow.next()).await.is_ok() {}
        relay.process(0).signal(Signal::CONT);
        // So that the socket is full again.
        tokio::time::sleep(quiet).await;
    }
    slow.reach(COUNT).await;
    check_agreement(&mut [slow, writer]).await;
}
