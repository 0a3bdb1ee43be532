//! Who is here when processes die, end, are stopped or cut off.

use std::time::Instant;

use rustix::process::Signal;

use super::*;
use crate::harness::history::check_agreement;

fn about<'a>(kind: &'a str, client: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |m| m["type"] == kind && m["client"] == client
}

fn away<'a>(client: &'a str, wanted: bool) -> impl Fn(&Value) -> bool + 'a {
    move |m| m["type"] == "presence" && m["client"] == client && m["away"] == wanted
}

/// The batches that a canvas has had.
fn batches(over: &Over, canvas: &str) -> u64 {
    let key = format!("scumble:canvas:{canvas}");
    let n = over.server.ask(&["HGET", &key, "n"]);
    n.parse().expect("a number")
}

#[tokio::test]
async fn clients_of_a_killed_process_are_away_and_then_gone() {
    let mut over = Over::start(3, &["--presence-grace", "1s"]).await;
    let mut watcher = over.relay.join(1, "board").await;
    let ada = over.relay.join(0, "board").await;
    // Nobody else has this one.
    let ben = over.relay.join(0, "lonely").await;
    watcher.hear(about("user-connected", &ada.id)).await;
    let before = batches(&over, "lonely");
    over.relay.process(0).kill().await;
    let died = Instant::now();
    watcher.until(away(&ada.id, true)).await;
    assert!(
        died.elapsed() < Duration::from_secs(6),
        "{:?}",
        died.elapsed()
    );
    let gone = watcher.until(about("user-disconnected", &ada.id)).await;
    assert_eq!(gone["reason"], "instance-lost");
    over.until_instances(2).await;
    // One batch turned him away, and another let his grace end.
    let key = "scumble:canvas:lonely";
    over.until_answer(&["HGET", key, "n"], |n| {
        n.parse::<u64>().expect("a number") >= before + 2
    })
    .await;
    for n in [1, 2] {
        let late = over.relay.join(n, "lonely").await;
        let ghost = roster(&late).into_iter().any(|(id, _)| id == ben.id);
        assert!(!ghost, "{}", late.welcome);
    }
    let late = over.relay.join(2, "board").await;
    check_company(&mut [watcher, late]).await;
}

#[tokio::test]
async fn a_process_that_ends_in_order_leaves_nothing_behind() {
    let mut over = Over::start(2, &["--presence-grace", "1s"]).await;
    let mut watcher = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    let mut ben = over.relay.join(0, "lonely").await;
    watcher.hear(about("user-connected", &ada.id)).await;
    let before = batches(&over, "lonely");
    over.relay.process(0).signal(Signal::TERM);
    for client in [&mut ada, &mut ben] {
        assert_eq!(client.closed().await, Some(4503));
    }
    assert!(over.relay.process(0).ended().await.success());
    let left = over.server.ask(&["ZRANGE", "scumble:instances", "0", "-1"]);
    assert_eq!(left.lines().count(), 1, "it took itself out: {left}");
    over.until_instances(1).await;
    watcher.hear(away(&ada.id, true)).await;
    watcher.hear(about("user-disconnected", &ada.id)).await;
    assert!(batches(&over, "lonely") > before, "it turned him away");
    let mut late = over.relay.join(1, "lonely").await;
    while roster(&late).iter().any(|(id, _)| *id == ben.id) {
        late.next().await.expect("connected");
    }
}

/// All processes die at once. Whoever starts next turns their clients away.
#[tokio::test]
async fn no_ghost_outlives_all_processes() {
    let mut over = Over::start(2, &["--presence-grace", "1s"]).await;
    let ada = over.relay.join(0, "board").await;
    let ben = over.relay.join(1, "other").await;
    end_all(&mut over.relay, &[0, 1], Signal::KILL).await;
    let fresh = over.relay.add(&[]).await;
    for (canvas, ghost) in [("board", &ada.id), ("other", &ben.id)] {
        let mut late = over.relay.join(fresh, canvas).await;
        while roster(&late).iter().any(|(id, _)| id == ghost) {
            late.next().await.expect("connected");
        }
    }
    over.until_instances(1).await;
}

/// The others take a process for dead that only slept: `cut` says whether its connection to Redis was closed meanwhile, which
/// is quicker found out than that it says nothing.
async fn sleep_through_ones_own_funeral(cut: bool) {
    let mut over = Over::start(2, &["--presence-grace", "1s"]).await;
    let mut watcher = over.relay.join(1, "board").await;
    let mut ada = over.relay.join(0, "board").await;
    let ben = over.relay.join(0, "board").await;
    ada.say(json!({"type": "presence", "state": {"tool": "pen"}}))
        .await;
    ada.commit(create("before", "x")).await;
    watcher.hear(about("presence", &ada.id)).await;
    watcher.heard.clear();
    over.relay.process(0).signal(Signal::STOP);
    if cut {
        over.server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }
    for client in [&ada, &ben] {
        watcher.hear(away(&client.id, true)).await;
        watcher.hear(about("user-disconnected", &client.id)).await;
    }
    over.until_instances(1).await;
    watcher.commit(create("meanwhile", "x")).await;
    watcher.heard.clear();
    over.relay.process(0).signal(Signal::CONT);
    over.until_instances(2).await;
    for client in [&ada, &ben] {
        watcher.hear(about("user-connected", &client.id)).await;
    }
    // Their connections never ended.
    ada.commit(create("after", "x")).await;
    let mut clients = vec![watcher, ada, ben];
    for n in 0..2 {
        clients.push(over.relay.join(n, "board").await);
    }
    check_company(&mut clients).await;
    check_agreement(&mut clients).await;
    assert!(clients[..3].iter().all(|c| c.streams().count() == 1));
    let id = clients[1].id.clone();
    let state = |user: &Value| user["client"] == id.as_str() && user["state"]["tool"] == "pen";
    let welcome = &clients[3].welcome;
    let users = welcome["users"].as_array().expect("users");
    let told = clients[3].heard.iter();
    assert!(users.iter().chain(told).any(state), "her pen: {welcome}");
    // It is known again what it has: when it dies, its clients go.
    over.relay.process(0).kill().await;
    let (watcher, others) = clients.split_first_mut().expect("five");
    for n in [0, 1, 2] {
        let gone = others[n].id.clone();
        watcher.until(about("user-disconnected", &gone)).await;
        if n == 1 {
            break;
        }
    }
    over.until_instances(1).await;
}

#[tokio::test]
async fn who_was_taken_for_dead_while_cut_off_is_back_with_its_clients() {
    sleep_through_ones_own_funeral(true).await;
}

#[tokio::test]
async fn who_was_taken_for_dead_while_stopped_is_back_with_its_clients() {
    sleep_through_ones_own_funeral(false).await;
}
