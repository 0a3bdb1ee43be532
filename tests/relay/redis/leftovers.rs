//! What stays in Redis: of canvases that nobody uses, of deleted ones, of processes that died, and when its memory is full.

use std::time::Instant;

use serde_json::json;

use super::*;
use crate::harness::http;

/// Writes much on a canvas that stays small, and leaves.
async fn use_and_leave(over: &Over, canvas: &str) {
    let mut ada = over.relay.join(0, canvas).await;
    ada.op(create("o", "x")).await;
    for n in 0..300 {
        let patch = json!({"type": "object-update", "id": "o", "patch": {"x": n}});
        ada.op(patch).await;
        if n % 50 == 49 {
            ada.settle().await.expect("connected");
        }
    }
    ada.say(json!({"type": "bye"})).await;
    ada.closed().await;
}

async fn delete(over: &Over, canvas: &str) -> u16 {
    let address = over.relay.address(0);
    let headers = format!("Host: 127.0.0.1:{}\r\n", address.port());
    let path = format!("/api/v1/canvases/{canvas}");
    let answer = http::ask(address, "DELETE", &path, &headers, "").await;
    answer.expect("an answer").status
}

/// The log of an abandoned canvas goes, a canvas that was only looked at goes whole, and of a deleted one stays what expires.
#[tokio::test]
async fn a_canvas_that_is_given_up_leaves_what_is_on_it_and_no_more() {
    let flags = [
        "--message-ttl",
        "1s",
        "--poll-idle",
        "200ms",
        "--presence-grace",
        "0s",
    ];
    let over = Over::start(2, &flags).await;
    use_and_leave(&over, "used").await;
    use_and_leave(&over, "deleted").await;
    assert_eq!(delete(&over, "deleted").await, 200);
    let looker = over.relay.join(1, "looked-at").await;
    drop(looker);
    let own = [
        "SUNION",
        "scumble:instance:1:canvases",
        "scumble:instance:2:canvases",
    ];
    over.until_answer(&own, str::is_empty).await;
    over.until_answer(&["KEYS", "scumble:*looked-at*"], str::is_empty)
        .await;
    over.until_answer(&["KEYS", "scumble:*:deleted*"], |keys| {
        keys == "scumble:canvas:deleted"
    })
    .await;
    let (used, ends) = (6, 7);
    let ends_at = over.server.takes("deleted", ends);
    let remembered_ms = ends_at - over.server.takes("deleted", used);
    assert_eq!((remembered_ms + 60_000) / 3_600_000, 24);
    let due = ["ZSCORE", "scumble:due", "deleted"];
    over.until_answer(&due, |due| due == ends_at.to_string())
        .await;
    over.until_answer(&["KEYS", "scumble:*:used*"], |keys| {
        keys == "scumble:canvas:used"
    })
    .await;
    // It is there when somebody comes again, and the tombstone lives again.
    let late = over.relay.join(1, "used").await;
    assert_eq!(late.model.object("o").expect("kept")["x"], 299);
    let mut again = over.relay.join(0, "deleted").await;
    assert_eq!(again.model.objects.len(), 0);
    again.commit(create("new", "x")).await;
    assert_eq!(over.server.takes("deleted", ends), 0);
}

/// Turning the clients of a dead process away, and listing canvases, loads none of them.
#[tokio::test]
async fn reaping_and_listing_load_nothing() {
    let mut over = Over::start(2, &["--presence-grace", "1s"]).await;
    let mut ghosts = Vec::new();
    for n in 0..30 {
        let mut ghost = over.relay.join(0, &format!("c{n:02}")).await;
        ghost.commit(create("o", "x")).await;
        ghosts.push(ghost);
    }
    let address = over.relay.address(1);
    let headers = format!("Host: 127.0.0.1:{}\r\n", address.port());
    let list = async || {
        let answer = http::ask(address, "GET", "/api/v1/canvases?limit=100", &headers, "").await;
        let told = answer.expect("an answer").json();
        told["canvases"].as_array().expect("a list").clone()
    };
    let listed = list().await;
    assert_eq!(listed.len(), 30);
    assert_eq!(listed[29]["members"], 1, "{listed:?}");
    assert_eq!(listed[29]["objects"], 1);
    // Which of the two came first is not said: one has all of them, the other has loaded none.
    let keys = [1, 2].map(|number| format!("scumble:instance:{number}:canvases"));
    let empty = keys
        .iter()
        .find(|key| over.server.ask(&["SCARD", key]) == "0");
    let loaded = ["SCARD", &**empty.expect("one that has loaded none")];
    over.relay.process(0).kill().await;
    over.until_instances(1).await;
    eventually("nobody on any", async || {
        list().await.is_empty().then_some(())
    })
    .await;
    assert_eq!(over.server.ask(&loaded), "0");
    let late = over.relay.join(1, "c07").await;
    assert_eq!(roster(&late).len(), 1, "{}", late.welcome);
    assert_eq!(late.model.objects.len(), 1);
}

/// With its memory full Redis takes nothing; a canvas can be deleted, and that makes room.
#[tokio::test]
async fn a_full_redis_is_made_room_in_by_deleting_a_canvas() {
    let full = ["--maxmemory", "24mb", "--maxmemory-policy", "noeviction"];
    let server = RedisServer::start_with(&[&["--appendonly", "yes"], &full[..]].concat());
    let url = server.url();
    let relay = Relay::start(1, &["--redis", &url]).await;
    let over = Over { relay, server };
    let mut other = over.relay.join(0, "other").await;
    other.commit(create("before", "x")).await;
    let mut ada = over.relay.join(0, "big").await;
    let text = "x".repeat(20_000);
    let began = Instant::now();
    for n in 0..5_000 {
        ada.op(create(&format!("o{n}"), &text)).await;
        let ready = over.relay.get(0, "/readyz").await.expect("an answer");
        if ready.status == 503 {
            assert!(ready.body.contains("OOM"), "{}", ready.body);
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it is never full"
        );
    }
    assert_eq!(delete(&over, "big").await, 200);
    other.commit(create("after", "x")).await;
    let log = over.relay.log(0);
    assert!(!log.contains("Redis is gone"), "{log}");
}
