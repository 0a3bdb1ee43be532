//! Redis is killed, stopped for a moment or for longer, cut off, and emptied.

use scumble::limits::MAX_QUEUE_WAIT;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;
use crate::harness::history::check_agreement;

/// It is killed between any two bytes, but what it said `yes` to is on its disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_when_redis_is_killed_three_times() {
    let mut over = Over::start(2, &["--presence-grace", "20s"]).await;
    let addresses = [over.relay.address(0), over.relay.address(1)];
    let (acked, mut seen) = watch::channel(0);
    let mut writers = JoinSet::new();
    for n in 0..3 {
        let client = over.relay.join(n % 2, "board").await;
        writers.spawn(create_through(client, addresses[n % 2], 200, acked.clone()));
    }
    let mut stayed = vec![over.relay.join(0, "board").await];
    for kill in 1..=3 {
        soon("progress", seen.wait_for(|acked| *acked >= 120 * kill))
            .await
            .expect("writers");
        over.server.run();
    }
    let written = soon("the writers", writers.join_all()).await;
    assert!(written.iter().all(|client| client.acked.len() == 200));
    stayed.extend(written);
    all_back(&over, &[0, 1], &mut stayed).await;
    for n in 0..2 {
        let newcomer = over.relay.join(n, "board").await;
        assert_all_there(&stayed, &newcomer);
        assert_eq!(newcomer.model.objects.len(), 600);
        stayed.push(newcomer);
    }
    check_agreement(&mut stayed).await;
    check_company(&mut stayed).await;
}

/// It lost nothing, which is proven: numbers and epoch go on, and nobody is given a snapshot.
#[tokio::test]
async fn a_restart_of_redis_that_loses_nothing_needs_no_snapshot() {
    let mut over = Over::start(2, &[]).await;
    let mut ada = over.relay.join(0, "board").await;
    let mut ben = over.relay.join(1, "board").await;
    ada.commit(create("one", "x")).await;
    let head = ada.commit(chat("hello")).await;
    let epoch = ada.epoch.clone();
    over.server.run();
    assert_eq!(ben.commit(create("two", "x")).await, head + 1);
    ada.reach(head + 1).await;
    let late = over.relay.join(1, "board").await;
    assert_eq!((&late.epoch, late.seq), (&epoch, head + 1));
    assert_eq!(late.model.object("one").expect("kept")["text"], "x");
    assert_eq!(late.model.chat.len(), 1);
    for client in [ada, ben] {
        assert_eq!(client.streams().count(), 1, "nobody needed a snapshot");
    }
}

async fn readyz(over: &Over, wanted: u16) -> String {
    eventually("/readyz", || async {
        let answer = over.relay.get(0, "/readyz").await?;
        (answer.status == wanted).then_some(answer.body)
    })
    .await
}

#[tokio::test]
async fn while_redis_is_down_a_process_says_so_and_acks_nothing() {
    let mut over = Over::start(1, &[]).await;
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(create("before", "x")).await;
    readyz(&over, 200).await;
    over.server.kill();
    let told = readyz(&over, 503).await;
    assert!(told.contains("Redis"), "{told}");
    let alive = over.relay.get(0, "/healthz").await.expect("an answer");
    assert_eq!(alive.status, 200);
    for n in 0..20 {
        ada.op(create(&format!("o{n}"), "x")).await;
    }
    // Its word comes behind whatever would be said about them before.
    ada.say(json!({"type": "ping", "ts": 2.5})).await;
    ada.until(|m| m["type"] == "pong").await;
    assert_eq!(ada.pending.len(), 20, "nothing is acked");
    over.server.run();
    readyz(&over, 200).await;
    let mut clients = [ada];
    all_back(&over, &[0], &mut clients).await;
    let [ada] = clients;
    let late = over.relay.join(0, "board").await;
    let ids: Vec<String> = late
        .model
        .objects
        .iter()
        .map(|(id, _)| id.clone())
        .collect();
    let all: Vec<String> = ["before".to_owned()]
        .into_iter()
        .chain((0..20).map(|n| format!("o{n}")))
        .collect();
    assert_eq!(ids, all, "all of it, in order, once");
    agree(&mut [ada, late]).await;
}

