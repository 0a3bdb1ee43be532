//! Frames that never become a message, or become one that says nothing, as many as the line takes: others go on meanwhile.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::Relay;
use crate::raw::{CONTINUATION, FIN, Frame, PONG, Raw, TEXT, frame, head, text};

const MEMORY: &[&str] = &["--queue", "off"];
/// How many attack at once.
const CROWD: usize = 30;
/// Others wait a few milliseconds; this is what a busy machine and a build without optimization may add. Without a budget it was many seconds.
const PATIENCE: Duration = Duration::from_millis(1_500);
const ATTACK: Duration = Duration::from_secs(2);

/// A flood: what it begins with, and what it repeats.
#[derive(Clone)]
struct Flood {
    name: &'static str,
    begin: Vec<u8>,
    unit: Vec<u8>,
    /// How it may end before a hello, and after one; `None`: it may go on, at the pace the server reads.
    before: Option<u16>,
    after: Option<u16>,
}

/// What takes the server most to read.
fn texts() -> [(&'static str, Vec<u8>); 3] {
    let large = format!(r#"{{"type":"no-such","data":"{}"}}"#, "x".repeat(60_000));
    let keys: String = (0..6_000).map(|n| format!(r#""{n}":1,"#)).collect();
    let keys = format!(r#"{{{keys}"type":"no-such"}}"#);
    let pieces = [
        frame(TEXT, b"{"),
        frame(CONTINUATION, b" ").repeat(1_000),
        frame(FIN | CONTINUATION, br#""type":"no-such"}"#),
    ];
    [
        ("large texts", text(&large)),
        ("texts of many keys", text(&keys)),
        ("as many pieces as allowed", pieces.concat()),
    ]
}

fn floods() -> Vec<Flood> {
    let frames = [
        ("pongs", frame(FIN | PONG, b"")),
        ("large pongs", frame(FIN | PONG, &[7; 125])),
    ];
    let allowed = texts().into_iter().chain(frames);
    let allowed = allowed.map(|(name, unit)| (name, b"".to_vec(), unit, Some(4400), None));
    let begin = frame(TEXT, b"{");
    let wrong = [
        (
            "empty fragments",
            begin.clone(),
            frame(CONTINUATION, b""),
            1009,
        ),
        ("tiny fragments", begin, frame(CONTINUATION, b" "), 1009),
        ("empty texts", vec![], frame(FIN | TEXT, b""), 4400),
        ("unmasked", vec![], b"\x8a\x01x".to_vec(), 1002),
        ("too large", vec![], head(FIN | TEXT, 1 << 40), 1009),
    ];
    let wrong = wrong.map(|(name, begin, unit, code)| (name, begin, unit, Some(code), Some(code)));
    let flood = |(name, begin, unit, before, after)| Flood {
        name,
        begin,
        unit,
        before,
        after,
    };
    allowed.chain(wrong).map(flood).collect()
}

/// Sends until the server hangs up or the time is over, and reads what comes. Gives the close frame's code, `None` without one.
async fn attack(mut raw: Raw, flood: Flood) -> Option<u16> {
    let began = Instant::now();
    raw.send(&flood.begin).await;
    let block = flood.unit.repeat(200_000 / flood.unit.len() + 1);
    let mut at = 0;
    while began.elapsed() < ATTACK {
        at = (at + raw.pour(&block[at..], Duration::from_millis(50)).await) % block.len();
        for _ in 0..1_000 {
            match timeout(Duration::from_millis(1), raw.next()).await {
                Ok(Frame::Close(code)) => return Some(code),
                // What is still being sent may turn the end into a reset.
                Ok(Frame::End) => return Some(0),
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    None
}

async fn nobody_waits_for(flood: &Flood, hello: bool) {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut victim = relay.join(0, "other").await;
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let mut raw = Raw::open(relay.address(0), &format!("board-{n}")).await;
        if hello {
            raw.enter().await;
        }
        crowd.spawn(attack(raw, flood.clone()));
    }
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < ATTACK {
        let asked = Instant::now();
        victim.commit(json!({"type": "chat", "text": "x"})).await;
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (name, right) = (flood.name, if hello { flood.after } else { flood.before });
    assert!(
        slowest < PATIENCE,
        "{name}, hello {hello}: others waited {slowest:?}"
    );
    let mut codes = crowd.join_all().await;
    codes.retain(|code| *code != Some(0));
    assert!(
        codes.iter().all(|code| *code == right),
        "{name}, hello {hello}: {codes:?}"
    );
    relay.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flood_of_frames_before_a_hello_makes_others_wait() {
    for flood in floods() {
        nobody_waits_for(&flood, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flood_of_frames_after_a_hello_makes_others_wait() {
    for flood in floods() {
        nobody_waits_for(&flood, true).await;
    }
}

/// A share that is used up is no empty socket: what is behind it is handled without another byte coming.
#[tokio::test]
async fn what_is_behind_a_turns_share_is_not_forgotten() {
    let mut relay = Relay::start(1, MEMORY).await;
    for frames in [63, 64, 65, 255, 256, 257, 511, 512, 513, 5_000] {
        for unit in [
            frame(FIN | PONG, b""),
            frame(FIN | PONG, &[1; 125]),
            frame(FIN | PONG, &[1; 58]),
        ] {
            let mut raw = Raw::join(relay.address(0), "board").await;
            let ping = text(r#"{"type":"ping","ts":77}"#);
            raw.send(&[unit.repeat(frames), ping].concat()).await;
            assert_eq!(raw.until("pong").await["ts"], 77);
        }
    }
    relay.unharmed().await;
}

/// The largest message in the smallest pieces that are allowed, and pings between them.
#[tokio::test]
async fn a_message_in_many_pieces_is_taken() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    let chat = format!(
        r#"{{"type":"broadcast","op":1,"event":"e","data":"{}"}}"#,
        "x".repeat(60_000)
    );
    let mut bytes = frame(TEXT, b"");
    for piece in chat.as_bytes().chunks(64) {
        bytes.extend(frame(CONTINUATION, piece));
        bytes.extend(frame(FIN | PONG, b""));
    }
    bytes.extend(frame(FIN | CONTINUATION, b""));
    raw.send(&bytes).await;
    assert_eq!(raw.until("ack").await["status"], "ok");
    relay.unharmed().await;
}
