//! Who may use a file: the processes of one host, of one schema version, by one clock.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use crate::harness::history::check_agreement;
use crate::harness::server::Process;
use crate::harness::{Client, eventually};

fn open(db: &Path) -> Connection {
    let conn = Connection::open(db).expect("the file");
    conn.busy_timeout(Duration::from_secs(5))
        .expect("a timeout");
    conn
}

/// Starts a process that must not come up; gives what it said.
async fn refused(db: &Path) -> String {
    let mut process = Process::launch(db, &[]);
    assert_eq!(process.started().await, None);
    assert_eq!(process.ended().await.code(), Some(1));
    process.log()
}

/// A file that a process of this host has used and left behind.
async fn used(db: &Path) -> Connection {
    let mut process = Process::launch(db, &[]);
    process.ready().await;
    process.kill().await;
    open(db)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_host_uses_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let conn = used(&db).await;
    // What a process of another kernel would have left, and goes on doing.
    conn.execute(
        "UPDATE meta SET value = 'another' WHERE key = 'boot_id'",
        [],
    )
    .expect("another boot");
    let lock: String = conn
        .query_row("SELECT lock_path FROM instances", [], |row| row.get(0))
        .expect("its lock");
    let lock = db.with_extension("db.wake").join(lock);
    let signed = std::fs::read_to_string(&lock).expect("signed");
    assert!(
        signed.starts_with("host ") && signed.contains(" boot "),
        "{signed}"
    );
    std::fs::write(&lock, "host elsewhere boot another pid 1\n").expect("signed");
    let (stop, stopped) = std::sync::mpsc::sync_channel::<()>(1);
    let beating = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(500)).is_err() {
            conn.execute("UPDATE instances SET heartbeat_at = heartbeat_at + 500", [])
                .expect("a heartbeat");
        }
    });
    let log = refused(&db).await;
    assert!(log.contains("another host uses this file"), "{log}");
    assert!(log.contains("host elsewhere boot another"), "{log}");
    stop.send(()).expect("it beats");
    beating.join().expect("it beat");
    // It is gone: the next start takes the file.
    Process::launch(&db, &[]).ready().await;
}

/// On a file system that hides the other's locks, the second to come may not see the first. The first sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_file_is_taken_by_another_host_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let mut process = Process::launch(&db, &[]);
    process.ready().await;
    open(&db)
        .execute(
            "UPDATE meta SET value = 'another' WHERE key = 'boot_id'",
            [],
        )
        .expect("another boot");
    assert_eq!(process.ended().await.code(), Some(1));
    assert!(process.log().contains("another host has taken this file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_another_schema_version_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let conn = used(&db).await;
    // Newer, and older than any that there was.
    for version in [99, 0] {
        conn.pragma_update(None, "user_version", version)
            .expect("a version");
        let log = refused(&db).await;
        assert!(log.contains(&format!("schema version {version}")), "{log}");
        assert!(log.contains("the scumble that made it"), "{log}");
        let found: i64 = conn
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .expect("a version");
        assert_eq!(found, version);
    }
    conn.pragma_update(None, "user_version", scumble::sqlite::VERSION)
        .expect("a version");
    Process::launch(&db, &[]).ready().await;
}

/// The relay's clock is an hour off the wall's, as it is after a step of the wall clock by an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_expires_early_or_late_when_the_wall_clock_steps() {
    for step_ms in [3_600_000, -3_600_000] {
        let dir = tempfile::tempdir().expect("a folder");
        let db = dir.path().join("relay.db");
        let conn = used(&db).await;
        let step = "UPDATE meta SET value = value + ?1 WHERE key = 'clock_offset_ms'";
        conn.execute(step, [step_ms]).expect("a step");
        let flags = ["--message-ttl=4s", "--cleanup-interval=100ms"];
        let mut one = Process::launch(&db, &flags);
        let here = one.ready().await;
        let mut ada = Client::join(here, "board").await;
        // He hears nothing of it until he is back.
        let mut bob = Client::join(here, "board").await;
        let began = Instant::now();
        for n in 0..10 {
            ada.commit(json!({"type": "chat", "text": n.to_string()}))
                .await;
        }
        // One that starts now reads the wall clock an hour apart from what the file says, and must not believe it.
        let mut two = Process::launch(&db, &flags);
        let there = two.ready().await;
        bob.resume(there).await.expect("back");
        assert_eq!(
            bob.welcome["mode"], "resume",
            "nothing was deleted or expired"
        );
        bob.reach(10).await;
        check_agreement(&mut [ada, bob]).await;
        let rows = "SELECT count(*) FROM message_queue WHERE seq IS NOT NULL";
        eventually("all of it expired", || async {
            let left: i64 = conn.query_row(rows, [], |row| row.get(0)).ok()?;
            (left == 0).then_some(())
        })
        .await;
        let took = began.elapsed();
        let about = Duration::from_secs(4)..Duration::from_secs(15);
        assert!(about.contains(&took), "{took:?}");
    }
}
