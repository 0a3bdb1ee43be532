//! Somebody removes or overwrites keys that all canvases share, while processes run.

use rustix::process::Signal;
use serde_json::json;

use super::tools::refused;
use super::*;
use crate::hooks::{ask, hooks, into_queue, pop};

/// What somebody does behind the relay's back.
const SHARED: &[&[&str]] = &[
    &["SET", "scumble:relay", "x"],
    &["SET", "scumble:instances", "x"],
    &["SET", "scumble:names", "x"],
    &["SET", "scumble:totals", "x"],
    &["SET", "scumble:due", "x"],
    &["SET", "scumble:leaving", "x"],
    &["SET", "scumble:awaited", "x"],
    &["SET", "scumble:untold", "x"],
    &["SET", "scumble:instance:1", "x"],
    &["SET", "scumble:instance:2:canvases", "x"],
    &["SET", "scumble:samples:now", "x"],
    &[
        "HSET",
        "scumble:totals",
        "log",
        "x",
        "stored",
        "x",
        "recounted",
        "x",
    ],
    &["HSET", "scumble:relay", "skew", "x"],
    &["HSET", "scumble:relay", "commits", "x"],
    &["HSET", "scumble:relay", "era", "x"],
    &["HSET", "scumble:relay", "id", "x"],
    &["HDEL", "scumble:relay", "id"],
    &["HSET", "scumble:relay", "format", "x"],
    &["HSET", "scumble:relay", "format", "7"],
    &["HDEL", "scumble:relay", "format"],
    &["HSET", "scumble:relay", "rules", "x"],
    &["HDEL", "scumble:relay", "rules"],
    &["HSET", "scumble:relay", "run", "x"],
    &["HSET", "scumble:relay", "base", "x"],
    &["HDEL", "scumble:relay", "base"],
    &["HSET", "scumble:relay", "proof", "x"],
    &["HSET", "scumble:relay", "since", "x"],
    &["HSET", "scumble:relay", "hooks", "x"],
    &["HSET", "scumble:relay", "last_instance", "x"],
    &["HSET", "scumble:canvas:board", "takes", "x"],
    &["DEL", "scumble:relay"],
    &["DEL", "scumble:instances"],
    &["DEL", "scumble:names"],
];

/// An object is made, whatever it takes: who is refused sends it again.
async fn make(client: &mut Client, id: &str) {
    client.op(create(id, "x")).await;
    while !client.pending.is_empty() {
        client.settle().await.expect("a connection");
    }
}

/// They are made anew within a second or so; nobody needs to start anything again, and nothing acked is lost.
#[tokio::test]
async fn a_shared_key_that_is_overwritten_is_made_anew() {
    let mut over = Over::start(1, &["--presence-grace", "60s"]).await;
    over.relay.add(&[]).await;
    let mut ada = over.relay.join(0, "board").await;
    let mut ben = over.relay.join(1, "board").await;
    let mut other = over.relay.join(1, "other").await;
    let mut made = 0;
    for action in SHARED {
        over.server.ask(action);
        // Whoever comes back finds it so, too.
        over.server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        made += 1;
        make(&mut ada, &format!("ada-{made}")).await;
        make(&mut ben, &format!("ben-{made}")).await;
        make(&mut other, &format!("{made}")).await;
        if let ["SET", key, _] = action {
            over.until_answer(&["TYPE", key], |kind| kind != "string")
                .await;
        }
        let late = over.relay.join(0, "board").await;
        assert_eq!(late.model.objects.len(), 2 * made, "{action:?}");
        drop(late);
        let late = over.relay.join(0, "other").await;
        assert_eq!(late.model.objects.len(), made, "{action:?}");
    }
    over.until_answer(&["ZCARD", "scumble:names"], |count| count == "2")
        .await;
    let fresh = over.relay.add(&[]).await;
    let late = over.relay.join(fresh, "board").await;
    assert_eq!(late.model.objects.len(), 2 * made);
}

/// Nobody knows which canvases a process has; when it dies, its clients are turned away all the same.
#[tokio::test]
async fn a_process_whose_list_of_canvases_is_gone_lists_them_again() {
    let mut over = Over::start(1, &["--presence-grace", "1s"]).await;
    over.relay.add(&[]).await;
    let ghost = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    let list = ["SMEMBERS", "scumble:instance:2:canvases"];
    assert_eq!(over.server.ask(&list), "board");
    over.server.ask(&["DEL", list[1]]);
    over.until_answer(&list, |names| names == "board").await;
    over.relay.process(1).kill().await;
    while roster(&ada).iter().any(|(id, _)| *id == ghost.id) {
        ada.next().await.expect("connected");
    }
}

