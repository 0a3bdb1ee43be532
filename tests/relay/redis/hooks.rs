//! Hooks over Redis: processes die between a stroke and its events, or all of them do; each event is in its queue once.

use serde_json::{Value, json};

use super::*;
use crate::hooks::{ask, hooks, into_queue, is_empty, pop, types};

/// The head of a canvas.
async fn head(relay: &Relay, n: usize, canvas: &str) -> u64 {
    let path = format!("/api/v1/canvases/{canvas}");
    let (_, shown) = ask(relay, n, "GET", &path, "").await;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    shown["head"].as_u64().expect("a head")
}

fn places(events: &[Value]) -> Vec<u64> {
    let place = |event: &Value| event["seq"].as_u64().expect("a place");
    events.iter().map(place).collect()
}

/// Pops as many events as the canvas has messages: each of them, in their order, and no more.
async fn each_once(relay: &Relay, n: usize, canvas: &str) {
    let head = head(relay, n, canvas).await;
    let count = usize::try_from(head).expect("few");
    let events = pop(relay, n, "events", count).await;
    assert_eq!(places(&events), (1..=head).collect::<Vec<_>>());
    let path = "/api/v1/pop/queue/events?batch=100&autoAck=true&wait=true&timeout=700";
    let (status, body) = ask(relay, n, "GET", path, "").await;
    assert_eq!(status, 204, "{body}");
}

/// Writes until the process is gone; gives how many messages were acknowledged.
async fn write_until_gone(client: &mut Client, text: &str) -> u64 {
    let mut n = 0;
    while client.try_op(create(&n.to_string(), text)).await.is_ok() && client.settle().await.is_ok()
    {
        n += 1;
        assert!(n < 2_000, "it never died");
    }
    n
}

#[tokio::test]
async fn a_process_killed_before_or_after_it_tells_leaves_each_event_once() {
    for step in ["before-tell", "after-tell"] {
        let mut over = Over::start(1, &["--message-ttl=10m"]).await;
        hooks(&over.relay, into_queue(&["object.*"])).await;
        let point = format!("--fail-point={step}=abort@9");
        let dying = over.relay.add(&[&point]).await;
        let mut ada = over.relay.join(dying, "board-1").await;
        let acked = write_until_gone(&mut ada, "x").await;
        // The other process has never heard of that canvas.
        assert!(head(&over.relay, 0, "board-1").await >= acked && acked > 3);
        each_once(&over.relay, 0, "board-1").await;
        // What is told is looked for no more.
        over.until_answer(&["SCARD", "scumble:untold"], |count| count == "0")
            .await;
    }
}

#[tokio::test]
async fn all_processes_are_killed_and_the_next_one_tells_what_they_did_not() {
    let flags = ["--message-ttl=10m", "--presence-grace=300ms"];
    let mut over = Over::start(1, &flags).await;
    hooks(
        &over.relay,
        into_queue(&["object.*", "client.*", "canvas.*"]),
    )
    .await;
    let dying = over.relay.add(&["--fail-point=before-tell=abort@30"]).await;
    let mut ada = over.relay.join(dying, "board-1").await;
    // More than one snapshot: none may be ahead of what was told.
    let acked = write_until_gone(&mut ada, &"x".repeat(20_000)).await;
    end_all(&mut over.relay, &[0], rustix::process::Signal::KILL).await;
    let next = over.relay.add(&[]).await;
    // Nobody asks for the canvas.
    let head = head(&over.relay, next, "board-1").await;
    assert!(head >= acked && acked > 10, "{acked}, {head}");
    let count = usize::try_from(head).expect("few") + 4;
    let events = pop(&over.relay, next, "events", count).await;
    let kinds = types(&events);
    assert_eq!(kinds[..2], ["canvas.opened", "client.joined"]);
    assert_eq!(kinds[count - 2..], ["client.left", "canvas.idle"]);
    let strokes = &events[2..count - 2];
    assert_eq!(places(strokes), (1..=head).collect::<Vec<_>>());
    tokio::time::sleep(Duration::from_millis(700)).await;
    let path = "/api/v1/pop/queue/events?batch=100&autoAck=true";
    let (status, body) = ask(&over.relay, next, "GET", path, "").await;
    assert_eq!(status, 204, "{body}");
}

