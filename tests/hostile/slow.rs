//! Slowness as a weapon: heads and frames that trickle, sockets that say nothing, readers that hardly read.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::harness::{Relay, eventually};
use crate::raw::{FIN, Frame, HANDSHAKE, Raw, TEXT, head, text};

const MEMORY: &[&str] = &["--queue", "off"];
/// What the server gives a head or a hello, and what a busy machine may add.
const TEN_SECONDS: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_secs(8);

/// Sends a byte now and then until the server hangs up. Gives how long that took.
async fn trickle(mut raw: Raw, bytes: Vec<u8>) -> Duration {
    let began = Instant::now();
    for byte in bytes.iter().cycle() {
        raw.send(&[*byte]).await;
        if let Ok(n) = timeout(Duration::from_millis(250), raw.read_some()).await
            && n == 0
        {
            break;
        }
        assert!(began.elapsed() < TEN_SECONDS + SLACK, "nobody hangs up");
    }
    began.elapsed()
}

#[tokio::test]
async fn a_head_that_trickles_ends_within_its_bound() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut slow = JoinSet::new();
    for start in [
        "".to_owned(),
        "GET /healthz HTTP/1.1\r\nX-A: ".to_owned(),
        format!("GET /ws/board HTTP/1.1\r\n{HANDSHAKE}X-A: "),
        // The second request of a connection has no longer.
        "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\nGET /healthz HTTP/1.1\r\nX-A: ".to_owned(),
        // A body may take no longer either, wanted or not.
        "POST /api/v1/canvases/a/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n{".to_owned(),
        "PUT /api/v1/hooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n{".to_owned(),
        "POST /api/v1/push HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n{".to_owned(),
        "GET /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: 9000\r\n\r\n{".to_owned(),
    ] {
        let mut raw = Raw::connect(relay.address(0)).await;
        raw.send(start.as_bytes()).await;
        slow.spawn(trickle(raw, b"x".to_vec()));
    }
    // A keep-alive connection that asks for nothing more, and one that never asked.
    for start in ["GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n", ""] {
        let mut raw = Raw::connect(relay.address(0)).await;
        raw.send(start.as_bytes()).await;
        slow.spawn(async move {
            let began = Instant::now();
            while timeout(TEN_SECONDS + SLACK, raw.read_some())
                .await
                .expect("an end")
                > 0
            {}
            began.elapsed()
        });
    }
    while let Some(took) = slow.join_next().await {
        assert!(took.unwrap() <= TEN_SECONDS + SLACK);
    }
    relay.unharmed().await;
}

/// Whoever has no token can begin to log in. A place that is held so would look busy, and the drain would wait for it.
#[tokio::test]
async fn a_login_that_trickles_ends_within_its_bound_and_holds_no_drain_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    std::fs::write(&file, "a".repeat(40)).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).expect("its mode");
    let flags = [
        "--queue",
        "off",
        "--api-token-file",
        &file.display().to_string(),
    ];
    let relay = Relay::start(1, &flags).await;
    let login = "POST /admin/api/session HTTP/1.1\r\nHost: localhost\r\nX-Scumble-Admin: 1\r\n\
        Sec-Fetch-Site: same-origin\r\nContent-Length: 9000\r\n\r\n{";
    let mut raw = Raw::connect(relay.address(0)).await;
    raw.send(login.as_bytes()).await;
    assert!(trickle(raw, b"x".to_vec()).await <= TEN_SECONDS + SLACK);
}

/// Sockets that a process has open.
pub fn sockets(pid: u32) -> usize {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    open.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_given_up() {
    let mut relay = Relay::start(1, &["--queue", "off", "--write-timeout", "3s"]).await;
    let pid = relay.process(0).pid();
    let before = sockets(pid);
    let ask = "GET /client.js HTTP/1.1\r\nHost: test\r\n\r\n";
    let mut silent = Vec::new();
    for _ in 0..5 {
        let mut raw = Raw::connect_narrow(relay.address(0)).await;
        raw.send(ask.repeat(50).as_bytes()).await;
        silent.push(raw);
    }
    // This one takes longer than that, too, but it reads.
    let mut slow = Raw::connect_narrow(relay.address(0)).await;
    let last = ask.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    slow.send((ask.repeat(3) + &last).as_bytes()).await;
    let mut answers = Vec::new();
    while slow.read_into(&mut answers).await > 0 {
        sleep(Duration::from_millis(100)).await;
    }
    let complete = std::fs::read("web/client/dist/client.js").unwrap();
    assert!(answers.ends_with(&complete), "{} bytes", answers.len());
    assert!(answers.len() > 4 * complete.len());
    eventually("the end of the silent", || async {
        (sockets(pid) <= before).then_some(())
    })
    .await;
    drop(silent);
    relay.unharmed().await;
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let mut relay = Relay::start(1, MEMORY).await;
    for flood in [
        format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nX: {}\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(20_000)),
    ] {
        let mut raw = Raw::connect(relay.address(0)).await;
        raw.send(flood.as_bytes()).await;
        let mut answer = Vec::new();
        while raw.read_into(&mut answer).await > 0 {}
        let answer = String::from_utf8_lossy(&answer).into_owned();
        // Refused by name where the refusal isn't lost in what is still being sent.
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    relay.unharmed().await;
}

#[tokio::test]
async fn a_body_announced_too_large_is_refused_at_once() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut raw = Raw::connect(relay.address(0)).await;
    let head = "POST /api/v1/canvases/a/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n{";
    raw.send(head.as_bytes()).await;
    let mut answer = Vec::new();
    // Until the end: what was announced is not waited for.
    while timeout(TEN_SECONDS / 2, raw.read_into(&mut answer))
        .await
        .expect("an answer, and an end")
        > 0
    {}
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    relay.unharmed().await;
}

