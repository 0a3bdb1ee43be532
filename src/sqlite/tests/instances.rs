//! Presence, and the clients of processes that die.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn presence_is_told_everywhere_and_a_crash_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "one");
    config.rules.presence_grace = Duration::from_millis(300);
    let one = SqliteBackplane::start(config.clone()).unwrap();
    config.instance_id = InstanceId::parse("two").unwrap();
    let two = SqliteBackplane::start(config).unwrap();
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
    let PresenceTable { version, members } = one.members(&opened.canvas).await.unwrap();
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
            end: End::Clean,
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
    let PresenceTable { version, members } = queues[3].members(&opened.canvas).await.unwrap();
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
    let again = SqliteBackplane::start(config(dir.path(), "one"));
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

/// What `SIGSTOP` for longer than a heartbeat may be silent looks like from inside.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_taken_for_dead_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (start(dir.path(), "one"), start(dir.path(), "two"));
    let (opened, sink) = room(&one, "c").await;
    let (_, other) = room(&two, "c").await;
    let (stays, moves, gone) = (on(&one, 1, ""), on(&one, 2, ""), on(&one, 3, ""));
    let authors = [&stays, &moves, &gone];
    for author in authors {
        one.append(
            &opened.canvas,
            Entry::Join {
                author: author.clone(),
            },
        )
        .unwrap();
    }
    let state = Entry::State {
        author: gone.clone(),
        state: r#"{"s":1}"#.into(),
    };
    one.append(&opened.canvas, state).unwrap();
    sink.wait(|got| presence(got).len() == 4);

    let number = one.own.setup.number;
    two.commit(Command::Reap {
        number,
        silent_since: None,
    })
    .await
    .unwrap();
    let moved = on(&two, 2, "");
    two.append(
        &opened.canvas,
        Entry::Join {
            author: moved.clone(),
        },
    )
    .unwrap();
    other.wait(|got| joined(got) == [Ok(0)]);
    let conn = rusqlite::Connection::open(&one.files.db).unwrap();
    conn.execute(
        "DELETE FROM presence WHERE client = ?1",
        [gone.client.as_str()],
    )
    .unwrap();

    let registered = || {
        conn.prepare(sql::INSTANCE)
            .and_then(|mut there| there.exists([number]))
            .unwrap()
    };
    assert!(!registered());
    one.commit(Command::Beat).await.unwrap();
    assert!(registered());
    let PresenceTable { members, .. } = one.members(&opened.canvas).await.unwrap();
    let places: Vec<_> = members
        .iter()
        .map(|m| (m.conn, m.away, m.state.as_deref()))
        .collect();
    let state = Some(r#"{"s":1}"#);
    assert_eq!(
        places,
        [
            (stays.conn, false, None),
            (moved.conn, false, None),
            (gone.conn, false, state)
        ]
    );
    one.shutdown().await;
    two.shutdown().await;
}

/// What an instance says of its clients when it goes is not said of those of another that has its name by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_successor_of_the_same_name_keeps_its_clients() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (start(dir.path(), "one"), start(dir.path(), "two"));
    two.commit(Command::Reap {
        number: one.own.setup.number,
        silent_since: None,
    })
    .await
    .unwrap();
    let successor = start(dir.path(), "one");
    let (opened, sink) = room(&successor, "c").await;
    let stays = on(&successor, 1, "");
    let entry = Entry::Join {
        author: stays.clone(),
    };
    successor.append(&opened.canvas, entry).unwrap();
    sink.wait(|got| joined(got) == [Ok(0)]);
    one.shutdown().await;
    let PresenceTable { members, .. } = two.members(&opened.canvas).await.unwrap();
    let places: Vec<_> = members.iter().map(|m| (m.conn, m.away)).collect();
    assert_eq!(places, [(stays.conn, false)]);
    successor.shutdown().await;
    two.shutdown().await;
}

/// A name belongs to who is connected under it, however long ago it was used.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_here_keeps_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let one = start(dir.path(), "one");
    let (opened, sink) = room(&one, "c").await;
    let (here, gone) = (on(&one, 1, "alice"), on(&one, 2, "alice"));
    for author in [here, gone.clone()] {
        one.append(&opened.canvas, Entry::Join { author }).unwrap();
    }
    let (author, end) = (gone, End::Clean);
    one.append(&opened.canvas, Entry::Leave { author, end })
        .unwrap();
    sink.wait(|got| presence(got).len() == 3);
    let command = Command::ForgetClients {
        after: (CanvasKey(i64::MIN), String::new()),
        upto: (CanvasKey(i64::MAX), String::new()),
        old: i64::MAX,
    };
    let conn = rusqlite::Connection::open(&one.files.db).unwrap();
    let known = || -> i64 {
        let count = "SELECT count(*) FROM canvas_clients";
        conn.query_row(count, [], |row| row.get(0)).unwrap()
    };
    let before = known();
    one.commit(command).await.unwrap();
    assert_eq!(known(), before - 1);
    let thief = on(&one, 1, "mallory");
    one.append(&opened.canvas, Entry::Join { author: thief })
        .unwrap();
    let got = sink.wait(|got| joined(got).len() == 3);
    assert_eq!(joined(&got)[2], Err(ErrorCode::Forbidden));
    one.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_commits_what_was_taken_and_leaves_clients_away() {
    for local_broadcast in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path(), "one");
        config.local_broadcast = local_broadcast;
        let (one, two) = (
            SqliteBackplane::start(config).unwrap(),
            start(dir.path(), "two"),
        );
        let (opened, sink) = room(&one, "c").await;
        let a = on(&one, 1, "");
        one.append(&opened.canvas, Entry::Join { author: a.clone() })
            .unwrap();
        for op in 1..=2_000 {
            one.append(&opened.canvas, durable(&a, op, 20)).unwrap();
        }
        one.shutdown().await;
        assert_eq!(sink.log_to(2_000).len(), 2_000);
        let refused = one
            .append(&opened.canvas, durable(&a, 2_001, 20))
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::Overloaded);
        let PresenceTable { members, .. } = two.members(&opened.canvas).await.unwrap();
        assert!(members.len() == 1 && members[0].away);
        let stats = two.stats().await.unwrap();
        assert_eq!(stats.instances.len(), 1);
        two.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_too_long_for_a_socket_is_no_matter() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(90)).join("e".repeat(90));
    std::fs::create_dir_all(&deep).unwrap();
    let (one, two) = (start(&deep, "one"), start(&deep, "two"));
    for instance in [&one, &two] {
        assert!(instance.own.wake_path.starts_with(&deep));
        assert!(instance.own.wake_path.exists());
    }
    let ((opened, _), (_, other)) = (room(&one, "c").await, room(&two, "c").await);
    let a = on(&one, 1, "alice");
    one.append(&opened.canvas, durable(&a, 1, 20)).unwrap();
    assert_eq!(other.log_to(1).len(), 1);
    one.shutdown().await;
    two.shutdown().await;
    assert_eq!(
        std::fs::read_dir(deep.join("queue.db.wake"))
            .unwrap()
            .count(),
        0
    );
}
