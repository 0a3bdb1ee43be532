//! How much one client may do, and how many there may be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Client, Relay, Socket, eventually, http, soon};

fn chat(text: &str) -> Value {
    json!({"type": "chat", "text": text})
}

/// Reads until every op is committed, as a client should: what was refused is sent again once its time has come, not before.
/// Gives the refusals.
async fn settle(client: &mut Client) -> Vec<Value> {
    let mut refusals = Vec::new();
    while !client.pending.is_empty() {
        let mut unanswered: BTreeSet<u64> = client.pending.keys().copied().collect();
        let mut wait_ms = None;
        while !unanswered.is_empty() {
            let message = client.next().await.expect("a connection");
            if message["type"] == "error" {
                wait_ms = wait_ms.or(message["retry_after_ms"].as_u64());
                refusals.push(message.clone());
            }
            unanswered.remove(&message["op"].as_u64().unwrap_or(0));
        }
        if let Some(ms) = wait_ms {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            client.resend().await.expect("a connection");
        }
    }
    refusals
}

#[tokio::test]
async fn over_the_rate_an_op_is_refused_and_what_follows_waits_for_it() {
    let relay = Relay::start(2, &["--ops-per-s", "20"]).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(1, "board").await;
    assert_eq!(ada.welcome["limits"]["ops_per_s"], 20);
    let began = Instant::now();
    for n in 0..60 {
        ada.op(chat(&n.to_string())).await;
    }
    let refusals = settle(&mut ada).await;
    let first = &refusals[0];
    assert!(first["op"].as_u64().expect("an op") > 20, "{first}");
    let wait_ms = first["retry_after_ms"].as_u64().expect("ms");
    assert!((1..=300).contains(&wait_ms), "{first}");
    // 20 at once, then 20 a second: the 60th can't come before the second second is over.
    assert!(
        began.elapsed().as_millis() >= 1_900,
        "{:?}",
        began.elapsed()
    );
    assert!(
        ada.acked.values().all(|acked| acked.status == "ok"),
        "{:?}",
        ada.acked
    );
    ben.reach(60).await;
    let texts: Vec<&Value> = ben
        .stream()
        .entries
        .iter()
        .map(|e| &e.message["text"])
        .collect();
    let sent: Vec<Value> = (0..60).map(|n| n.to_string().into()).collect();
    assert_eq!(
        texts,
        sent.iter().collect::<Vec<_>>(),
        "in the order of sending, each once"
    );
    let same = refusals.iter().all(|error| error["code"] == "rate-limited");
    assert!(
        same,
        "what waits is refused with the same code: {refusals:?}"
    );
}

