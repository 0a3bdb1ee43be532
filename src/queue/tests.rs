//! What the queue's own tests share, and tests of the whole.

use super::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::backplane::{Author, Delivery, Outcome, PresenceChange, PresenceEvent};
use crate::config::Synchronous;
use crate::protocol::client_message::{Change, Durable, Kind};
use crate::protocol::ids::ClientId;
use crate::protocol::server_message::{AckStatus, ErrorCode, LeaveReason};

/// A configuration of defaults over a file in `dir`.
pub(super) fn config(dir: &Path, instance: &str) -> QueueConfig {
    QueueConfig {
        db: dir.join("queue.db"),
        instance_id: InstanceId::parse(instance).unwrap(),
        poll_interval: Duration::from_millis(50),
        poll_idle: Duration::from_millis(200),
        max_messages_per_poll: 100,
        message_ttl: Duration::from_secs(60),
        cursor_ttl: Duration::from_secs(5),
        cleanup_interval: Duration::from_secs(30),
        local_broadcast: true,
        synchronous: Synchronous::Normal,
        presence_grace: Duration::from_secs(10),
        max_objects: 10_000,
    }
}

/// Connection `n` of instance 1 as an author.
pub(super) fn author(n: u64) -> Arc<Author> {
    let client = ClientId::parse(&format!("client-{n:04}")).unwrap();
    Arc::new(Author::new(
        ConnId::new(1, n),
        client,
        "{}".into(),
        String::new(),
    ))
}

/// A broadcast with a payload of `bytes`.
pub(super) fn durable(author: &Arc<Author>, op: u64, bytes: usize) -> Entry {
    let body = format!(
        "{{\"op\":{op},\"event\":\"e\",\"data\":\"{}\"}}",
        "x".repeat(bytes)
    );
    let message = Durable {
        kind: Kind::Broadcast,
        op,
        body: Bytes::from(body),
        change: Change::None,
    };
    Entry::Durable {
        author: author.clone(),
        message,
    }
}

/// Records what it is given.
#[derive(Default)]
pub(super) struct Recorder {
    got: std::sync::Mutex<Vec<Delivery>>,
    bell: std::sync::Condvar,
}

impl Sink for Recorder {
    fn deliver(&self, delivery: Delivery) {
        self.got.lock().unwrap().push(delivery);
        self.bell.notify_all();
    }
}

impl Recorder {
    /// Waits until `enough` of what was delivered, at most 10 s.
    pub(super) fn wait(&self, enough: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let got = self.got.lock().unwrap();
        let limit = Duration::from_secs(10);
        let (got, _) = self
            .bell
            .wait_timeout_while(got, limit, |got| !enough(got))
            .unwrap();
        assert!(enough(&got), "not enough: {got:#?}");
        got.clone()
    }

    /// Waits for the log up to `seq`, and checks that it came in one order without gap or repeat.
    pub(super) fn log_to(&self, seq: u64) -> Vec<(u64, u64)> {
        let got = self.wait(|got| seqs(got).last().is_some_and(|(last, _)| *last >= seq));
        let seqs = seqs(&got);
        for pair in seqs.windows(2) {
            assert_eq!(pair[0].0 + 1, pair[1].0, "{seqs:?}");
        }
        seqs
    }
}

/// `(seq, op)` of what came.
fn seqs(got: &[Delivery]) -> Vec<(u64, u64)> {
    let batch = |d: &Delivery| match d {
        Delivery::Log(batch) => {
            let op =
                |(i, mark): (usize, &crate::backplane::Mark)| (batch.first_seq + i as u64, mark.op);
            batch.marks.iter().enumerate().map(op).collect()
        }
        _ => Vec::new(),
    };
    got.iter().flat_map(batch).collect()
}

fn outcomes(got: &[Delivery]) -> Vec<(u64, Outcome)> {
    let outcome = |d: &Delivery| match d {
        Delivery::Outcome { op, outcome, .. } => Some((*op, outcome.clone())),
        _ => None,
    };
    got.iter().filter_map(outcome).collect()
}

fn presence(got: &[Delivery]) -> Vec<PresenceEvent> {
    let event = |d: &Delivery| {
        if let Delivery::Presence(e) = d {
            Some(e.clone())
        } else {
            None
        }
    };
    got.iter().filter_map(event).collect()
}

fn joined(got: &[Delivery]) -> Vec<Result<u64, ErrorCode>> {
    let one = |d: &Delivery| match d {
        Delivery::Joined { acked_op, .. } => Some(acked_op.clone().map_err(|r| r.code)),
        _ => None,
    };
    got.iter().filter_map(one).collect()
}

