//! Much of everything: pings, ops that are never read, connections that say nothing, canvases that nobody stays in.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{Client, Relay};
use crate::raw::{FIN, Frame, HANDSHAKE, PING, Raw, frame, hello, text};

const MEMORY: &[&str] = &["--queue", "off"];

/// Sockets of this process: as many as the system lets us.
fn raise_file_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// How long others wait for an ack meanwhile: told, not judged.
#[expect(clippy::print_stderr, reason = "a record for whoever looks")]
async fn others(client: &mut Client, what: &str) {
    let mut took = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        client
            .commit(json!({"type": "chat", "text": "still served"}))
            .await;
        took.push(began.elapsed());
    }
    took.sort();
    eprintln!(
        "{what}: others' acks p50 {:?}, max {:?}",
        took[25], took[49]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_is_bounded_by_what_is_read_of_its_answers() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut other = relay.join(0, "other").await;
    let before = relay.process(0).resident_kib();
    let mut floods = Vec::new();
    let ping = frame(FIN | PING, &[7; 125]);
    let asked = text(r#"{"type":"ping","ts":12345678}"#);
    let wrong = text(&format!(r#"{{"type":"{}"}}"#, "\u{7f}".repeat(100)));
    let good_and_wrong = [wrong, asked.clone()].concat();
    for unit in [&ping, &asked, &good_and_wrong] {
        let mut raw = Raw::connect_narrow(relay.address(0)).await;
        raw.upgrade("board", "").await;
        raw.enter().await;
        // Never reads: the server must stop reading too.
        let flood = unit.repeat(40_000_000 / unit.len());
        let taken = raw.pour(&flood, Duration::from_secs(2)).await;
        assert!(
            taken < flood.len() - unit.len(),
            "it went on reading: {taken}"
        );
        floods.push((raw, unit.len() - taken % unit.len()));
    }
    others(&mut other, "pings").await;
    let grown = relay.process(0).resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB for three floods");
    // Who begins to read gets the answers, and the connection goes on.
    for (raw, _) in &mut floods {
        assert!(matches!(raw.next().await, Frame::Pong(_) | Frame::Text(_)));
    }
    relay.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ops_of_a_client_that_never_reads_wait_in_its_own_socket() {
    let mut relay = Relay::start(1, &[]).await;
    let mut other = relay.join(0, "other").await;
    let mut raw = Raw::connect_with(relay.address(0), 32 * 1024).await;
    raw.upgrade("board", "").await;
    raw.enter().await;
    let before = relay.process(0).resident_kib();
    let data = "x".repeat(200);
    let mut ops = Vec::new();
    for op in 1..=200_000 {
        let op = json!({"type": "broadcast", "op": op, "event": "e", "data": data});
        ops.extend(text(&op.to_string()));
    }
    let sent = raw.pour(&ops, Duration::from_secs(2)).await;
    assert!(sent < ops.len(), "all {sent} bytes were taken");
    others(&mut other, "ops that are never read").await;
    let grown = relay.process(0).resident_kib().saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB");
    // Nothing was lost or reordered: what was taken is answered, and so is the rest.
    let (mut stream, mut seq) = (&ops[sent..], 0);
    while seq < 20_000 {
        let n = raw.stream.try_write(stream).unwrap_or(0);
        stream = &stream[n..];
        let message = raw.message().await;
        match message["type"].as_str().unwrap() {
            "ack" => {
                seq += 1;
                assert_eq!(
                    (&message["op"], &message["seq"]),
                    (&seq.into(), &seq.into())
                );
            }
            other => panic!("{other}: {message}"),
        }
    }
    relay.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_that_never_say_hello_go_and_leave_nothing() {
    raise_file_limit();
    let mut relay = Relay::start(1, &[]).await;
    let mut other = relay.join(0, "other").await;
    let before = relay.process(0).resident_kib();
    let address = relay.address(0);
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        opening.spawn(async move {
            let mut silent = Vec::new();
            for n in 0..375 {
                silent.push(Raw::open(address, &format!("c{n}")).await);
            }
            silent
        });
    }
    let mut silent: Vec<Raw> = opening.join_all().await.into_iter().flatten().collect();
    others(&mut other, "3,000 silent connections").await;
    let grown = relay.process(0).resident_kib().saturating_sub(before);
    assert!(grown / 3_000 < 32, "{grown} KiB for 3,000 connections");
    assert_eq!(relay.stat("rooms").await, 1, "nobody is anywhere yet");
    for raw in &mut silent {
        assert_eq!(raw.closed().await, Some(4400));
    }
    relay.until_stat("connections", |n| n == 1).await;
    drop(silent);
    relay.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_drops_at_any_point_of_its_coming_leaves_nothing() {
    let mut relay = Relay::start(1, &["--presence-grace", "0s"]).await;
    let mut watcher = relay.join(0, "board").await;
    let mut coming = format!("GET /ws/board HTTP/1.1\r\n{HANDSHAKE}\r\n").into_bytes();
    let upgraded = coming.len();
    coming.extend(text(&hello().to_string()));
    let said = coming.len();
    coming.extend(text(
        r#"{"type":"chat","op":1,"text":"gone before the answer"}"#,
    ));
    for cut in (0..coming.len())
        .step_by(3)
        .chain([upgraded, said, coming.len()])
    {
        for reset in [false, true] {
            let mut raw = Raw::connect(relay.address(0)).await;
            if reset {
                raw.stream.set_zero_linger().unwrap();
            }
            raw.send(&coming[..cut]).await;
            if cut % 2 == 0 {
                // Some wait for an answer first; most don't.
                let _ = timeout(Duration::from_millis(2), raw.read_some()).await;
            }
        }
    }
    // All of them have gone, from the table too, and the canvas works.
    relay.until_stat("connections", |n| n == 1).await;
    relay
        .until_number("SELECT count(*) FROM presence", |n| n == 1)
        .await;
    watcher
        .commit(json!({"type": "chat", "text": "who was that?"}))
        .await;
    relay.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_canvases_that_nobody_stays_in_end() {
    raise_file_limit();
    // The other one reads only at the end: it answers no pings before.
    let mut relay = Relay::start(1, &["--ping-interval=1h"]).await;
    let mut other = relay.join(0, "other").await;
    let address = relay.address(0);
    let visit = async |relay: &Relay, from: u64, n: u64| {
        let mut visitors = JoinSet::new();
        for lane in 0..10 {
            visitors.spawn(async move {
                for i in (from + lane..from + n).step_by(10) {
                    let mut raw = Raw::join(address, &format!("tiny-{i}")).await;
                    raw.send(&text(r#"{"type":"bye"}"#)).await;
                    // A reset leaves no port waiting.
                    raw.stream.set_zero_linger().unwrap();
                    assert_eq!(raw.closed().await, Some(1000));
                }
            });
        }
        visitors.join_all().await;
        relay.until_stat("rooms", |n| n == 1).await;
    };
    visit(&relay, 0, 2_000).await;
    let before = relay.process(0).resident_kib();
    visit(&relay, 2_000, 8_000).await;
    others(&mut other, "10,000 canvases later").await;
    let grown = relay.process(0).resident_kib().saturating_sub(before);
    // A room with its task is several KiB; what may stay is what allocators and caches keep.
    assert!(
        grown < 8_000,
        "{grown} KiB after 8,000 more rooms came and went"
    );
    relay.unharmed().await;
}
