//! A hundred readers that have stopped reading, in a room of several hundred.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::harness::Relay;
use crate::raw::{FIN, Frame, Raw, frame};

const STALLED: usize = 100;
const READING: usize = 200;
const MESSAGES: u64 = 1_500;
/// What one connection's ordered lane holds, in KiB (`OUTBOX_BYTES`).
const LANE_KIB: u64 = 512;

async fn join_all(relay: &Relay, n: usize, narrow: bool) -> Vec<Raw> {
    let mut all = Vec::new();
    for _ in 0..n {
        let mut raw = match narrow {
            true => Raw::connect_narrow(relay.address(0)).await,
            false => Raw::connect(relay.address(0)).await,
        };
        raw.upgrade("board", "").await;
        raw.enter().await;
        all.push(raw);
    }
    all
}

/// Reads up to `seq`, each number once and in order, or after a resync from the snapshot on.
async fn read_to(mut raw: Raw, mut at: u64, seq: u64, heard: Option<watch::Sender<u64>>) -> Raw {
    while at < seq {
        let text = match raw.next().await {
            Frame::Text(text) => text,
            Frame::Ping => {
                // On a busy machine this takes longer than a ping may go without its pong.
                raw.send(&frame(FIN | 10, b"")).await;
                continue;
            }
            end => panic!("{end:?} at {at} of {seq}"),
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        match message["type"].as_str().unwrap() {
            "broadcast" => {
                at += 1;
                assert_eq!(message["seq"], at);
                if let Some(heard) = &heard {
                    heard.send_replace(at);
                }
            }
            "snapshot" => at = message["seq"].as_u64().unwrap(),
            _ => {}
        }
    }
    raw
}

/// Writes `MESSAGES` of two kilobytes, each when the one before was heard by somebody who reads. Gives how long that
/// took each time, sorted.
async fn write(relay: &Relay, from: u64, heard: &mut watch::Receiver<u64>) -> Vec<Duration> {
    let mut client = relay.join(0, "board").await;
    let data = "x".repeat(2_000);
    let mut took = Vec::new();
    for n in from + 1..=from + MESSAGES {
        let began = Instant::now();
        client
            .op(json!({"type": "broadcast", "event": "e", "data": data}))
            .await;
        heard.wait_for(|seq| *seq >= n).await.expect("a reader");
        took.push(began.elapsed());
        while client.socket.receive_now().expect("a connection").is_some() {}
    }
    took.sort();
    took
}

#[expect(clippy::print_stderr, reason = "a record for whoever looks")]
fn tell(what: &str, took: &[Duration]) {
    let of = |percent: usize| took[took.len() * percent / 100];
    eprintln!("{what}: heard after p50 {:?}, p99 {:?}", of(50), of(99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_readers_cost_their_bound_and_miss_nothing() {
    // These clients answer no pings.
    let flags = ["--write-timeout=5m", "--ping-interval=1h"];
    let mut relay = Relay::start(1, &flags).await;
    let (sender, mut heard) = watch::channel(0);
    let mut sender = Some(sender);
    let mut readers = JoinSet::new();
    for raw in join_all(&relay, READING, false).await {
        readers.spawn(read_to(raw, 0, 2 * MESSAGES, sender.take()));
    }
    let took = write(&relay, 0, &mut heard).await;
    tell("nobody stalled", &took);
    let stalled = join_all(&relay, STALLED, true).await;
    sleep(Duration::from_millis(200)).await;
    let before = relay.process(0).resident_kib();
    let took = write(&relay, MESSAGES, &mut heard).await;
    tell("100 of 300 stalled", &took);
    let grown = relay.process(0).resident_kib().saturating_sub(before);
    let bound = STALLED as u64 * LANE_KIB;
    assert!(
        grown < bound + 8 * 1024,
        "{grown} KiB, at most {bound} are promised"
    );
    readers.join_all().await;
    // Those who stalled begin to read: all of them get to the end, none was closed, none misses a message.
    let mut late = JoinSet::new();
    for raw in stalled {
        late.spawn(read_to(raw, MESSAGES, 2 * MESSAGES, None));
    }
    assert_eq!(late.join_all().await.len(), STALLED);
    relay.unharmed().await;
}
