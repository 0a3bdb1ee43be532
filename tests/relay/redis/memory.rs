//! What a process holds: little more than the canvases that it has members on, as JSON, and nothing of the others.

use rustix::process::Signal;

use super::tools::done;
use super::*;
use crate::harness::PATIENCE;

const CANVASES: usize = 4;
const OBJECTS: &str = "10000";
/// What objects take is bounded by a test of theirs (twice their JSON). Beside that, an allocator keeps what it likes for later: on a
/// busy machine up to as much again, twice. So this finds only what would hold whole canvases several times.
const TIMES: u64 = 6;
const SLACK: u64 = 6 * 1024 * 1024;

/// What a process says that it holds: copies, their bytes, and its memory.
async fn held(over: &Over, n: usize) -> [u64; 3] {
    let metrics = over.relay.get(n, "/metrics").await.expect("an answer").body;
    let names = [
        "scumble_copies ",
        "scumble_copies_bytes ",
        "process_resident_memory_bytes ",
    ];
    names.map(|name| {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        let value = value.and_then(|value| value.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{name}: {metrics}"))
    })
}

/// Waits until it is as wanted; a failure says how it was last.
async fn until_held(over: &Over, what: &str, wanted: impl Fn([u64; 3]) -> bool) {
    let last = std::sync::Mutex::new([0; 3]);
    let seen = eventually(what, || async {
        let now = held(over, 1).await;
        *last.lock().expect("no panic") = now;
        wanted(now).then_some(())
    });
    if tokio::time::timeout(PATIENCE / 2, seen).await.is_err() {
        panic!("{what}: {last:?}");
    }
}

/// Joins, and has all of the canvas; without a model of it, which would take long.
async fn look(address: SocketAddr, canvas: &str) -> Socket {
    let mut socket = Socket::open(address, canvas).await.expect("an upgrade");
    let hello = json!({"type": "hello", "v": 1, "client": crate::harness::client::new_id()});
    socket.send(&hello).await.expect("a connection");
    loop {
        let message = socket.receive().await.expect("a connection");
        if message["type"] == "snapshot" && message["last"] == true {
            return socket;
        }
    }
}

#[tokio::test]
async fn a_process_holds_what_its_members_look_at_and_no_more() {
    // Messages are kept for those who resume, which is not what this is about.
    let mut over = Over::start(1, &["--message-ttl", "1s"]).await;
    let url = format!("http://{}", over.relay.address(0));
    let names: Vec<String> = (0..CANVASES).map(|n| format!("board-{n}")).collect();
    for name in &names {
        done(&[
            "load",
            "join",
            "--objects",
            OBJECTS,
            "--canvas",
            name,
            "--url",
            &url,
        ])
        .await;
    }
    end_all(&mut over.relay, &[0], Signal::TERM).await;
    let fresh = over.relay.add(&[]).await;
    let [copies, _, empty] = held(&over, fresh).await;
    assert_eq!(copies, 0);
    let all = CANVASES as u64;
    let mut members = Vec::new();
    for name in &names {
        members.push(look(over.relay.address(fresh), name).await);
    }
    until_held(&over, "little memory", |[copies, bytes, memory]| {
        copies == all && bytes > 7_000_000 && memory < empty + TIMES * bytes + SLACK
    })
    .await;
    for member in &mut members {
        member.close(1000).await;
    }
    until_held(&over, "no copies", |[copies, bytes, _]| copies + bytes == 0).await;
}