#[tokio::test]
async fn while_processes_come_and_go_each_event_is_told_once_and_in_order() {
    let mut over = Over::start(3, &["--message-ttl=10m"]).await;
    hooks(&over.relay, into_queue(&["object.*"])).await;
    let mut writers = Vec::new();
    for n in 0..3 {
        writers.push(over.relay.join(n, "board-1").await);
    }
    for round in 0..40 {
        for (n, ada) in writers.iter_mut().enumerate() {
            let id = format!("{n}-{round}");
            ada.op(create(&id, "x")).await;
        }
        if round == 20 {
            // It is the one who tells: its clients were here first.
            over.relay.process(0).kill().await;
            drop(writers.remove(0));
        }
        for ada in &mut writers {
            ada.settle().await.expect("connected");
        }
    }
    each_once(&over.relay, 1, "board-1").await;
}

#[tokio::test]
async fn a_process_with_another_file_of_hooks_says_so_and_follows_what_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, queue: &str| {
        let path = folder.path().join(name);
        let text = format!(
            "[[hook]]\nname = \"save\"\ncanvases = [\"*\"]\nevents = [\"chat.sent\"]\nqueue = \"{queue}\"\n"
        );
        std::fs::write(&path, text).expect("written");
        format!("--hooks={}", path.display())
    };
    let mut over = Over::start(0, &[]).await;
    let one = over.relay.add(&[&file("one.toml", "first")]).await;
    let two = over.relay.add(&[&file("two.toml", "second")]).await;
    assert!(
        over.relay
            .log(two)
            .contains("the relay follows other hooks than those of this file"),
        "{}",
        over.relay.log(two)
    );
    let mut ada = over.relay.join(two, "board-1").await;
    ada.commit(chat("one")).await;
    let events = pop(&over.relay, one, "first", 1).await;
    assert_eq!(events[0]["data"]["text"], "one");
    // From the very next stroke on, whichever process takes it.
    over.relay.process(two).signal(rustix::process::Signal::HUP);
    eventually("the other hooks", || async {
        let log = over.relay.log(two);
        log.contains("the relay's hooks are those of this file")
            .then_some(())
    })
    .await;
    let mut ben = over.relay.join(one, "board-1").await;
    ben.commit(chat("two")).await;
    let events = pop(&over.relay, one, "second", 1).await;
    assert_eq!(events[0]["data"]["text"], "two");
    is_empty(&over.relay, "first").await;
}

#[tokio::test]
async fn a_redis_that_lost_its_last_moments_is_told_anew_what_it_has_and_hooks_go_on() {
    let mut over = Over::start(2, &["--message-ttl=10m"]).await;
    hooks(&over.relay, into_queue(&["object.*"])).await;
    let mut ada = over.relay.join(1, "board-1").await;
    for n in 0..5 {
        ada.commit(create(&n.to_string(), "x")).await;
    }
    assert_eq!(pop(&over.relay, 0, "events", 5).await.len(), 5);
    let copy = over.server.copy();
    for n in 5..9 {
        ada.commit(create(&n.to_string(), "x")).await;
    }
    assert_eq!(pop(&over.relay, 0, "events", 4).await.len(), 4);
    over.server.go_back_to(&copy);
    let address = over.relay.address(1);
    come_back(&mut ada, address).await;
    ada.commit(create("after", "x")).await;
    let events = pop(&over.relay, 0, "events", 1).await;
    let last = events.last().expect("it is told");
    assert_eq!(last["data"]["object"]["id"], "after", "{events:?}");
}

#[tokio::test]
async fn without_hooks_nothing_of_them_is_in_redis() {
    let over = Over::start(1, &[]).await;
    let mut ada = over.relay.join(0, "board-1").await;
    ada.commit(create("a", "x")).await;
    assert_eq!(over.server.ask(&["EXISTS", "scumble:untold"]), "0");
    let told = ["HEXISTS", "scumble:canvas:board-1", "told"];
    assert_eq!(over.server.ask(&told), "0");
    // Hooks that want nothing of it cost a member of a set, for a moment.
    hooks(
        &over.relay,
        json!([{ "name": "save", "canvases": ["plan-*"], "events": ["*"], "queue": "events" }]),
    )
    .await;
    ada.commit(create("b", "x")).await;
    over.until_answer(&["EXISTS", "scumble:untold"], |there| there == "0")
        .await;
    assert_eq!(over.server.ask(&told), "0");
    hooks(&over.relay, json!([])).await;
    ada.commit(create("c", "x")).await;
    assert_eq!(over.server.ask(&["HEXISTS", "scumble:relay", "hooks"]), "0");
}