/// The lease of a dead process ends by itself. Who made it one without an end keeps no ghosts by that.
#[tokio::test]
async fn a_lease_without_an_end_keeps_no_ghosts() {
    let mut over = Over::start(1, &["--presence-grace", "1s"]).await;
    over.relay.add(&[]).await;
    let ghost = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    over.relay.process(1).signal(Signal::STOP);
    over.server.ask(&["SET", "scumble:instance:2:reaping", "x"]);
    over.relay.process(1).kill().await;
    while roster(&ada).iter().any(|(id, _)| *id == ghost.id) {
        ada.next().await.expect("connected");
    }
}

/// Canvases know the batches of each process by its number. A process that got the number of a dead one would not be
/// heard.
#[tokio::test]
async fn no_number_is_given_twice_after_the_relay_was_removed() {
    let mut over = Over::start(1, &["--presence-grace", "1s"]).await;
    over.relay.add(&[]).await;
    let mut ghost = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    for n in 0..30 {
        ghost.commit(create(&format!("o{n}"), "x")).await;
    }
    over.relay.process(1).kill().await;
    over.until_instances(1).await;
    over.server.ask(&["DEL", "scumble:relay"]);
    make(&mut ada, "a").await;
    let fresh = over.relay.add(&[]).await;
    let mut ben = over.relay.join(fresh, "board").await;
    ben.commit(create("b", "x")).await;
    let numbers = over.server.ask(&["ZRANGE", "scumble:instances", "0", "-1"]);
    assert!(!numbers.lines().any(|number| number == "2"), "{numbers}");
    assert_eq!(ben.model.objects.len(), 32);
}

/// The version of the hooks is in the same hash.
#[tokio::test]
async fn hooks_are_told_after_the_relay_was_removed() {
    let over = Over::start(1, &[]).await;
    hooks(&over.relay, into_queue(&["object.*"])).await;
    let mut ada = over.relay.join(0, "board-1").await;
    ada.commit(create("a", "x")).await;
    pop(&over.relay, 0, "events", 1).await;
    over.server.ask(&["DEL", "scumble:relay"]);
    make(&mut ada, "b").await;
    let events = pop(&over.relay, 0, "events", 1).await;
    assert_eq!(events[0]["seq"], ada.seq, "{events:?}");
}

/// What was in the tables is gone; the queue begins anew, and no canvas notices.
#[tokio::test]
async fn a_queue_whose_tables_are_overwritten_begins_anew() {
    let over = Over::start(1, &[]).await;
    let push = async |text: &str| {
        let item = json!({"queue": "q", "payload": text});
        let body = json!({"items": [item]}).to_string();
        ask(&over.relay, 0, "POST", "/api/v1/push", &body).await
    };
    assert_eq!(push("a").await.0, 201);
    let keys = over.server.ask(&["KEYS", "scumble:{jobs}:*"]);
    assert!(keys.lines().count() > 4, "{keys}");
    for key in keys.lines() {
        over.server.ask(&["SET", key, "x"]);
    }
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(create("a", "x")).await;
    let mut told = String::new();
    for _ in 0..4 * keys.lines().count() {
        let (status, answer) = push("b").await;
        if status == 201 {
            return;
        }
        told = answer;
    }
    panic!("{told}");
}

/// Where no process runs, doctor says what is to be done.
#[tokio::test]
async fn doctor_names_a_key_that_was_overwritten() {
    let mut over = Over::start(1, &[]).await;
    let url = over.server.url();
    end_all(&mut over.relay, &[0], Signal::TERM).await;
    over.server.ask(&["SET", "scumble:due", "x"]);
    let told = refused(1, &["doctor", "--redis", &url]).await;
    assert!(
        told.contains("finding  keys: the key scumble:due is a string"),
        "{told}"
    );
    over.server.ask(&["SET", "scumble:relay", "x"]);
    let told = refused(2, &["doctor", "--redis", &url]).await;
    assert!(told.contains("the key scumble:relay is a string"), "{told}");
}
