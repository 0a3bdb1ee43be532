//! Streams of events in a WebSocket's place, and posts to whatever process.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::http::ask;
use crate::harness::stream::Stream;
use crate::harness::{Relay, eventually};
use crate::redis_server::RedisServer;

fn chat(op: u64, text: &str) -> Value {
    json!({"type": "chat", "op": op, "text": text})
}

#[tokio::test]
async fn a_stream_has_everything_that_a_websocket_has() {
    let relay = Relay::start(1, &[]).await;
    let at = relay.address(0);
    let mut ada = Stream::enter(at, "board", json!({"client": "ada-tab-0001"})).await;
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
    ] {
        assert!(ada.head.contains(header), "{}", ada.head);
    }
    let welcome = ada.until("welcome").await;
    assert_eq!(
        (&welcome["client"], &welcome["mode"]),
        (&json!("ada-tab-0001"), &json!("snapshot"))
    );
    let features = welcome["features"].as_array().expect("features");
    assert!(features.contains(&json!("sse")), "{welcome}");
    ada.until("snapshot").await;
    let mut ben = relay.join(0, "board").await;
    ada.until("user-connected").await;

    let object = json!({"id": "a", "kind": "rect", "text": "line\nline"});
    let acks = ada
        .post(
            at,
            &json!([
                {"type": "object-create", "op": 1, "object": object},
                chat(2, "hello"),
                {"type": "cursor", "x": 1, "y": 2},
                {"type": "presence", "state": {"tool": "pen"}},
                {"type": "signal", "event": "wave"},
                {"type": "ping", "ts": 7},
            ]),
        )
        .await;
    let seqs: Vec<_> = acks.iter().map(|ack| ack["seq"].as_u64()).collect();
    assert_eq!(seqs, [Some(1), Some(2)], "{acks:?}");
    for kind in [
        "object-create",
        "chat",
        "cursor-batch",
        "presence",
        "signal",
    ] {
        let message = ben.hear(|message| message["type"] == kind).await;
        assert!(message.to_string().contains("ada-tab-0001"), "{message}");
    }
    ben.commit(chat(1, "good")).await;
    let heard = ada.until("chat").await;
    assert_eq!((&heard["text"], &heard["seq"]), (&json!("good"), &json!(3)));

    let bye = ada.post_as(at, 2, r#"[{"type":"bye"}]"#).await;
    assert_eq!(bye.status, 202);
    assert_eq!(ada.closed().await, (1000, "bye".to_owned()));
    let left = ben
        .hear(|message| message["type"] == "user-disconnected")
        .await;
    assert_eq!(left["reason"], "left");
    let gone = ada.post_as(at, 3, "[]").await;
    assert_eq!(
        (gone.status, &gone.json()["error"]),
        (410, &json!("unknown-session"))
    );
}

#[tokio::test]
async fn a_newline_in_a_message_does_not_end_its_line() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut ada = Stream::join(relay.address(0), "board").await;
    let mut ben = crate::harness::Socket::open(relay.address(0), "board")
        .await
        .expect("up");
    let hello = json!({"type": "hello", "v": 1, "client": "ben-tab-0001"});
    ben.send(&hello).await.expect("sent");
    let text = "{\"type\":\"broadcast\",\"op\":1,\"event\":\"e\",\"data\":{\r\n\"a\"\n:\r1}}";
    ben.send_text(text).await.expect("sent");
    let heard = ada.until("broadcast").await;
    assert_eq!(heard["data"], json!({"a": 1}));
}

