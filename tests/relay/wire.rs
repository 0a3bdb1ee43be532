//! The protocol's outer shell: the upgrade, hello, bad messages, sizes, close codes.

use serde_json::{Value, json};
use tungstenite::Message;

use crate::harness::client::new_id;
use crate::harness::{Client, Relay, Socket, http, soon};

fn hello() -> Value {
    json!({"type": "hello", "v": 1, "client": new_id()})
}

/// The next error, which must have that code.
async fn expect_error(socket: &mut Socket, code: &str) -> Value {
    let error = socket.receive().await.expect("an error");
    assert_eq!(error["type"], "error", "{error}");
    assert_eq!(error["code"], code, "{error}");
    assert!(error["message"].is_string(), "{error}");
    error
}

#[tokio::test]
async fn a_welcome_says_everything() {
    let relay = Relay::start(1, &["--instance-id", "one"]).await;
    let mut socket = Socket::open(relay.address(0), "board:1").await.expect("up");
    let user = json!({"name": "Ada", "color": "#ff0000", "rest": "is not kept"});
    let hello = json!({"type": "hello", "v": 1, "client": "client-ada", "user": user, "more": 1});
    socket.send(&hello).await.expect("sent");
    let welcome = socket.receive().await.expect("a welcome");
    let user = json!({"name": "Ada", "color": "#ff0000"});
    for (field, value) in [
        ("type", json!("welcome")),
        ("v", json!(1)),
        ("instance", json!("one")),
        ("canvas", json!("board:1")),
        ("client", json!("client-ada")),
        ("user", user.clone()),
        ("role", json!("write")),
        ("seq", json!(0)),
        ("mode", json!("snapshot")),
        ("acked_op", json!(0)),
        ("users", json!([{"client": "client-ada", "user": user}])),
    ] {
        assert_eq!(welcome[field], value, "{field} of {welcome}");
    }
    assert_eq!(welcome["epoch"].as_str().map(str::len), Some(16));
    assert_eq!(welcome["limits"]["max_message_bytes"], 262_144);
    for limit in [
        "cursor_interval_ms",
        "ops_per_s",
        "max_objects",
        "max_clients",
        "max_canvas_bytes",
        "max_json_depth",
        "max_state_bytes",
        "max_log_entries",
        "max_log_bytes",
    ] {
        assert!(welcome["limits"][limit].is_u64(), "{limit} of {welcome}");
    }
    assert!(welcome["heartbeat_ms"].as_u64() > Some(0));
    let features = welcome["features"].as_array().expect("a list");
    assert!(features.iter().all(Value::is_string), "{welcome}");
    let snapshot = socket.receive().await.expect("a snapshot");
    let empty = json!({"type": "snapshot", "epoch": welcome["epoch"], "seq": 0, "part": 0,
        "last": true, "objects": [], "chat": []});
    assert_eq!(snapshot, empty);
}

#[tokio::test]
async fn a_hello_may_say_features_that_no_server_knows() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut socket = Socket::open(relay.address(0), "board").await.expect("up");
    let mut hello = hello();
    hello["features"] = json!("set");
    socket.send(&hello).await.expect("sent");
    let error = expect_error(&mut socket, "bad-message").await;
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("features must be a list"), "{error}");
    hello["features"] = json!(["set", "of-tomorrow"]);
    socket.send(&hello).await.expect("sent");
    let welcome = socket.receive().await.expect("a welcome");
    assert_eq!(welcome["type"], "welcome", "{welcome}");
}

#[tokio::test]
async fn the_upgrade_is_refused_before_it_happens() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let long = "x".repeat(129);
    for bad in [
        "", "-a", ".a", "_a", "a%20b", "a%C3%A4", "a%2Fb", "a/b", "a/", "../a", "%ff", &long,
    ] {
        let refused = Socket::open(relay.address(0), bad).await.err();
        let status = refused.and_then(|refused| refused.0);
        assert_eq!(status, Some(400), "{bad}");
    }
    let longest = "x".repeat(128);
    for good in ["a", "A.b:c-9_", &longest] {
        assert!(Socket::open(relay.address(0), good).await.is_ok(), "{good}");
    }
    let plain = relay.get(0, "/ws/board").await.expect("an answer");
    assert_eq!(plain.status, 426);
}

