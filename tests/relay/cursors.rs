//! The ephemeral lane: cursors in batches, signals once.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{Client, Relay};

/// Two on the first process, one on the second, all aware of each other.
async fn three(relay: &Relay) -> [Client; 3] {
    let mut ada = relay.join(0, "board").await;
    let mut here = relay.join(0, "board").await;
    let there = relay.join(1, "board").await;
    for client in [&mut ada, &mut here] {
        let joined = |m: &Value| m["type"] == "user-connected" && m["client"] == there.id.as_str();
        client.hear(joined).await;
    }
    [ada, here, there]
}

fn cursor(x: u64) -> Value {
    json!({"type": "cursor", "x": x, "y": 0.5, "tool": "pen"})
}

/// What a client heard of another's cursor, in order.
fn positions(client: &Client, of: &str) -> Vec<u64> {
    let batches = client.heard_of("cursor-batch").into_iter();
    let cursors = batches.flat_map(|m| m["cursors"].as_array().expect("cursors"));
    let of = cursors.filter(|cursor| cursor["client"] == of);
    of.map(|cursor| cursor["x"].as_u64().expect("x")).collect()
}

fn shows(m: &Value, client: &str, x: u64) -> bool {
    let cursors = m["cursors"].as_array();
    cursors.is_some_and(|all| all.iter().any(|c| c["client"] == client && c["x"] == x))
}

async fn cursors_arrive(flags: &[&str]) {
    let relay = Relay::start(2, flags).await;
    let [mut ada, mut here, mut there] = three(&relay).await;
    ada.say(cursor(1)).await;
    for client in [&mut here, &mut there] {
        let batch = client.until(|m| m["type"] == "cursor-batch").await;
        let expected = json!([{"client": ada.id, "x": 1, "y": 0.5, "tool": "pen"}]);
        assert_eq!(batch["cursors"], expected, "the leading edge");
    }
    let began = Instant::now();
    for x in 2..=400 {
        ada.say(cursor(x)).await;
        here.say(cursor(x)).await;
    }
    let (a, h) = (ada.id.clone(), here.id.clone());
    here.until(|m| shows(m, &a, 400)).await;
    ada.until(|m| shows(m, &h, 400)).await;
    while positions(&there, &a).last() != Some(&400) || positions(&there, &h).last() != Some(&400) {
        there.next().await.expect("connected");
    }
    let ticks = began.elapsed().as_millis() / 33 + 1;
    for (client, of) in [(&here, &a), (&there, &a), (&ada, &h), (&there, &h)] {
        let seen = positions(client, of);
        assert!(
            seen.is_sorted_by(|a, b| a < b),
            "heard twice or back: {seen:?}"
        );
        let batches = client.heard_of("cursor-batch").len() as u128;
        // At most a leading edge and a batch a tick; from two processes at the most.
        assert!(
            batches <= 2 * ticks + 2,
            "{batches} batches in {ticks} ticks"
        );
    }
    let rows = relay
        .number("SELECT count(*) FROM message_queue WHERE seq IS NULL AND payload LIKE '%\"x\":%'");
    assert!(
        rows > 0 && rows as u128 <= 2 * ticks + 2,
        "{rows} rows in {ticks} ticks"
    );
    // Who comes later sees where they are.
    let late = relay.join(0, "board").await;
    let users = late.welcome["users"].as_array().expect("users");
    let ada_there = users
        .iter()
        .find(|u| u["client"] == a.as_str())
        .expect("here");
    assert_eq!(ada_there["cursor"]["x"], 400);
}

#[tokio::test]
async fn cursors_go_out_at_once_and_then_in_batches() {
    cursors_arrive(&[]).await;
}

#[tokio::test]
async fn cursors_are_heard_once_without_local_broadcast() {
    cursors_arrive(&["--local-broadcast", "off"]).await;
}

#[tokio::test]
async fn cursors_of_a_canvas_on_one_process_are_not_written() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut here = relay.join(0, "board").await;
    for x in 0..50 {
        ada.say(cursor(x)).await;
    }
    let a = ada.id.clone();
    here.until(|m| shows(m, &a, 49)).await;
    let rows = "SELECT count(*) FROM message_queue WHERE payload LIKE '%\"x\":%'";
    assert_eq!(relay.number(rows), 0);
    // Who joins elsewhere a moment later is told, in its welcome or with the next tick.
    let mut there = relay.join(1, "board").await;
    let users = there.welcome["users"].as_array().expect("users");
    let told = users.iter().find(|u| u["client"] == a.as_str());
    if told.expect("here")["cursor"]["x"] != 49 {
        there.hear(|m| shows(m, &a, 49)).await;
    }
}

async fn signals_arrive(flags: &[&str]) {
    let relay = Relay::start(2, flags).await;
    let [mut ada, mut here, mut there] = three(&relay).await;
    for n in 0..40 {
        ada.say(json!({"type": "signal", "event": "laser", "data": {"n": n}}))
            .await;
        if n % 10 == 0 {
            ada.commit(json!({"type": "chat", "text": "between"})).await;
        }
    }
    let head = ada.seq;
    for client in [&mut here, &mut there] {
        client
            .until(|m| m["type"] == "signal" && m["data"]["n"] == 39)
            .await;
        client.reach(head).await;
        let heard = client.heard_of("signal");
        let numbers: Vec<u64> = heard
            .iter()
            .filter_map(|m| m["data"]["n"].as_u64())
            .collect();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>(), "once, in order");
        assert!(
            heard
                .iter()
                .all(|m| m["client"] == ada.id.as_str() && m["event"] == "laser")
        );
    }
    // What comes round through the queue would be here before the answer to this.
    there.commit(json!({"type": "chat", "text": "last"})).await;
    ada.reach(head + 1).await;
    assert!(
        ada.heard_of("signal").is_empty(),
        "its own are not told to it"
    );
}

#[tokio::test]
async fn signals_are_heard_once_on_every_process() {
    signals_arrive(&[]).await;
}

#[tokio::test]
async fn signals_are_heard_once_without_local_broadcast() {
    signals_arrive(&["--local-broadcast", "off"]).await;
}

#[tokio::test]
async fn what_is_ephemeral_is_not_told_to_who_comes_later() {
    let relay = Relay::start(2, &[]).await;
    let [mut ada, mut here, _there] = three(&relay).await;
    ada.say(json!({"type": "signal", "event": "e", "data": 1}))
        .await;
    ada.say(cursor(7)).await;
    here.until(|m| m["type"] == "cursor-batch").await;
    // A new process starts where the queue ends, not where it begins.
    let mut relay = relay;
    let fresh = relay.add(&[]).await;
    let mut late = relay.join(fresh, "board").await;
    let seq = ada.commit(json!({"type": "chat", "text": "now"})).await;
    late.reach(seq).await;
    assert!(late.heard_of("signal").is_empty(), "{:?}", late.heard);
}
