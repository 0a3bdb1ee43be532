//! SIGTERM: everything that was taken is answered, everyone is sent on, nothing stays behind.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::history::check_agreement;
use crate::harness::{Random, Relay, Socket, check_history, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_loses_nothing() {
    let mut relay = Relay::start(2, &["--presence-grace", "20s"]).await;
    let mut random = Random::new();
    let mut watcher = relay.join(1, "board").await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (mut client, mut random) = (relay.join(0, "board").await, random.fork());
        writers.spawn(async move {
            let gone = client
                .write(&mut random, 100_000, 64)
                .await
                .expect_err("drained");
            (client, gone)
        });
    }
    watcher.reach(300).await;
    let told = Instant::now();
    relay.process(0).signal(Signal::TERM);
    let writers = writers.join_all().await;
    let status = relay.process(0).ended().await;
    assert!(status.success(), "{status}");
    assert!(
        told.elapsed() < Duration::from_secs(10),
        "{:?}",
        told.elapsed()
    );
    let mut clients = Vec::new();
    for (client, gone) in writers {
        assert_eq!(gone.code, Some(4503), "{gone:?}");
        let goaway = client.heard_of("goaway");
        assert_eq!(goaway.len(), 1, "told once");
        assert!(
            goaway[0]["retry_after_ms"].as_u64() <= Some(2_000),
            "{goaway:?}"
        );
        assert!(goaway[0]["reason"].is_string());
        clients.push(client);
    }
    let mut pauses: Vec<u64> = clients
        .iter()
        .filter_map(|client| client.heard_of("goaway")[0]["retry_after_ms"].as_u64())
        .collect();
    pauses.dedup();
    assert_eq!(pauses.len(), 3, "spread out: {pauses:?}");
    // Everything committed was acknowledged before the connection ended.
    let head = relay.number("SELECT seq FROM canvases");
    watcher.reach(head.cast_unsigned()).await;
    for client in &clients {
        let committed = watcher.stream().entries.iter();
        let committed = committed.filter(|entry| entry.client == client.id).count();
        let acked = client.acked.values().filter(|acked| acked.status == "ok");
        assert_eq!(acked.count(), committed, "{}", client.id);
    }
    check_history(clients.iter().chain([&watcher]));
    assert_eq!(relay.number("SELECT count(*) FROM instances"), 1);
    // They come back elsewhere, and nobody saw them leave.
    for client in &mut clients {
        client.resume(relay.address(1)).await.expect("resumed");
        assert_eq!(client.welcome["mode"], "resume");
        client.settle().await.expect("connected");
    }
    clients.push(watcher);
    check_agreement(&mut clients).await;
    let watcher = clients.pop().expect("the watcher");
    assert!(watcher.heard_of("user-disconnected").is_empty());
}

/// Holds the file's write lock, so that the drain waits for what was taken.
#[tokio::test]
async fn a_draining_process_is_not_ready_and_takes_nobody() {
    let mut relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut watcher = relay.join(1, "board").await;
    let lock = relay.writer();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    ada.op(json!({"type": "chat", "text": "taken"})).await;
    ada.say(json!({"type": "ping", "ts": 1})).await;
    ada.until(|m| m["type"] == "pong").await;
    relay.process(0).signal(Signal::TERM);
    eventually("the drain", || async {
        relay.log(0).contains("draining").then_some(())
    })
    .await;
    let ready = eventually("not ready", || async {
        relay
            .get(0, "/readyz")
            .await
            .filter(|answer| answer.body.contains("draining"))
    })
    .await;
    assert_eq!(ready.status, 503);
    let alive = relay.get(0, "/healthz").await.expect("an answer");
    assert_eq!(alive.status, 200, "it is alive until the end");
    let refused = Socket::open(relay.address(0), "board").await.err();
    assert_eq!(refused.and_then(|refused| refused.0), Some(503));
    lock.execute_batch("COMMIT").expect("the end of it");
    assert_eq!(ada.closed().await, Some(4503));
    assert_eq!(ada.acked[&1].status, "ok", "what was taken is answered");
    watcher.reach(1).await;
    assert!(relay.process(0).ended().await.success());
}

