//! Logs of objects: entries are told in order to all, to whoever comes later, and by whatever the relay keeps them in. Two who compact
//! at once lose nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::client::new_id;
use crate::harness::model::Model;
use crate::harness::{Client, Relay, Socket};
use crate::msgpack::Packed;

async fn come(relay: &Relay, n: usize, features: &Value) -> Client {
    let socket = Socket::open(relay.address(n), "board").await;
    let hello = json!({"client": new_id(), "features": features});
    Client::enter(socket.expect("an upgrade"), "board", hello).await
}

async fn newer(relay: &Relay, n: usize) -> Client {
    come(relay, n, &json!(["set", "batch", "log", "base"])).await
}

fn create(id: &str) -> Value {
    json!({"type": "object-create", "object": {"id": id, "kind": "text"}})
}

fn append(id: &str, data: &str) -> Value {
    json!({"type": "log-append", "id": id, "data": data})
}

fn compact(id: &str, upto: u64, data: &Value) -> Value {
    json!({"type": "log-compact", "id": id, "upto": upto, "data": data})
}

/// Commits it, and gives how it was answered.
async fn answer(client: &mut Client, message: Value) -> String {
    let op = client.op(message).await;
    client.settle().await.expect("a connection");
    client
        .acked
        .get(&op)
        .map_or("refused", |acked| &acked.status)
        .to_owned()
}

/// Commits these as one, by somebody else.
async fn batch(relay: &Relay, ops: impl IntoIterator<Item = Value>) {
    let ops = ops.into_iter().zip(1..).map(|(mut message, op)| {
        message["op"] = Value::from(op);
        message
    });
    let ops: Vec<Value> = ops.collect();
    let mut socket = Socket::open(relay.address(0), "board").await.expect("up");
    let hello = json!({"type": "hello", "v": 1, "client": new_id()});
    socket.send(&hello).await.expect("sent");
    let batch = json!({"type": "batch", "ops": ops});
    socket.send(&batch).await.expect("sent");
    loop {
        let message = socket.receive().await.expect("an answer");
        if message["type"] == "ack" && message["op"] == ops.len() {
            assert_eq!(message["status"], "ok");
            return socket.close(1000).await;
        }
        assert_ne!(message["type"], "error", "{message}");
    }
}

/// What the client has once it came back, in the same form, and has heard the tenth message.
async fn continued(relay: &Relay, n: usize, client: &Client) -> Model {
    let since = json!({"epoch": client.epoch, "seq": client.seq});
    let hello =
        json!({"type": "hello", "v": 1, "client": client.id, "since": since, "features": ["log"]});
    let mut socket = Socket::open(relay.address(n), "board").await.expect("up");
    socket.send(&hello).await.expect("sent");
    assert_eq!(socket.receive().await.expect("a welcome")["mode"], "resume");
    let mut model = client.model.clone();
    loop {
        let message = socket.receive().await.expect("a message");
        if message["seq"].is_u64() {
            model.apply(&message);
        }
        if message["seq"] == 10 {
            return model;
        }
    }
}

/// The message of the latest refusal.
fn refusal(client: &Client) -> &Value {
    client.heard_of("error").pop().expect("an error")
}

fn log(client: &Client, id: &str) -> Vec<(u64, String)> {
    let log = client.model.logs.get(id).into_iter().flatten();
    log.map(|(seq, data)| (*seq, data.as_str().expect("base64").to_owned()))
        .collect()
}

fn told(entries: &[(u64, &str)]) -> Vec<(u64, String)> {
    let owned = |(seq, data): &(u64, &str)| (*seq, (*data).to_owned());
    entries.iter().map(owned).collect()
}

