//! The checker against a relay that can be told to do wrong: what it doesn't find here, it wouldn't find there.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;

use super::ledger::Faults;
use super::summary::Run;
use super::tally::Shared;
use super::{ClientsArgs, put_on};

/// What the relay does wrong, or what is unusual but right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    Right,
    /// Every 10th message never reaches the last member.
    Loses,
    /// Every 10th message reaches the others twice.
    Repeats,
    /// Every 10th message changes places with the next one, for the last member.
    Swaps,
    /// Every 10th message is committed a second time.
    CommitsTwice,
    /// Every 10th op is refused for now, and what follows it.
    Refuses,
    /// Every connection is closed with 4503 after 20 ops.
    Restarts,
    /// Says nothing for a while, then everything at once.
    Stutters,
}

#[derive(Default)]
struct Canvas {
    log: Vec<(String, u64, Value)>,
    members: Vec<(String, mpsc::Sender<Message>)>,
    late: Option<Value>,
    ops: u64,
}

impl Canvas {
    fn commit(&mut self, habit: Habit, client: &str, m: &Value) {
        let op = m["op"].as_u64().unwrap();
        let seq = self.log.len() as u64 + 1;
        let mut whole = m.clone();
        whole["seq"] = json!(seq);
        whole["client"] = json!(client);
        self.log.push((client.to_owned(), op, whole.clone()));
        let tenth = seq.is_multiple_of(10);
        let last = self.members.len() - 1;
        for (i, (name, to)) in self.members.iter().enumerate() {
            let say = |v: &Value| {
                to.try_send(Message::text(v.to_string()))
                    .unwrap_or_default()
            };
            if name == client {
                say(&json!({"type": "ack", "op": op, "seq": seq, "status": "ok"}));
                continue;
            }
            match habit {
                Habit::Loses if tenth && i == last => continue,
                Habit::Repeats if tenth => say(&whole),
                Habit::Swaps if tenth && i == last && self.late.is_none() => {
                    self.late = Some(whole.clone());
                    continue;
                }
                _ => {}
            }
            say(&whole);
            if i == last {
                self.late.take().iter().for_each(say);
            }
        }
    }

    fn take(&mut self, habit: Habit, client: &str, m: &Value, held: &mut u64) -> Option<Value> {
        let op = m["op"].as_u64().unwrap();
        self.ops += 1;
        if *held == 0 && habit == Habit::Refuses && self.ops.is_multiple_of(10) {
            *held = op;
            return Some(error(op));
        }
        if *held != 0 && op > *held {
            return Some(error(op));
        }
        *held = 0;
        if let Some((_, last, _)) = self.log.iter().rfind(|(c, ..)| c == client)
            && op <= *last
        {
            return Some(json!({"type": "ack", "op": op, "seq": 0, "status": "dup"}));
        }
        self.commit(habit, client, m);
        if habit == Habit::CommitsTwice && self.log.len().is_multiple_of(10) {
            self.commit(habit, client, m);
        }
        None
    }

    fn join(&mut self, hello: &Value, to: mpsc::Sender<Message>) {
        let client = hello["client"].as_str().unwrap().to_owned();
        let say = |v: Value| to.try_send(Message::text(v.to_string())).unwrap();
        let acked = self
            .log
            .iter()
            .rfind(|(c, ..)| *c == client)
            .map_or(0, |(_, op, _)| *op);
        let head = self.log.len();
        let since = hello["since"]["seq"].as_u64();
        say(
            json!({"type": "welcome", "instance": "mock", "client": client, "seq": head,
            "epoch": "00000000000000aa", "mode": if since.is_some() { "resume" } else { "snapshot" },
            "acked_op": acked}),
        );
        match since {
            Some(seq) => {
                let after = usize::try_from(seq).unwrap();
                self.log[after..]
                    .iter()
                    .for_each(|(.., whole)| say(whole.clone()));
            }
            None => say(
                json!({"type": "snapshot", "epoch": "00000000000000aa", "seq": head,
                "part": 0, "last": true, "objects": [], "chat": []}),
            ),
        }
        self.members.retain(|(name, _)| *name != client);
        self.members.push((client, to));
    }
}

