//! Joining and resuming: what is recoverable, what comes then, and in which parts.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::history::check_agreement;
use crate::harness::{Client, Random, Relay, Socket};

/// A new client that says to hold `since`.
async fn join_since(relay: &Relay, process: usize, since: Value) -> Client {
    let socket = Socket::open(relay.address(process), "board").await;
    let id = crate::harness::client::new_id();
    let hello = json!({"client": id, "since": since});
    Client::enter(socket.expect("up"), "board", hello).await
}

#[tokio::test]
async fn what_is_recoverable_and_what_is_not() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    ada.write(&mut Random::new(), 60, 8)
        .await
        .expect("connected");
    let head = ada.seq;
    let mut clients = vec![];
    for process in [0, 1] {
        for seq in [0, 1, head / 2, head - 1, head] {
            let since = json!({"epoch": ada.epoch, "seq": seq});
            let mut client = join_since(&relay, process, since).await;
            assert_eq!(client.welcome["mode"], "resume", "from {seq}");
            assert_eq!(client.seq, seq, "it goes on from what it has");
            client.reach(head).await;
            clients.push(client);
        }
        for (epoch, seq) in [
            (ada.epoch.as_str(), head + 1),
            (ada.epoch.as_str(), 1 << 53),
            ("0123456789abcdef", 1),
            ("not an epoch", 1),
        ] {
            let since = json!({"epoch": epoch, "seq": seq});
            let client = join_since(&relay, process, since).await;
            assert_eq!(client.welcome["mode"], "snapshot", "{epoch} {seq}");
            assert_eq!(client.seq, head, "the state exactly at the head");
            assert_eq!(client.model, ada.model);
        }
    }
    for client in &clients {
        assert_eq!(client.welcome["seq"], head);
    }
    crate::harness::check_history(clients.iter().chain([&ada]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_during_writing_has_no_gap_and_no_repeat() {
    let relay = Relay::start(3, &[]).await;
    let mut random = Random::new();
    let mut reader = relay.join(0, "board").await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..3 {
        let (mut writer, mut random) = (relay.join(n, "board").await, random.fork());
        writers.spawn(async move {
            writer.write(&mut random, 400, 32).await.expect("connected");
            writer
        });
    }
    for n in 0..12 {
        reader.reach(reader.seq + 1 + random.below(60)).await;
        reader.resume(relay.address(n % 3)).await.expect("resumed");
        assert_eq!(reader.welcome["mode"], "resume");
    }
    let mut clients = writers.join_all().await;
    clients.push(reader);
    check_agreement(&mut clients).await;
}

#[tokio::test]
async fn a_large_canvas_comes_in_parts() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    for n in 0..30 {
        let object = json!({"id": format!("{n}"), "kind": "blob", "data": "x".repeat(40_000)});
        ada.op(json!({"type": "object-create", "object": object}))
            .await;
        ada.op(json!({"type": "chat", "text": "y".repeat(3_000)}))
            .await;
    }
    ada.settle().await.expect("connected");
    let mut late = Socket::open(relay.address(1), "board").await.expect("up");
    let hello = json!({"type": "hello", "v": 1, "client": "client-late"});
    late.send(&hello).await.expect("sent");
    late.receive().await.expect("a welcome");
    let mut parts = 0;
    loop {
        let part = late.receive().await.expect("a part");
        assert_eq!(part["part"], parts);
        parts += 1;
        if part["last"] == true {
            break;
        }
    }
    assert!(parts > 2, "{parts} parts for 1.3 MB");
    // The client checks each part's size and what they make together.
    let late = relay.join(1, "board").await;
    check_agreement(&mut [ada, late]).await;
}

#[tokio::test]
async fn who_joins_gets_the_state_as_it_is_then() {
    for flags in [&["--queue", "off"][..], &[]] {
        let relay = Relay::start(1, flags).await;
        let mut ada = relay.join(0, "board").await;
        for n in 0..10 {
            let object = json!({"id": "a", "kind": "box", "n": n});
            let seq = ada
                .commit(json!({"type": "object-create", "object": object}))
                .await;
            let late = relay.join(0, "board").await;
            assert_eq!((late.seq, late.welcome["seq"].as_u64()), (seq, Some(seq)));
            assert_eq!(late.model, ada.model);
        }
    }
}

#[tokio::test]
async fn with_snapshots_off_nobody_is_left_to_believe_that_it_has_all() {
    let relay = Relay::start(2, &["--snapshots", "off"]).await;
    let mut ada = relay.join(0, "board").await;
    let create = json!({"type": "object-create", "object": {"id": "a", "kind": "box"}});
    ada.commit(create).await;
    let mut late = relay.join(1, "board").await;
    assert_eq!(late.welcome["mode"], "snapshot");
    assert_eq!(late.heard_of("resync").len(), 1);
    assert_eq!((late.seq, late.model.objects.len()), (1, 0));
    // From there on it is as live as everyone, and a resume needs no snapshot.
    let patch = json!({"type": "object-update", "id": "a", "patch": {"x": 1}});
    let seq = ada.commit(patch).await;
    late.reach(seq).await;
    late.resume(relay.address(0)).await.expect("resumed");
    assert_eq!(late.welcome["mode"], "resume");
}

/// Neither are those who were here, when their room can't go on: what it missed is cleaned up.
#[tokio::test]
async fn with_snapshots_off_a_room_that_lost_its_place_starts_empty() {
    let flags = ["--snapshots", "off", "--message-ttl", "1s"];
    let more = ["--cursor-ttl", "500ms", "--cleanup-interval", "100ms"];
    let mut relay = Relay::start(2, &[flags, more].concat()).await;
    let mut there = relay.join(1, "board").await;
    let mut ada = relay.join(0, "board").await;
    relay.process(1).signal(Signal::STOP);
    let create = json!({"type": "object-create", "object": {"id": "a", "kind": "box"}});
    ada.commit(create).await;
    relay
        .until_number("SELECT count(*) FROM message_queue", |rows| rows == 0)
        .await;
    relay.process(1).signal(Signal::CONT);
    let patch = json!({"type": "object-update", "id": "a", "patch": {"x": 1}});
    let seq = ada.commit(patch).await;
    there.reach(seq).await;
    assert_eq!(there.model.objects.len(), 0);
    let resyncs = there.heard_of("resync");
    let reason = resyncs.first().and_then(|m| m["reason"].as_str());
    assert!(reason.is_some_and(|r| r.contains("switched off")));
}

#[tokio::test]
async fn everyone_here_is_in_the_welcome() {
    let relay = Relay::start(3, &[]).await;
    let mut clients = Vec::new();
    for process in 0..3 {
        let client = relay.join(process, "board").await;
        let users = client.welcome["users"].as_array().expect("users");
        let mut here: Vec<&str> = users.iter().filter_map(|u| u["client"].as_str()).collect();
        here.sort_unstable();
        clients.push(client.id.clone());
        assert_eq!(here, clients, "from the table, over all processes");
        // Keeps the connection open.
        std::mem::forget(client);
    }
}
