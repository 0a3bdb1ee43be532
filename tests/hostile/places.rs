//! Places for those who speak HTTP: whoever takes all of them, probes are answered and people come in.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::harness::{Relay, eventually};
use crate::raw::Raw;
use crate::slow::sockets;

/// What a busy machine may take for an answer that is there at once.
const AT_ONCE: Duration = Duration::from_secs(3);
const PROBE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
/// A reserve beside the places.
const RESERVE: usize = 16;

/// The first line of what comes.
async fn ask(relay: &Relay, path: &str) -> String {
    let mut raw = Raw::connect(relay.address(0)).await;
    let head = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    raw.send(head.as_bytes()).await;
    let mut answer = Vec::new();
    let read = async { while raw.read_into(&mut answer).await > 0 {} };
    timeout(AT_ONCE, read).await.expect("an answer, and an end");
    let answer = String::from_utf8_lossy(&answer);
    answer.lines().next().unwrap_or_default().to_owned()
}

async fn still_open(relay: &Relay, what: &str) {
    for path in ["/healthz", "/readyz", "/metrics", "/api/v1/stats"] {
        assert_eq!(ask(relay, path).await, "HTTP/1.1 200 OK", "{what}: {path}");
    }
    let began = Instant::now();
    Raw::join(relay.address(0), "board").await.works().await;
    assert!(began.elapsed() < AT_ONCE, "{what}: {:?}", began.elapsed());
}

/// Each costs memory and a descriptor until its time is up.
#[tokio::test]
async fn a_crowd_that_says_nothing_gives_way() {
    const BOUND: usize = 64;
    for flags in [
        &["--max-connections", "64"][..],
        &[
            "--max-connections",
            "64",
            "--max-connections-per-address",
            "5",
        ],
        &["--max-connections", "64", "--trusted-proxy", "127.0.0.1"],
    ] {
        let mut relay = Relay::start(1, &[&["--queue", "off"], flags].concat()).await;
        let pid = relay.process(0).pid();
        let before = sockets(pid);
        for kind in [&b""[..], b"GET / HT", PROBE] {
            let mut crowd = Vec::new();
            for _ in 0..BOUND + 40 {
                let mut raw = Raw::connect(relay.address(0)).await;
                raw.send(kind).await;
                crowd.push(raw);
            }
            still_open(&relay, &format!("{flags:?}")).await;
            assert!(sockets(pid) <= before + BOUND + RESERVE, "{flags:?}");
        }
        relay.unharmed().await;
    }
}

/// They are busy: each has an answer on its way that it does not take.
#[tokio::test]
async fn a_crowd_that_does_not_read_leaves_a_reserve_for_probes() {
    let flags = [
        "--queue",
        "off",
        "--max-connections",
        "64",
        "--write-timeout",
        "5m",
    ];
    let mut relay = Relay::start(1, &flags).await;
    let pid = relay.process(0).pid();
    let ask_for_much = "GET /client.js HTTP/1.1\r\nHost: test\r\n\r\n".repeat(100);
    let mut crowd = Vec::new();
    let began = Instant::now();
    // Whoever asks may take the place of one that has not come to its answer yet: until all of them are busy.
    while crowd.len() < 120 || ask(&relay, "/").await != "HTTP/1.1 503 Service Unavailable" {
        assert!(began.elapsed() < Duration::from_secs(60), "places are left");
        let mut raw = Raw::connect_narrow(relay.address(0)).await;
        raw.send(ask_for_much.as_bytes()).await;
        crowd.push(raw);
    }
    for path in ["/healthz", "/readyz", "/metrics", "/api/v1/stats"] {
        assert_eq!(ask(&relay, path).await, "HTTP/1.1 200 OK", "{path}");
    }
    assert!(sockets(pid) < 64 + 2 * RESERVE + 10);
    drop(crowd);
    eventually("a place", || async {
        let page = ask(&relay, "/").await;
        (page == "HTTP/1.1 200 OK").then_some(())
    })
    .await;
    relay.unharmed().await;
}

/// Somebody who goes on asking, always on new connections, keeps nobody else out.
#[tokio::test]
async fn one_address_that_comes_again_and_again_keeps_nobody_out() {
    let flags = [
        "--queue",
        "off",
        "--max-connections",
        "200",
        "--max-connections-per-address",
        "5",
    ];
    let mut relay = Relay::start(1, &flags).await;
    let mut crowd = Vec::new();
    for round in 0..5 {
        crowd.clear();
        for _ in 0..220 {
            let mut raw = Raw::connect(relay.address(0)).await;
            raw.send(PROBE).await;
            crowd.push(raw);
        }
        still_open(&relay, &format!("round {round}")).await;
    }
    relay.unharmed().await;
}
