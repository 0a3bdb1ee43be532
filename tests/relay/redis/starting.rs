//! How processes start, how they start again, and when they must not.

use std::path::Path;

use rustix::process::Signal;

use super::*;
use crate::harness::history::check_agreement;

/// Waits until it has ended with that code; gives what it said.
async fn refused(mut process: Process, code: i32) -> String {
    assert_eq!(
        process.ended().await.code(),
        Some(code),
        "{}",
        process.log()
    );
    eventually("the reason", || async {
        Some(process.log()).filter(|log| !log.is_empty())
    })
    .await
}

#[tokio::test]
async fn without_redis_a_process_says_where_it_looked_and_ends() {
    // A port that was free a moment ago, and that nobody is given soon.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let db = std::path::Path::new("/nonexistent/never.db");
    let url = format!("redis://app:secret@{address}/3");
    let socket = "redis+unix:///nonexistent/redis.sock";
    for (url, named) in [(url.as_str(), address.as_str()), (socket, socket)] {
        let told = refused(Process::launch(db, &["--redis", url]), 1).await;
        let lines: Vec<&str> = told.lines().filter(|line| line.contains(named)).collect();
        assert_eq!(lines.len(), 1, "{told}");
        assert!(!told.contains("secret"), "{told}");
        assert!(lines[0].contains("Redis can't be reached"), "{told}");
    }
}

/// Not even one that has all slots: the relay's keys are in many.
#[tokio::test]
async fn a_node_of_a_cluster_is_refused_by_processes_and_tools() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let bus = port.local_addr().expect("an address").port().to_string();
    drop(port);
    let server = RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus]);
    let slots = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    assert_eq!(server.ask(&slots), "OK");
    let url = server.url();
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let db = path("relay.db");
    let mut file = Process::launch(Path::new(&db), &[]);
    file.ready().await;
    file.kill().await;
    let serving = Process::launch(Path::new(&db), &["--redis", &url]);
    let mut told = vec![refused(serving, 1).await];
    let to = path("copy.db");
    let tools: [(i32, &[&str]); 6] = [
        (2, &["doctor", "--redis", &url]),
        (1, &["tail", "board", "--redis", &url]),
        (1, &["backup", "--redis", &url, "--to", &to]),
        (1, &["migrate", "--from", &url, "--to", &to]),
        (1, &["migrate", "--from", &db, "--to", &url]),
        (1, &["migrate", "--from", &db, "--to", &url, "--dry-run"]),
    ];
    for (code, args) in tools {
        told.push(super::tools::refused(code, args).await);
    }
    for told in told {
        for word in ["a Redis Cluster", "--redis", "cluster-enabled no"] {
            assert!(told.contains(word), "{word}: {told}");
        }
        assert!(!told.contains("can't be reached"), "{told}");
    }
    assert_eq!(server.ask(&["DBSIZE"]), "0", "nothing was tried");
    assert!(!Path::new(&to).exists());
}

#[tokio::test]
async fn flags_that_have_no_meaning_over_redis_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().display().to_string();
    let db = dir.path().join("relay.db");
    for (flags, named) in [
        (["--queue", "off"], "--queue"),
        (["--spill-dir", &folder], "--spill-dir"),
        (["--synchronous", "full"], "--synchronous"),
    ] {
        let redis = ["--redis", "redis://127.0.0.1:1"];
        let told = refused(Process::launch(&db, &[redis, flags].concat()), 2).await;
        assert!(told.contains(named), "{told}");
    }
}

