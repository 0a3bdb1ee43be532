//! A room of many comes back at once, each with a state of 8 KiB, and reads slowly: what each is told of all the others is there once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Relay;
use crate::raw::{Raw, text};

const CLIENTS: usize = 150;
const STATE: usize = 8_000;
const PATIENCE: Duration = Duration::from_secs(40);

fn hello(n: usize) -> Vec<u8> {
    let client = format!("client-{n:04}");
    text(&json!({"type": "hello", "v": 1, "client": client}).to_string())
}

/// Reads and forgets what has come.
fn skim(all: &mut [Raw]) {
    let mut chunk = vec![0; 1 << 20];
    for raw in all {
        while raw.stream.try_read(&mut chunk).is_ok_and(|n| n > 0) {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_comes_back_at_once_is_told_of_itself_once() {
    let mut relay = Relay::start(1, &["--queue", "off", "--presence-grace", "60s"]).await;
    let state = json!({"type": "presence", "state": {"selection": "s".repeat(STATE)}});
    let mut all = Vec::new();
    for n in 0..CLIENTS {
        let mut raw = Raw::open(relay.address(0), "board").await;
        raw.send(&[hello(n), text(&state.to_string())].concat())
            .await;
        all.push(raw);
        skim(&mut all);
    }
    // Whoever comes now is told of all of them, with their states.
    let began = Instant::now();
    loop {
        skim(&mut all);
        let mut raw = Raw::open(relay.address(0), "board").await;
        raw.send(&hello(9_000)).await;
        let welcome = raw.message().await.to_string();
        if welcome.len() > CLIENTS * STATE {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{} bytes", welcome.len());
        raw.send(&text(r#"{"type":"bye"}"#)).await;
    }
    for raw in all.drain(..) {
        raw.stream.set_zero_linger().unwrap();
    }
    relay.until_stat("connections", |n| n == 0).await;
    let before = relay.process(0).resident_kib();
    let mut again = Vec::new();
    for n in 0..CLIENTS {
        let mut raw = Raw::connect_narrow(relay.address(0)).await;
        raw.upgrade("board", "").await;
        raw.send(&hello(n)).await;
        again.push(raw);
    }
    // The last one comes to its welcome, though the others read nothing.
    let mut last = Raw::open(relay.address(0), "board").await;
    last.send(&hello(9_001)).await;
    let welcome = last.message().await;
    assert!(welcome["users"].as_array().unwrap().len() > CLIENTS);
    let grown = relay.process(0).resident_kib().saturating_sub(before);
    // A list is 1.2 MB: one for each would be 180 MB.
    assert!(grown < 90 * 1024, "{grown} KiB for {CLIENTS} welcomes");
    // Whoever reads gets it whole.
    for raw in again.iter_mut().rev().take(5) {
        let welcome = raw.message().await;
        assert!(welcome["users"].as_array().unwrap().len() >= CLIENTS);
    }
    relay.unharmed().await;
}