#[tokio::test]
async fn a_drain_leaves_no_row_and_no_file() {
    let mut relay = Relay::start(2, &["--presence-grace", "1s"]).await;
    let mut ada = relay.join(0, "board").await;
    let mut watcher = relay.join(1, "board").await;
    watcher.commit(json!({"type": "chat", "text": "x"})).await;
    relay.process(0).signal(Signal::INT);
    assert_eq!(ada.closed().await, Some(4503));
    assert!(relay.process(0).ended().await.success());
    let told = |m: &Value| m["type"] == "user-disconnected" && m["client"] == ada.id.as_str();
    watcher.hear(told).await;
    assert_eq!(relay.number("SELECT count(*) FROM presence"), 1);
    assert_eq!(relay.number("SELECT count(*) FROM instances"), 1);
    relay.process(1).signal(Signal::TERM);
    assert_eq!(watcher.closed().await, Some(4503));
    assert!(relay.process(1).ended().await.success());
    for table in ["presence", "instances", "canvas_watermarks"] {
        assert_eq!(
            relay.number(&format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
    let sockets = std::fs::read_dir(relay.dir().join("relay.db.wake"));
    let left: Vec<_> = sockets
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "sockets and locks");
    // The next start needs no repair, and goes on in the same epoch.
    let fresh = relay.add(&[]).await;
    ada.resume(relay.address(fresh)).await.expect("resumed");
    assert_eq!(ada.welcome["mode"], "resume");
}

#[tokio::test]
async fn a_drain_that_cannot_finish_ends_anyway() {
    let mut relay = Relay::start(1, &["--drain-timeout", "1s"]).await;
    let mut ada = relay.join(0, "board").await;
    let lock = relay.writer();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    ada.op(json!({"type": "chat", "text": "never committed"}))
        .await;
    ada.say(json!({"type": "ping", "ts": 1})).await;
    ada.until(|m| m["type"] == "pong").await;
    let told = Instant::now();
    relay.process(0).signal(Signal::TERM);
    relay.process(0).ended().await;
    assert!(
        told.elapsed() < Duration::from_secs(5),
        "{:?}",
        told.elapsed()
    );
    lock.execute_batch("COMMIT").expect("the end of it");
    let fresh = relay.add(&[]).await;
    ada.resume(relay.address(fresh)).await.expect("resumed");
    ada.settle().await.expect("connected");
    assert_eq!(ada.seq, 1, "committed once, by the one or the other");
}

/// It waits for its turn to write, which never comes: the kernel frees everything when it ends.
#[tokio::test]
async fn a_drain_ends_in_time_though_the_queue_is_stuck() {
    let mut relay = Relay::start(1, &["--drain-timeout", "500ms"]).await;
    let mut ada = relay.join(0, "board").await;
    let turnstile = relay.dir().join("relay.db.lock");
    let turnstile = std::fs::File::open(turnstile).expect("the turnstile");
    turnstile.lock().expect("its turn");
    ada.op(json!({"type": "chat", "text": "x"})).await;
    let told = Instant::now();
    relay.process(0).signal(Signal::TERM);
    let status = relay.process(0).ended().await;
    assert!(status.success(), "{status}");
    // The queue alone would take 8 s to give its writer up.
    assert!(
        told.elapsed() < Duration::from_secs(7),
        "{:?}",
        told.elapsed()
    );
}

/// Proxies and browsers keep connections for later requests; none of them is a reason to stay.
#[tokio::test]
async fn idle_http_connections_end_at_once() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    let mut relay = Relay::start(1, &[]).await;
    let address = relay.address(0);
    let mut idle = Vec::new();
    for requests in [0, 1, 2] {
        let mut stream = TcpStream::connect(address).await.expect("it accepts");
        for _ in 0..requests {
            let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
            stream.write_all(request).await.expect("sent");
            let mut answer = [0; 4096];
            assert!(stream.read(&mut answer).await.expect("an answer") > 0);
        }
        idle.push(stream);
    }
    let mut half = TcpStream::connect(address).await.expect("it accepts");
    half.write_all(b"GET /healthz HT").await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let told = Instant::now();
    relay.process(0).signal(Signal::TERM);
    for stream in &mut idle {
        let end = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0; 16])).await;
        assert!(matches!(end, Ok(Ok(0) | Err(_))), "{end:?}");
    }
    assert!(
        told.elapsed() < Duration::from_millis(800),
        "{:?}",
        told.elapsed()
    );
    assert!(relay.process(0).ended().await.success());
    assert!(
        told.elapsed() < Duration::from_millis(2_400),
        "{:?}",
        told.elapsed()
    );
}
