//! Who is here: over all processes, away and back, taken over, lost with a process.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Client, Relay, Socket};

/// Whether a message is about that client.
fn about<'a>(kind: &'a str, client: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |m| m["type"] == kind && m["client"] == client
}

fn roster_messages(client: &Client, id: &str) -> Vec<Value> {
    let kinds = ["user-connected", "user-disconnected", "presence"];
    let wanted = |m: &&Value| {
        m["client"] == id && m["type"].as_str().is_some_and(|kind| kinds.contains(&kind))
    };
    client.heard.iter().filter(wanted).cloned().collect()
}

#[tokio::test]
async fn who_comes_is_told_to_everyone_on_every_process() {
    let relay = Relay::start(2, &[]).await;
    let mut here = relay.join(0, "board").await;
    let mut there = relay.join(1, "board").await;
    here.until(about("user-connected", &there.id)).await;
    let socket = Socket::open(relay.address(0), "board").await.expect("up");
    let user = json!({"name": "Ada", "color": "teal"});
    let hello = json!({"client": "client-ada", "user": user});
    let mut ada = Client::enter(socket, "board", hello).await;
    for client in [&mut here, &mut there] {
        let told = client.until(about("user-connected", "client-ada")).await;
        assert_eq!(told["user"], user);
    }
    ada.say(json!({"type": "bye"})).await;
    let left = Instant::now();
    for client in [&mut here, &mut there] {
        let told = client.until(about("user-disconnected", "client-ada")).await;
        assert_eq!(told["reason"], "left");
        assert_eq!(roster_messages(client, "client-ada").len(), 2);
    }
    // The client has not even answered the close frame.
    assert!(
        left.elapsed() < Duration::from_millis(1_900),
        "{:?}",
        left.elapsed()
    );
    assert_eq!(ada.closed().await, Some(1000));
}

#[tokio::test]
async fn presence_is_merged_and_kept_for_who_comes_later() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut here = relay.join(0, "board").await;
    let mut there = relay.join(1, "board").await;
    for state in [
        json!({"typing": true, "view": {"x": 1, "y": 2}}),
        json!({"typing": null, "view": {"y": 3}}),
        json!({"selection": ["a", "b"]}),
    ] {
        ada.say(json!({"type": "presence", "state": state})).await;
    }
    let merged = json!({"view": {"x": 1, "y": 3}, "selection": ["a", "b"]});
    for client in [&mut here, &mut there] {
        let last = |m: &Value| m["type"] == "presence" && m["state"] == merged;
        let told = client.until(last).await;
        assert_eq!(told["client"], ada.id.as_str());
        assert!(told.get("away").is_none(), "{told}");
    }
    let late = relay.join(1, "board").await;
    let users = late.welcome["users"].as_array().expect("users");
    let user = users.iter().find(|u| u["client"] == ada.id.as_str());
    assert_eq!(user.expect("she is here")["state"], merged);
    let large = json!({"type": "presence", "state": {"x": "x".repeat(33_000)}});
    ada.say(large).await;
    let refused = ada.until(|m| m["type"] == "error").await;
    assert_eq!(refused["code"], "too-large");
    assert!(
        ada.heard_of("presence").is_empty(),
        "nobody hears of itself"
    );
}

#[tokio::test]
async fn who_is_back_within_the_grace_was_only_away() {
    let mut relay = Relay::start(3, &["--presence-grace", "20s"]).await;
    let mut watcher = relay.join(1, "board").await;
    let mut neighbour = relay.join(2, "board").await;
    let mut ada = relay.join(0, "board").await;
    ada.say(json!({"type": "presence", "state": {"tool": "pen"}}))
        .await;
    for client in [&mut watcher, &mut neighbour] {
        client.until(about("presence", &ada.id)).await;
        client.heard.clear();
    }
    relay.process(0).kill().await;
    let died = Instant::now();
    for client in [&mut watcher, &mut neighbour] {
        let told = client.until(about("presence", &ada.id)).await;
        assert_eq!(told["away"], true, "{told}");
    }
    // A second is promised; a busy machine gets three.
    assert!(
        died.elapsed() < Duration::from_secs(3),
        "{:?}",
        died.elapsed()
    );
    let late = relay.join(1, "board").await;
    let users = late.welcome["users"].as_array().expect("users");
    let user = users.iter().find(|u| u["client"] == ada.id.as_str());
    assert_eq!(user.expect("she is kept")["away"], true);
    ada.resume(relay.address(2)).await.expect("resumed");
    for client in [&mut watcher, &mut neighbour] {
        client.until(about("presence", &ada.id)).await;
        let told: Vec<Value> = roster_messages(client, &ada.id);
        let away = |away: bool| json!({"type": "presence", "client": ada.id, "away": away});
        assert_eq!(told, [away(true), away(false)], "no flicker");
    }
}