/// Everything that a client posts, posted to other processes than the one with its stream.
async fn posts_go_to_any_process(relay: &Relay) {
    let mut ada = Stream::join(relay.address(0), "board").await;
    let mut ben = relay.join(1, "board").await;
    let mut cy = relay.join(0, "board").await;
    let big = "x".repeat(50_000);
    for (n, to) in [1, 2, 0, 1, 2].into_iter().enumerate() {
        let op = 2 * n as u64 + 1;
        let broadcast = json!({"type": "broadcast", "op": op + 1, "event": "big", "data": big});
        let signal = format!("wave-{n}");
        let posted = json!([
            chat(op, "hello"),
            broadcast,
            {"type": "cursor", "x": n, "y": 2},
            {"type": "presence", "state": {"n": n}},
            {"type": "signal", "event": signal},
        ]);
        let acks = ada.post(relay.address(to), &posted).await;
        assert!(acks.iter().all(|ack| ack["status"] == "ok"), "{acks:?}");
        // The same post again, wherever: nothing of it happens twice.
        let again = ada
            .post_as(relay.address(1), ada.posted, &posted.to_string())
            .await;
        assert_eq!(again.status, 202);
        for hearer in [&mut ben, &mut cy] {
            let is = |message: &Value, kind: &str| message["type"] == kind;
            hearer.hear(|m| is(m, "chat") && m["op"] == op).await;
            hearer
                .hear(|m| is(m, "cursor-batch") && m["cursors"][0]["x"] == n)
                .await;
            hearer
                .hear(|m| is(m, "presence") && m["state"]["n"] == n)
                .await;
            hearer
                .hear(|m| is(m, "signal") && m["event"] == *signal)
                .await;
        }
    }
    ben.commit(chat(1, "last")).await;
    let heard = ada.until("chat").await;
    assert_eq!(
        (&heard["text"], &heard["seq"]),
        (&json!("last"), &json!(11)),
        "each once"
    );
    assert_eq!(ben.heard_of("signal").len(), 5, "each once");
    let early = ada.post_as(relay.address(1), ada.posted + 2, "[]").await;
    assert_eq!(early.status, 202, "handed on, and not taken");
    let early = ada.post_as(relay.address(0), ada.posted + 2, "[]").await;
    assert_eq!(early.status, 409, "{early:?}");
    assert!(early.body.contains("post must be 6"), "{early:?}");
    assert!(ada.post(relay.address(2), &json!([])).await.is_empty());
}

#[tokio::test]
async fn posts_go_to_any_process_of_a_file() {
    posts_go_to_any_process(&Relay::start(3, &[]).await).await;
}

#[tokio::test]
async fn posts_go_to_any_process_over_redis() {
    let server = RedisServer::start();
    posts_go_to_any_process(&Relay::start(3, &["--redis", &server.url()]).await).await;
}

/// The simplest client there is counts no posts and looks at the answers.
#[tokio::test]
async fn a_post_without_a_number_is_answered_with_its_acks_and_errors() {
    let relay = Relay::start(2, &[]).await;
    let at = relay.address(0);
    let mut ada = Stream::join(at, "board").await;
    let path = format!("/sse/board/{}", ada.session);
    let post = |at, messages: Value| {
        let (path, body) = (path.clone(), messages.to_string());
        async move {
            let answer = ask(at, "POST", &path, "Host: test\r\n", &body).await;
            let answer = answer.expect("an answer");
            (answer.status, answer.json())
        }
    };
    // Its stream has to be read: answers are copies of what is told there.
    let reading = async {
        let mut acks = Vec::new();
        while let Some((_, data)) = ada.event().await {
            if data.contains(r#""type":"ack""#) {
                acks.push(serde_json::from_str::<Value>(&data).expect("JSON"));
            }
        }
        acks
    };
    let posting = async {
        let object = json!({"id": "a", "kind": "rect"});
        let create = json!({"type": "object-create", "op": 2, "object": object});
        let batch = json!({"type": "batch", "ops": [create, chat(3, "two")]});
        let nothing = json!({"type": "object-delete", "op": 4, "id": "nobody"});
        let empty = chat(5, "");
        let posted = json!([chat(1, "one"), batch, nothing, empty, {"type": "dance"}, 7, {"type": "cursor", "x": 1, "y": 2}]);
        let (status, answers) = post(at, posted).await;
        assert_eq!(status, 200, "{answers}");
        let answers = answers.as_array().expect("an array").clone();
        let of = |op: u64| {
            answers
                .iter()
                .find(|one| one["op"] == op)
                .expect("its answer")
        };
        for (op, seq) in [(1, 1), (2, 2), (3, 3)] {
            let right = json!({"type": "ack", "op": op, "seq": seq, "status": "ok"});
            assert_eq!(of(op), &right);
        }
        assert_eq!(of(4)["status"], "ignored");
        assert_eq!(of(5)["code"], "bad-message");
        let codes: Vec<_> = answers.iter().filter(|one| one["op"].is_null()).collect();
        assert_eq!(codes.len(), 2, "{answers:?}");
        assert_eq!(answers.len(), 7, "{answers:?}");
        assert_eq!(
            post(at, json!([chat(1, "one")])).await.1[0]["status"],
            "dup"
        );
        assert_eq!(post(at, json!([])).await, (200, json!([])));
        // Another process hands it on, and the stream alone has the answer.
        assert_eq!(
            post(relay.address(1), json!([chat(6, "far")])).await,
            (202, json!([]))
        );
        eventually("it is committed", || async {
            (relay.number("SELECT max(seq) FROM canvases") == 4).then_some(())
        })
        .await;
        assert_eq!(post(at, json!([{"type": "bye"}])).await, (202, json!([])));
    };
    let (acks, ()) = tokio::join!(reading, posting);
    assert_eq!(acks.len(), 6, "the stream has all of them: {acks:?}");
}

