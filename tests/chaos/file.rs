//! What becomes of a relay whose file can't be written: it says so, refuses what it can't keep, goes on telling what
//! is committed, and recovers by itself.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::disk::{BadDisk, Disk};
use crate::harness::history::check_agreement;
use crate::harness::server::Process;
use crate::harness::{Client, eventually, http, soon};

/// Processes over one file that a test does something to.
pub struct Site {
    pub processes: Vec<Process>,
    pub addresses: Vec<std::net::SocketAddr>,
}

impl Site {
    /// Two of them.
    pub async fn start(db: &Path, flags: &[&str]) -> Self {
        let mut site = Self {
            processes: Vec::new(),
            addresses: Vec::new(),
        };
        for _ in 0..2 {
            let mut process = Process::launch(db, flags);
            site.addresses.push(process.ready().await);
            site.processes.push(process);
        }
        site
    }

    pub async fn join(&self, n: usize) -> Client {
        Client::join(self.addresses[n], "board").await
    }

    /// Waits until a process is ready or not; gives the reason why not.
    pub async fn until_ready(&self, n: usize, ready: bool) -> String {
        eventually(&format!("ready to be {ready}"), || async {
            let answer = http::get(self.addresses[n], "/readyz", "").await?;
            let expected = if ready { 200 } else { 503 };
            (answer.status == expected).then_some(answer.body)
        })
        .await
    }
}

pub fn chat(text: &str) -> Value {
    json!({"type": "chat", "text": text})
}

/// A message as large as they get.
fn large() -> Value {
    json!({"type": "broadcast", "event": "e", "data": "x".repeat(60_000)})
}

/// Writes until something is refused, which must be told as it should.
pub async fn until_refused(client: &mut Client, message: impl Fn() -> Value) -> String {
    let heard = client.heard.len();
    soon("a refusal", async {
        loop {
            client.op(message()).await;
            let error = |client: &Client| {
                let since = &client.heard[heard..];
                since.iter().find(|m| m["type"] == "error").cloned()
            };
            while !client.pending.is_empty() && error(client).is_none() {
                client.next().await.expect("a connection");
            }
            if let Some(error) = error(client) {
                assert_eq!(error["code"], "overloaded", "{error}");
                assert!(error["retry_after_ms"].as_u64() > Some(0), "{error}");
                assert!(error["op"].is_u64(), "{error}");
                return error["message"].as_str().expect("a message").to_owned();
            }
        }
    })
    .await
}