fn error(op: u64) -> Value {
    json!({"type": "error", "code": "overloaded", "message": "", "op": op, "retry_after_ms": 20})
}

#[expect(clippy::result_large_err, reason = "tungstenite's callback")]
fn subprotocol(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let name = "scumble.v1".parse().unwrap();
    response
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", name);
    Ok(response)
}

async fn serve(stream: TcpStream, habit: Habit, canvas: Arc<Mutex<Canvas>>) {
    stream.set_nodelay(true).unwrap();
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, subprotocol)
        .await
        .unwrap();
    let (to, mut out) = mpsc::channel(100_000);
    // Long enough for more than a client takes in one go.
    let mut stutter = tokio::time::interval(Duration::from_millis(600));
    let (mut client, mut held, mut ops) = (String::new(), 0, 0);
    loop {
        let text = tokio::select! {
            Some(frame) = out.recv(), if habit != Habit::Stutters => {
                let Ok(()) = socket.send(frame).await else { return };
                continue;
            }
            _ = stutter.tick(), if habit == Habit::Stutters => {
                while let Ok(frame) = out.try_recv() {
                    let Ok(()) = socket.feed(frame).await else { return };
                }
                let Ok(()) = socket.flush().await else { return };
                continue;
            }
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(_)) => continue,
                _ => return,
            }
        };
        let m: Value = serde_json::from_str(&text).unwrap();
        match m["type"].as_str().unwrap() {
            "hello" => {
                client = m["client"].as_str().unwrap().to_owned();
                canvas.lock().join(&m, to.clone());
            }
            "cursor" => {}
            "bye" => {
                let _ = socket.close(None).await;
                return;
            }
            _ => {
                ops += 1;
                if habit == Habit::Restarts && ops == 20 {
                    let close = CloseFrame {
                        code: 4503.into(),
                        reason: "".into(),
                    };
                    let _ = socket.close(Some(close)).await;
                    return;
                }
                let answer = canvas.lock().take(habit, &client, &m, &mut held);
                if let Some(answer) = answer {
                    let _ = to.try_send(Message::text(answer.to_string()));
                }
            }
        }
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ClientsArgs,
}

/// Load on a relay of that habit.
async fn load(habit: Habit, seconds: &str, drain: &str) -> (Arc<Shared>, Run) {
    load_with(habit, seconds, drain, &[]).await
}

async fn load_with(habit: Habit, seconds: &str, drain: &str, flags: &[&str]) -> (Arc<Shared>, Run) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("--url=http://{}", listener.local_addr().unwrap());
    let mut relay = JoinSet::new();
    relay.spawn(async move {
        let canvas = Arc::new(Mutex::new(Canvas::default()));
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(serve(stream, habit, Arc::clone(&canvas)));
        }
    });
    let rates = "x --canvases 1 --clients-per-canvas 4 --cursor-rate 5 --object-rate 5 \
                 --message-rate 50";
    let line = rates
        .split_whitespace()
        .chain(["--duration", seconds, "--drain", drain, &url])
        .chain(flags.iter().copied());
    let cli = Cli::parse_from(line);
    let load = tokio::time::timeout(Duration::from_secs(30), put_on(&cli.args));
    load.await.expect("bounded").expect("ran")
}

async fn faults(habit: Habit) -> Faults {
    load(habit, "1", "500ms").await.1.faults
}

#[tokio::test]
async fn a_relay_that_does_right_is_found_right() {
    let (shared, run) = load(Habit::Right, "1", "10").await;
    assert!(run.is_right(), "{run:?}");
    let tally = shared.tally.lock();
    assert!(tally.messages >= 4 * 50, "{tally:?}");
    // Each of them was acked and got to the other three.
    assert_eq!(tally.acks, tally.messages);
    assert_eq!(
        (tally.deliveries, tally.same.count()),
        (3 * tally.messages, 3 * tally.messages)
    );
    assert_eq!(
        (tally.cross.count(), run.instances, tally.skipped),
        (0, 1, 0)
    );
    assert!(tally.cursors_sent > 0);
}