#[tokio::test]
async fn bytes_have_a_rate_of_their_own() {
    let flags = ["--op-bytes-per-s", "20000", "--max-message-bytes", "4096"];
    let relay = Relay::start(1, &flags).await;
    let mut ada = relay.join(0, "board").await;
    let began = Instant::now();
    for n in 0..15 {
        ada.op(json!({"type": "broadcast", "event": "e", "data": [n, "x".repeat(3_900)]}))
            .await;
    }
    let refusals = settle(&mut ada).await;
    assert_eq!(refusals[0]["code"], "rate-limited");
    let hint = "more than 20000 bytes of durable messages a second (op_bytes_per_s)";
    assert_eq!(refusals[0]["message"], hint);
    assert_eq!(ada.seq, 15);
    assert!(
        began.elapsed().as_millis() >= 1_800,
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_op_that_was_sent_twice_is_answered_and_holds_nothing() {
    let relay = Relay::start(1, &["--ops-per-s", "3"]).await;
    let mut ada = relay.join(0, "board").await;
    for n in 0..3 {
        ada.op(chat(&n.to_string())).await;
    }
    // Over the limit, before the first copies are answered.
    ada.resend().await.expect("a connection");
    let mut answers = 0;
    while answers < 6 {
        let answer = ada.next().await.expect("a connection");
        answers += usize::from(answer["op"].is_u64());
    }
    assert!(!ada.heard_of("error").is_empty(), "a copy was refused");
    ada.reach(3).await;
    ada.op(chat("next")).await;
    settle(&mut ada).await;
    assert_eq!(ada.seq, 4);
}

#[tokio::test]
async fn too_many_cursors_are_dropped_and_signals_too_but_not_without_a_word() {
    let relay = Relay::start(1, &["--ephemeral-per-s", "10"]).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(0, "board").await;
    for n in 0..500 {
        ada.say(json!({"type": "cursor", "x": n, "y": 0})).await;
    }
    ada.commit(chat("cursors sent")).await;
    assert!(
        ada.heard_of("error").is_empty(),
        "cursors go without a word"
    );
    for n in 0..300 {
        ada.say(json!({"type": "signal", "event": "e", "data": n}))
            .await;
    }
    ada.commit(chat("signals sent")).await;
    let told = ada.heard_of("error");
    assert!((1..=3).contains(&told.len()), "once a second: {told:?}");
    assert!(
        told.iter()
            .all(|e| e["code"] == "rate-limited" && e.get("op").is_none())
    );
    ben.reach(2).await;
    assert!(ben.heard_of("signal").len() < 100, "most were dropped");
    // Nobody else pays for it.
    for n in 0..10 {
        ben.say(json!({"type": "signal", "event": "f", "data": n}))
            .await;
    }
    ada.until(|m| m["type"] == "signal" && m["data"] == 9).await;
}

/// Says hello, and gives how that ended.
async fn turned_away(relay: &Relay, canvas: &str) -> Option<u16> {
    let mut socket = Socket::open(relay.address(0), canvas).await.expect("up");
    // It may be closed before it said anything.
    let _ = socket
        .send(&json!({"type": "hello", "v": 1, "client": "client-late"}))
        .await;
    socket.ended().await.code
}

/// Waits until the process counts so many connections.
async fn until_connections(relay: &Relay, wanted: u64) {
    eventually("the connections to go", || async {
        let stats = relay.get(0, "/api/v1/stats").await?.json();
        (stats["connections"] == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_full_instance_and_a_full_canvas_say_4413() {
    let flags = ["--max-connections", "3", "--max-clients-per-canvas", "2"];
    let relay = Relay::start(1, &flags).await;
    let ada = relay.join(0, "board").await;
    assert_eq!(ada.welcome["limits"]["max_clients"], 2);
    let mut ben = relay.join(0, "board").await;
    assert_eq!(
        turned_away(&relay, "board").await,
        Some(4413),
        "the canvas is full"
    );
    until_connections(&relay, 2).await;
    // A takeover needs no place.
    let socket = Socket::open(relay.address(0), "board").await.expect("up");
    let again = Client::enter(socket, "board", json!({"client": ben.id})).await;
    assert_eq!(ben.closed().await, Some(4409));
    drop(ben);
    until_connections(&relay, 2).await;
    let cy = relay.join(0, "other").await;
    assert_eq!(
        turned_away(&relay, "third").await,
        Some(4413),
        "the instance is full"
    );
    drop((again, cy));
    until_connections(&relay, 1).await;
    relay.join(0, "third").await;
}

#[tokio::test]
async fn an_address_has_its_share_and_trusted_proxies_tell_whose_it_is() {
    let relay = Relay::start(1, &["--max-connections-per-address", "2"]).await;
    let (_a, _b) = (relay.join(0, "a").await, relay.join(0, "b").await);
    assert_eq!(turned_away(&relay, "c").await, Some(4413));
    // Nobody is believed who was not named.
    let told = [("x-forwarded-for", "192.0.2.1")];
    let mut liar = Socket::open_with(relay.address(0), "c", &told)
        .await
        .expect("up");
    assert_eq!(liar.ended().await.code, Some(4413));

    let flags = [
        "--max-connections-per-address=1",
        "--trusted-proxy=127.0.0.0/8",
        "--trusted-proxy=10.0.0.1",
    ];
    let relay = Relay::start(1, &flags).await;
    let mut open = Vec::new();
    for (hops, gets_in) in [
        ("192.0.2.1", true),
        ("192.0.2.2, 10.0.0.1", true),
        ("192.0.2.9, 192.0.2.2", false), // the client's own words before the proxy's
        ("192.0.2.1, 10.0.0.1", false),
        ("2001:db8::1", true),
        ("2001:db8::2", false),
    ] {
        let told = [("x-forwarded-for", hops)];
        let mut socket = Socket::open_with(relay.address(0), "c", &told)
            .await
            .expect("up");
        if gets_in {
            let hello = json!({"client": format!("client-{}", open.len())});
            open.push(Client::enter(socket, "c", hello).await);
        } else {
            assert_eq!(socket.ended().await.code, Some(4413), "{hops}");
        }
    }
}

#[tokio::test]
async fn bytes_of_the_ephemeral_lane_have_a_rate_too() {
    let flags = ["--ephemeral-bytes-per-s=4096", "--max-message-bytes=2048"];
    let relay = Relay::start(1, &flags).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(0, "board").await;
    for n in 0..200 {
        let data = json!([n, "x".repeat(1_000)]);
        ada.say(json!({"type": "signal", "event": "e", "data": data}))
            .await;
    }
    ada.commit(chat("signals sent")).await;
    let told = ada.heard_of("error");
    assert!(!told.is_empty(), "not without a word");
    assert_eq!(told[0]["code"], "rate-limited");
    assert_eq!(
        told[0]["message"],
        "more than 4096 bytes of cursors, presence changes and signals a second (ephemeral_bytes_per_s): some are dropped"
    );
    ben.reach(1).await;
    let heard = ben.heard_of("signal").len();
    assert!((3..100).contains(&heard), "{heard} of 200");
}

/// An object with so many bytes of text.
fn object(id: &str, bytes: usize) -> Value {
    let object = json!({"id": id, "kind": "k", "p": "x".repeat(bytes)});
    json!({"type": "object-create", "object": object})
}

/// Sends an op that must be refused for good; gives the refusal.
async fn refused(client: &mut Client, message: Value) -> Value {
    let op = client.op(message).await;
    client
        .until(|m| m["type"] == "error" && m["op"] == op)
        .await
}

#[tokio::test]
async fn a_canvas_that_is_over_its_bytes_may_only_shrink() {
    let mut relay = Relay::start(1, &[]).await;
    let mut ada = relay.join(0, "board").await;
    assert_eq!(ada.welcome["limits"]["max_canvas_bytes"], 64 << 20);
    for id in ["a", "b", "c"] {
        ada.commit(object(id, 60_000)).await;
    }
    // The bound is lowered while it is full: by nobody who would disagree with others.
    relay.process(0).kill().await;
    let stricter = relay.add(&["--max-canvas-bytes=131072"]).await;
    let mut ben = relay.join(stricter, "board").await;
    assert_eq!(ben.welcome["limits"]["max_canvas_bytes"], 131_072);
    for message in [
        object("d", 1),
        object("a", 60_001),
        json!({"type": "object-update", "id": "a", "patch": {"q": 1}}),
    ] {
        let error = refused(&mut ben, message).await;
        assert_eq!(error["code"], "too-large");
        let told = error["message"].as_str().expect("words");
        assert!(told.contains("at most 131072 (max_canvas_bytes)"), "{told}");
    }
    ben.commit(object("a", 59_000)).await;
    ben.commit(json!({"type": "object-update", "id": "b", "patch": {"p": null, "q": 1}}))
        .await;
    ben.commit(object("d", 1)).await;
    ben.commit(json!({"type": "object-delete", "id": "c"}))
        .await;
    ben.commit(object("d", 60_000)).await;
    ben.commit(chat("chat has no part in it")).await;
    let mut late = relay.join(stricter, "board").await;
    late.reach(ben.seq).await;
    assert_eq!(late.model, ben.model);
}

#[tokio::test]
async fn json_may_be_as_deep_as_configured_and_no_deeper() {
    let nested = |levels: usize| -> Value {
        let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        serde_json::from_str(&text).expect("JSON")
    };
    for max in [2, 64] {
        let relay = Relay::start(2, &["--max-json-depth", &max.to_string()]).await;
        let mut ada = relay.join(0, "board").await;
        let mut ben = relay.join(1, "board").await;
        assert_eq!(ada.welcome["limits"]["max_json_depth"], max);
        // The message's braces are a level, and those of an object or a patch another.
        let event =
            |levels: usize| json!({"type": "broadcast", "event": "e", "data": nested(levels)});
        ada.commit(event(max - 1)).await;
        let props = if max > 2 { nested(max - 2) } else { json!(1) };
        ada.commit(json!({"type": "object-create", "object": {"id": "a", "kind": "k", "p": 1}}))
            .await;
        ada.commit(json!({"type": "object-update", "id": "a", "patch": {"p": props}}))
            .await;
        let error = refused(&mut ada, event(max)).await;
        assert_eq!(error["code"], "bad-message");
        let hint = format!("nesting is at most {max} levels (max_json_depth)");
        assert_eq!(error["message"], hint);
        ben.reach(3).await;
        let late = relay.join(1, "board").await;
        assert_eq!(late.model.object("a").expect("an object")["p"], props);
        let path = "/api/v1/canvases/board/messages";
        for (levels, status) in [(max - 1, 200), (max, 400)] {
            let (headers, body) = ("Host: localhost\r\n", event(levels).to_string());
            let answer = http::ask(relay.address(0), "POST", path, headers, &body).await;
            assert_eq!(answer.expect("an answer").status, status, "{levels}");
        }
    }
}

#[tokio::test]
async fn a_handshake_and_a_hello_have_their_time() {
    let flags = ["--handshake-timeout=300ms", "--hello-timeout=400ms"];
    let relay = Relay::start(1, &flags).await;
    let began = Instant::now();
    let mut head = TcpStream::connect(relay.address(0)).await.expect("up");
    head.write_all(b"GET /ws/board HTTP/1.1\r\nHost: x\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    // It may end in any way, as long as it does.
    let _ = soon("the end", head.read_to_end(&mut answer)).await;
    let mut silent = Socket::open(relay.address(0), "board").await.expect("up");
    let gone = silent.ended().await;
    assert_eq!(gone.code, Some(4400));
    assert_eq!(gone.reason, "hello must come within 400ms (hello_timeout)");
    // Sooner than either would have come by default.
    assert!(began.elapsed() < Duration::from_secs(9));
}

#[tokio::test]
async fn who_answers_no_ping_is_given_up_and_who_says_anything_is_not() {
    let flags = ["--ping-interval=100ms", "--pong-timeout=3s"];
    let relay = Relay::start(2, &flags).await;
    let mut ben = relay.join(1, "board").await;
    assert_eq!(ben.welcome["heartbeat_ms"], 100);
    // Neither reads any more, so neither answers pings; but one says something now and then.
    let mut silent = relay.join(0, "board").await;
    let mut busy = relay.join(0, "board").await;
    let id = silent.id.clone();
    let away = |m: &Value| m["type"] == "presence" && m["away"] == true;
    let gone = {
        let told = ben.until(away);
        tokio::pin!(told);
        loop {
            tokio::select! {
                told = &mut told => break told,
                () = tokio::time::sleep(Duration::from_millis(300)) => {
                    busy.say(json!({"type": "cursor", "x": 1, "y": 1})).await;
                }
            }
        }
    };
    assert_eq!(gone["client"], id.as_str());
    let end = silent.socket.ended().await;
    assert_eq!(end.code, Some(4504));
    assert_eq!(
        end.reason,
        "nothing came within 3s of a ping (pong_timeout)"
    );
    busy.commit(chat("still here")).await;
}

#[tokio::test]
async fn a_pong_that_is_not_read_is_not_missed() {
    let spill = tempfile::tempdir().expect("a folder");
    let dir = spill.path().display().to_string();
    let flags = ["--ping-interval=100ms", "--pong-timeout=2s", "--spill-dir"];
    let relay = Relay::start(1, &[&flags[..], &[&dir]].concat()).await;
    let mut ada = relay.join(0, "board").await;
    let lock = relay.writer();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    // More than may wait for their acks: the rest, and pongs behind it, lie in the socket.
    for n in 0..1_500 {
        ada.op(chat(&n.to_string())).await;
    }
    // Twice the time that a client has.
    let quiet = tokio::time::timeout(Duration::from_secs(4), ada.next()).await;
    assert!(quiet.is_err(), "nothing is committed: {quiet:?}");
    lock.execute_batch("ROLLBACK").expect("unlocked");
    settle(&mut ada).await;
    assert_eq!(ada.seq, 1_500);
}