#[tokio::test]
async fn no_hello_is_4400_within_ten_seconds_however_busy_the_line() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut clients = JoinSet::new();
    // Silent; trickling a frame; pings all the while; a flood of pongs that never leaves the server idle.
    for (kind, n) in [("silent", 5), ("trickle", 5), ("pings", 3), ("flood", 2)] {
        for _ in 0..n {
            let mut raw = Raw::open(relay.address(0), "board").await;
            clients.spawn(async move {
                let (began, mut begun) = (Instant::now(), 0);
                let code = loop {
                    match kind {
                        "silent" => break raw.closed().await,
                        "trickle" => raw.send(&head(FIN | TEXT, 60_000)[..1]).await,
                        "pings" => raw.send(&crate::raw::frame(FIN | 9, b"x")).await,
                        _ => {
                            let pong = crate::raw::frame(FIN | 10, &[0; 100]);
                            let pongs = &pong.repeat(20_000)[begun..];
                            let n = raw.pour(pongs, Duration::from_millis(200)).await;
                            begun = (begun + n) % pong.len();
                        }
                    }
                    let pause = Duration::from_millis(if kind == "flood" { 1 } else { 100 });
                    match timeout(pause, raw.next()).await {
                        Ok(Frame::Close(code)) => break Some(code),
                        Ok(Frame::End) => break None,
                        _ => {}
                    }
                    assert!(
                        began.elapsed() < TEN_SECONDS + SLACK,
                        "{kind}: nobody hangs up"
                    );
                };
                (kind, code)
            });
        }
    }
    while let Some(ended) = clients.join_next().await {
        let (kind, code) = ended.unwrap();
        // A first byte repeated is against the RFC sooner than it is late.
        let right: &[Option<u16>] = match kind {
            "trickle" => &[Some(1002), Some(4400)],
            // What it still sends may turn the end into a reset.
            "flood" => &[Some(4400), None],
            _ => &[Some(4400)],
        };
        assert!(right.contains(&code), "{kind}: {code:?}");
    }
    relay.until_stat("connections", |n| n == 0).await;
    relay.unharmed().await;
}

#[tokio::test]
async fn a_frame_that_trickles_costs_no_more_than_a_message() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut all = Vec::new();
    for _ in 0..400 {
        all.push(Raw::join(relay.address(0), "board").await);
    }
    let before = relay.process(0).resident_kib();
    for raw in &mut all {
        raw.send(&head(FIN | TEXT, 262_144)).await;
    }
    for _ in 0..20 {
        for raw in &mut all {
            raw.send(b"xxxxxxxxxx").await;
        }
    }
    relay
        .join(0, "other")
        .await
        .commit(json!({"type": "chat", "text": "hi"}))
        .await;
    let grown = relay.process(0).resident_kib().saturating_sub(before);
    // A message of the largest size each would be 100 MiB; what came is 200 bytes each.
    assert!(grown < 32 * 1024, "{grown} KiB for 400 frames that trickle");
    // The frame is one like any other once it is whole.
    let mut one = all.pop().unwrap();
    one.send(&vec![b' '; 262_144 - 200 - 22]).await;
    one.send(br#"{"type":"ping","ts":1}"#).await;
    assert_eq!(one.until("error").await["code"], "bad-json");
    relay.unharmed().await;
}

/// Commits messages of about a kilobyte until told to stop; gives how many.
async fn write(relay: &Relay, canvas: &str, stop: tokio::sync::watch::Receiver<bool>) -> u64 {
    let mut client = relay.join(0, canvas).await;
    let data = "x".repeat(1_000);
    while !*stop.borrow() {
        for _ in 0..20 {
            client
                .op(json!({"type": "broadcast", "event": "e", "data": data}))
                .await;
        }
        client.settle().await.expect("a connection");
        sleep(Duration::from_millis(50)).await;
    }
    client.op
}