#[tokio::test]
async fn what_is_no_handshake_is_not_upgraded() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let handshake = |key: &str| {
        format!(
            "Host: test\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {key}\r\nConnection: upgrade\r\n"
        )
    };
    let good = "dGhlIHNhbXBsZSBub25jZQ==";
    for (method, key) in [
        ("HEAD", good),
        ("GET", ""),
        ("GET", "c2hvcnQ="),
        ("GET", "dGhlIHNhbXBsZSBub25jZ!=="),
    ] {
        let answer = http::ask(relay.address(0), method, "/ws/board", &handshake(key), "").await;
        assert_eq!(answer.expect("an answer").status, 400, "{method} {key}");
    }
    let posted = http::ask(relay.address(0), "POST", "/ws/board", &handshake(good), "").await;
    assert_eq!(posted.expect("an answer").status, 405);
}

#[tokio::test]
async fn messages_of_a_newer_client_leave_the_connection_open() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut client = relay.join(0, "board").await;
    for n in 0..30 {
        let message = json!({"type": format!("type-{n}-of-the-future")});
        client.socket.send(&message).await.expect("sent");
        expect_error(&mut client.socket, "unknown-type").await;
    }
    client.commit(json!({"type": "chat", "text": "here"})).await;
}

#[tokio::test]
async fn the_subprotocol_is_selected_when_offered() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let handshake = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (offer, selected) in [
        ("", ""),
        (
            "Sec-WebSocket-Protocol: other, scumble.v1\r\n",
            "scumble.v1",
        ),
        ("Sec-WebSocket-Protocol: other\r\n", ""),
        (
            "Sec-WebSocket-Protocol: scumble.v1.msgpack, scumble.v1\r\n",
            "scumble.v1.msgpack",
        ),
        (
            "Sec-WebSocket-Protocol: scumble.v1\r\nSec-WebSocket-Protocol: scumble.v1.msgpack\r\n",
            "scumble.v1",
        ),
    ] {
        // An upgraded connection stays open: only its head is of interest.
        let head = soon(
            "a head",
            head_of(relay.address(0), &format!("{handshake}{offer}")),
        )
        .await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let found = head.to_lowercase();
        let found = found
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-protocol:"));
        assert_eq!(found.unwrap_or_default().trim(), selected, "{offer}");
    }
    let old = handshake.replace("13", "8");
    let refused = http::get(relay.address(0), "/ws/board", &old).await;
    assert_eq!(refused.expect("an answer").status, 400);
}

async fn head_of(address: std::net::SocketAddr, headers: &str) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("up");
    let request = format!("GET /ws/board HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut lines = BufReader::new(stream).lines();
    let mut head = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.is_empty() {
            break;
        }
        head.push_str(&line);
        head.push('\n');
    }
    head
}

#[tokio::test]
async fn hello_must_be_the_first_message() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut socket = Socket::open(relay.address(0), "board").await.expect("up");
    let chat = json!({"type": "chat", "op": 7, "text": "too early"});
    socket.send(&chat).await.expect("sent");
    let error = expect_error(&mut socket, "not-ready").await;
    assert_eq!(error["op"], 7, "an error names the op it refuses");
    socket.send(&hello()).await.expect("sent");
    let welcome = socket.receive().await.expect("still open");
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(socket.receive().await.expect("it")["type"], "snapshot");
    socket.send(&hello()).await.expect("sent");
    expect_error(&mut socket, "bad-message").await;
}

#[tokio::test]
async fn without_a_hello_the_connection_ends() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut silent = Socket::open(relay.address(0), "board").await.expect("up");
    let mut wrong = Socket::open(relay.address(0), "board").await.expect("up");
    let hello = json!({"type": "hello", "v": 2, "client": "client-of-the-future"});
    wrong.send(&hello).await.expect("sent");
    expect_error(&mut wrong, "bad-message").await;
    assert_eq!(wrong.ended().await.code, Some(4400));
    let mut noisy = Socket::open(relay.address(0), "board").await.expect("up");
    for _ in 0..10 {
        noisy
            .send(&json!({"type": "ping", "ts": 1}))
            .await
            .expect("sent");
    }
    for _ in 0..10 {
        expect_error(&mut noisy, "not-ready").await;
    }
    assert_eq!(noisy.ended().await.code, Some(4400));
    for id in ["short", "has space", &"x".repeat(65)] {
        let mut socket = Socket::open(relay.address(0), "board").await.expect("up");
        let hello = json!({"type": "hello", "v": 1, "client": id});
        socket.send(&hello).await.expect("sent");
        expect_error(&mut socket, "bad-message").await;
    }
    assert_eq!(silent.ended().await.code, Some(4400), "after ten seconds");
}

