//! Messages: their order, their effect, their end.

use super::*;

const MANY: &str = r#"{"op":1,"type":"object-create","object":{"id":"o1","kind":"box","x":1.5,"deep":{"a":1,"b":2}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn state_follows_the_messages() {
    let dir = tempfile::tempdir().unwrap();
    let queue = start(dir.path(), "one");
    let (opened, sink) = room(&queue, "c").await;
    assert_eq!((opened.head.seq, opened.presence.version), (0, 0));
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
        texts(&snapshot),
        [r#"{"id":"o1","kind":"box","x":2.5,"deep":{"b":2}}"#]
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

    let conn = rusqlite::Connection::open(&queue.files.db).unwrap();
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
async fn expired_rows_go_in_chunks_and_only_they() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "one");
    config.rules.message_ttl = Duration::from_millis(300);
    config.file.cleanup_interval = Duration::from_millis(50);
    let queue = SqliteBackplane::start(config).unwrap();
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
    let conn = rusqlite::Connection::open(&queue.files.db).unwrap();
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
    let queue = SqliteBackplane::start(config).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn cursors_and_signals_reach_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (start(dir.path(), "one"), start(dir.path(), "two"));
    let (opened, near) = room(&one, "c").await;
    let (_, far) = room(&two, "c").await;
    let a = on(&one, 1, "");
    let cursors = vec![(a.client.clone(), Arc::from(r#""x":1,"y":2"#))];
    one.append(
        &opened.canvas,
        Entry::Cursors {
            cursors: cursors.clone(),
        },
    )
    .unwrap();
    let body = r#""event":"e","data":1"#;
    one.append(
        &opened.canvas,
        Entry::Signal {
            author: a.clone(),
            body: body.into(),
        },
    )
    .unwrap();
    for sink in [&near, &far] {
        let got = sink.wait(|got| got.len() == 2);
        let Delivery::Cursors {
            instance,
            cursors: told,
        } = &got[0]
        else {
            panic!("{got:?}")
        };
        assert_eq!((*instance, told), (a.conn.instance(), &cursors));
        let Delivery::Signal {
            origin, body: told, ..
        } = &got[1]
        else {
            panic!("{got:?}")
        };
        assert_eq!((*origin, &**told), (a.conn, body));
    }
    // What nobody else needs has no row, from the moment on that nobody else has a room.
    two.shutdown().await;
    let conn = rusqlite::Connection::open(&one.files.db).unwrap();
    let rows = || {
        conn.query_row("SELECT count(*) FROM message_queue", [], |r| r.get(0))
            .unwrap()
    };
    let before: i64 = rows();
    one.append(
        &opened.canvas,
        Entry::Cursors {
            cursors: cursors.clone(),
        },
    )
    .unwrap();
    near.wait(|got| got.len() == 3);
    assert_eq!(rows(), before);
    let three = start(dir.path(), "three");
    let (_, far) = room(&three, "c").await;
    one.append(&opened.canvas, Entry::Cursors { cursors })
        .unwrap();
    far.wait(|got| got.len() == 1);
    assert_eq!(rows(), before + 1);
    one.shutdown().await;
    three.shutdown().await;
}