/// Reads messages off the start of what has come. Gives the `seq` that it is at afterwards.
fn follow(raw: &mut Raw, mut seq: u64) -> u64 {
    while let Some(frame) = raw.take() {
        let Frame::Text(text) = frame else {
            assert_eq!(frame, Frame::Ping, "never kicked for being slow");
            continue;
        };
        let message: serde_json::Value = serde_json::from_str(&text).unwrap();
        match message["type"].as_str().unwrap() {
            "broadcast" => {
                seq += 1;
                assert_eq!(message["seq"], seq);
            }
            "snapshot" => seq = message["seq"].as_u64().unwrap(),
            "resync" | "pong" | "user-connected" | "user-disconnected" | "presence" => {}
            other => panic!("{other}"),
        }
    }
    seq
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_misses_nothing_and_is_not_kicked() {
    let flags = [
        "--write-timeout",
        "12s",
        "--message-ttl",
        "5s",
        "--cleanup-interval",
        "1s",
    ];
    let mut relay = Relay::start(1, &flags).await;
    let mut slow = Raw::connect_narrow(relay.address(0)).await;
    assert!(slow.upgrade("board", "").await.starts_with("HTTP/1.1 101"));
    slow.enter().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let reader = async {
        let mut seq = 0;
        // Two kilobytes a second, for far longer than the write timeout, and than a ping may go without its pong:
        // the ping is behind all the rest.
        for _ in 0..210 {
            slow.read_at_most(500);
            seq = follow(&mut slow, seq);
            sleep(Duration::from_millis(250)).await;
        }
        stop.send_replace(true);
        seq
    };
    let (head, mut seq) = tokio::join!(write(&relay, "board", stopped), reader);
    assert!(head > seq, "the reader was behind: {seq} of {head}");
    // Now as fast as it can: it gets to the head, by the log or by a snapshot.
    while seq < head {
        assert!(
            slow.read_some().await > 0,
            "the connection ended at {seq} of {head}"
        );
        seq = follow(&mut slow, seq);
    }
    slow.works().await;
    relay.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_takes_nothing_is_closed() {
    let mut relay = Relay::start(1, &["--write-timeout", "2s"]).await;
    let mut stalled = Vec::new();
    for _ in 0..5 {
        let mut raw = Raw::connect_narrow(relay.address(0)).await;
        raw.upgrade("board", "").await;
        raw.enter().await;
        stalled.push(raw);
    }
    // This one never stops talking, and reads as little.
    let mut noisy = Raw::connect_narrow(relay.address(0)).await;
    noisy.upgrade("board", "").await;
    noisy.enter().await;
    let mut noise = JoinSet::new();
    noise.spawn(async move {
        let cursor = text(r#"{"type":"cursor","x":1,"y":1}"#).repeat(500);
        while noisy.stream.try_write(&cursor).is_ok()
            || timeout(Duration::from_secs(5), noisy.stream.writable())
                .await
                .is_ok()
        {
            if noisy.stream.take_error().ok().flatten().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let gone = async {
        relay.until_stat("connections", |n| n == 1).await;
        stop.send_replace(true);
    };
    tokio::join!(write(&relay, "board", stopped), gone);
    // Whoever reads on afterwards finds out why. All at once: to those who wait longer the kernel offers the rest less and less often.
    let readers = stalled.iter_mut().map(Raw::closed);
    assert_eq!(futures::future::join_all(readers).await, [Some(4504); 5]);
    noise.abort_all();
    relay.unharmed().await;
}

/// A message that has begun and hardly goes on holds a connection as long as it comes at a kilobyte in the time given, and no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_hardly_goes_on_is_given_up_and_a_slow_one_is_not() {
    let flags = [
        "--queue",
        "off",
        "--write-timeout",
        "2s",
        "--ping-interval",
        "500ms",
    ];
    let mut relay = Relay::start(1, &[&flags[..], &["--pong-timeout", "1s"]].concat()).await;
    let mut dawdling = Raw::join(relay.address(0), "board").await;
    let mut slow = Raw::join(relay.address(0), "board").await;
    let chat = format!(
        r#"{{"type":"broadcast","op":1,"event":"e","data":"{}"}}"#,
        "x".repeat(6_000)
    );
    let message = text(&chat);
    let began = Instant::now();
    let trickle = async {
        dawdling.send(&message[..100]).await;
        for byte in message[100..].chunks(1) {
            dawdling.send(byte).await;
            if timeout(Duration::from_millis(50), dawdling.stream.readable())
                .await
                .is_ok()
                && let Some(code) = timeout(Duration::from_millis(50), dawdling.closed())
                    .await
                    .ok()
                    .flatten()
            {
                return Some(code);
            }
            assert!(began.elapsed() < TEN_SECONDS + SLACK, "nobody hangs up");
        }
        None
    };
    let upload = async {
        for piece in message.chunks(300) {
            slow.send(piece).await;
            sleep(Duration::from_millis(250)).await;
        }
        slow.until("ack").await["status"] == "ok"
    };
    assert_eq!(tokio::join!(trickle, upload), (Some(4504), true));
    relay.unharmed().await;
}
