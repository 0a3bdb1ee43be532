//! The spill file: what can't be committed is kept, committed in order once it can, and acked then; over a crash, too.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::history::check_agreement;
use crate::harness::server::Process;
use crate::harness::{Client, eventually, http, soon};

fn chat(n: u64) -> Value {
    json!({"type": "chat", "text": format!("chat {n}")})
}

async fn spilled(address: std::net::SocketAddr) -> Option<u64> {
    let stats = http::get(address, "/api/v1/stats", "").await?;
    stats.json()["spilled"].as_u64()
}

/// Bytes of all spill files in a folder.
fn bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("the folder").flatten();
    entries
        .map(|entry| entry.metadata().map_or(0, |m| m.len()))
        .sum()
}

struct Site {
    dir: tempfile::TempDir,
    flags: Vec<String>,
}

impl Site {
    fn new(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("spill")).expect("a folder");
        let mut flags = vec![
            "--spill-dir".to_owned(),
            dir.path().join("spill").display().to_string(),
        ];
        flags.extend(more.iter().map(|&flag| flag.to_owned()));
        Self { dir, flags }
    }

    fn launch(&self, more: &[&str]) -> Process {
        let mut flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        flags.extend(more);
        Process::launch(&self.dir.path().join("relay.db"), &flags)
    }

    fn spill(&self) -> std::path::PathBuf {
        self.dir.path().join("spill")
    }

    /// Takes SQLite's write lock away from the relay.
    fn lock(&self) -> Connection {
        let conn = Connection::open(self.dir.path().join("relay.db")).expect("the file");
        conn.busy_timeout(std::time::Duration::from_secs(5))
            .expect("a timeout");
        conn.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        conn
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_committed_waits_in_the_file_and_is_acked_when_it_is() {
    let site = Site::new(&[]);
    let (mut one, mut two) = (site.launch(&[]), site.launch(&[]));
    let (here, there) = (one.ready().await, two.ready().await);
    let mut ada = Client::join(here, "board").await;
    let bob = Client::join(there, "board").await;
    ada.commit(chat(0)).await;
    let lock = site.lock();
    let began = std::time::Instant::now();
    for n in 1..=200 {
        ada.op(chat(n)).await;
    }
    eventually("all of it in the file", || async {
        spilled(here).await.filter(|n| *n == 200)
    })
    .await;
    assert!(
        began.elapsed() < std::time::Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    // More comes while it waits.
    for n in 201..=300 {
        ada.op(chat(n)).await;
    }
    eventually("that too", || async {
        spilled(here).await.filter(|n| *n == 300)
    })
    .await;
    assert_eq!(ada.pending.len(), 300);
    lock.execute_batch("ROLLBACK").expect("the end of it");
    ada.settle().await.expect("a connection");
    assert!(ada.heard_of("error").is_empty(), "nothing was refused");
    // The acks come first, then the metric.
    eventually("nothing in the file", || async {
        spilled(here).await.filter(|n| *n == 0)
    })
    .await;
    assert_eq!(ada.seq, 301);
    check_agreement(&mut [ada, bob]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_commits_what_a_crash_left_in_the_file_once() {
    let site = Site::new(&[]);
    let mut one = site.launch(&[]);
    let here = one.ready().await;
    let mut ada = Client::join(here, "board").await;
    let mut bob = Client::join(here, "board").await;
    ada.commit(chat(0)).await;
    let lock = site.lock();
    for client in [&mut ada, &mut bob] {
        for n in 1..=50 {
            client.op(chat(n)).await;
        }
    }
    eventually("all of it in the file", || async {
        spilled(here).await.filter(|n| *n == 100)
    })
    .await;
    one.kill().await;
    drop(lock);
    // The end of the last record is lost: it was never promised.
    let path = fs::read_dir(site.spill())
        .expect("it")
        .flatten()
        .next()
        .expect("a file")
        .path();
    let file = fs::File::options()
        .write(true)
        .open(&path)
        .expect("the file");
    let len = file.metadata().expect("its length").len();
    file.set_len(len - 5).expect("torn");
    let mut two = site.launch(&[]);
    let there = two.ready().await;
    assert!(!path.exists(), "it is committed");
    // Committed without its authors: who comes now finds it.
    let eve = Client::join(there, "board").await;
    assert_eq!(eve.seq, 100, "1 before, 99 spilled");
    for client in [&mut ada, &mut bob] {
        client.resume(there).await.expect("back");
        client.settle().await.expect("a connection");
    }
    assert_eq!(ada.seq.max(bob.seq), 101, "one was torn, and sent again");
    check_agreement(&mut [ada, bob, eve]).await;
    assert_eq!(
        fs::read_dir(site.spill()).expect("it").count(),
        1,
        "its own"
    );
}

/// What stands behind a damaged record is not committed: a later op of the same author would make the lost one a
/// duplicate when it is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_spill_file_is_committed_up_to_the_damage_and_kept() {
    let site = Site::new(&[]);
    let mut one = site.launch(&[]);
    let here = one.ready().await;
    let mut ada = Client::join(here, "board").await;
    ada.commit(chat(0)).await;
    let lock = site.lock();
    for n in 1..=20 {
        ada.op(chat(n)).await;
    }
    eventually("all of it in the file", || async {
        spilled(here).await.filter(|n| *n == 20)
    })
    .await;
    one.kill().await;
    drop(lock);
    let mut files = fs::read_dir(site.spill()).expect("it").flatten();
    let path = files.next().expect("a file").path();
    let mut text = fs::read(&path).expect("records");
    let tenth = text.windows(8).position(|bytes| bytes == b"chat 10\\");
    text[tenth.expect("the tenth")] ^= 1;
    fs::write(&path, text).expect("damaged");
    let mut two = site.launch(&[]);
    let there = two.ready().await;
    let log = two.log();
    assert!(log.contains("a spill file is damaged"), "{log}");
    assert!(!path.exists() && path.with_extension("damaged").exists());
    let mut eve = Client::join(there, "board").await;
    assert_eq!(eve.seq, 10, "1 before, 9 up to the damage");
    ada.resume(there).await.expect("back");
    ada.settle().await.expect("a connection");
    eve.reach(21).await;
    check_agreement(&mut [ada, eve]).await;
}

/// Killed between the commit and the end of the file: everything is committed a second time, as duplicates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_of_the_file_commits_everything_once() {
    for step in ["before-spill", "after-spill", "after-replay"] {
        let site = Site::new(&[]);
        let mut one = site.launch(&["--fail-point", &format!("{step}=abort@1")]);
        let here = one.ready().await;
        let mut ada = Client::join(here, "board").await;
        ada.commit(chat(0)).await;
        let lock = site.lock();
        for n in 1..=40 {
            ada.op(chat(n)).await;
        }
        if step == "after-replay" {
            eventually("all of it in the file", || async {
                spilled(here).await.filter(|n| *n == 40)
            })
            .await;
            drop(lock);
            one.ended().await;
        } else {
            one.ended().await;
            drop(lock);
        }
        let mut two = site.launch(&[]);
        let there = two.ready().await;
        ada.resume(there).await.expect("back");
        ada.settle().await.expect("a connection");
        assert_eq!(ada.seq, 41, "{step}");
        let eve = Client::join(there, "board").await;
        check_agreement(&mut [ada, eve]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spill_file_refuses_the_rest() {
    let site = Site::new(&["--spill-max-bytes=65536"]);
    let mut one = site.launch(&[]);
    let here = one.ready().await;
    let mut ada = Client::join(here, "board").await;
    ada.commit(chat(0)).await;
    let lock = site.lock();
    for _ in 0..30 {
        ada.op(json!({"type": "broadcast", "event": "e", "data": "x".repeat(5_000)}))
            .await;
    }
    let refused = ada.until(|m| m["type"] == "error").await;
    assert_eq!(refused["code"], "overloaded");
    assert!(
        refused["message"].as_str().expect("why").contains("full"),
        "{refused}"
    );
    assert!(
        refused["op"].as_u64() > Some(5),
        "what fits is kept: {refused}"
    );
    assert!(bytes(&site.spill()) <= 65_536);
    drop(lock);
    soon("the rest", async {
        while !ada.pending.is_empty() {
            ada.resend().await.expect("a connection");
            ada.settle().await.expect("a connection");
        }
    })
    .await;
    assert_eq!(ada.seq, 31);
    // In order all the same.
    check_agreement(&mut [ada]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spill_file_that_cannot_be_written_refuses() {
    let site = Site::new(&[]);
    let mut one = site.launch(&["--fail-point", "before-spill=error@1..2"]);
    let here = one.ready().await;
    let mut ada = Client::join(here, "board").await;
    ada.commit(chat(0)).await;
    let lock = site.lock();
    ada.op(chat(1)).await;
    let refused = ada.until(|m| m["type"] == "error").await;
    assert_eq!(refused["code"], "overloaded");
    assert!(
        refused["message"]
            .as_str()
            .expect("why")
            .contains("spill file"),
        "{refused}"
    );
    drop(lock);
    ada.resend().await.expect("a connection");
    ada.settle().await.expect("a connection");
    assert_eq!(ada.seq, 2);
}
