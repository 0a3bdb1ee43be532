//! What the durable messages mean: objects, chat, broadcast, live and in a snapshot.

use serde_json::{Value, json};

use crate::harness::history::check_agreement;
use crate::harness::{Client, Relay, Socket};

fn create(id: &str, n: u64) -> Value {
    json!({"type": "object-create", "object": {"id": id, "kind": "box", "n": n}})
}

fn update(id: &str, patch: Value) -> Value {
    json!({"type": "object-update", "id": id, "patch": patch})
}

#[tokio::test]
async fn objects_are_merged_replaced_and_removed() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let bob = relay.join(1, "board").await;
    let messages = [
        create("a", 1),
        create("b", 2),
        create("c", 3),
        update(
            "a",
            json!({"n": null, "deep": {"x": 1, "y": [1, {"z": null}]}}),
        ),
        update("a", json!({"deep": {"x": null, "w": {"v": null}}})),
        // Replacing keeps the place among the others, and nothing of what was there.
        create("b", 4),
        json!({"type": "object-delete", "id": "a"}),
        create("a", 5),
        update("c", json!({"kind": "circle"})),
    ];
    for message in messages {
        ada.commit(message).await;
    }
    let ids: Vec<&str> = ada
        .model
        .objects
        .iter()
        .map(|(id, _)| id.as_str())
        .collect();
    assert_eq!(ids, ["b", "c", "a"]);
    let late = relay.join(1, "board").await;
    check_agreement(&mut [ada, bob, late]).await;
}

#[tokio::test]
async fn a_patch_means_what_rfc_7396_says() {
    let relay = Relay::start(1, &[]).await;
    let mut ada = relay.join(0, "board").await;
    ada.commit(create("a", 1)).await;
    let patches = [
        json!({"a": {"b": "c", "null": null}}),
        json!({"a": {"b": null}}),
        json!({"a": [{"b": null}]}),
        json!({"a": {"x": {"y": null, "z": 1}}}),
        json!({"a": "text", "n": 1e308, "big": 9_007_199_254_740_993_u64}),
        json!({"": {"\u{e4}\u{1f600}\"\\": "\u{0}\u{2028}"}}),
        json!({}),
    ];
    for patch in patches {
        ada.commit(update("a", patch)).await;
    }
    let late = relay.join(0, "board").await;
    assert_eq!(late.seq, ada.seq);
    check_agreement(&mut [ada, late]).await;
}

#[tokio::test]
async fn chat_has_replies_and_a_history_with_names() {
    let relay = Relay::start(2, &[]).await;
    let socket = Socket::open(relay.address(0), "board").await.expect("up");
    let hello = json!({"client": "client-ada", "user": {"name": "Ada", "color": "red"}});
    let mut ada = Client::enter(socket, "board", hello).await;
    let mut bob = relay.join(1, "board").await;
    let first = ada
        .commit(json!({"type": "chat", "text": "hello \u{1f600}"}))
        .await;
    bob.reach(first).await;
    let reply = json!({"type": "chat", "text": "hi", "reply_to": first});
    let second = bob.commit(reply).await;
    let heard = ada.until(|m| m["type"] == "chat").await;
    assert_eq!(
        (&heard["reply_to"], &heard["client"], &heard["op"]),
        (&json!(first), &json!(bob.id), &json!(1))
    );
    let mut late = Socket::open(relay.address(1), "board").await.expect("up");
    let hello = json!({"type": "hello", "v": 1, "client": "client-late"});
    late.send(&hello).await.expect("sent");
    late.receive().await.expect("a welcome");
    let snapshot = late.receive().await.expect("a snapshot");
    let chat = snapshot["chat"].as_array().expect("chat");
    assert_eq!(chat.len(), 2);
    assert_eq!(chat[0]["user"], json!({"name": "Ada", "color": "red"}));
    assert_eq!(chat[0]["text"], "hello \u{1f600}");
    assert_eq!(chat[1]["seq"], second);
    assert_eq!(chat[1]["reply_to"], first);
    assert_eq!(chat[1]["client"], bob.id.as_str());
    check_agreement(&mut [ada, bob]).await;
}

#[tokio::test]
async fn the_chat_history_is_the_latest_two_hundred() {
    let relay = Relay::start(1, &[]).await;
    let mut ada = relay.join(0, "board").await;
    for n in 0..230 {
        ada.op(json!({"type": "chat", "text": format!("{n}")}))
            .await;
    }
    ada.settle().await.expect("connected");
    let late = relay.join(0, "board").await;
    assert_eq!(late.model.chat.len(), 200);
    check_agreement(&mut [ada, late]).await;
}

#[tokio::test]
async fn a_broadcast_is_durable_and_leaves_no_state() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut bob = relay.join(1, "board").await;
    let data = json!({"dice": [1, 2], "to": null});
    ada.commit(json!({"type": "broadcast", "event": "roll", "data": data}))
        .await;
    let heard = bob.until(|m| m["type"] == "broadcast").await;
    assert_eq!((&heard["event"], &heard["data"]), (&json!("roll"), &data));
    assert_eq!(heard["client"], ada.id.as_str());
    let late = relay.join(1, "board").await;
    assert_eq!(
        (late.seq, late.model.objects.len(), late.model.chat.len()),
        (1, 0, 0)
    );
    check_agreement(&mut [ada, bob, late]).await;
}

#[tokio::test]
async fn canvases_do_not_hear_each_other() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "one").await;
    let mut bob = relay.join(1, "two").await;
    assert_ne!(ada.epoch, bob.epoch);
    ada.commit(create("a", 1)).await;
    ada.say(json!({"type": "cursor", "x": 1, "y": 1})).await;
    ada.say(json!({"type": "signal", "event": "e"})).await;
    assert_eq!(
        bob.commit(create("b", 1)).await,
        1,
        "numbers are per canvas"
    );
    assert_eq!(ada.commit(create("c", 1)).await, 2);
    for (client, others) in [(&ada, 0), (&bob, 0)] {
        assert_eq!(client.heard.len(), others, "{:?}", client.heard);
    }
    let late = relay.join(1, "one").await;
    check_agreement(&mut [ada, late]).await;
}

#[tokio::test]
async fn a_canvas_holds_so_many_objects() {
    let relay = Relay::start(2, &["--max-objects", "3"]).await;
    let mut ada = relay.join(0, "board").await;
    for id in ["a", "b", "c"] {
        ada.commit(create(id, 1)).await;
    }
    let op = ada.op(create("d", 1)).await;
    let error = ada.until(|m| m["type"] == "error").await;
    assert_eq!(
        (&error["code"], &error["op"]),
        (&json!("too-large"), &json!(op))
    );
    ada.commit(create("c", 2)).await;
    ada.commit(json!({"type": "object-delete", "id": "a"}))
        .await;
    ada.commit(create("d", 1)).await;
    let late = relay.join(1, "board").await;
    check_agreement(&mut [ada, late]).await;
}
