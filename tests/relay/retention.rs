//! What is kept how long: messages for their TTL, heads for ever, positions of those who live.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::history::check_agreement;
use crate::harness::{Client, Random, Relay, Socket, eventually};

const SHORT: [&str; 6] = [
    "--message-ttl",
    "1s",
    "--cursor-ttl",
    "500ms",
    "--cleanup-interval",
    "100ms",
];
const ROWS: &str = "SELECT count(*) FROM message_queue";

async fn join_since(relay: &Relay, process: usize, epoch: &str, seq: u64) -> Client {
    let socket = Socket::open(relay.address(process), "board").await;
    let id = crate::harness::client::new_id();
    let hello = json!({"client": id, "since": {"epoch": epoch, "seq": seq}});
    Client::enter(socket.expect("up"), "board", hello).await
}

#[tokio::test]
async fn a_quiet_canvas_is_recoverable_and_an_old_place_gets_a_snapshot() {
    let relay = Relay::start(2, &SHORT).await;
    let mut ada = relay.join(0, "board").await;
    ada.write(&mut Random::new(), 100, 16)
        .await
        .expect("connected");
    relay.until_number(ROWS, |rows| rows == 0).await;
    let (epoch, head) = (ada.epoch.clone(), ada.seq);
    for process in [0, 1] {
        let quiet = join_since(&relay, process, &epoch, head).await;
        assert_eq!(
            quiet.welcome["mode"], "resume",
            "the head outlives its messages"
        );
        let old = join_since(&relay, process, &epoch, head - 1).await;
        assert_eq!(old.welcome["mode"], "snapshot", "never a silent gap");
        assert_eq!((old.seq, &old.model), (head, &ada.model));
    }
    // It goes on where it was.
    assert_eq!(
        ada.commit(json!({"type": "chat", "text": "on"})).await,
        head + 1
    );
    let next = join_since(&relay, 1, &epoch, head).await;
    assert_eq!(next.welcome["mode"], "resume");
}

