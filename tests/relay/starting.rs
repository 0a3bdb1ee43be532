//! Several processes over one file from the first moment on.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::history::check_agreement;
use crate::harness::server::Process;
use crate::harness::{Client, Relay, eventually};

#[tokio::test]
async fn processes_started_at_the_same_moment_on_no_file_are_one_relay() {
    for _ in 0..4 {
        let relay = Relay::start(4, &[]).await;
        let mut clients: Vec<Client> = Vec::new();
        for process in 0..4 {
            clients.push(relay.join(process, "board").await);
        }
        for client in &mut clients {
            client.commit(json!({"type": "chat", "text": "here"})).await;
        }
        check_agreement(&mut clients).await;
        assert_eq!(clients[0].seq, 4);
        assert_eq!(relay.number("SELECT count(*) FROM instances"), 4);
    }
}

#[tokio::test]
async fn a_name_belongs_to_one_live_process() {
    let mut relay = Relay::start(1, &["--instance-id", "one"]).await;
    let mut second = Process::launch(&relay.db(), &["--instance-id", "one"]);
    assert_eq!(second.ended().await.code(), Some(1));
    relay.process(0).kill().await;
    // The name is free as soon as its owner is dead.
    let fresh = relay.add(&[]).await;
    let client = relay.join(fresh, "board").await;
    assert_eq!(client.welcome["instance"], "one");
}

/// Nobody is taken for dead and nothing is lost; that the others can't wake it, a process says in its log.
#[tokio::test]
async fn the_folder_of_locks_and_sockets_may_be_deleted() {
    let mut relay = Relay::start(2, &[]).await;
    let mut clients = vec![relay.join(0, "board").await, relay.join(1, "board").await];
    let folder = relay.db().with_extension("db.wake");
    std::fs::remove_dir_all(&folder).expect("the folder");
    let third = relay.add(&[]).await;
    clients.push(relay.join(third, "board").await);
    for client in &mut clients {
        client.commit(json!({"type": "chat", "text": "here"})).await;
    }
    for process in 0..2 {
        eventually("the word of it", async || {
            let log = relay.log(process);
            log.contains("the socket of this instance was deleted")
                .then_some(())
        })
        .await;
    }
    check_agreement(&mut clients).await;
    assert_eq!(clients[0].seq, 3);
    assert_eq!(relay.number("SELECT count(*) FROM instances"), 3);
}

#[tokio::test]
async fn a_new_process_delivers_nothing_old() {
    let mut relay = Relay::start(1, &[]).await;
    let mut ada = relay.join(0, "board").await;
    for n in 0..50 {
        ada.op(json!({"type": "broadcast", "event": "old", "data": n}))
            .await;
    }
    ada.settle().await.expect("connected");
    let fresh = relay.add(&[]).await;
    let mut late = relay.join(fresh, "board").await;
    assert_eq!(late.seq, 50);
    let seq = ada
        .commit(json!({"type": "broadcast", "event": "new"}))
        .await;
    late.reach(seq).await;
    assert_eq!(
        late.stream().entries.len(),
        1,
        "the client asserts that it is the next"
    );
}

#[tokio::test]
async fn a_canvas_that_is_full_says_so() {
    let relay = Relay::start(2, &["--max-clients-per-canvas", "2"]).await;
    let _first = relay.join(0, "board").await;
    let second = relay.join(0, "board").await;
    let hello = json!({"type": "hello", "v": 1, "client": "client-third"});
    // The other process counts those of this one, whether it opens the canvas for this client or had it open.
    for n in [0, 1, 1] {
        let mut third = crate::harness::Socket::open(relay.address(n), "board")
            .await
            .expect("up");
        third.send(&hello).await.expect("sent");
        assert_eq!(third.ended().await.code, Some(4413));
    }
    let _elsewhere = relay.join(0, "other").await;
    drop(second);
    crate::harness::eventually("a free place", || async {
        let mut socket = crate::harness::Socket::open(relay.address(1), "board")
            .await
            .ok()?;
        socket.send(&hello).await.ok()?;
        let first = socket.receive().await.ok()?;
        (first["type"] == "welcome").then_some(())
    })
    .await;
}

/// A file that the last scumble of version 1 has left: `tests/files/README.md`.
const VERSION_1: &[u8] = include_bytes!("../files/version-1.sqlite");

#[tokio::test]
async fn a_file_of_version_1_is_migrated_and_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("relay.db");
    std::fs::write(&db, VERSION_1).expect("a file");
    // Both at once: one of them migrates, and the other finds it done.
    let flags = ["--max-canvas-bytes", "131072"];
    let mut processes = [Process::launch(&db, &flags), Process::launch(&db, &flags)];
    let mut clients = Vec::new();
    for process in &mut processes {
        let address = process.ready().await;
        clients.push(Client::join(address, "board").await);
    }
    let migrated = |process: &Process| process.log().contains("the file's schema is migrated");
    assert_eq!(processes.iter().filter(|p| migrated(p)).count(), 1);
    for client in &clients {
        assert_eq!((client.seq, client.epoch.as_str()), (7, "20653db57ea440e8"));
        assert_eq!(client.model.objects.len(), 2);
        assert_eq!(client.model.object("a").expect("an object")["t"], "größe");
        assert_eq!(client.model.chat[0]["text"], "made by version 1");
    }
    // 9,094 bytes of objects were there before.
    let object = |id: &str, bytes: usize| {
        let object = json!({"id": id, "kind": "k", "p": "x".repeat(bytes)});
        json!({"type": "object-create", "object": object})
    };
    for (id, bytes) in [("n1", 60_000), ("n2", 60_000)] {
        clients[0].commit(object(id, bytes)).await;
    }
    clients[1].op(object("n3", 2_500)).await;
    let refused = clients[1].until(|m| m["type"] == "error").await;
    assert_eq!(refused["code"], "too-large");
    clients[1].commit(object("n3", 1_500)).await;
    check_agreement(&mut clients).await;
    assert_eq!(clients[0].seq, 10);
}

/// It is stopped, taken for dead, and replaced under its name: when it goes on, it ends, and its successor is left alone.
#[tokio::test]
async fn a_process_whose_name_was_taken_ends_when_it_goes_on() {
    let mut relay = Relay::start(1, &["--instance-id", "one", "--presence-grace", "1s"]).await;
    let mut other = Process::launch(&relay.db(), &["--instance-id", "two"]);
    let address = other.ready().await;
    let mut watcher = Client::join(address, "board").await;
    relay.process(0).signal(Signal::STOP);
    relay
        .until_number("SELECT count(*) FROM instances", |n| n == 1)
        .await;
    let mut successor = Process::launch(&relay.db(), &["--instance-id", "one"]);
    let mut ada = Client::join(successor.ready().await, "board").await;
    relay.process(0).signal(Signal::CONT);
    assert_eq!(relay.process(0).ended().await.code(), Some(1));
    assert!(relay.log(0).contains("another has started as one"));
    ada.commit(json!({"type": "chat", "text": "here"})).await;
    watcher.reach(1).await;
    assert_eq!(
        relay.number("SELECT count(*) FROM presence WHERE away_at IS NULL"),
        2
    );
    check_agreement(&mut [ada, watcher]).await;
}
