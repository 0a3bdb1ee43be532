//! One order for everyone, on all processes, whoever writes and however it is delivered.

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::history::check_agreement;
use crate::harness::{Client, Random, Relay};

/// Writers on all processes write at the same time; gives them back with what they saw.
async fn write_all(clients: Vec<Client>, random: &mut Random, n: u64) -> Vec<Client> {
    let mut writers = JoinSet::new();
    for mut client in clients {
        let mut random = random.fork();
        writers.spawn(async move {
            client.write(&mut random, n, 32).await.expect("connected");
            client
        });
    }
    writers.join_all().await
}

async fn order_holds(processes: usize, flags: &[&str]) {
    let relay = Relay::start(processes, flags).await;
    let mut random = Random::new();
    let mut writers = Vec::new();
    for n in 0..6 {
        writers.push(relay.join(n % processes, "board").await);
    }
    let reader = relay.join(processes - 1, "board").await;
    let mut clients = write_all(writers, &mut random, 250).await;
    clients.push(reader);
    // Who comes now sees the same, whatever process it lands on.
    for process in 0..processes {
        clients.push(relay.join(process, "board").await);
    }
    check_agreement(&mut clients).await;
    let committed = clients[0].stream().entries.len();
    assert!(committed > 900, "only {committed} of 1500 took a place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_writers_on_three_processes_see_one_order() {
    order_holds(3, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_holds_without_local_broadcast() {
    order_holds(2, &["--local-broadcast", "off"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_holds_in_memory() {
    order_holds(1, &["--queue", "off"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_holds_in_every_profile() {
    for profile in ["low-latency", "high-throughput"] {
        order_holds(2, &["--profile", profile, "--synchronous", "full"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_during_heavy_writing_sees_what_everyone_sees() {
    let relay = Relay::start(2, &[]).await;
    let mut random = Random::new();
    let mut writers = JoinSet::new();
    for n in 0..4 {
        let (mut client, mut random) = (relay.join(n % 2, "board").await, random.fork());
        writers.spawn(async move {
            client.write(&mut random, 500, 64).await.expect("connected");
            client
        });
    }
    let mut late: Vec<Client> = Vec::new();
    let mut heads = Vec::new();
    let mut watcher = relay.join(0, "board").await;
    for n in 0..8 {
        watcher.reach(watcher.seq + 60).await;
        let client = relay.join(n % 2, "board").await;
        heads.push(client.seq);
        late.push(client);
    }
    assert!(
        heads.iter().any(|head| *head > 0),
        "they came in the middle"
    );
    let mut clients = writers.join_all().await;
    clients.append(&mut late);
    clients.push(watcher);
    check_agreement(&mut clients).await;
}

#[tokio::test]
async fn what_is_acked_was_not_told_to_anyone_before_it_was_committed() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut bob = relay.join(1, "board").await;
    for n in 1..=30 {
        let seq = ada.commit(json!({"type": "chat", "text": "x"})).await;
        let head = "SELECT seq FROM canvases WHERE canvas_id = 'board'";
        assert!(relay.number(head) >= i64::try_from(seq).expect("small"));
        bob.reach(n).await;
    }
    check_agreement(&mut [ada, bob]).await;
}