#[tokio::test]
async fn a_client_resumes_on_another_process() {
    let mut relay = Relay::start(2, &["--presence-grace", "20s"]).await;
    let mut ada = Stream::enter(relay.address(0), "board", json!({"client": "ada-tab-0001"})).await;
    let welcome = ada.until("welcome").await;
    let mut ben = relay.join(1, "board").await;
    ada.post(relay.address(1), &json!([chat(1, "one")])).await;
    relay.process(0).kill().await;
    assert_eq!(ada.event().await, None);
    ben.commit(chat(1, "two")).await;
    let since = json!({"epoch": welcome["epoch"], "seq": 1});
    let hello = json!({"client": "ada-tab-0001", "since": since});
    let mut back = Stream::enter(relay.address(1), "board", hello).await;
    let welcome = back.until("welcome").await;
    assert_eq!(
        (&welcome["mode"], &welcome["acked_op"]),
        (&json!("resume"), &json!(1))
    );
    assert_eq!(back.until("chat").await["text"], "two");
    assert!(ben.heard_of("user-disconnected").is_empty());
    // Whoever had the stream is gone, and soon everybody knows.
    eventually("the dead session is unknown", || async {
        let answer = ada.post_as(relay.address(1), 2, "[]").await;
        (answer.status == 410).then_some(())
    })
    .await;
    let acks = back
        .post(relay.address(1), &json!([chat(1, "one"), chat(2, "three")]))
        .await;
    assert_eq!(
        (&acks[0]["status"], &acks[1]["status"]),
        (&json!("dup"), &json!("ok"))
    );
}

#[tokio::test]
async fn who_says_nothing_is_asked_and_then_given_up() {
    let flags = [
        "--ping-interval",
        "300ms",
        "--pong-timeout",
        "2s",
        "--presence-grace",
        "1s",
    ];
    let relay = Relay::start(2, &flags).await;
    let mut ada = Stream::join(relay.address(0), "board").await;
    let mut ben = Stream::join(relay.address(0), "board").await;
    for _ in 0..3 {
        while ada.event().await.expect("a ping").0 != "ping" {}
        ada.post(relay.address(1), &json!([])).await;
    }
    let (code, reason) = ben.closed().await;
    assert_eq!(code, 4504, "{reason}");
    assert!(reason.contains("pong_timeout"), "{reason}");
    ada.until("presence").await;
}

#[tokio::test]
async fn a_drain_answers_what_was_taken_and_sends_everybody_on() {
    let mut relay = Relay::start(2, &[]).await;
    let mut ada = Stream::join(relay.address(0), "board").await;
    let posted = json!([chat(1, "one"), chat(2, "two")]);
    let answer = ada.post_as(relay.address(0), 1, &posted.to_string()).await;
    assert_eq!(answer.status, 202);
    relay.process(0).signal(Signal::TERM);
    let (mut acks, mut goaway) = (0, false);
    let close = loop {
        let (name, data) = ada.event().await.expect("a close");
        match name.as_str() {
            "close" => break data,
            "" if data.contains("\"ack\"") => acks += 1,
            "" if data.contains("goaway") => goaway = true,
            _ => {}
        }
    };
    assert!(close.contains("4503"), "{close}");
    assert!(goaway, "it is sent on");
    assert_eq!(
        acks,
        if ada.taken == 1 { 2 } else { 0 },
        "what was taken is answered"
    );
    assert!(relay.process(0).ended().await.success());
    let committed = relay.number("SELECT max(seq) FROM canvases");
    assert_eq!(committed, acks, "and nothing else is done");
}

