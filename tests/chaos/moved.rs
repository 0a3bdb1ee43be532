//! The file, or what belongs to it, is moved away, deleted or replaced while processes use it, or before they start.

use std::fs::{self, File};

use rustix::process::Signal;

use crate::file::{Site, chat, recovered, until_refused};
use crate::harness::Client;
use crate::harness::server::Process;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_moved_away_is_missed_until_it_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let site = Site::start(&db, &[]).await;
    let (mut ada, bob) = (site.join(0).await, site.join(1).await);
    ada.commit(chat("before")).await;
    let aside = dir.path().join("aside.db");
    fs::rename(&db, &aside).expect("moved");
    let why = until_refused(&mut ada, || chat("x")).await;
    assert!(why.contains("moved away or deleted"), "{why}");
    assert!(site.until_ready(1, false).await.contains("moved away"));
    fs::rename(&aside, &db).expect("moved back");
    recovered(&site, vec![ada, bob]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_the_place_of_the_one_that_was_opened_ends_the_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let mut site = Site::start(&db, &[]).await;
    for ending in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{ending}", db.display())).expect("removed");
    }
    let fresh = Process::launch(&db, &[]).ready().await;
    for process in &mut site.processes {
        let status = process.ended().await;
        assert_eq!(status.code(), Some(1));
        let log = process.log();
        assert!(log.contains("is not the file that was opened"), "{log}");
    }
    assert_ne!(fresh.port(), 0);
}

/// A newcomer makes an index of its own for the same log. Who has the old one would write over what it does not see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_the_logs_index_writes_nothing_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let mut site = Site::start(&db, &[]).await;
    fs::remove_file(format!("{}-shm", db.display())).expect("removed");
    let mut newcomer = Process::launch(&db, &[]);
    let mut cy = Client::join(newcomer.ready().await, "board").await;
    for n in 0..50 {
        cy.commit(chat(&format!("{n}"))).await;
    }
    assert!(site.until_ready(0, false).await.contains("moved away"));
    for process in &mut site.processes {
        process.signal(Signal::TERM);
        process.ended().await;
        let log = process.log();
        assert!(log.contains("could not leave the registry"), "{log}");
    }
    for n in 50..100 {
        cy.commit(chat(&format!("{n}"))).await;
    }
    newcomer.kill().await;
    let mut again = Process::launch(&db, &[]);
    cy.resume(again.ready().await).await.expect("back");
    assert_eq!(cy.welcome["mode"], "resume", "nothing is lost");
    cy.commit(chat("after")).await;
}

/// SQLite would take an empty file for a new one, and delete the log that has all the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_its_file_is_refused_at_start_and_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    let mut process = Process::launch(&db, &[]);
    let mut ada = Client::join(process.ready().await, "board").await;
    ada.commit(chat("before")).await;
    process.kill().await;
    let aside = dir.path().join("aside.db");
    fs::rename(&db, &aside).expect("moved");
    for empty in [false, true] {
        if empty {
            File::create(&db).expect("an empty file");
        }
        let mut process = Process::launch(&db, &[]);
        assert_eq!(process.started().await, None);
        assert_eq!(process.ended().await.code(), Some(1));
        let log = process.log();
        assert!(log.contains("relay.db is missing or empty"), "{log}");
        assert!(log.contains("put the file back"), "{log}");
    }
    fs::rename(&aside, &db).expect("moved back");
    let mut process = Process::launch(&db, &[]);
    ada.resume(process.ready().await).await.expect("back");
    assert_eq!(ada.welcome["mode"], "resume", "nothing is lost");
}