/// Redis answers nobody for a second, and loses no connection: nobody notices but for the wait.
#[tokio::test]
async fn a_short_silence_is_waited_for() {
    let over = Over::start(2, &[]).await;
    let mut clients = vec![
        over.relay.join(0, "board").await,
        over.relay.join(1, "board").await,
    ];
    for client in &mut clients {
        client.commit(chat("before")).await;
    }
    over.server.ask(&["CLIENT", "PAUSE", "1000"]);
    for n in 0..20 {
        for client in &mut clients {
            client.op(chat(&format!("{n}"))).await;
        }
    }
    for client in &mut clients {
        client.settle().await.expect("connected");
        assert!(client.heard_of("error").is_empty());
        assert!(client.acked.values().all(|acked| acked.status == "ok"));
        assert_eq!(client.streams().count(), 1, "nobody needed a snapshot");
    }
    check_agreement(&mut clients).await;
    assert_eq!(clients[0].seq, 42);
}

/// Who waits longer than [`MAX_QUEUE_WAIT`] is refused, but for what was under way when Redis went: that is committed later.
#[tokio::test]
async fn in_a_long_outage_ops_are_refused_and_none_is_lost_or_done_twice() {
    let mut over = Over::start(1, &["--presence-grace", "60s"]).await;
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(chat("0")).await;
    over.server.kill();
    readyz(&over, 503).await;
    ada.op(chat("1")).await;
    // The writer has the first in hand when that is answered; the others wait behind it.
    ada.say(json!({"type": "ping", "ts": 3.5})).await;
    ada.until(|m| m["type"] == "pong").await;
    let sent = std::time::Instant::now();
    for n in 2..=6 {
        ada.op(chat(&n.to_string())).await;
    }
    let last = ada.op;
    let refused = ada.hear(|m| m["type"] == "error" && m["op"] == last);
    let refused = refused.await;
    assert_eq!(refused["code"], "overloaded");
    assert!(refused["retry_after_ms"].as_u64() > Some(0));
    assert!(sent.elapsed() >= MAX_QUEUE_WAIT, "{:?}", sent.elapsed());
    assert_eq!(ada.acked.len(), 1, "none of them was acked");
    over.server.run();
    let mut clients = vec![ada];
    all_back(&over, &[0], &mut clients).await;
    clients.push(over.relay.join(0, "board").await);
    let texts = clients[1].model.chat.iter().map(|m| m["text"].clone());
    let texts: Vec<_> = texts.collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4", "5", "6"]);
    agree(&mut clients).await;
}

/// The connections are cut again and again, whatever is under way on them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_redis_that_are_cut_are_not_noticed() {
    let over = Over::start(2, &[]).await;
    let addresses = [over.relay.address(0), over.relay.address(1)];
    let (acked, mut seen) = watch::channel(0);
    let mut writers = JoinSet::new();
    for n in 0..3 {
        let client = over.relay.join(n % 2, "board").await;
        writers.spawn(create_through(client, addresses[n % 2], 400, acked.clone()));
    }
    let mut clients = vec![over.relay.join(1, "board").await];
    for (n, kind) in ["pubsub", "normal", "pubsub", "normal", "pubsub"]
        .into_iter()
        .enumerate()
    {
        let progress = seen.wait_for(|acked| *acked >= 180 * (n as u64 + 1));
        soon("progress", progress).await.expect("writers");
        over.server.ask(&["CLIENT", "KILL", "TYPE", kind]);
    }
    clients.extend(soon("the writers", writers.join_all()).await);
    for n in 0..2 {
        let log = over.relay.log(n);
        assert!(log.contains("Redis is back"), "it was cut:\n{log}");
    }
    clients.push(over.relay.join(0, "board").await);
    check_agreement(&mut clients).await;
    assert!(clients.iter().all(|c| c.streams().count() == 1));
    assert!(clients.iter().all(|c| c.heard_of("resync").is_empty()));
    assert_all_there(&clients[1..4], &clients[4]);
    check_company(&mut clients).await;
}

/// The last message comes while a process is cut off, and nothing after it: it is read when the connection is back.
#[tokio::test]
async fn what_was_said_while_a_process_was_cut_off_comes_by_itself() {
    let mut over = Over::start(2, &["--presence-grace", "60s"]).await;
    let mut ada = over.relay.join(0, "board").await;
    let mut ben = over.relay.join(1, "board").await;
    ada.commit(chat("before")).await;
    ben.reach(1).await;
    over.relay.process(1).signal(rustix::process::Signal::STOP);
    over.server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    ada.commit(chat("meanwhile")).await;
    over.relay.process(1).signal(rustix::process::Signal::CONT);
    ben.reach(2).await;
    assert_eq!(ben.streams().count(), 1, "nobody needed a snapshot");
    check_agreement(&mut [ada, ben]).await;
}