/// `last`: the number of the relay's last process.
async fn hear_all(relay: &Relay, last: usize) {
    let mut ada = newer(relay, 0).await;
    let mut ben = newer(relay, last).await;
    let mut old = relay.join(last, "board").await;
    let mut half = come(relay, 0, &json!(["log"])).await;
    let mut back = come(relay, 0, &json!(["log"])).await;
    ada.commit(create("doc")).await;
    back.reach(1).await;
    back.socket.close(3000).await;
    assert_eq!(answer(&mut ada, append("none", "AA==")).await, "ignored");
    for data in ["AA==", "AAE=", "AAEC"] {
        ada.commit(append("doc", data)).await;
    }
    // The other clients' own fields, an update that not all understand, and a batch between.
    ada.commit(json!({"type": "object-update", "id": "doc", "set": {"a.b": null}}))
        .await;
    ben.reach(5).await;
    ben.commit(json!({"type": "object-update", "id": "doc", "append": {"t": "x"}}))
        .await;
    let ops = [append("doc", "Aw=="), create("doc"), append("doc", "BA==")];
    batch(relay, ops).await;
    let entries = told(&[
        (2, "AA=="),
        (3, "AAE="),
        (4, "AAEC"),
        (7, "Aw=="),
        (9, "BA=="),
    ]);
    ada.reach(9).await;
    assert_eq!(log(&ada, "doc"), entries, "a replaced object keeps its log");

    race(&mut ada, &mut half).await;
    let entries = told(&[(4, "/w=="), (7, "Aw=="), (9, "BA==")]);
    assert_eq!(log(&half, "doc"), entries);

    // Who comes, comes back, or understands only a part.
    let fresh = newer(relay, 0).await;
    assert_eq!(log(&fresh, "doc"), entries);
    back.model = continued(relay, last, &back).await;
    for client in [&mut ada, &mut old, &mut half] {
        client.reach(10).await;
    }
    assert_eq!(log(&ada, "doc"), entries);
    assert_eq!(log(&back, "doc"), entries);
    for client in [&old, &fresh, &back, &half] {
        assert_eq!(client.model.objects, ada.model.objects, "{}", client.id);
    }
    let heard = old.streams().flat_map(|stream| &stream.entries);
    let heard: BTreeMap<_, usize> = heard.fold(BTreeMap::new(), |mut kinds, entry| {
        *kinds.entry(entry.message["type"].to_string()).or_default() += 1;
        kinds
    });
    assert!(
        old.model.logs.is_empty() && heard.keys().all(|kind| !kind.contains("log")),
        "{heard:?}"
    );
    gone(relay, last, &mut ada, &mut ben).await;
}

/// Both compact, and the second covers nothing that the first did not.
async fn race(ada: &mut Client, half: &mut Client) {
    assert_eq!(answer(ada, compact("doc", 4, &json!("/w=="))).await, "ok");
    half.reach(10).await;
    assert_eq!(
        answer(half, compact("doc", 3, &json!("AA=="))).await,
        "ignored"
    );
    assert_eq!(
        answer(half, compact("doc", 4, &json!("AA=="))).await,
        "ignored"
    );
    let of_before = json!({"type": "log-compact", "id": "doc", "upto": 9, "epoch": "00000000000000ff", "data": "AA=="});
    assert_eq!(answer(half, of_before).await, "ignored");
    assert_eq!(
        answer(half, compact("doc", 999, &json!("AA=="))).await,
        "refused"
    );
    let message = refusal(half)["message"].clone();
    assert_eq!(
        message,
        "upto must be at most 10, the canvas's seq, not 999"
    );
}

/// With the object its log goes, and does not come back with it.
async fn gone(relay: &Relay, last: usize, ada: &mut Client, ben: &mut Client) {
    ada.commit(compact("doc", 7, &Value::Null)).await;
    assert_eq!(log(ada, "doc"), told(&[(9, "BA==")]));
    ada.commit(json!({"type": "object-delete", "id": "doc"}))
        .await;
    assert_eq!(answer(ada, append("doc", "AA==")).await, "ignored");
    assert_eq!(
        answer(ada, compact("doc", 9, &json!("AA=="))).await,
        "ignored"
    );
    ada.commit(create("doc")).await;
    ada.commit(append("doc", "CQ==")).await;
    let fresh = newer(relay, last).await;
    assert_eq!(log(&fresh, "doc"), told(&[(14, "CQ==")]));
    ben.reach(14).await;
    assert_eq!(ben.model.logs, ada.model.logs);
}