#[tokio::test]
async fn who_is_not_back_after_the_grace_is_gone_with_its_process() {
    let mut relay = Relay::start(2, &["--presence-grace", "1s"]).await;
    let mut watcher = relay.join(1, "board").await;
    let ada = relay.join(0, "board").await;
    watcher.until(about("user-connected", &ada.id)).await;
    relay.process(0).kill().await;
    let gone = watcher.until(about("user-disconnected", &ada.id)).await;
    assert_eq!(gone["reason"], "instance-lost");
    let kinds: Vec<Value> = roster_messages(&watcher, &ada.id);
    let kinds: Vec<&str> = kinds.iter().filter_map(|m| m["type"].as_str()).collect();
    assert_eq!(kinds, ["user-connected", "presence", "user-disconnected"]);
    assert_eq!(relay.number("SELECT count(*) FROM instances"), 1);
    assert_eq!(relay.number("SELECT count(*) FROM presence"), 1);
    let late = relay.join(1, "board").await;
    assert_eq!(late.welcome["users"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn exactly_one_of_many_reaps() {
    let mut relay = Relay::start(4, &["--presence-grace", "1s"]).await;
    let mut watchers = Vec::new();
    for process in 1..4 {
        watchers.push(relay.join(process, "board").await);
    }
    let ada = relay.join(0, "board").await;
    relay.process(0).kill().await;
    for watcher in &mut watchers {
        let gone = about("user-disconnected", &ada.id);
        watcher.until(gone).await;
        // What was told twice would be in front of the message that comes after.
    }
    for n in 0..3 {
        let seq = watchers[n]
            .commit(json!({"type": "chat", "text": "after"}))
            .await;
        for watcher in &mut watchers {
            watcher.reach(seq).await;
        }
    }
    for watcher in &watchers {
        let told = roster_messages(watcher, &ada.id);
        let of = |kind: &str| told.iter().filter(|m| m["type"] == kind).count();
        assert_eq!(
            (of("presence"), of("user-disconnected")),
            (1, 1),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_newer_connection_of_the_same_client_takes_over() {
    let relay = Relay::start(2, &[]).await;
    for process in [0, 1] {
        let canvas = format!("board-{process}");
        let mut watcher = relay.join(0, &canvas).await;
        let mut older = relay.join(0, &canvas).await;
        older.commit(json!({"type": "chat", "text": "first"})).await;
        watcher.hear(about("user-connected", &older.id)).await;
        let socket = Socket::open(relay.address(process), &canvas).await;
        let hello = json!({"client": older.id});
        let mut newer = Client::enter(socket.expect("up"), &canvas, hello).await;
        assert_eq!(newer.welcome["acked_op"], 1);
        assert_eq!(older.closed().await, Some(4409), "on process {process}");
        newer.op = 1;
        let seq = newer
            .commit(json!({"type": "chat", "text": "second"}))
            .await;
        watcher.reach(seq).await;
        let told = roster_messages(&watcher, &older.id);
        assert_eq!(told.len(), 1, "a takeover is silent: {told:?}");
        let late = relay.join(process, &canvas).await;
        assert_eq!(late.welcome["users"].as_array().map(Vec::len), Some(3));
    }
}

#[tokio::test]
async fn many_takeovers_leave_one() {
    let relay = Relay::start(2, &[]).await;
    let mut connections = Vec::new();
    for n in 0..12 {
        let socket = Socket::open(relay.address(n % 2), "board").await;
        let hello = json!({"client": "client-same"});
        connections.push(Client::enter(socket.expect("up"), "board", hello).await);
    }
    let mut last = connections.pop().expect("twelve");
    for mut older in connections {
        assert_eq!(older.closed().await, Some(4409));
    }
    last.commit(json!({"type": "chat", "text": "still here"}))
        .await;
    assert_eq!(relay.number("SELECT count(*) FROM presence"), 1);
}

#[tokio::test]
async fn a_stopped_process_is_reaped_and_comes_back() {
    let mut relay = Relay::start(2, &["--presence-grace", "2s"]).await;
    let mut watcher = relay.join(1, "board").await;
    let mut ada = relay.join(0, "board").await;
    ada.commit(json!({"type": "chat", "text": "before"})).await;
    watcher.hear(about("user-connected", &ada.id)).await;
    watcher.heard.clear();
    relay.process(0).signal(Signal::STOP);
    let told = watcher.until(about("presence", &ada.id)).await;
    assert_eq!(told["away"], true);
    watcher.until(about("user-disconnected", &ada.id)).await;
    relay
        .until_number("SELECT count(*) FROM instances", |n| n == 1)
        .await;
    watcher
        .commit(json!({"type": "chat", "text": "meanwhile"}))
        .await;
    relay.process(0).signal(Signal::CONT);
    relay
        .until_number("SELECT count(*) FROM instances", |n| n == 2)
        .await;
    // Its client either goes on or is sent away to resume; nothing is lost either way.
    if ada
        .try_op(json!({"type": "chat", "text": "after"}))
        .await
        .is_err()
        || ada.settle().await.is_err()
    {
        ada.resume(relay.address(0)).await.expect("resumed");
        ada.settle().await.expect("connected");
    }
    watcher.reach(ada.seq).await;
    watcher
        .hear(|m| m["type"] == "user-connected" && m["client"] == ada.id.as_str())
        .await;
    let head = watcher.seq;
    ada.reach(head).await;
    let late = relay.join(0, "board").await;
    assert_eq!(late.welcome["users"].as_array().map(Vec::len), Some(3));
    crate::harness::history::check_agreement(&mut [ada, watcher, late]).await;
}