#[tokio::test]
async fn streams_have_the_places_of_websockets_and_take_none_from_http() {
    let relay = Relay::start(1, &["--queue", "off", "--max-connections", "80"]).await;
    let at = relay.address(0);
    let mut streams = Vec::new();
    for _ in 0..80 {
        streams.push(Stream::join(at, "board").await);
    }
    let hello = json!({"type": "hello", "v": 1, "client": "one-too-many"}).to_string();
    let mut more = Stream::ask(at, "board", "", &hello).await;
    let (code, reason) = more.closed().await;
    assert_eq!(code, 4413);
    assert!(reason.contains("max_connections"), "{reason}");
    // Those that speak HTTP have theirs all the same: none of the streams gives way to them.
    for _ in 0..100 {
        let page = relay.get(0, "/client.js").await.expect("an answer");
        assert_eq!(page.status, 200);
    }
    for stream in &mut streams {
        stream.post(at, &json!([chat(1, "here")])).await;
    }
    drop(streams.pop());
    eventually("a place is free again", || async {
        let mut stream = Stream::ask(at, "board", "", &hello).await;
        (stream.event().await?.0 == "session").then_some(())
    })
    .await;
}

#[tokio::test]
async fn pages_may_post_that_may_connect() {
    let flags = [
        "--queue",
        "off",
        "--allowed-origin",
        "https://app.example.org",
    ];
    let relay = Relay::start(1, &flags).await;
    let at = relay.address(0);
    let hello = json!({"type": "hello", "v": 1, "client": "ada-tab-0001"}).to_string();
    let ours = "Origin: https://app.example.org\r\n";
    let stream = Stream::ask(at, "board", ours, &hello).await;
    assert!(stream.head.contains(" 200 "), "{}", stream.head);
    let allowed = "access-control-allow-origin: https://app.example.org";
    assert!(stream.head.contains(allowed), "{}", stream.head);
    for path in ["/sse/board", "/sse/board/x?post=1"] {
        let headers = "Host: test\r\nOrigin: https://evil.example.org\r\n";
        let refused = ask(at, "POST", path, headers, &hello)
            .await
            .expect("an answer");
        assert_eq!(
            (refused.status, &refused.json()["error"]),
            (403, &json!("forbidden"))
        );
        assert!(refused.body.contains("--allowed-origin"), "{refused:?}");
        let headers = format!("Host: test\r\n{ours}");
        let preflight = ask(at, "OPTIONS", path, &headers, "")
            .await
            .expect("an answer");
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-methods"), "POST");
        let probe = ask(at, "GET", path, &headers, "").await.expect("an answer");
        assert_eq!(
            (probe.status, probe.header("allow")),
            (405, "POST, OPTIONS")
        );
        assert!(!probe.header("access-control-allow-origin").is_empty());
    }
}