#[tokio::test]
async fn entries_are_told_in_order_over_the_file() {
    hear_all(&Relay::start(2, &[]).await, 1).await;
}

#[tokio::test]
async fn entries_are_told_in_order_in_memory() {
    hear_all(&Relay::start(1, &["--queue", "off"]).await, 0).await;
}

#[tokio::test]
async fn entries_are_told_in_order_over_redis() {
    let server = crate::redis_server::RedisServer::start();
    hear_all(&Relay::start(2, &["--redis", &server.url()]).await, 1).await;
}

/// A map of MessagePack with strings, and one binary value at its end.
fn packed(fields: &[(&str, &str)], op: u8, data: &[u8]) -> Vec<u8> {
    let text = |text: &str| {
        [
            &[0xa0 | u8::try_from(text.len()).expect("short")],
            text.as_bytes(),
        ]
        .concat()
    };
    let mut bytes = vec![0x80 | u8::try_from(fields.len() + 2).expect("few")];
    for (name, value) in fields {
        bytes.extend([text(name), text(value)].concat());
    }
    bytes.extend([text("op"), vec![op]].concat());
    bytes.extend(
        [
            text("data"),
            vec![0xc4, u8::try_from(data.len()).expect("short")],
        ]
        .concat(),
    );
    bytes.extend(data);
    bytes
}