/// With the cleanup far away: an expired row is still there, and still not delivered.
#[tokio::test]
async fn an_expired_row_is_never_delivered() {
    let relay = Relay::start(2, &["--message-ttl", "1s", "--cleanup-interval", "1h"]).await;
    let mut ada = relay.join(0, "board").await;
    ada.commit(json!({"type": "broadcast", "event": "secret"}))
        .await;
    // The relay counts from its own clock, which may be a few milliseconds off this one.
    let alive = "SELECT count(*) FROM message_queue
        WHERE seq IS NOT NULL AND expires_at + 100 > unixepoch('subsec') * 1000";
    relay.until_number(alive, |rows| rows == 0).await;
    assert!(relay.number(ROWS) > 0, "not cleaned up");
    for process in [0, 1] {
        let late = join_since(&relay, process, &ada.epoch, 0).await;
        assert_eq!(late.welcome["mode"], "snapshot");
        assert_eq!(late.seq, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cleaning_up_while_writing_is_not_noticed() {
    let relay = Relay::start(2, &SHORT).await;
    let mut random = Random::new();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let (mut client, mut random) = (relay.join(n % 2, "board").await, random.fork());
        writers.spawn(async move {
            // Long enough for many rows to expire meanwhile.
            let began = std::time::Instant::now();
            while began.elapsed() < Duration::from_secs(3) {
                client.write(&mut random, 50, 16).await.expect("connected");
            }
            client
        });
    }
    let mut clients = writers.join_all().await;
    let written = clients.iter().map(|client| client.op).sum::<u64>();
    let rows = relay.number(ROWS).cast_unsigned();
    assert!(
        rows < written,
        "{rows} of {written} rows are left: nothing was cleaned up"
    );
    clients.push(relay.join(1, "board").await);
    check_agreement(&mut clients).await;
    relay.until_number(ROWS, |rows| rows == 0).await;
}

#[tokio::test]
async fn watermarks_follow_and_go_with_their_process() {
    let mut relay = Relay::start(3, &["--cleanup-interval", "200ms"]).await;
    let mut clients: Vec<Client> = Vec::new();
    for process in 0..3 {
        clients.push(relay.join(process, "board").await);
    }
    clients[0]
        .write(&mut Random::new(), 50, 16)
        .await
        .expect("connected");
    let reached = "SELECT count(*) FROM canvas_watermarks WHERE last_processed_id >=
        (SELECT max(id) FROM message_queue WHERE seq IS NOT NULL)";
    relay.until_number(reached, |n| n == 3).await;
    let instances = "SELECT count(DISTINCT server_instance_id) FROM canvas_watermarks
        JOIN instances ON instance_id = server_instance_id";
    assert_eq!(relay.number(instances), 3);
    relay.process(2).kill().await;
    relay
        .until_number("SELECT count(*) FROM canvas_watermarks", |n| n == 2)
        .await;
    // Those who start again and again leave nothing that piles up.
    for _ in 0..3 {
        let fresh = relay.add(&[]).await;
        relay
            .join(fresh, "board")
            .await
            .commit(json!({"type": "chat", "text": "x"}))
            .await;
        relay.process(fresh).kill().await;
    }
    relay
        .until_number("SELECT count(*) FROM canvas_watermarks", |n| n <= 2)
        .await;
    relay
        .until_number("SELECT count(*) FROM instances", |n| n == 2)
        .await;
}

#[tokio::test]
async fn health_counts_backlog_not_what_is_kept_for_its_ttl() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let there = relay.join(1, "board").await;
    ada.write(&mut Random::new(), 300, 64)
        .await
        .expect("connected");
    let stats: Value = crate::harness::eventually("a settled queue", || async {
        let stats = relay.get(1, "/api/v1/stats").await?.json();
        (stats["queue_size"] == 0).then_some(stats)
    })
    .await;
    assert!(stats["rows"].as_u64() > Some(200), "{stats}");
    assert_eq!(stats["queue_health"], "healthy");
    assert_eq!(stats["instances"].as_array().map(Vec::len), Some(2));
    assert_eq!(stats["connections"], 1);
    assert_eq!(stats["rooms"], 1);
    // A canvas that everybody left costs nothing.
    ada.say(json!({"type": "bye"})).await;
    drop(there);
    for process in [0, 1] {
        crate::harness::eventually("an empty process", || async {
            let stats = relay.get(process, "/api/v1/stats").await?.json();
            let empty = ["connections", "rooms", "active_poll_tasks"];
            empty.iter().all(|n| stats[n] == 0).then_some(())
        })
        .await;
    }
}

/// More of them than one transaction may delete.
#[tokio::test]
async fn clients_that_were_not_seen_for_long_are_forgotten() {
    let mut relay = Relay::start(1, &["--cleanup-interval", "100ms"]).await;
    let mut ada = relay.join(0, "board").await;
    ada.commit(json!({"type": "chat", "text": "x"})).await;
    relay.process(0).kill().await;
    // Old ones and fresh ones by turns, on several canvases.
    let conn = relay.writer();
    conn.execute_batch(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 7000)
         INSERT INTO canvas_clients (canvas_id, client, user_id, last_op, last_seq, used_at)
         SELECT 1 + i % 3, 'client-' || i, '', 1, 1,
                CASE WHEN i % 2 THEN 0 ELSE (SELECT max(used_at) FROM canvas_clients) END FROM n",
    )
    .expect("clients");
    relay.add(&[]).await;
    let old = "SELECT count(*) FROM canvas_clients WHERE used_at = 0";
    relay.until_number(old, |n| n == 0).await;
    assert_eq!(relay.number("SELECT count(*) FROM canvas_clients"), 3_501);
}

/// Nothing is in the queue any more, and nobody writes.
#[tokio::test]
async fn an_idle_relay_gives_space_back_and_removes_what_the_dead_left() {
    let relay = Relay::start(1, &SHORT).await;
    let wake = std::fs::read_dir(relay.dir().join("relay.db.wake")).expect("its folder");
    let own = wake.flatten().next().expect("its lock").path();
    let orphan = own.with_file_name("nobody.00000000.lock");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let file = std::fs::File::create(&orphan).expect("a lock");
    file.set_modified(long_ago).expect("an old one");
    drop(file);
    let mut ada = relay.join(0, "board").await;
    let data = "x".repeat(60_000);
    for _ in 0..200 {
        ada.commit(json!({"type": "broadcast", "event": "e", "data": data}))
            .await;
    }
    drop(ada);
    relay.until_number(ROWS, |rows| rows == 0).await;
    // A round of 2 MiB a second; 1 MiB is not worth one.
    eventually("a short file", || async {
        let length = std::fs::metadata(relay.db()).expect("it").len();
        (length < 3 * 1024 * 1024).then_some(())
    })
    .await;
    assert!(!orphan.exists(), "it has no row");
}
