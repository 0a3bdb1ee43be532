//! Several processes over one file from the first moment on.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::history::{check_agreement, see_the_same};
use crate::harness::server::Process;
use crate::harness::{Client, Relay, check_history, eventually};

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
    see_the_same(&mut clients).await;
    // Who wrote what was there before is not known.
    check_history(&clients);
    assert_eq!(clients[0].seq, 10);
}

/// It is stopped, taken for dead, and replaced under its name: when it goes on, it ends, and its successor is left alone.
#[tokio::test]
async fn a_process_whose_name_was_taken_ends_when_it_goes_on() {
    let grace = ["--presence-grace", "1s", "--instance-id"];
    let mut relay = Relay::start(1, &[&grace[..], &["one"]].concat()).await;
    let mut other = Process::launch(&relay.db(), &[&grace[..], &["two"]].concat());
    let address = other.ready().await;
    let mut watcher = Client::join(address, "board").await;
    relay.process(0).signal(Signal::STOP);
    relay
        .until_number("SELECT count(*) FROM instances", |n| n == 1)
        .await;
    let mut successor = Process::launch(&relay.db(), &[&grace[..], &["one"]].concat());
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

/// What decides about shared rows is kept in the file; who comes with other flags is told which.
#[tokio::test]
async fn processes_with_other_flags_are_refused_with_their_names() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "s".repeat(40)).expect("written");
    let with_tokens = format!("--auth-secret-file={}", secret.path().display());
    let mut relay = Relay::start(1, &["--message-ttl", "30s"]).await;
    for (flags, told) in [
        (
            &["--message-ttl", "31s"][..],
            "--message-ttl is 30s there, 31s here",
        ),
        (&["--cursor-ttl", "6s"], "--cursor-ttl is 5s there, 6s here"),
        (
            &["--synchronous", "full"],
            "--synchronous is normal there, full here",
        ),
        (
            &["--max-objects", "3"],
            "--max-objects is 10000 there, 3 here",
        ),
        (&[&with_tokens], "--auth is none there, token here"),
    ] {
        let mut all = vec!["--message-ttl", "30s"];
        all.extend(flags);
        // A flag that is given twice is a wrong one of its own.
        let all = if flags[0] == "--message-ttl" {
            flags.to_vec()
        } else {
            all
        };
        let mut other = Process::launch(&relay.db(), &all);
        assert_eq!(other.ended().await.code(), Some(1), "{flags:?}");
        eventually("the reason", async || {
            other.log().contains(told).then_some(())
        })
        .await;
    }
    let client = relay.join(0, "board").await;
    assert_eq!(client.welcome["mode"], "snapshot", "nobody was harmed");
    // Once nobody runs, others may be chosen.
    relay.process(0).kill().await;
    let mut other = Process::launch(&relay.db(), &["--message-ttl", "31s"]);
    other.ready().await;
}

/// The keys of tokens may differ while they are changed.
#[tokio::test]
async fn processes_with_other_keys_are_one_relay() {
    let folder = tempfile::tempdir().expect("a folder");
    let flag = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, name.repeat(40)).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("its mode");
        format!("--auth-secret-file={}", path.display())
    };
    let (old, new) = (flag("old"), flag("new"));
    let db = folder.path().join("relay.db");
    let mut first = Process::launch(&db, &[&old]);
    first.ready().await;
    let mut second = Process::launch(&db, &[&new, &old]);
    second.ready().await;
}

/// Clients know more than a file that was put back: they must not go on from numbers that are given out again.
#[tokio::test]
async fn after_a_plain_copy_was_put_back_clients_take_a_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let (db, copy) = (folder.path().join("relay.db"), folder.path().join("copy"));
    let start = async |db| {
        let mut process = Process::launch(db, &[]);
        let address = process.ready().await;
        (process, address)
    };
    let stop = async |mut process: Process| {
        process.signal(Signal::TERM);
        assert!(process.ended().await.success());
    };
    let (process, address) = start(&db).await;
    let mut client = Client::join(address, "board").await;
    client.commit(json!({"type": "chat", "text": "kept"})).await;
    stop(process).await;
    std::fs::copy(&db, &copy).expect("a copy");
    let (process, address) = start(&db).await;
    client.resume(address).await.expect("in");
    assert_eq!(
        client.welcome["mode"], "resume",
        "a restart alone changes nothing"
    );
    client.commit(json!({"type": "chat", "text": "lost"})).await;
    let epoch = client.welcome["epoch"].clone();
    stop(process).await;
    std::fs::copy(&copy, &db).expect("put back");
    let (_process, address) = start(&db).await;
    let mut other = Client::join(address, "board").await;
    other
        .commit(json!({"type": "chat", "text": "another"}))
        .await;
    client.resume(address).await.expect("in");
    assert_eq!(client.welcome["mode"], "snapshot");
    assert_ne!(client.welcome["epoch"], epoch);
}

/// Containers may have the folder at different paths: sockets and locks are found from where the database is.
#[tokio::test]
async fn no_path_of_this_mount_is_told_to_other_processes() {
    let relay = Relay::start(2, &[]).await;
    let sql = "SELECT count(*) FROM instances WHERE instr(wake_path || lock_path, '/') > 0";
    assert_eq!(relay.number(sql), 0);
    let found = "SELECT wake_path FROM instances LIMIT 1";
    let conn = rusqlite::Connection::open(relay.db()).expect("the file");
    let name: String = conn.query_row(found, [], |row| row.get(0)).expect("a row");
    assert!(relay.db().with_extension("db.wake").join(name).exists());
}