/// Two processes that hold objects to different bounds would come to different canvases.
#[tokio::test]
async fn other_rules_than_those_of_the_relay_are_refused_until_it_has_ended() {
    let mut over = Over::start(2, &[]).await;
    for (flags, theirs) in [
        (["--max-objects", "7"], "--max-objects 10000"),
        (["--message-ttl", "77s"], "--message-ttl 60000ms"),
        (["--max-canvases", "7"], "--max-canvases off"),
        (["--max-total-bytes", "1048576"], "--max-total-bytes off"),
        (
            ["--max-canvas-log-bytes", "77777"],
            "--max-canvas-log-bytes 67108864",
        ),
        (["--max-log-bytes", "77777"], "--max-log-bytes 1073741824"),
        (["--canvas-idle-ttl", "77s"], "--canvas-idle-ttl off"),
    ] {
        let told = refused(launch(&over, &flags), 1).await;
        let ours = flags.join(" ").replace("77s", "77000ms");
        assert!(told.contains(&ours) && told.contains(theirs), "{told}");
        // Those that are the same are not told.
        assert!(!told.contains("--presence-grace"), "{told}");
    }
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "s".repeat(40)).expect("written");
    let with_tokens = format!("--auth-secret-file={}", secret.path().display());
    let told = refused(launch(&over, &[&with_tokens]), 1).await;
    assert!(
        told.contains("--auth none") && told.contains("--auth token"),
        "{told}"
    );
    end_all(&mut over.relay, &[0, 1], Signal::TERM).await;
    let mut other = launch(&over, &["--max-objects", "7"]);
    other.ready().await;
    // Of one that was killed, only the registry knows.
    other.kill().await;
    let mut third = eventually("another start", async || {
        let mut third = launch(&over, &["--max-objects", "8"]);
        third.started().await.is_some().then_some(third)
    })
    .await;
    over.until_instances(1).await;
    third.kill().await;
}

/// What was accepted by the old rules stays accepted, though nobody had time to keep a snapshot.
#[tokio::test]
async fn other_rules_undo_nothing() {
    let mut over = Over::start(1, &[]).await;
    let mut ada = over.relay.join(0, "board").await;
    for n in 0..20 {
        ada.commit(create(&format!("o{n}"), "x")).await;
    }
    over.relay.process(0).kill().await;
    let smaller = ["--max-objects", "5"];
    for _ in 0..2 {
        let mut other = eventually("another start", async || {
            let mut other = launch(&over, &smaller);
            other.started().await.map(|_| other)
        })
        .await;
        let address = other.ready().await;
        let mut late = Client::join(address, "board").await;
        assert_eq!((late.model.objects.len(), late.seq), (20, ada.seq));
        let refused = late.op(create("more", "x")).await;
        late.until(|m| m["type"] == "error" && m["op"] == refused)
            .await;
        ada.seq = late.commit(json!({"type": "chat", "text": "hi"})).await;
        other.kill().await;
    }
}

#[tokio::test]
async fn a_name_belongs_to_one_live_process() {
    let mut over = Over::start(1, &["--instance-id", "one"]).await;
    let told = refused(launch(&over, &["--instance-id", "one"]), 1).await;
    assert!(told.contains("--instance-id one is in use"), "{told}");
    over.until_instances(1).await;
    over.relay.process(0).kill().await;
    let fresh = over.relay.add(&[]).await;
    let client = over.relay.join(fresh, "board").await;
    assert_eq!(client.welcome["instance"], "one");
}

async fn start_again(signal: Signal) {
    let mut over = Over::start(2, &["--presence-grace", "1s"]).await;
    let mut ada = over.relay.join(0, "board").await;
    let mut ben = over.relay.join(1, "board").await;
    for n in 0..5 {
        ada.commit(create(&format!("o{n}"), "x")).await;
        ben.commit(chat(&format!("{n}"))).await;
    }
    ada.commit(json!({"type": "object-delete", "id": "o2"}))
        .await;
    ben.reach(ada.seq).await;
    end_all(&mut over.relay, &[0, 1], signal).await;
    // Redis, too: all is on its disk.
    over.server.run();
    let fresh = over.relay.add(&[]).await;
    let mut late = over.relay.join(fresh, "board").await;
    assert_eq!((late.seq, &late.model), (ada.seq, &ada.model));
    assert_eq!(late.model.objects.len(), 4);
    assert_eq!(late.model.chat.len(), 5);
    // What was done is not done again.
    let mut again = create("o1", "again");
    again["op"] = 2.into();
    ada.pending.insert(2, again);
    come_back(&mut ada, over.relay.address(fresh)).await;
    assert_eq!(ada.welcome["acked_op"], 6);
    ada.settle().await.expect("connected");
    let seq = ada.commit(create("o9", "x")).await;
    assert_eq!(seq, 12, "the numbers go on");
    late.reach(seq).await;
    assert_eq!(late.model.object("o1").expect("kept")["text"], "x");
    check_agreement(&mut [late]).await;
    assert_eq!(over.relay.join(fresh, "board").await.model, ada.model);
}

#[tokio::test]
async fn a_relay_that_ended_goes_on_where_it_was() {
    start_again(Signal::TERM).await;
}

#[tokio::test]
async fn a_relay_that_was_killed_goes_on_where_it_was() {
    start_again(Signal::KILL).await;
}
