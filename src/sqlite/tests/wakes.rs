//! What processes tell each other after a commit, and what follows from it.

use std::os::unix::net::UnixDatagram;

use super::*;
use crate::protocol::ids::InstanceNumber;
use crate::sqlite::delivery::carried::QueueRow;

/// So long that no safety poll is made within a test.
const NEVER: Duration = Duration::from_secs(3600);

/// An instance that learns of rows from wakes only.
fn with_wakes(dir: &Path, name: &str) -> Arc<SqliteBackplane> {
    let mut config = config(dir, name);
    config.file.poll_interval = NEVER;
    config.file.poll_idle = NEVER;
    SqliteBackplane::start(config).unwrap()
}

/// The same, on the test's event loop.
fn with_wakes_on_loop(dir: &Path, name: &str) -> Arc<SqliteBackplane> {
    let mut config = config(dir, name);
    config.file.poll_interval = NEVER;
    config.file.poll_idle = NEVER;
    let (queue, parts) = SqliteBackplane::start_on_loop(config).unwrap();
    crate::tasks::Spawner::default().spawn(async move {
        parts.await;
    });
    queue
}

fn polls(queue: &SqliteBackplane) -> u64 {
    let polls = &queue.counters.polls;
    polls.load(std::sync::atomic::Ordering::Relaxed)
}

async fn rows_come_along(reader: Arc<SqliteBackplane>, writer: Arc<SqliteBackplane>) {
    let (opened, there) = room(&writer, "c").await;
    let (_, here) = room(&reader, "c").await;
    let a = author(1);
    // The first finds the poller still reading what the rooms' opening wrote, perhaps.
    writer.append(&opened.canvas, durable(&a, 1, 20)).unwrap();
    here.log_to(1);
    let before = polls(&reader);
    for op in 2..=50 {
        writer.append(&opened.canvas, durable(&a, op, 20)).unwrap();
        here.log_to(op);
    }
    assert_eq!(here.log_to(50), there.log_to(50));
    let polled = polls(&reader) - before;
    assert!(
        polled < 25,
        "{polled} polls for 49 messages that came along"
    );
    // What is too large to come along is read.
    writer
        .append(&opened.canvas, durable(&a, 51, 20_000))
        .unwrap();
    here.log_to(51);
    for queue in [reader, writer] {
        queue.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_along_with_the_wake() {
    let dir = tempfile::tempdir().unwrap();
    rows_come_along(with_wakes(dir.path(), "one"), start(dir.path(), "two")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_along_to_an_event_loop() {
    let dir = tempfile::tempdir().unwrap();
    rows_come_along(
        with_wakes_on_loop(dir.path(), "one"),
        start(dir.path(), "two"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_follow_wait_for_those_before() {
    let dir = tempfile::tempdir().unwrap();
    let queue = with_wakes(dir.path(), "one");
    let (opened, sink) = room(&queue, "c").await;
    queue
        .append(&opened.canvas, durable(&author(1), 1, 20))
        .unwrap();
    sink.log_to(1);
    let (tail, now_ms) = (&queue.tail, queue.clock.now_ms());
    let row = |seq, expires_at| QueueRow {
        key: opened.canvas.key,
        seq: Some(seq),
        kind: "broadcast",
        origin: ConnId::new(InstanceNumber(9), 1).0,
        client: "client-9999",
        op: seq.cast_unsigned(),
        at_ms: now_ms,
        expires_at,
        payload: r#"{"op":2,"event":"e","data":1}"#,
    };
    // Not `position()`, which is told after the messages.
    let conn = crate::sqlite::storage::schema::open_reader(&queue.files.db).unwrap();
    let last = crate::sqlite::delivery::tail::last_id(&conn).unwrap();
    let later = now_ms + 60_000;
    assert!(!tail.receive(last + 2, &[row(3, later)], now_ms), "a gap");
    // The poller may still be at what the room's opening wrote: whoever comes then is sent away.
    let receives = |first_id, rows: &[QueueRow<'_>]| {
        let until = std::time::Instant::now() + Duration::from_secs(5);
        while !tail.receive(first_id, rows, now_ms) {
            assert!(std::time::Instant::now() < until, "{rows:?}");
            std::thread::yield_now();
        }
    };
    let both = [row(2, later), row(3, later)];
    receives(last + 1, &both);
    // Known already.
    receives(last + 1, &both);
    assert_eq!(sink.log_to(3).len(), 3, "each once");
    // It overlaps with what is known: only the rest is told.
    receives(last + 2, &[row(3, later), row(4, later)]);
    assert_eq!(sink.log_to(4).len(), 4);
    // Not told, and the room is compared with the tables.
    assert!(
        !tail.receive(last + 4, &[row(5, now_ms)], now_ms),
        "expired"
    );
    // What the writer is about to commit is its own to tell.
    tail.hold_back(last + 5);
    assert!(!tail.receive(last + 5, &[row(6, later)], now_ms));
    tail.let_go();
    assert_eq!(sink.log_to(4).len(), 4);
    queue.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_heard_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for queue in [
        with_wakes(dir.path(), "one"),
        with_wakes_on_loop(dir.path(), "two"),
    ] {
        let (opened, sink) = room(&queue, "c").await;
        let stranger = UnixDatagram::unbound().unwrap();
        let mut carried = b"R\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec();
        let rubbish: [&[u8]; 6] = [b"", b"r", b"R\0\0\0\0\x01", b"\xff\xfe", &[7; 60_000], &{
            carried.extend([1; 40]);
            carried
        }];
        for (i, bytes) in rubbish.iter().cycle().take(60).enumerate() {
            // A full socket is no reason to stop.
            let _ = stranger.send_to(bytes, &queue.own.wake_path);
            let op = i as u64 + 1;
            queue
                .append(
                    &opened.canvas,
                    durable(&author(opened.head.seq + 1), op, 20),
                )
                .unwrap();
            sink.log_to(opened.head.seq + op);
        }
        queue.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_row_is_neither_told_nor_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let queue = with_wakes(dir.path(), "one");
    let (opened, sink) = room(&queue, "c").await;
    let append = |op| {
        let message = durable(&author(1), op, 20);
        queue.append(&opened.canvas, message).unwrap();
    };
    append(1);
    sink.log_to(1);
    let conn = crate::sqlite::storage::schema::open_reader(&queue.files.db).unwrap();
    let last = crate::sqlite::delivery::tail::last_id(&conn).unwrap();
    let now_ms = queue.clock.now_ms();
    let mut forged = crate::sqlite::delivery::tail::Committed {
        ids: Some(crate::sqlite::delivery::tail::Ids {
            first: last + 1,
            last: last + 1,
        }),
        ..Default::default()
    };
    forged.carried.push(&QueueRow {
        key: opened.canvas.key,
        seq: Some(2),
        kind: "chat",
        origin: ConnId::new(InstanceNumber(9), 1).0,
        client: "client-9999",
        op: 77,
        at_ms: now_ms,
        expires_at: now_ms + 60_000,
        payload: r#"{"op":77,"text":"forged"}"#,
    });
    let bytes = crate::sqlite::delivery::wake::datagram::rows(&forged, None);
    let stranger = UnixDatagram::unbound().unwrap();
    for seal in [&[][..], &[0; 16], &[7; 16]] {
        let sent = [&bytes, seal].concat();
        stranger.send_to(&sent, &queue.own.wake_path).unwrap();
    }
    // Heard by now, or about to be; the next row has the place that it took for itself.
    append(2);
    assert_eq!(sink.log_to(2), [(1, 1), (2, 2)]);
    queue.shutdown().await;
}
