//! `set`, `unset` and `append`: who understands them hears them, everybody else hears whole objects in their places.

use serde_json::{Value, json};

use crate::harness::client::new_id;
use crate::harness::history::{Entry, check_agreement};
use crate::harness::model::Model;
use crate::harness::{Client, Relay, Socket};
use crate::msgpack::Packed;

async fn newer(relay: &Relay, n: usize) -> Client {
    let socket = Socket::open(relay.address(n), "board").await;
    let hello = json!({"client": new_id(), "features": ["set", "batch"]});
    Client::enter(socket.expect("an upgrade"), "board", hello).await
}

fn create() -> Value {
    json!({"type": "object-create", "object": {"id": "o", "kind": "k", "z": 1, "a": {"b": {"c": 1}}}})
}

/// Everything that an update may say, and patches between.
fn conversation() -> Vec<Value> {
    let update = |mut fields: Value| {
        fields["type"] = "object-update".into();
        fields["id"] = "o".into();
        fields
    };
    let mut said = vec![
        update(json!({"set": {"a.b": {"n": null}, "p.q.r": null, "a\\.b": [1]}})),
        update(json!({"patch": {"z": 2}})),
        update(json!({"append": {"points": [[0, 0.5]], "note": "ä\"", "p.list": []}})),
        update(
            json!({"unset": ["z", "nothing.there"], "patch": {"y": {"x": 1}}, "set": {"y.w": null}}),
        ),
    ];
    for n in 0..40 {
        said.push(update(json!({"append": {"points": [[n, n]], "note": "…"}})));
        if n % 3 == 0 {
            said.push(update(json!({"patch": {"last": n, "a": {"b": {"m": n}}}})));
        }
        if n == 20 {
            said.push(json!({"type": "object-delete", "id": "o"}));
            said.push(create());
            said.push(update(json!({"set": {"a.b.c": [null]}})));
        }
    }
    said
}

/// Whole objects only.
fn is_plain(message: &Value) -> bool {
    ["set", "unset", "append"]
        .iter()
        .all(|field| message[field].is_null())
}

/// `last`: the number of the relay's last process.
async fn hear_all(relay: &Relay, last: usize) {
    let mut author = newer(relay, 0).await;
    author.commit(create()).await;
    let mut reader = newer(relay, last).await;
    let mut old = relay.join(last, "board").await;
    let mut beside = relay.join(0, "board").await;
    let mut back = relay.join(0, "board").await;
    let mut packed = Packed::join(relay, json!({})).await;
    let (mut packed_model, mut packed_seq) = (Model::default(), 0);
    let part = packed.until("snapshot").await;
    packed_model.part(&part);
    assert!(part["seq"].as_u64() <= Some(1));
    back.socket.close(3000).await;
    for message in conversation() {
        author.op(message).await;
    }
    author.settle().await.expect("a connection");
    let head = author.seq;
    // Who was away meanwhile reads the same from the log.
    back.resume(relay.address(last)).await.expect("a welcome");
    for client in [&mut reader, &mut old, &mut beside, &mut back] {
        client.reach(head).await;
    }
    while packed_seq < head {
        let message = packed.next().await;
        if let Some(seq) = message["seq"].as_u64() {
            assert!(is_plain(&message), "{message}");
            packed_seq = seq;
            packed_model.apply(&message);
        }
    }
    let fresh = relay.join(0, "board").await;
    let told = &fresh.model.objects;
    assert_eq!(told[0].1["a"], json!({"b": {"c": [null], "m": 39}}));
    for client in [&author, &reader, &old, &beside, &back] {
        assert_eq!(&client.model.objects, told, "{}", client.id);
    }
    assert_eq!(&packed_model.objects, told);
    for client in [&old, &beside, &back] {
        let entries = || client.streams().flat_map(|stream| &stream.entries);
        assert!(entries().all(|entry| is_plain(&entry.message)));
        let whole = |entry: &Entry| entry.message["object"]["points"].is_array();
        assert!(entries().any(whole));
    }
    check_agreement(&mut [author, reader]).await;
}

#[tokio::test]
async fn clients_without_set_hear_whole_objects_and_nobody_diverges() {
    hear_all(&Relay::start(2, &[]).await, 1).await;
}

#[tokio::test]
async fn the_same_holds_in_memory() {
    hear_all(&Relay::start(1, &["--queue", "off"]).await, 0).await;
}

#[tokio::test]
async fn the_same_holds_over_redis() {
    let server = crate::redis_server::RedisServer::start();
    hear_all(&Relay::start(2, &["--redis", &server.url()]).await, 1).await;
}

#[tokio::test]
async fn what_an_edit_meets_is_named_and_nothing_is_changed() {
    let relay = Relay::start(1, &[]).await;
    let mut author = newer(&relay, 0).await;
    author.commit(create()).await;
    let mut op = 1;
    for (fields, message) in [
        (json!({"set": {"z.x": 1}}), "set \"z.x\": \"z\" is a number"),
        (
            json!({"append": {"a": []}}),
            "append \"a\": it is an object",
        ),
        (
            json!({"set": {"a": 1, "a.b": 2}}),
            "set: \"a.b\" is within \"a\"",
        ),
        (
            json!({"set": {"": 1}}),
            "set \"\": a path has no empty names",
        ),
        (
            json!({"unset": ["kind"]}),
            "unset: an object always has its kind",
        ),
        (json!({"set": {"id": "other"}}), "set.id must not change"),
        (json!({"unset": "z"}), "unset must be an array of paths"),
        (json!({"set": [1]}), "set must be an object"),
        (
            json!({"append": {"n": 1}}),
            "append \"n\": it must be an array or a text",
        ),
        (json!({}), "patch is missing, and set, unset and append too"),
    ] {
        op += 1;
        let mut update = fields;
        update["type"] = "object-update".into();
        (update["id"], update["op"]) = ("o".into(), op.into());
        author.say(update).await;
        let error = author.until(|m| m["type"] == "error").await;
        assert_eq!(
            (&error["code"], &error["op"]),
            (&json!("bad-message"), &json!(op))
        );
        let text = error["message"].as_str().expect("a text");
        assert!(text.starts_with(message), "{text}, not {message}");
    }
    let fresh = relay.join(0, "board").await;
    assert_eq!(fresh.model.objects[0].1, create()["object"]);
}

/// What was drawn is told in the order in which its author wrote it, whatever was changed since.
#[tokio::test]
async fn snapshots_keep_the_order_of_properties() {
    let relay = Relay::start(1, &[]).await;
    let mut author = newer(&relay, 0).await;
    author.commit(create()).await;
    let update = json!({"type": "object-update", "id": "o", "patch": {"z": 3}, "set": {"b": 1}});
    author.commit(update).await;
    let mut socket = Socket::open(relay.address(0), "board")
        .await
        .expect("an upgrade");
    let hello = json!({"type": "hello", "v": 1, "client": new_id()});
    socket.send(&hello).await.expect("sent");
    let text = loop {
        let frame = socket.receive_raw().await.expect("a frame").to_string();
        if frame.starts_with("{\"type\":\"snapshot\"") {
            break frame;
        }
    };
    let object = r#"{"id":"o","kind":"k","z":3,"a":{"b":{"c":1}},"b":1}"#;
    assert!(text.contains(object), "{text}");
}