#[tokio::test]
async fn bad_messages_are_answered_and_the_connection_stays_open() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut client = relay.join(0, "board").await;
    let deep = format!("{}1{}", "[".repeat(32), "]".repeat(32));
    let deep = format!(r#"{{"type":"broadcast","op":900,"event":"e","data":{deep}}}"#);
    let cases = [
        ("{", "bad-json"),
        ("[1]", "bad-message"),
        (r#"{"no":"type"}"#, "bad-message"),
        (r#"{"type":"fly"}"#, "unknown-type"),
        (r#"{"type":"chat","text":"x"}"#, "bad-op"),
        (r#"{"type":"chat","op":0,"text":"x"}"#, "bad-op"),
        (r#"{"type":"chat","op":-1,"text":"x"}"#, "bad-op"),
        (r#"{"type":"chat","op":"1","text":"x"}"#, "bad-op"),
        (r#"{"type":"chat","op":1.5,"text":"x"}"#, "bad-op"),
        (
            r#"{"type":"chat","op":9007199254740992,"text":"x"}"#,
            "bad-op",
        ),
        (r#"{"type":"cursor","x":1}"#, "bad-message"),
        (r#"{"type":"cursor","x":1,"y":"2"}"#, "bad-message"),
        (r#"{"type":"presence","state":1}"#, "bad-message"),
        (r#"{"type":"signal","data":1}"#, "bad-message"),
        (&deep, "bad-message"),
    ];
    for (text, code) in cases {
        client.socket.send_text(text).await.expect("sent");
        expect_error(&mut client.socket, code).await;
        // A good one in between: bad ones are counted in a row.
        client.commit(json!({"type": "chat", "text": text})).await;
        client.op = client.op.max(900);
    }
    let binary = Message::binary(b"{}".to_vec());
    client.socket.send_raw(binary).await.expect("sent");
    expect_error(&mut client.socket, "bad-message").await;
    client
        .commit(json!({"type": "chat", "text": "x", "unknown": "field"}))
        .await;
}

#[tokio::test]
async fn fields_are_checked_to_the_character() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut client = relay.join(0, "board").await;
    let create =
        |id: &str, kind: &str| json!({"type": "object-create", "object": {"id": id, "kind": kind}});
    let update = |patch: Value| json!({"type": "object-update", "id": "a", "patch": patch});
    let (id, kind, text) = ("ü".repeat(64), "k".repeat(32), "ü".repeat(4_000));
    let fine = [
        create(&id, &kind),
        create("a", "k"),
        json!({"type": "chat", "text": text}),
        update(json!({"id": "a", "kind": "other", "x": null})),
        json!({"type": "broadcast", "event": "e"}),
    ];
    for message in fine {
        client.commit(message).await;
    }
    let bad = [
        create(&format!("{id}x"), "k"),
        create("", "k"),
        create("b", &format!("{kind}x")),
        json!({"type": "object-create", "object": {"id": "b"}}),
        json!({"type": "object-create", "object": []}),
        json!({"type": "chat", "text": format!("{text}x")}),
        json!({"type": "chat", "text": ""}),
        json!({"type": "chat", "text": "x", "reply_to": "y"}),
    ];
    let worse = [
        update(json!({"id": "b"})),
        update(json!({"kind": null})),
        update(json!([])),
        json!({"type": "object-update", "id": "a"}),
        json!({"type": "object-delete"}),
        json!({"type": "broadcast", "data": 1}),
    ];
    for messages in [&bad[..], &worse[..]] {
        for message in messages {
            let op = client.op(message.clone()).await;
            let error = client.until(|m| m["type"] == "error").await;
            assert_eq!(error["code"], "bad-message", "{message}");
            assert_eq!(error["op"], op, "{message}");
        }
        client
            .commit(json!({"type": "chat", "text": "still here"}))
            .await;
    }
    // The largest depth there may be: 32 with the message's own braces.
    let data: Value =
        serde_json::from_str(&format!("{}{}", "[".repeat(31), "]".repeat(31))).expect("JSON");
    client
        .commit(json!({"type": "broadcast", "event": "deep", "data": data}))
        .await;
}

#[tokio::test]
async fn ten_bad_messages_in_a_row_end_the_connection() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut client = relay.join(0, "board").await;
    for _ in 0..9 {
        client.socket.send_text("{").await.expect("sent");
        expect_error(&mut client.socket, "bad-json").await;
    }
    client.commit(json!({"type": "chat", "text": "good"})).await;
    for _ in 0..10 {
        client.socket.send_text("{").await.expect("sent");
        expect_error(&mut client.socket, "bad-json").await;
    }
    assert_eq!(client.closed().await, Some(4400));
}

#[tokio::test]
async fn a_message_over_the_limit_is_1009() {
    let relay = Relay::start(1, &["--queue", "off", "--max-message-bytes", "2048"]).await;
    let mut client = relay.join(0, "board").await;
    assert_eq!(client.welcome["limits"]["max_message_bytes"], 2_048);
    let frame = |bytes: usize| {
        let rest = json!({"type": "broadcast", "op": 1, "event": "e", "data": ""}).to_string();
        let data = "x".repeat(bytes - rest.len());
        json!({"type": "broadcast", "event": "e", "data": data})
    };
    client.commit(frame(2_048)).await;
    let _ = client.try_op(frame(2_049)).await;
    assert_eq!(client.closed().await, Some(1009));
}

#[tokio::test]
async fn a_ping_is_answered() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut client = relay.join(0, "board").await;
    for ts in [json!(17), json!(1.25), json!(1_700_000_000_000_u64)] {
        client.say(json!({"type": "ping", "ts": ts})).await;
        let pong = client.until(|m| m["type"] == "pong").await;
        assert_eq!(pong["ts"], ts);
        assert!(pong["server_ts"].as_i64() > Some(1_600_000_000_000));
    }
    // Without auth there is nothing to refresh, and nothing to say about it.
    client.say(json!({"type": "refresh", "token": "x"})).await;
    client.say(json!({"type": "ping", "ts": 2})).await;
    client.until(|m| m["ts"] == 2).await;
    assert!(client.heard_of("error").is_empty(), "{:?}", client.heard);
}

#[tokio::test]
async fn who_says_bye_gets_the_acks_that_are_under_way() {
    // The op is committed and its ack late when the goodbye comes.
    let flags = ["--fail-point=before-ack=delay:300ms"];
    let relay = Relay::start(1, &flags).await;
    let mut ada = relay.join(0, "board").await;
    let op = ada.op(json!({"type": "chat", "text": "last words"})).await;
    ada.say(json!({"type": "bye"})).await;
    ada.say(json!({"type": "chat", "op": op + 1, "text": "not said"}))
        .await;
    assert_eq!(ada.closed().await, Some(1000));
    assert!(ada.acked.keys().eq([&op]));
    let ben = relay.join(0, "board").await;
    assert_eq!(ben.seq, 1, "what comes after a goodbye does not count");
}

#[tokio::test]
async fn how_a_client_leaves_is_told() {
    let relay = Relay::start(1, &["--queue", "off", "--presence-grace", "1s"]).await;
    let mut watcher = relay.join(0, "board").await;
    for how in ["bye", "1000", "1001"] {
        let mut client = relay.join(0, "board").await;
        let id = client.id.clone();
        if how == "bye" {
            client.say(json!({"type": "bye"})).await;
            assert_eq!(client.closed().await, Some(1000));
        } else {
            client.socket.close(how.parse().expect("a code")).await;
        }
        let gone = watcher.until(|m| m["type"] == "user-disconnected").await;
        assert_eq!(gone["client"], id.as_str());
        assert_eq!(gone["reason"], "left", "{how}");
    }
    let lost: Client = relay.join(0, "board").await;
    let id = lost.id.clone();
    drop(lost);
    let away = watcher.until(|m| m["type"] == "presence").await;
    assert_eq!(
        away,
        json!({"type": "presence", "client": id, "away": true})
    );
    let gone = watcher.until(|m| m["type"] == "user-disconnected").await;
    assert_eq!(gone["reason"], "timeout");
    // Those who left were never away.
    assert_eq!(watcher.heard_of("presence").len(), 1);
}