#[tokio::test]
async fn a_slow_reader_is_fed_at_its_pace_and_a_stopped_one_closed() {
    let mut relay = Relay::start(1, &["--queue", "off", "--write-timeout", "2s"]).await;
    let at = relay.address(0);
    let hello = |client: &str| json!({"type": "hello", "v": 1, "client": client}).to_string();
    let mut slow = Stream::ask_narrow(at, "board", "", &hello("slow-tab-0001"), 4_096).await;
    slow.until("snapshot").await;
    let reading = async {
        let mut seq = 0;
        while seq < 300 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let message = slow.message().await;
            match message["type"].as_str() {
                Some("broadcast") => {
                    seq += 1;
                    assert_eq!(message["seq"], seq, "no gap");
                }
                // What is not kept any more stands in a snapshot.
                Some("snapshot") => seq = message["seq"].as_u64().unwrap_or(seq),
                _ => {}
            }
        }
    };
    let stopped = Stream::ask_narrow(at, "board", "", &hello("stop-tab-0001"), 4_096).await;
    let before = relay.process(0).resident_kib();
    let mut ben = relay.join(0, "board").await;
    let data = "x".repeat(30_000);
    let writing = async {
        for op in 1..=300 {
            let message = json!({"type": "broadcast", "op": op, "event": "e", "data": data});
            ben.commit(message).await;
        }
    };
    tokio::join!(reading, writing);
    let away = ben
        .until(|m| m["type"] == "presence" && m["away"] == true)
        .await;
    assert_eq!(
        away["client"], "stop-tab-0001",
        "only who stopped is given up"
    );
    let after = relay.process(0).resident_kib();
    assert!(after < before + 64 * 1024, "{before} KiB, then {after} KiB");
    drop((slow, stopped));
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let relay = Relay::start(1, &["--queue", "off", "--max-message-bytes", "2000"]).await;
    let at = relay.address(0);
    let ada = Stream::join(at, "board").await;
    let (session, host) = (ada.session.clone(), "Host: test\r\n");
    let post = |query: &str| format!("/sse/board/{session}{query}");
    let other = format!("/sse/other/{session}?post=1");
    let (nothing, large) = ("/sse/board/nothing?post=1".to_owned(), "x".repeat(2_001));
    for (path, body, status, code) in [
        ("/sse/.board".to_owned(), "{}", 400, "bad-canvas"),
        ("/sse/".to_owned(), "{}", 400, "bad-canvas"),
        (post("?post=0"), "[]", 400, "bad-request"),
        (post("?post=x"), "[]", 400, "bad-request"),
        (post("?post=1"), "{}", 400, "bad-json"),
        (post("?post=1"), "[1,", 400, "bad-json"),
        (post("?post=1"), "", 400, "bad-json"),
        (post("?post=1"), &"[".repeat(7_000), 413, "too-large"),
        (post("?post=2"), "[]", 409, "out-of-order"),
        (other, "[]", 410, "unknown-session"),
        (nothing, "[]", 410, "unknown-session"),
        ("/sse/board".to_owned(), &large, 413, "too-large"),
    ] {
        let answer = ask(at, "POST", &path, host, body).await.expect("an answer");
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (status, Some(code)),
            "{path} {body:.20}: {answer:?}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn elements_that_are_no_messages_are_answered_on_the_stream() {
    let relay = Relay::start(1, &["--queue", "off", "--max-message-bytes", "2000"]).await;
    let at = relay.address(0);
    let mut ada = Stream::join(at, "board").await;
    let messages = json!([1, {"type": "dance"}, [], {"type": "chat", "op": 1, "text": ""}]);
    ada.posted += 1;
    ada.post_as(at, 1, &messages.to_string()).await;
    let mut codes = Vec::new();
    while codes.len() < 4 {
        let error = ada.until("error").await;
        codes.push(error["code"].as_str().expect("a code").to_owned());
    }
    assert_eq!(codes[1], "unknown-type", "{codes:?}");
    assert_eq!(codes[3], "bad-message", "{codes:?}");
    let long = json!([{"type": "chat", "op": 2, "text": "x".repeat(2_000)}]).to_string();
    assert_eq!(ada.post_as(at, 2, &long).await.status, 202);
    let (code, reason) = ada.closed().await;
    assert_eq!(code, 1009, "{reason}");
}

#[tokio::test]
async fn a_wrong_hello_is_answered_on_the_stream() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let at = relay.address(0);
    for body in [
        "{\"type\":\"hello\",\"v\":2}",
        "{\"type\":\"hello\",\"v\":1,\"client\":\"short\"}",
        "",
        "[]",
        "{\"type\":\"bye\"}",
    ] {
        let mut stream = Stream::ask(at, "board", "", body).await;
        let (name, data) = stream.event().await.expect("an error");
        assert!(
            name.is_empty() && data.contains("\"error\""),
            "{name} {data}"
        );
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.closed());
        assert_eq!(closed.await.expect("before the hello's time").0, 4400);
    }
}