#[tokio::test]
async fn what_is_lost_is_found() {
    let f = faults(Habit::Loses).await;
    assert!(
        f.lost >= 10 && f.duplicated == 0 && f.disordered == 0,
        "{f:?}"
    );
}

#[tokio::test]
async fn what_is_repeated_is_found() {
    let f = faults(Habit::Repeats).await;
    assert!(
        f.lost == 0 && f.duplicated >= 30 && f.disordered == 0,
        "{f:?}"
    );
    let f = faults(Habit::CommitsTwice).await;
    assert!(f.lost == 0 && f.duplicated >= 10, "{f:?}");
}

#[tokio::test]
async fn what_is_out_of_order_is_found() {
    let f = faults(Habit::Swaps).await;
    assert!(f.disordered >= 10, "{f:?}");
}

#[tokio::test]
async fn refused_ops_are_said_again_in_order() {
    let (shared, run) = load(Habit::Refuses, "1", "10").await;
    assert!(run.is_right(), "{run:?}");
    let tally = shared.tally.lock();
    assert!(
        tally.errors["overloaded"] > 0 && tally.resent > 0,
        "{tally:?}"
    );
    assert_eq!(tally.acks, tally.messages);
}

#[tokio::test]
async fn who_is_sent_away_comes_back_and_goes_on() {
    let (shared, run) = load(Habit::Restarts, "3", "20").await;
    assert!(run.is_right(), "{run:?}");
    let tally = shared.tally.lock();
    assert!(
        tally.reconnects >= 4 && tally.resumes == tally.reconnects,
        "{tally:?}"
    );
    assert!(tally.planned >= 4 && tally.errors.is_empty(), "{tally:?}");
    // Each was sent away before it had sent half; who was sent away at the very end need not be back.
    let (lost, back) = (tally.returns.lost, tally.returns.back.count());
    assert!((4..=lost).contains(&back), "{tally:?}");
}

#[tokio::test]
async fn who_stalls_hears_nothing_and_misses_nothing() {
    let flags = ["--stalled-per-canvas=1", "--senders-per-canvas=1"];
    let (shared, run) = load_with(Habit::Right, "1", "10", &flags).await;
    assert!(run.is_right(), "{run:?}");
    let tally = shared.tally.lock();
    assert!(tally.messages >= 40, "{tally:?}");
    // One sends and gets acks, two hear it, one does not read.
    assert_eq!(tally.deliveries, 2 * tally.messages);
    assert_eq!(tally.returns.lost, 0);
}

#[test]
fn who_loses_its_relay_finds_the_others_in_turns() {
    let line = "x --url http://a --url http://b --standby-url http://c --standby-url http://d";
    let args = Cli::parse_from(line.split(' ')).args;
    let of = |number| {
        let urls = args.urls_of(number).into_iter();
        urls.map(|url| url.authority[..1].to_owned())
            .collect::<String>()
    };
    assert_eq!(
        [of(0), of(1), of(2), of(4), of(6)],
        ["abcd", "bacd", "acdb", "adbc", "abcd"]
    );
}

#[test]
fn who_stalls_does_not_send() {
    let line = "x --clients-per-canvas 4 --stalled-per-canvas 2 --senders-per-canvas 3";
    let args = Cli::parse_from(line.split(' ')).args;
    let error = args.plans().expect_err("five of four");
    assert!(
        error.to_string().contains("--stalled-per-canvas"),
        "{error:#}"
    );
}

#[tokio::test]
async fn everything_at_once_is_still_everything() {
    let (_, run) = load(Habit::Stutters, "2", "10").await;
    assert!(run.is_right(), "{run:?}");
}

#[tokio::test]
async fn nobody_at_the_url_is_an_error_that_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let cli = Cli::parse_from([
        "x",
        "--url",
        &url,
        "--canvases",
        "1",
        "--clients-per-canvas",
        "1",
    ]);
    let error = put_on(&cli.args).await.expect_err("nobody is there");
    assert!(format!("{error:#}").contains(&url), "{error:#}");
}