/// What a client would send.
fn message(author: &Arc<Author>, text: &str) -> Entry {
    match crate::protocol::client_message::parse(text).unwrap() {
        crate::protocol::client_message::ClientMessage::Durable(message) => Entry::Durable {
            author: author.clone(),
            message,
        },
        other => panic!("{other:?}"),
    }
}

fn on(queue: &SqliteQueue, n: u64, subject: &str) -> Arc<Author> {
    let client = ClientId::parse(&format!("client-{n:04}")).unwrap();
    Arc::new(Author::new(
        queue.new_conn(),
        client,
        r#"{"name":"N"}"#.into(),
        subject.into(),
    ))
}

async fn room(queue: &SqliteQueue, name: &str) -> (Opened, Arc<Recorder>) {
    let sink = Arc::new(Recorder::default());
    let opened = Backplane::open(queue, &CanvasId::parse(name).unwrap(), sink.clone()).await;
    (opened.unwrap(), sink)
}

fn start(dir: &Path, name: &str) -> Arc<SqliteQueue> {
    SqliteQueue::start(config(dir, name)).unwrap()
}

const MANY: &str = r#"{"op":1,"type":"object-create","object":{"id":"o1","kind":"box","x":1.5,"deep":{"a":1,"b":2}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn state_follows_the_messages() {
    let dir = tempfile::tempdir().unwrap();
    let queue = start(dir.path(), "one");
    let (opened, sink) = room(&queue, "c").await;
    assert_eq!((opened.head.seq, opened.presence_version), (0, 0));
    let a = on(&queue, 1, "");
    for text in [
        MANY,
        r#"{"op":2,"type":"object-create","object":{"id":"o2","kind":"box"}}"#,
        r#"{"op":3,"type":"object-update","id":"o1","patch":{"x":2.5,"deep":{"a":null}}}"#,
        r#"{"op":4,"type":"object-update","id":"nope","patch":{"x":2}}"#,
        r#"{"op":5,"type":"object-delete","id":"o2"}"#,
        r#"{"op":6,"type":"object-delete","id":"o2"}"#,
        r#"{"op":7,"type":"chat","text":"hi"}"#,
        r#"{"op":3,"type":"object-update","id":"o1","patch":{"x":9}}"#,
        r#"{"op":7,"type":"chat","text":"hi"}"#,
        r#"{"op":9,"type":"broadcast","event":"e","data":1}"#,
    ] {
        queue.append(&opened.canvas, message(&a, text)).unwrap();
    }
    assert_eq!(
        sink.log_to(6),
        [(1, 1), (2, 2), (3, 3), (4, 5), (5, 7), (6, 9)]
    );
    let ack = |seq, status| Outcome::Ack { seq, status };
    let expected = [
        (4, ack(0, AckStatus::Ignored)),
        (6, ack(0, AckStatus::Ignored)),
        (3, ack(3, AckStatus::Dup)),
        (7, ack(5, AckStatus::Dup)),
    ];
    assert_eq!(
        outcomes(&sink.wait(|got| outcomes(got).len() == 4)),
        expected
    );
    let snapshot = queue.snapshot(&opened.canvas).await.unwrap();
    assert_eq!(snapshot.at.seq, 6);
    assert_eq!(
        snapshot.objects,
        [r#"{"deep":{"b":2},"id":"o1","kind":"box","x":2.5}"#]
    );
    let chat: serde_json::Value = serde_json::from_str(&snapshot.chat[0]).unwrap();
    assert_eq!(
        (&chat["seq"], &chat["user"]["name"], &chat["text"]),
        (&5.into(), &"N".into(), &"hi".into())
    );
    queue.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_queues_on_one_file_have_one_order() {
    let dir = tempfile::tempdir().unwrap();
    let queues = [start(dir.path(), "one"), start(dir.path(), "two")];
    let (opened, first) = room(&queues[0], "c").await;
    let (other, second) = room(&queues[1], "c").await;
    assert_eq!(opened.canvas, other.canvas);
    for op in 1..=300 {
        for (i, queue) in queues.iter().enumerate() {
            let author = author(i as u64);
            queue
                .append(&opened.canvas, durable(&author, op, 20))
                .unwrap();
        }
    }
    let (one, two) = (first.log_to(600), second.log_to(600));
    assert_eq!(one, two);
    assert_eq!(one.len(), 600);
    for queue in queues {
        queue.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_read_until_it_expires() {
    let dir = tempfile::tempdir().unwrap();
    let queue = start(dir.path(), "one");
    let (opened, sink) = room(&queue, "c").await;
    let (noise, other) = room(&queue, "noise").await;
    let (a, b) = (author(1), author(2));
    for op in 1..=300 {
        queue.append(&opened.canvas, durable(&a, op, 10)).unwrap();
        queue.append(&noise.canvas, durable(&b, op, 10)).unwrap();
    }
    sink.log_to(300);
    other.log_to(300);
    let at = |seq| Position { seq, ..opened.head };
    for after in [0, 1, 62, 63, 64, 65, 127, 128, 255, 256, 298, 299] {
        let Read::Batch(Some(batch)) = queue
            .read(&opened.canvas, at(after), 1 << 20)
            .await
            .unwrap()
        else {
            panic!("{after}")
        };
        assert_eq!((batch.first_seq, batch.last_seq()), (after + 1, 300));
        assert_eq!(batch.marks[0].op, after + 1);
    }
    let Read::Batch(Some(batch)) = queue.read(&opened.canvas, at(7), 1).await.unwrap() else {
        panic!()
    };
    assert_eq!((batch.first_seq, batch.last_seq()), (8, 8));
    assert!(matches!(
        queue.read(&opened.canvas, at(300), 1).await.unwrap(),
        Read::Batch(None)
    ));
    assert!(matches!(
        queue.read(&opened.canvas, at(301), 1).await.unwrap(),
        Read::Gone
    ));
    let other_epoch = Position {
        epoch: Epoch(1),
        seq: 300,
    };
    assert!(matches!(
        queue.read(&opened.canvas, other_epoch, 1).await.unwrap(),
        Read::Gone
    ));

    let conn = rusqlite::Connection::open(&queue.shared.files.db).unwrap();
    conn.execute(
        "UPDATE message_queue SET expires_at = 1 WHERE canvas_id = ?1 AND seq <= 100",
        [opened.canvas.key],
    )
    .unwrap();
    assert!(matches!(
        queue.read(&opened.canvas, at(99), 1).await.unwrap(),
        Read::Gone
    ));
    assert!(matches!(
        queue.read(&opened.canvas, at(100), 1).await.unwrap(),
        Read::Batch(Some(_))
    ));
    conn.execute("UPDATE message_queue SET expires_at = 1", [])
        .unwrap();
    assert!(matches!(
        queue.read(&opened.canvas, at(299), 1).await.unwrap(),
        Read::Gone
    ));
    assert!(matches!(
        queue.read(&opened.canvas, at(300), 1).await.unwrap(),
        Read::Batch(None)
    ));
    queue.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_is_told_everywhere_and_a_crash_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "one");
    config.presence_grace = Duration::from_millis(300);
    let one = SqliteQueue::start(config.clone()).unwrap();
    config.instance_id = InstanceId::parse("two").unwrap();
    let two = SqliteQueue::start(config).unwrap();
    let (opened, sink) = room(&one, "c").await;
    let (_, other) = room(&two, "c").await;
    let (a, b) = (on(&one, 1, "alice"), on(&two, 2, ""));
    one.append(&opened.canvas, Entry::Join { author: a.clone() })
        .unwrap();
    one.append(
        &opened.canvas,
        Entry::State {
            author: a.clone(),
            state: r#"{"s":1}"#.into(),
        },
    )
    .unwrap();
    two.append(&opened.canvas, Entry::Join { author: b.clone() })
        .unwrap();
    let thief = on(&one, 1, "mallory");
    one.append(&opened.canvas, Entry::Join { author: thief })
        .unwrap();
    let got = sink.wait(|got| joined(got).len() == 2 && presence(got).len() == 3);
    assert_eq!(joined(&got), [Ok(0), Err(ErrorCode::Forbidden)]);
    let told = presence(&other.wait(|got| presence(got).len() == 3));
    assert_eq!(told, presence(&got));
    assert_eq!(
        told.iter().map(|e| e.version).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let (version, members) = one.members(&opened.canvas).await.unwrap();
    assert_eq!((version, members.len()), (3, 2));
    assert_eq!(members[0].state.as_deref(), Some(r#"{"s":1}"#));

    // Dropped is dead: its lock is free. The other sees it, and after the grace the client is gone.
    drop(two);
    let got = sink.wait(|got| presence(got).len() == 5);
    let told: Vec<_> = presence(&got)
        .into_iter()
        .skip(3)
        .map(|e| e.change)
        .collect();
    let away = Member {
        client: b.client.clone(),
        conn: b.conn,
        user: b.user.as_str().into(),
        state: None,
        away: true,
    };
    let gone = PresenceChange::Gone {
        client: b.client.clone(),
        reason: LeaveReason::InstanceLost,
    };
    assert_eq!(told, [PresenceChange::Set(away), gone]);
    one.append(
        &opened.canvas,
        Entry::Leave {
            author: a.clone(),
            clean: true,
        },
    )
    .unwrap();
    let got = sink.wait(|got| presence(got).len() == 6);
    let left = PresenceChange::Gone {
        client: a.client.clone(),
        reason: LeaveReason::Left,
    };
    assert_eq!(presence(&got)[5].change, left);
    one.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_wins_the_reaping() {
    let dir = tempfile::tempdir().unwrap();
    let queues: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| start(dir.path(), name))
        .into();
    let (opened, sink) = room(&queues[0], "c").await;
    let dying = start(dir.path(), "dying");
    let (_, last) = room(&dying, "c").await;
    for n in 0..20 {
        let author = on(&dying, n, "");
        dying
            .append(&opened.canvas, Entry::Join { author })
            .unwrap();
    }
    last.wait(|got| joined(got).len() == 20);
    drop(dying);
    let got = sink.wait(|got| presence(got).len() == 40);
    let versions: Vec<_> = presence(&got).iter().map(|e| e.version).collect();
    assert_eq!(versions, (1..=40).collect::<Vec<_>>());
    let (version, members) = queues[3].members(&opened.canvas).await.unwrap();
    assert_eq!((version, members.len()), (40, 20));
    assert!(members.iter().all(|member| member.away));
    for queue in queues {
        queue.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_taken_until_its_owner_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let one = start(dir.path(), "one");
    let again = SqliteQueue::start(config(dir.path(), "one"));
    assert!(matches!(again.err(), Some(StartError::NameTaken(_))));
    one.shutdown().await;
    let again = start(dir.path(), "one");
    assert!(again.new_conn() > one.new_conn());
    again.shutdown().await;
    let conn = rusqlite::Connection::open(dir.path().join("queue.db")).unwrap();
    let clean: String = conn
        .query_row("SELECT value FROM meta WHERE key = 'clean'", [], |r| {
            r.get(0)
        })
        .unwrap();
    assert_eq!(clean, "1");
    let left = std::fs::read_dir(dir.path().join("queue.db.wake"))
        .unwrap()
        .count();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_rows_go_in_chunks_and_only_they() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "one");
    config.message_ttl = Duration::from_millis(300);
    config.cleanup_interval = Duration::from_millis(50);
    let queue = SqliteQueue::start(config).unwrap();
    let (opened, sink) = room(&queue, "c").await;
    let a = author(1);
    for op in 1..=2_500 {
        queue.append(&opened.canvas, durable(&a, op, 10)).unwrap();
    }
    sink.log_to(2_500);
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while queue.stats().await.unwrap().rows > 0 {
        assert!(
            std::time::Instant::now() < until,
            "{:?}",
            queue.stats().await
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(
        queue.read(&opened.canvas, opened.head, 1).await.unwrap(),
        Read::Gone
    ));
    queue
        .append(&opened.canvas, durable(&a, 2_501, 10))
        .unwrap();
    sink.log_to(2_501);
    queue.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_holds_the_file_ops_are_refused_and_held() {
    let dir = tempfile::tempdir().unwrap();
    let queue = start(dir.path(), "one");
    let (opened, sink) = room(&queue, "c").await;
    let a = author(1);
    let conn = rusqlite::Connection::open(&queue.shared.files.db).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    for op in 1..=3 {
        queue.append(&opened.canvas, durable(&a, op, 10)).unwrap();
    }
    let got = sink.wait(|got| outcomes(got).len() == 3);
    let refused = |o: &Outcome| matches!(o, Outcome::Refused(r) if r.code == ErrorCode::Overloaded);
    assert!(outcomes(&got).iter().all(|(_, outcome)| refused(outcome)));
    assert_eq!(
        outcomes(&got).iter().map(|(op, _)| *op).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(queue.append(&opened.canvas, durable(&a, 2, 10)).is_err());
    conn.execute_batch("ROLLBACK").unwrap();
    for op in 1..=3 {
        queue.append(&opened.canvas, durable(&a, op, 10)).unwrap();
    }
    assert_eq!(sink.log_to(3), [(1, 1), (2, 2), (3, 3)]);
    queue.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_local_broadcast_off_the_poller_tells_own_rooms() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "one");
    config.local_broadcast = false;
    let queue = SqliteQueue::start(config).unwrap();
    let (opened, sink) = room(&queue, "c").await;
    let a = on(&queue, 1, "");
    queue
        .append(&opened.canvas, Entry::Join { author: a.clone() })
        .unwrap();
    for op in 1..=500 {
        queue.append(&opened.canvas, durable(&a, op, 10)).unwrap();
        queue.append(&opened.canvas, durable(&a, op, 10)).unwrap();
    }
    assert_eq!(sink.log_to(500).len(), 500);
    let got = sink.wait(|got| outcomes(got).len() == 500);
    let event = got
        .iter()
        .position(|d| matches!(d, Delivery::Presence(_)))
        .unwrap();
    let answer = got
        .iter()
        .position(|d| matches!(d, Delivery::Joined { .. }))
        .unwrap();
    assert!(event < answer);
    queue.shutdown().await;
}
