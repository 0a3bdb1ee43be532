//! Streams of events: names of sessions that are guessed or stolen, bodies that trickle, posts of rubbish, clients that
//! post and do not read.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::harness::http::ask;
use crate::harness::stream::Stream;
use crate::harness::{Relay, eventually};
use crate::raw::Raw;

const HOST: &str = "Host: test\r\n";

#[tokio::test]
async fn a_session_is_good_for_its_canvas_and_its_relay_alone() {
    let mut relay = Relay::start(2, &[]).await;
    let mut elsewhere = Relay::start(2, &[]).await;
    let mut ada = Stream::join(relay.address(0), "board").await;
    let other = Stream::join(relay.address(0), "other").await;
    let foreign = Stream::join(elsewhere.address(0), "board").await;
    let chat = json!([{"type": "chat", "op": 1, "text": "not mine"}]).to_string();
    let mut forged: Vec<String> = (0..ada.session.len())
        .map(|at| {
            let mut name = ada.session.clone().into_bytes();
            name[at] = if name[at] == b'x' { b'y' } else { b'x' };
            String::from_utf8(name).unwrap()
        })
        .collect();
    forged.extend([other.session.clone(), foreign.session.clone()]);
    forged.extend(["%00", "..", "a", &"A".repeat(43), &"A".repeat(4_000)].map(str::to_owned));
    for name in forged {
        for process in [0, 1] {
            let path = format!("/sse/board/{name}?post=1");
            let answer = ask(relay.address(process), "POST", &path, HOST, &chat).await;
            let answer = answer.unwrap();
            assert!([404, 410].contains(&answer.status), "{name}: {answer:?}");
        }
    }
    let acks = ada
        .post(
            relay.address(1),
            &json!([{"type": "chat", "op": 1, "text": "mine"}]),
        )
        .await;
    assert_eq!(acks[0]["seq"], 1, "nothing was said before it");
    relay.unharmed().await;
    elsewhere.unharmed().await;
}

#[tokio::test]
async fn bodies_that_trickle_end_within_their_bound() {
    let mut relay = Relay::start(1, &["--queue", "off", "--hello-timeout", "2s"]).await;
    let ada = Stream::join(relay.address(0), "board").await;
    let mut slow = JoinSet::new();
    for path in [
        "/sse/board".to_owned(),
        format!("/sse/board/{}?post=1", ada.session),
    ] {
        let mut raw = Raw::connect(relay.address(0)).await;
        let head = format!("POST {path} HTTP/1.1\r\n{HOST}Content-Length: 9000\r\n\r\n[");
        raw.send(head.as_bytes()).await;
        slow.spawn(async move {
            let began = Instant::now();
            let mut answer = Vec::new();
            while answer.is_empty() {
                raw.send(b" ").await;
                let _ = timeout(Duration::from_millis(250), raw.read_into(&mut answer)).await;
                assert!(began.elapsed() < Duration::from_secs(20), "nobody answers");
            }
            assert!(answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
        });
    }
    slow.join_all().await;
    relay.unharmed().await;
}

/// Posts that nobody takes, since their client does not read, are no memory.
#[tokio::test]
async fn who_posts_and_does_not_read_holds_one_post() {
    let mut relay = Relay::start(2, &["--write-timeout", "30s"]).await;
    let hello = json!({"type": "hello", "v": 1, "client": "mute-tab-0001"}).to_string();
    let mut mute = Stream::ask_narrow(relay.address(0), "board", "", &hello, 4_096).await;
    let (_, data) = mute.event().await.unwrap();
    let session = data.split('"').nth(3).unwrap().to_owned();
    mute.session = session;
    mute.until("snapshot").await;
    let before = relay.process(0).resident_kib();
    // Each is answered with as much as it has, which nobody reads.
    let pings = format!(
        "[{}]",
        vec![r#"{"type":"ping","ts":123456789}"#; 2_000].join(",")
    );
    let (mut taken, mut refused) = (0, 0);
    for number in 1..=200 {
        for process in [0, 1] {
            let answer = mute.post_as(relay.address(process), number, &pings).await;
            match answer.status {
                202 => taken += 1,
                409 | 503 => refused += 1,
                other => panic!("{other}: {answer:?}"),
            }
        }
    }
    assert!(
        taken > 0 && refused > 100,
        "{taken} taken, {refused} refused"
    );
    let after = relay.process(0).resident_kib();
    assert!(after < before + 64 * 1024, "{before} KiB, then {after} KiB");
    drop(mute);
    relay.unharmed().await;
}

#[tokio::test]
async fn ten_bad_messages_end_a_stream_and_half_open_ones_leave_nothing_behind() {
    let mut relay = Relay::start(1, &["--queue", "off", "--presence-grace", "1s"]).await;
    let at = relay.address(0);
    let mut bad = Stream::join(at, "board").await;
    let rubbish = json!(vec![json!({"type": 1}); 20]).to_string();
    assert_eq!(bad.post_as(at, 1, &rubbish).await.status, 202);
    assert_eq!(bad.closed().await.0, 4400);
    let hello = json!({"type": "hello", "v": 1, "client": "half-tab-0001"}).to_string();
    for n in 0..50 {
        let hello = hello.replace("0001", &format!("{n:04}"));
        let mut raw = Raw::connect(at).await;
        let length = hello.len();
        let request =
            format!("POST /sse/board HTTP/1.1\r\n{HOST}Content-Length: {length}\r\n\r\n{hello}");
        raw.send(request.as_bytes()).await;
        if n % 2 == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }
    eventually("all are gone", || async {
        let stats = relay.get(0, "/api/v1/stats").await?.json();
        (stats["connections"] == 0).then_some(())
    })
    .await;
    relay.unharmed().await;
}
