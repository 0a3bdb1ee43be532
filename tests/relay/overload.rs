//! A queue that can't commit: refused ops are named, order survives the refusal, nothing is taken half.

use serde_json::{Value, json};

use crate::harness::history::check_agreement;
use crate::harness::{Relay, Socket};

fn chat(n: u64) -> Value {
    json!({"type": "chat", "text": format!("{n}")})
}

#[tokio::test]
async fn order_survives_refusals() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut bob = relay.join(1, "board").await;
    ada.commit(chat(1)).await;
    let lock = relay.writer();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    for n in 2..=6 {
        ada.op(chat(n)).await;
    }
    // The wait for the lock has a bound; then the ops are refused, each by its number.
    for op in 2..=6 {
        let refused = ada.until(|m| m["type"] == "error" && m["op"] == op).await;
        assert_eq!(refused["code"], "overloaded");
        assert!(refused["retry_after_ms"].as_u64() > Some(0));
    }
    lock.execute_batch("COMMIT").expect("the end of it");
    // A later one must not be taken before the first that was refused.
    let op = ada.op(chat(7)).await;
    let held = ada.until(|m| m["type"] == "error" && m["op"] == op).await;
    assert_eq!(held["code"], "overloaded");
    let late = json!({"type": "chat", "op": 4, "text": "4"});
    ada.say(late).await;
    let held = ada.until(|m| m["op"] == 4).await;
    assert_eq!(held["code"], "overloaded");
    ada.resend().await.expect("connected");
    ada.settle().await.expect("connected");
    let texts: Vec<&str> = ada
        .model
        .chat
        .iter()
        .filter_map(|m| m["text"].as_str())
        .collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6", "7"]);
    bob.reach(7).await;
    check_agreement(&mut [ada, bob]).await;
}

#[tokio::test]
async fn a_busy_file_is_waited_for() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut bob = relay.join(1, "board").await;
    let lock = relay.writer();
    for round in 0..5 {
        lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        ada.op(chat(round)).await;
        bob.op(chat(round)).await;
        ada.say(json!({"type": "ping", "ts": round})).await;
        ada.until(|m| m["type"] == "pong").await;
        assert_eq!(
            ada.pending.len(),
            1,
            "nothing is acked before it is committed"
        );
        lock.execute_batch("COMMIT").expect("the end of it");
        ada.settle().await.expect("connected");
        bob.settle().await.expect("connected");
    }
    assert!(ada.heard_of("error").is_empty(), "{:?}", ada.heard);
    check_agreement(&mut [ada, bob]).await;
}

/// A flood beyond every bound: what is refused is sent again, and all of it arrives once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_arrives_whole() {
    let relay = Relay::start(2, &[]).await;
    let mut floods = tokio::task::JoinSet::new();
    for n in 0..8 {
        let mut client = relay.join(n % 2, "board").await;
        floods.spawn(async move {
            // As fast as the socket takes them, without waiting for an answer.
            for n in 0..1_200 {
                client.op(chat(n)).await;
            }
            client.settle().await.expect("connected");
            client
        });
    }
    let mut clients = floods.join_all().await;
    assert_eq!(clients.iter().map(|client| client.seq).max(), Some(9_600));
    check_agreement(&mut clients).await;
}

/// Who can't be taken in is told so, and sent to try again.
#[tokio::test]
async fn a_join_that_cannot_be_committed_is_turned_away() {
    let relay = Relay::start(1, &[]).await;
    let ada = relay.join(0, "board").await;
    let lock = relay.writer();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let mut socket = Socket::open(relay.address(0), "board").await.expect("up");
    let hello = json!({"type": "hello", "v": 1, "client": "client-late"});
    socket.send(&hello).await.expect("sent");
    let error = socket.receive().await.expect("an error");
    assert_eq!(error["code"], "overloaded", "{error}");
    assert!(error["retry_after_ms"].as_u64() > Some(0));
    assert_eq!(socket.ended().await.code, Some(4503));
    lock.execute_batch("COMMIT").expect("the end of it");
    let late = relay.join(0, "board").await;
    let users = late.welcome["users"].as_array().expect("users");
    let here = |id: &str| users.iter().any(|u| u["client"] == id);
    assert!(here(&ada.id) && !here("client-late"), "{users:?}");
}
