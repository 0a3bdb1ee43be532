//! Attacks through nginx: whatever a crowd sends or holds, others chat on, and probes are answered.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::*;
use crate::harness::http;

/// How many attack at once.
const CROWD: usize = 30;
const ATTACK: Duration = Duration::from_secs(2);
/// What a busy machine and a build without optimization may take for an answer that is there at once.
const AT_ONCE: Duration = Duration::from_secs(5);

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const PING: u8 = 0x89;

/// A client's frame of a few bytes, masked with zeros.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("it is short");
    [&[kind, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// What one of the crowd sends: at first, then again and again with a pause.
#[derive(Clone)]
struct Attack {
    name: &'static str,
    first: Vec<u8>,
    again: Vec<u8>,
    pause: Duration,
    /// It takes no answers.
    deaf: bool,
}

fn upgrade(n: usize) -> Vec<u8> {
    format!(
        "GET /ws/attacked-{n} HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         X-Forwarded-For: 198.51.100.{n}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    .into_bytes()
}

fn attacks(n: usize) -> [Attack; 5] {
    let socket = |name, begin: Vec<u8>, unit: Vec<u8>| Attack {
        name,
        first: [upgrade(n), begin].concat(),
        again: unit.repeat(10_000),
        pause: Duration::ZERO,
        deaf: false,
    };
    let forwarded = format!("Host: relay\r\nX-Forwarded-For: 203.0.113.{n}, 198.51.100.{n}\r\n");
    let page = format!("GET /client.js HTTP/1.1\r\n{forwarded}\r\n").into_bytes();
    let body = format!(
        "POST /api/v1/canvases/x/messages HTTP/1.1\r\n{forwarded}Content-Length: 60000\r\n\r\n"
    );
    [
        socket(
            "empty continuations",
            frame(TEXT, b"{"),
            frame(CONTINUATION, b""),
        ),
        socket("pings", Vec::new(), frame(PING, b"")),
        socket("large pings", Vec::new(), frame(PING, &[7; 125])),
        Attack {
            name: "slow bodies",
            first: body.into_bytes(),
            again: b" ".to_vec(),
            pause: Duration::from_millis(20),
            deaf: false,
        },
        Attack {
            name: "places of HTTP",
            first: page.repeat(50),
            again: Vec::new(),
            pause: Duration::from_millis(100),
            deaf: true,
        },
    ]
}

/// Until the server hangs up or the time is over.
async fn run(path: PathBuf, attack: Attack) -> io::Result<()> {
    let mut stream = UnixStream::connect(path).await?;
    let began = Instant::now();
    let mut sink = vec![0; 65_536];
    let mut left = attack.first.as_slice();
    while began.elapsed() < ATTACK {
        if left.is_empty() {
            sleep(attack.pause).await;
            left = &attack.again;
        }
        if let Ok(sent) = timeout(Duration::from_millis(20), stream.write(left)).await {
            left = &left[sent?..];
        }
        if !attack.deaf {
            let read = timeout(Duration::from_millis(1), stream.read(&mut sink)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn others_go_on_during(which: usize) {
    let flags = [
        "--max-connections=100",
        "--max-connections-per-address=40",
        "--trusted-proxy=127.0.0.1",
    ];
    let relay = Relay::start(3, &flags).await;
    let nginx = Nginx::start(&relay).await;
    let mut victim = nginx.join("other").await;
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let attack = attacks(n)[which].clone();
        crowd.spawn(run(nginx.dir.path().join("nginx.sock"), attack));
    }
    let name = attacks(0)[which].name;
    let began = Instant::now();
    while began.elapsed() < ATTACK {
        let chat = victim.commit(json!({"type": "chat", "text": "x"}));
        timeout(AT_ONCE, chat).await.expect(name);
        for process in 0..3 {
            let probe = http::get(relay.address(process), "/healthz", "");
            let answer = timeout(AT_ONCE, probe).await.expect(name);
            assert_eq!(answer.expect("an answer").status, 200, "{name}");
        }
        sleep(Duration::from_millis(20)).await;
    }
    // Somebody else comes in, too.
    let late = timeout(AT_ONCE, nginx.join("other")).await.expect(name);
    assert_eq!(late.seq, victim.seq, "{name}");
    while crowd.join_next().await.is_some() {}
}

#[tokio::test]
async fn empty_continuations_through_nginx_keep_nobody_waiting() {
    others_go_on_during(0).await;
}

#[tokio::test]
async fn pings_through_nginx_keep_nobody_waiting() {
    others_go_on_during(1).await;
    others_go_on_during(2).await;
}

#[tokio::test]
async fn slow_bodies_through_nginx_keep_nobody_waiting() {
    others_go_on_during(3).await;
}

#[tokio::test]
async fn held_places_of_many_names_through_nginx_keep_nobody_waiting() {
    others_go_on_during(4).await;
}