/// Everything in it goes while they write: a new relay begins, and all that is written from then on is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_emptied_is_begun_anew() {
    let over = Over::start(2, &["--presence-grace", "20s"]).await;
    let addresses = [over.relay.address(0), over.relay.address(1)];
    let mut clients = Vec::new();
    for n in 0..4 {
        clients.push(over.relay.join(n % 2, "board").await);
        let client = clients.last_mut().expect("one");
        client.commit(create(&format!("old-{n}"), "x")).await;
    }
    let epoch = clients[0].epoch.clone();
    let (acked, mut seen) = watch::channel(0);
    let mut writers = JoinSet::new();
    for (client, address) in clients.drain(..2).zip(addresses) {
        writers.spawn(create_through(client, address, 300, acked.clone()));
    }
    soon("progress", seen.wait_for(|acked| *acked >= 100))
        .await
        .expect("writers");
    over.server.ask(&["FLUSHALL"]);
    clients.extend(soon("the writers", writers.join_all()).await);
    all_back(&over, &[0, 1], &mut clients).await;
    assert!(clients.iter().all(|client| client.epoch != epoch));
    for client in &mut clients {
        let id = format!("new-{}", client.id);
        client.commit(create(&id, "x")).await;
    }
    clients.push(over.relay.join(0, "board").await);
    let newcomer = clients.last().expect("one");
    for client in &clients[..4] {
        let id = format!("new-{}", client.id);
        assert!(newcomer.model.object(&id).is_some(), "{id} is lost");
    }
    agree(&mut clients).await;
    check_company(&mut clients).await;
}

/// They are at the same place and see the same. What they saw before the epoch is nothing to compare.
async fn agree(clients: &mut [Client]) {
    let head = clients.iter().map(|client| client.seq).max().unwrap_or(0);
    for client in clients.iter_mut() {
        client.reach(head).await;
    }
    for pair in clients.windows(2) {
        assert_eq!((pair[0].seq, &pair[0].epoch), (pair[1].seq, &pair[1].epoch));
        assert_eq!(pair[0].model, pair[1].model);
    }
}

/// While a process is stopped, the canvas begins anew without it and gets further than it was before: what it has is no part of that.
#[tokio::test]
async fn a_process_that_slept_through_a_new_beginning_begins_anew() {
    let mut over = Over::start(2, &["--presence-grace", "60s"]).await;
    let mut sleeper = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(create("old", "x")).await;
    sleeper.reach(1).await;
    over.relay.process(1).signal(rustix::process::Signal::STOP);
    over.server.ask(&["FLUSHALL"]);
    let mut clients = [ada];
    over.until_answer(&["EXISTS", "scumble:canvas:board"], |there| there == "1")
        .await;
    all_back(&over, &[0], &mut clients).await;
    let [mut ada] = clients;
    for n in 0..40 {
        ada.commit(create(&format!("new-{n}"), "x")).await;
    }
    over.relay.process(1).signal(rustix::process::Signal::CONT);
    sleeper.until(|m| m["type"] == "resync").await;
    let mut clients = [ada, sleeper];
    agree(&mut clients).await;
    assert_eq!(clients[1].model.objects.len(), 40, "the old one is gone");
    check_company(&mut clients).await;
}

/// Redis loses its last moments in a crash, as it does without `appendfsync always`, and others go on from there, past the
/// place that this process was at.
#[tokio::test]
async fn a_process_that_knows_more_than_redis_goes_back() {
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let url = server.url();
    let flags = ["--redis", &url, "--presence-grace", "60s"];
    let relay = Relay::start(2, &flags).await;
    let mut over = Over { relay, server };
    let mut sleeper = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    ada.commit(create("kept", "x")).await;
    assert_eq!(over.server.ask(&["SAVE"]), "OK");
    for n in 0..5 {
        ada.commit(create(&format!("lost-{n}"), "x")).await;
    }
    sleeper.reach(6).await;
    over.relay.process(1).signal(rustix::process::Signal::STOP);
    over.server.run();
    let mut clients = [ada];
    all_back(&over, &[0], &mut clients).await;
    let [mut ada] = clients;
    for n in 0..40 {
        ada.commit(create(&format!("new-{n}"), "x")).await;
    }
    over.relay.process(1).signal(rustix::process::Signal::CONT);
    sleeper.until(|m| m["type"] == "resync").await;
    let mut clients = [ada, sleeper];
    agree(&mut clients).await;
    assert_eq!(clients[1].model.objects.len(), 41);
    check_company(&mut clients).await;
}