/// After the trouble: everything is written, everybody agrees, and someone who comes now too.
pub async fn recovered(site: &Site, mut clients: Vec<Client>) {
    for n in 0..site.addresses.len() {
        site.until_ready(n, true).await;
    }
    for client in &mut clients {
        client.resend().await.expect("a connection");
        client.settle().await.expect("the connection it always had");
        assert_eq!(client.streams().count(), 1);
    }
    clients.push(site.join(0).await);
    check_agreement(&mut clients).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_and_recovers() {
    let disk = Disk::new(16);
    let site = Site::start(&disk.path().join("relay.db"), &["--presence-grace=1s"]).await;
    let (mut ada, mut bob) = (site.join(0).await, site.join(1).await);
    ada.commit(chat("before")).await;
    let ballast = disk.fill();
    let why = until_refused(&mut ada, large).await;
    assert!(why.contains("full"), "{why}");
    assert!(site.until_ready(0, false).await.contains("full"));
    until_refused(&mut bob, large).await;
    assert!(site.until_ready(1, false).await.contains("full"));
    // What is committed is told: to those who are there, and to who resumes.
    let head = ada.seq.max(bob.seq);
    bob.reach(head).await;
    ada.reach(head).await;
    fs::remove_file(ballast).expect("the ballast");
    recovered(&site, vec![ada, bob]).await;
}

/// Longer than a heartbeat may be old: processes that could not write it do not take each other for dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_makes_nobody_seem_away() {
    let disk = Disk::new(16);
    let site = Site::start(&disk.path().join("relay.db"), &[]).await;
    let (mut ada, mut bob) = (site.join(0).await, site.join(1).await);
    ada.commit(chat("before")).await;
    let ballast = disk.fill();
    until_refused(&mut ada, large).await;
    until_refused(&mut bob, large).await;
    let db = disk.path().join("relay.db");
    let conn = Connection::open(&db).expect("the file");
    let oldest =
        "SELECT (SELECT max(heartbeat_at) FROM instances) - min(heartbeat_at) FROM instances";
    assert!(
        conn.query_row(oldest, [], |row| row.get::<_, i64>(0))
            .expect("two")
            < 5_000
    );
    // The heartbeats of both are older than 10 s then.
    tokio::time::sleep(Duration::from_secs(12)).await;
    fs::remove_file(ballast).expect("the ballast");
    for client in [&mut ada, &mut bob] {
        client.resend().await.expect("a connection");
        client.settle().await.expect("a connection");
    }
    for n in 0..2 {
        site.until_ready(n, true).await;
    }
    // Whoever was taken for dead says so when it registers again, with its next heartbeat.
    let beats = "SELECT count(*) FROM instances WHERE heartbeat_at > started_at + 12000";
    eventually("new heartbeats", || async {
        let n: i64 = conn.query_row(beats, [], |row| row.get(0)).ok()?;
        (n == 2).then_some(())
    })
    .await;
    for process in &site.processes {
        assert!(!process.log().contains("dead"), "{}", process.log());
    }
    let away = |m: &&Value| m["away"] == true;
    assert_eq!(ada.heard_of("presence").into_iter().find(away), None);
    recovered(&site, vec![ada, bob]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_disk_at_any_step_lose_nothing() {
    for step in [
        "before-begin",
        "after-begin",
        "after-insert",
        "before-commit",
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let point = format!("{step}=error@8..14");
        let flags = ["--fail-point", point.as_str()];
        let site = Site::start(&dir.path().join("relay.db"), &flags).await;
        let (mut ada, bob) = (site.join(0).await, site.join(1).await);
        let why = until_refused(&mut ada, || chat("x")).await;
        assert!(why.contains("disk I/O error"), "{why}");
        assert!(site.until_ready(0, false).await.contains("disk I/O error"));
        recovered(&site, vec![ada, bob]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_read_is_waited_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let mut site = Site::start(&db, &[]).await;
    let (mut ada, mut bob) = (site.join(0).await, site.join(1).await);
    ada.commit(chat("before")).await;
    let bad = BadDisk::under(&site.processes[0], &db).await;
    // What the other process writes is not in the first one's memory: it has to read.
    bob.commit(chat("beside")).await;
    let why = until_refused(&mut ada, || chat("x")).await;
    assert!(why.contains("malformed"), "{why}");
    site.until_ready(0, false).await;
    let log = site.processes[0].log();
    assert!(log.contains("the disk can't read the queue file"), "{log}");
    drop(bad);
    recovered(&site, vec![ada, bob]).await;
    assert!(!site.processes[0].is_over());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_file_is_refused_at_start() {
    let disk = Disk::new(16);
    let db = disk.path().join("relay.db");
    let mut process = Process::launch(&db, &[]);
    process.ready().await;
    process.kill().await;
    disk.make_read_only();
    let mut process = Process::launch(&db, &[]);
    assert_eq!(process.started().await, None);
    assert_eq!(process.ended().await.code(), Some(1));
    let log = process.log();
    assert!(
        log.contains("relay.db") && log.contains("ead-only file system"),
        "{log}"
    );
}

/// Writes garbage over what is behind the first bytes of a file.
fn spoil(path: &Path, from: u64) {
    let file = File::options().write(true).open(path).expect("the file");
    let len = file.metadata().expect("its length").len();
    let garbage = vec![0xa5; usize::try_from(len.saturating_sub(from)).expect("small")];
    file.write_all_at(&garbage, from).expect("spoilt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_ends_the_processes_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let mut site = Site::start(&db, &[]).await;
    let mut clients = vec![site.join(0).await, site.join(1).await];
    for client in &mut clients {
        client.commit(large()).await;
    }
    for (ending, from) in [("", 0), ("-wal", 32)] {
        spoil(format!("{}{ending}", db.display()).as_ref(), from);
    }
    for client in &mut clients {
        // The connections may end before this is taken.
        let _ = client.try_op(chat("x")).await;
    }
    for process in &mut site.processes {
        assert_eq!(process.ended().await.code(), Some(1));
        let log = process.log();
        assert!(log.contains("put the last backup in its place"), "{log}");
    }
    // Nor does it start on it.
    let mut process = Process::launch(&db, &[]);
    assert_eq!(process.started().await, None);
    assert_eq!(process.ended().await.code(), Some(1));
    let log = process.log();
    assert!(log.contains("put the last backup in its place"), "{log}");
}

/// What SQLite itself does not notice: its pages have no checksums.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_damaged_ends_the_process_and_is_not_overwritten() {
    for garbage in ["'no json'", "CAST(x'7b22ff227d' AS TEXT)"] {
        let dir = tempfile::tempdir().expect("a folder");
        let db = dir.path().join("relay.db");
        let mut process = Process::launch(&db, &[]);
        let mut ada = Client::join(process.ready().await, "board").await;
        ada.commit(json!({"type": "object-create", "object": {"id": "a", "kind": "box"}}))
            .await;
        let conn = Connection::open(&db).expect("the file");
        let spoil = format!("UPDATE canvas_objects SET props = {garbage}");
        conn.execute(&spoil, []).expect("spoilt");
        ada.op(json!({"type": "object-update", "id": "a", "patch": {"x": 1}}))
            .await;
        assert_eq!(process.ended().await.code(), Some(1));
        let log = process.log();
        assert!(log.contains("put the last backup in its place"), "{log}");
        let same = format!("SELECT props = {garbage} FROM canvas_objects");
        let same: bool = conn.query_row(&same, [], |row| row.get(0)).expect("it");
        assert!(same, "it was not overwritten");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_never_ends_only_makes_the_log_long() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let site = Site::start(&db, &[]).await;
    let (mut ada, bob) = (site.join(0).await, site.join(1).await);
    ada.commit(chat("before")).await;
    let reader = Connection::open(&db).expect("the file");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM message_queue")
        .expect("a read");
    let wal_bytes = || async {
        let stats = http::get(site.addresses[0], "/api/v1/stats", "").await?;
        stats.json()["wal_bytes"].as_u64()
    };
    let mut slowest = Duration::ZERO;
    while wal_bytes().await < Some(32 * 1024 * 1024) {
        let began = Instant::now();
        ada.commit(large()).await;
        slowest = slowest.max(began.elapsed());
    }
    assert!(ada.heard_of("error").is_empty(), "nothing was refused");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    reader.execute_batch("ROLLBACK").expect("the end of it");
    // The log begins anew, and gives its length back.
    eventually("a short log", || async {
        wal_bytes().await.filter(|bytes| *bytes <= 32 * 1024 * 1024)
    })
    .await;
    let (mut ada, before) = (
        ada,
        fs::metadata(dir.path().join("relay.db-wal"))
            .expect("it")
            .len(),
    );
    for _ in 0..50 {
        ada.commit(large()).await;
    }
    let after = fs::metadata(dir.path().join("relay.db-wal"))
        .expect("it")
        .len();
    assert!(
        after <= before,
        "it is written from its beginning: {before} {after}"
    );
    recovered(&site, vec![ada, bob]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_too_long_is_an_overload_and_passes() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let site = Site::start(&db, &[]).await;
    let (mut ada, bob) = (site.join(0).await, site.join(1).await);
    ada.commit(chat("before")).await;
    let writer = Connection::open(&db).expect("the file");
    writer.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let why = until_refused(&mut ada, || chat("x")).await;
    assert!(why.contains("locked"), "{why}");
    site.until_ready(0, false).await;
    writer.execute_batch("ROLLBACK").expect("the end of it");
    recovered(&site, vec![ada, bob]).await;
}

/// It holds the turnstile and SQLite's lock, and its peers can't tell it from one that works hard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_stuck_in_a_transaction_overloads_its_peers_until_it_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let mut stuck = Process::launch(&db, &["--fail-point", "before-commit=delay:8s@6"]);
    let address = stuck.ready().await;
    let site = Site::start(&db, &[]).await;
    let mut ada = site.join(0).await;
    let mut cat = Client::join(address, "board").await;
    for n in 0..8 {
        cat.op(chat(&n.to_string())).await;
    }
    let why = until_refused(&mut ada, || chat("x")).await;
    assert!(why.contains("in time"), "{why}");
    cat.settle().await.expect("a connection");
    recovered(&site, vec![ada, cat]).await;
}
