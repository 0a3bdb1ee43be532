//! What stands in messages: names and values made to break whoever reads them. They are refused, or pass as data.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Relay, soon};
use crate::raw::{Raw, hello, text};

/// Sends one durable message as text, on a connection that goes on; gives the answer.
async fn answer(raw: &mut Raw, op: u64, fields: &str) -> Value {
    raw.send(&text(&format!(r#"{{"op":{op},{fields}}}"#))).await;
    loop {
        let message = raw.message().await;
        if message["op"] == op {
            return message;
        }
    }
}

async fn snapshot(relay: &Relay, canvas: &str) -> Value {
    let mut raw = Raw::open(relay.address(0), canvas).await;
    raw.send(&text(&hello().to_string())).await;
    raw.until("snapshot").await
}

#[tokio::test]
async fn what_some_reader_could_not_hold_is_refused() {
    let mut relay = Relay::start(1, &[]).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    let mut watcher = Raw::join(relay.address(0), "board").await;
    let digits = "9".repeat(400);
    let mut op = 0;
    for value in [
        "1e999",
        "-1e999",
        &digits,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800":1}"#,
        r#"{"a":[{"b":-1e400}]}"#,
    ] {
        for fields in [
            format!(r#""type":"broadcast","event":"e","data":{value}"#),
            format!(r#""type":"object-create","object":{{"id":"a","kind":"k","v":{value}}}"#),
            format!(r#""type":"object-update","id":"a","patch":{{"v":{value}}}"#),
            format!(r#""type":"signal","event":"e","data":{value}"#),
            format!(r#""type":"cursor","x":1,"y":1,"v":{value}"#),
            format!(r#""type":"presence","state":{{"v":{value}}}"#),
        ] {
            op += 1;
            let error = answer(&mut raw, op, &fields).await;
            assert_eq!(error["code"], "bad-message", "{fields}: {error}");
            // One good message: ten bad ones in a row would end it.
            raw.works().await;
        }
    }
    // What the others hear next is the next good message.
    op += 1;
    let ack = answer(&mut raw, op, r#""type":"chat","text":"good""#).await;
    assert_eq!(ack["seq"], 1);
    assert_eq!(watcher.until("chat").await["text"], "good");
    relay.unharmed().await;
}

#[tokio::test]
async fn odd_values_pass_as_they_are() {
    let mut relay = Relay::start(1, &[]).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    let mut watcher = Raw::join(relay.address(0), "board").await;
    let data = [
        r#"{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}"#,
        r#"{"toString":1,"hasOwnProperty":null,"then":"x","toJSON":0}"#,
        r#"[-0,-0.0,1e308,5e-324,9007199254740993,18446744073709551616,0.1]"#,
        r#""\u0000\u001b[31m\u2028\u202e\ufeff\uffff\ud83d\ude00""#,
        r#"{"":{"":{"":[]}}}"#,
        r#""'; DROP TABLE message_queue; --""#,
    ];
    for (op, data) in (1..).zip(data) {
        let fields = format!(r#""type":"broadcast","event":"__proto__","data":{data}"#);
        assert_eq!(
            answer(&mut raw, op, &fields).await["status"],
            "ok",
            "{data}"
        );
        let crate::raw::Frame::Text(heard) = watcher.next().await else {
            panic!("a message")
        };
        assert!(heard.contains(data), "byte for byte: {heard}");
    }
    relay.unharmed().await;
}

#[tokio::test]
async fn hostile_ids_of_objects_are_ids() {
    let mut relay = Relay::start(1, &[]).await;
    let mut client = relay.join(0, "board").await;
    let ids = [
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "' OR 1=1 --",
        "'); DELETE FROM canvas_objects; --",
        "%",
        "a\u{0}b",
        "a",
        "a\u{0}",
        "A",
        "a\n2026-01-01T00:00:00Z ERROR forged",
        "../../etc/passwd",
        "\u{1b}[2J",
        "\u{fe0f}",
        "\u{e9}",
        "e\u{301}",
    ];
    for (n, id) in ids.iter().enumerate() {
        client
            .commit(json!({"type": "object-create", "object": {"id": id, "kind": "k", "n": n}}))
            .await;
    }
    // Each is itself: a change of one changes no other.
    for id in ids {
        let patch = json!({"mark": id, "__proto__": {"x": 1}});
        client
            .commit(json!({"type": "object-update", "id": id, "patch": patch}))
            .await;
    }
    client
        .commit(json!({"type": "object-delete", "id": "a"}))
        .await;
    client
        .commit(json!({"type": "object-delete", "id": "%"}))
        .await;
    let objects = snapshot(&relay, "board").await["objects"].clone();
    let objects = objects.as_array().unwrap();
    assert_eq!(objects.len(), ids.len() - 2);
    for object in objects {
        assert_eq!(object["mark"], object["id"], "{object}");
        let n = object["n"].as_u64().and_then(|n| usize::try_from(n).ok());
        assert_eq!(object["id"], ids[n.unwrap()], "{object}");
        assert_eq!(object["__proto__"], json!({"x": 1}), "{object}");
    }
    relay.unharmed().await;
}

#[tokio::test]
async fn a_duplicate_key_means_the_same_to_everybody() {
    let mut relay = Relay::start(1, &[]).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    // In the envelope it is refused: two readers could see two messages.
    for twice in [
        r#""type":"chat","type":"broadcast","text":"x","event":"e""#,
        r#""type":"object-delete","id":"a","id":"b""#,
        r#""type":"chat","text":"x","text":"y""#,
    ] {
        raw.send(&text(&format!(r#"{{"op":1,{twice}}}"#))).await;
        assert_eq!(raw.until("error").await["code"], "bad-message", "{twice}");
    }
    raw.send(&text(r#"{"type":"chat","op":1,"op":2,"text":"x"}"#))
        .await;
    assert_eq!(raw.until("error").await["code"], "bad-message");
    // Within an object the last one counts, as in JavaScript: also for its id.
    let object =
        r#""type":"object-create","object":{"id":"first","kind":"k","id":"last","x":1,"x":2}"#;
    assert_eq!(answer(&mut raw, 10, object).await["status"], "ok");
    let update = |id: &str| format!(r#""type":"object-update","id":"{id}","patch":{{"y":1}}"#);
    assert_eq!(
        answer(&mut raw, 11, &update("first")).await["status"],
        "ignored"
    );
    assert_eq!(answer(&mut raw, 12, &update("last")).await["status"], "ok");
    let objects = &snapshot(&relay, "board").await["objects"];
    assert_eq!(
        *objects,
        json!([{"id": "last", "kind": "k", "x": 2, "y": 1}])
    );
    relay.unharmed().await;
}

#[tokio::test]
async fn depth_is_bounded_before_anything_recurses() {
    let mut relay = Relay::start(1, &[]).await;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        let half = open.repeat(10_000);
        let mut raw = Raw::join(relay.address(0), "board").await;
        for (fields, code) in [
            (
                format!(r#"{{"type":"broadcast","op":1,"event":"e","data":{deep}}}"#),
                "bad-message",
            ),
            (
                format!(r#"{{"unknown":{deep},"type":"bye"}}"#),
                "bad-message",
            ),
            (
                format!(r#"{{"type":"broadcast","op":1,"event":"e","data":{half}"#),
                "bad-json",
            ),
            (deep.clone(), "bad-message"),
        ] {
            raw.send(&text(&fields)).await;
            assert_eq!(raw.until("error").await["code"], code, "{}", &fields[..60]);
        }
        raw.works().await;
    }
    relay.unharmed().await;
}

#[tokio::test]
async fn an_error_is_small_however_large_its_cause() {
    let mut relay = Relay::start(1, &[]).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    // Control characters grow most when they are quoted.
    let long = "\u{7f}".repeat(60_000);
    let ones = "1".repeat(60_000);
    for bad in [
        format!(r#""{long}""#),
        format!(r#"{{"type":"{long}"}}"#),
        format!(r#"{{"type":"presence","state":"{long}"}}"#),
        format!(r#"{{"type":"hello","v":1,"client":"aaaaaaaa","since":"{long}"}}"#),
        format!(r#"{{"type":"hello","v":1,"client":"aaaaaaaa","since":{{"epoch":"{long}"}}}}"#),
        format!(r#"{{"type":"hello","v":1,"client":"{long}"}}"#),
        format!(r#"{{"type":"chat","op":1,"text":"{long}"}}"#),
        format!(r#"{{"type":"ping","ts":{ones}}}"#),
        format!(r#"{{"type":["{long}"]}}"#),
        format!(r#"{{"{long}":1}}"#),
    ] {
        raw.send(&text(&bad)).await;
        let error = raw.until("error").await.to_string();
        assert!(
            error.len() < 400,
            "{} bytes: {}",
            error.len(),
            &error[..400]
        );
        raw.works().await;
    }
    relay.unharmed().await;
}

#[tokio::test]
async fn names_forge_no_log_lines() {
    let mut relay = Relay::start(1, &["--log-level", "trace"]).await;
    let evil = "x\r\n2026-01-01T00:00:00Z ERROR forged: all is lost";
    let user = json!({"name": &evil[..40], "color": "\u{1b}[31m\nred"});
    let mut raw = Raw::open(relay.address(0), "board").await;
    let mut hello = hello();
    hello["user"] = user;
    raw.send(&text(&hello.to_string())).await;
    assert_eq!(raw.message().await["type"], "welcome");
    for bad in [
        json!({"type": evil}),
        json!({"type": "chat", "op": 1, "text": evil}),
        json!({"type": "broadcast", "op": 2, "event": &evil[..45], "data": evil}),
        json!({"type": "presence", "state": {evil: evil}}),
        json!({"type": "refresh", "token": evil}),
        json!({"type": "hello", "v": 1, "client": evil}),
    ] {
        raw.send(&text(&bad.to_string())).await;
    }
    raw.works().await;
    // On the way there: paths, headers, methods.
    for request in [
        "GET /ws/a%0D%0Aforged HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET /ws/a%00forged HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET /c/%0Aforged HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: \u{1b}[31mforged\r\n\r\n",
        "GET /\nforged HTTP/1.1\r\nHost: test\r\n\r\n",
        "FORGED\r\n\r\n",
    ] {
        let mut http = Raw::connect(relay.address(0)).await;
        http.send(request.as_bytes()).await;
        http.send(b"\r\n\r\n").await;
        drop(http);
    }
    relay.unharmed().await;
    let log = relay.process(0).log();
    for line in log.lines() {
        assert!(
            !line.starts_with("2026-01-01") && !line.contains('\u{1b}'),
            "{line:?}"
        );
        assert!(!line.starts_with("forged"), "{line:?}");
    }
}

#[tokio::test]
async fn hostile_presence_and_cursors_stay_within_their_bounds() {
    let mut relay = Relay::start(1, &[]).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    let mut watcher: Client = relay.join(0, "board").await;
    // Its own id and type are the server's to say.
    raw.send(&text(
        r#"{"type":"cursor","x":1,"y":2,"client":"somebody-else"}"#,
    ))
    .await;
    let batch = watcher.until(|m| m["type"] == "cursor-batch").await;
    assert_ne!(batch["cursors"][0]["client"], "somebody-else");
    let wide = "w".repeat(600);
    raw.send(&text(&format!(
        r#"{{"type":"cursor","x":1,"y":2,"w":"{wide}"}}"#
    )))
    .await;
    assert_eq!(raw.until("error").await["code"], "bad-message");
    let large = "s".repeat(33_000);
    raw.send(&text(
        &json!({"type": "presence", "state": {"s": large}}).to_string(),
    ))
    .await;
    assert_eq!(raw.until("error").await["code"], "too-large");
    // Many patches that fit, and a state that would not.
    for n in 0..20 {
        let patch = json!({"type": "presence", "state": {n.to_string(): "s".repeat(3_000)}});
        raw.send(&text(&patch.to_string())).await;
    }
    assert_eq!(raw.until("error").await["code"], "too-large");
    raw.send(&text(
        r#"{"type":"presence","state":{"__proto__":{"x":1}}}"#,
    ))
    .await;
    raw.works().await;
    relay.unharmed().await;
}

/// Later ops wait for one that is to be sent again; but not for ever, when it turns out to be one that can't be taken.
#[tokio::test]
async fn what_waits_for_an_op_goes_on_when_that_is_refused_for_good() {
    let mut relay = Relay::start(1, &["--queue", "off", "--ops-per-s", "2"]).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    let good = r#""type":"chat","text":"good""#;
    let (mut op, mut last) = (0, Value::Null);
    while last["code"] != "rate-limited" {
        op += 1;
        last = answer(&mut raw, op, good).await;
    }
    let later = answer(&mut raw, op + 1, good).await;
    assert_eq!(later["code"], "rate-limited", "{later}");
    let refused = answer(&mut raw, op, r#""type":"chat","text":"""#).await;
    assert_eq!(refused["code"], "bad-message", "{refused}");
    let later = soon("a later op's ack", async {
        loop {
            let later = answer(&mut raw, op + 1, good).await;
            if later["type"] == "ack" {
                return later;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert_eq!(later.await["status"], "ok");
    relay.unharmed().await;
}