#[tokio::test]
async fn bytes_are_binary_in_messagepack_and_base64_in_json() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let mut json = newer(&relay, 0).await;
    json.commit(create("doc")).await;
    let mut ben = Packed::join(&relay, json!({"features": ["log"]})).await;
    ben.until("snapshot").await;
    ben.raw(packed(
        &[("type", "log-append"), ("id", "doc")],
        1,
        &[0, 0xff, 1],
    ))
    .await;
    assert_eq!(ben.until("ack").await["seq"], 2);
    json.reach(2).await;
    assert_eq!(log(&json, "doc"), told(&[(2, "AP8B")]));
    json.commit(append("doc", "/w==")).await;
    let heard = ben.until("log-append").await;
    assert_eq!(heard["data"], json!({"bytes": "/w=="}));
    json.commit(compact("doc", 2, &json!("Ag=="))).await;
    let heard = ben.until("log-compact").await;
    assert_eq!(
        (&heard["data"], &heard["upto"]),
        (&json!({"bytes": "Ag=="}), &json!(2))
    );
    json.commit(compact("doc", 3, &Value::Null)).await;
    assert!(ben.until("log-compact").await["data"].is_null());
    json.commit(append("doc", "Ag==")).await;
    let mut cy = Packed::join(&relay, json!({"features": ["log"]})).await;
    let part = cy.until("snapshot").await;
    let entry = json!({"id": "doc", "seq": 6, "data": {"bytes": "Ag=="}});
    assert_eq!(part["logs"], json!([entry]));
    // Anywhere else bytes have no place.
    ben.raw(packed(&[("type", "broadcast"), ("event", "e")], 2, &[1]))
        .await;
    let error = ben.until("error").await;
    assert_eq!(
        (&error["code"], &error["op"]),
        (&json!("bad-message"), &json!(2))
    );
    assert!(
        error["message"]
            .as_str()
            .expect("words")
            .starts_with("data: binary"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let relay = Relay::start(1, &["--queue", "off", "--max-canvas-bytes", "131072"]).await;
    let mut ada = newer(&relay, 0).await;
    ada.commit(create("doc")).await;
    for (wrong, named) in [
        (append("doc", ""), "data must be base64"),
        (append("doc", "AA"), "data must be base64"),
        (append("doc", "AB=="), "data must be base64"),
        (append("doc", "A A="), "data must be base64"),
        (
            json!({"type": "log-append", "data": "AA=="}),
            "id is missing",
        ),
        (
            json!({"type": "log-append", "id": "doc"}),
            "data is missing",
        ),
        (
            json!({"type": "log-append", "id": "doc", "data": [1]}),
            "data must be a string",
        ),
        (
            json!({"type": "log-compact", "id": "doc", "data": "AA=="}),
            "upto is missing",
        ),
        (compact("doc", 0, &json!("AA==")), "upto must be the seq"),
        (
            json!({"type": "log-compact", "id": "doc", "upto": 1, "epoch": "x"}),
            "epoch must be that of a welcome",
        ),
        (append("doc", &"A".repeat(140_000)), "(max_canvas_bytes)"),
    ] {
        assert_eq!(answer(&mut ada, wrong.clone()).await, "refused", "{wrong}");
        let message = refusal(&ada)["message"].as_str().expect("words").to_owned();
        assert!(message.contains(named), "{wrong}: {message}");
        // Ten in a row end a connection.
        ada.commit(json!({"type": "broadcast", "event": "e"})).await;
    }
    let limits = &ada.welcome["limits"];
    assert_eq!(limits["max_log_entries"], 10_000);
    assert_eq!(limits["max_log_bytes"], 8 * 1024 * 1024);
}

#[tokio::test]
async fn a_log_is_full_until_it_is_compacted() {
    let relay = Relay::start(1, &[]).await;
    let mut ada = newer(&relay, 0).await;
    ada.commit(create("doc")).await;
    for _ in 0..10 {
        batch(&relay, std::iter::repeat_n(append("doc", "AAEC"), 1_000)).await;
    }
    let mut ben = newer(&relay, 0).await;
    assert_eq!(log(&ben, "doc").len(), 10_000);
    assert_eq!(answer(&mut ben, append("doc", "AAEC")).await, "refused");
    let full = refusal(&ben);
    assert_eq!(full["code"], "too-large");
    assert!(
        full["message"]
            .as_str()
            .expect("words")
            .contains("10000 entries (max_log_entries)")
    );
    let stored = "SELECT object_bytes FROM canvases";
    assert!(relay.number(stored) > 10_000 * 64);
    let head = ben.seq;
    ben.commit(compact("doc", head, &json!("AAEC"))).await;
    assert_eq!(relay.number("SELECT count(*) FROM object_log_entries"), 1);
    assert!(relay.number(stored) < 200, "{}", relay.number(stored));
    ben.commit(append("doc", "AAEC")).await;
    ben.commit(json!({"type": "object-delete", "id": "doc"}))
        .await;
    for table in ["object_logs", "object_log_entries"] {
        assert_eq!(relay.number(&format!("SELECT count(*) FROM {table}")), 0);
    }
    assert_eq!(
        relay.number("SELECT object_bytes + object_logs FROM canvases"),
        0
    );
}

/// Who comes back too late to resume gets the entries since, and where one compacted meanwhile, all of them.
#[tokio::test]
async fn an_older_state_is_continued_with_the_entries_since() {
    let relay = Relay::start(1, &["--queue", "off", "--message-ttl", "1s"]).await;
    let mut ada = newer(&relay, 0).await;
    for id in ["one", "two"] {
        ada.commit(create(id)).await;
        ada.commit(append(id, "AA==")).await;
        ada.commit(append(id, "AAE=")).await;
    }
    let since = json!({"epoch": ada.epoch, "seq": ada.seq});
    let (one, two) = (log(&ada, "one"), log(&ada, "two"));
    ada.commit(append("one", "Ag==")).await;
    ada.commit(append("two", "Aw==")).await;
    ada.commit(compact("two", two[0].0, &json!("/w=="))).await;
    let part = loop {
        let mut socket = Socket::open(relay.address(0), "board").await.expect("up");
        let features = json!(["log", "base"]);
        let hello = json!({"type": "hello", "v": 1, "client": new_id(), "since": since, "features": features});
        socket.send(&hello).await.expect("sent");
        let mut message = socket.receive().await.expect("a welcome");
        if message["mode"] == "snapshot" {
            while message["type"] != "snapshot" {
                message = socket.receive().await.expect("a snapshot");
            }
            break message;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(part["base"], since);
    assert_eq!(part["objects"], json!([]));
    assert_eq!(part["compacted"], json!(["two"]));
    let entry = |id: &str, seq: u64, data: &str| json!({"id": id, "seq": seq, "data": data});
    let expected = [
        entry("one", one[1].0 + 4, "Ag=="),
        entry("two", two[0].0, "/w=="),
        entry("two", two[1].0, "AAE="),
        entry("two", two[1].0 + 2, "Aw=="),
    ];
    assert_eq!(part["logs"], json!(expected));
}

#[tokio::test]
async fn a_server_reads_and_writes_logs() {
    let relay = Relay::start(1, &[]).await;
    let mut ada = newer(&relay, 0).await;
    ada.commit(create("doc")).await;
    ada.commit(append("doc", "AA==")).await;
    let body = json!({"type": "log-append", "id": "doc", "data": "AAE="});
    let messages = "/api/v1/canvases/board/messages";
    let answered = crate::harness::http::ask(
        relay.address(0),
        "POST",
        messages,
        &format!("Host: {}\r\n", relay.address(0)),
        &body.to_string(),
    )
    .await;
    assert_eq!(answered.expect("an answer").json()["seq"], 3);
    ada.reach(3).await;
    assert_eq!(log(&ada, "doc"), told(&[(2, "AA=="), (3, "AAE=")]));
    let host = format!("Host: {}\r\n", relay.address(0));
    let get = async |query: &str| {
        let path = format!("/api/v1/canvases/board/objects{query}");
        let answer = crate::harness::http::ask(relay.address(0), "GET", &path, &host, "").await;
        answer.expect("an answer").json()
    };
    let plain = get("").await;
    assert!(plain.get("logs").is_none());
    let with = get("?logs=true").await;
    assert_eq!(with["objects"][0]["id"], "doc");
    assert_eq!(with["objects"], plain["objects"]);
    let entries = [
        json!({"id": "doc", "seq": 2, "data": "AA=="}),
        json!({"id": "doc", "seq": 3, "data": "AAE="}),
    ];
    assert_eq!(with["logs"], json!(entries));
    assert_eq!(get("?logs=1").await["error"], "bad-request");
}

#[tokio::test]
async fn the_logs_of_a_large_canvas_go_in_pieces() {
    let relay = Relay::start(1, &[]).await;
    let mut ada = newer(&relay, 0).await;
    for id in ["one", "two"] {
        ada.commit(create(id)).await;
        for _ in 0..8 {
            ada.commit(append(id, &"A".repeat(120_000))).await;
        }
    }
    let host = format!("Host: {}\r\n", relay.address(0));
    let path = "/api/v1/canvases/board";
    let deleted = crate::harness::http::ask(relay.address(0), "DELETE", path, &host, "").await;
    assert_eq!(deleted.expect("an answer").status, 200);
    let fresh = newer(&relay, 0).await;
    assert!(fresh.model.logs.is_empty() && fresh.model.objects.is_empty());
    for table in ["object_log_entries", "object_logs", "canvas_objects"] {
        let count = format!("SELECT count(*) FROM {table}");
        relay.until_number(&count, |count| count == 0).await;
    }
    let left = "SELECT object_bytes + object_logs FROM canvases";
    assert_eq!(relay.number(left), 0);
}
