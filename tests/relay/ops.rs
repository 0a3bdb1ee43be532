//! Op numbers: what is taken once, what is answered how, before and after a restart, on whatever process.

use serde_json::json;

use crate::harness::client::Acked;
use crate::harness::history::check_agreement;
use crate::harness::{Client, Relay, Socket};

fn ack(status: &str, seq: u64) -> Acked {
    Acked {
        status: status.to_owned(),
        seq,
    }
}

/// Sends a message under a number of its own choice, and gives the answer.
async fn send_as(client: &mut Client, op: u64, text: &str) -> serde_json::Value {
    let message = json!({"type": "chat", "op": op, "text": text});
    client.pending.insert(op, message.clone());
    client.say(message).await;
    let of_op = move |m: &serde_json::Value| m["op"] == op;
    client.until(of_op).await
}

#[tokio::test]
async fn a_resent_op_has_no_effect_anywhere() {
    let mut relay = Relay::start(2, &[]).await;
    let mut client = relay.join(0, "board").await;
    let mut other = relay.join(1, "board").await;
    let seq = client.commit(json!({"type": "chat", "text": "once"})).await;
    let op = client.op;
    let again = send_as(&mut client, op, "once").await;
    assert_eq!(
        (&again["status"], &again["seq"]),
        (&json!("dup"), &json!(seq))
    );
    client.resume(relay.address(1)).await.expect("resumed");
    assert_eq!(client.welcome["acked_op"], op);
    let again = send_as(&mut client, op, "once").await;
    assert_eq!(
        (&again["status"], &again["seq"]),
        (&json!("dup"), &json!(seq))
    );
    for process in [0, 1] {
        relay.process(process).kill().await;
    }
    let restarted = relay.add(&[]).await;
    for client in [&mut client, &mut other] {
        client
            .resume(relay.address(restarted))
            .await
            .expect("resumed");
        assert_eq!(client.welcome["mode"], "resume");
    }
    let again = send_as(&mut client, op, "once").await;
    assert_eq!(again["status"], "dup");
    assert!([0, seq].contains(&again["seq"].as_u64().expect("a seq")));
    assert_eq!(
        client.commit(json!({"type": "chat", "text": "next"})).await,
        seq + 1
    );
    check_agreement(&mut [client, other]).await;
}

#[tokio::test]
async fn what_is_not_there_cannot_change() {
    let relay = Relay::start(2, &[]).await;
    let mut client = relay.join(0, "board").await;
    let other = relay.join(1, "board").await;
    let update = json!({"type": "object-update", "id": "a", "patch": {"x": 1}});
    let delete = json!({"type": "object-delete", "id": "a"});
    let create = json!({"type": "object-create", "object": {"id": "a", "kind": "box"}});
    for message in [
        &update, &delete, &create, &update, &delete, &update, &create,
    ] {
        client.op(message.clone()).await;
    }
    client.settle().await.expect("connected");
    let acked: Vec<Acked> = client.acked.values().cloned().collect();
    let expected = [
        ack("ignored", 0),
        ack("ignored", 0),
        ack("ok", 1),
        ack("ok", 2),
        ack("ok", 3),
        ack("ignored", 0),
        ack("ok", 4),
    ];
    assert_eq!(acked, expected, "delete wins over a later update");
    check_agreement(&mut [client, other]).await;
}

#[tokio::test]
async fn an_ignored_op_uses_its_number_up() {
    let relay = Relay::start(1, &[]).await;
    let mut client = relay.join(0, "board").await;
    client.op(json!({"type": "object-delete", "id": "a"})).await;
    client.settle().await.expect("connected");
    client.resume(relay.address(0)).await.expect("resumed");
    assert_eq!(client.welcome["acked_op"], 1);
    assert_eq!(
        send_as(&mut client, 1, "not a delete").await["status"],
        "dup"
    );
}

#[tokio::test]
async fn numbers_may_be_skipped_but_not_go_back() {
    let relay = Relay::start(1, &[]).await;
    let mut client = relay.join(0, "board").await;
    for op in [3, 10] {
        assert_eq!(send_as(&mut client, op, "x").await["status"], "ok");
    }
    for op in [2, 7] {
        let refused = send_as(&mut client, op, "x").await;
        assert_eq!(refused["code"], "bad-op", "{op} was never sent");
        assert_eq!(refused["op"], op);
    }
    assert_eq!(send_as(&mut client, 10, "x").await["status"], "dup");
    let bad = json!({"type": "chat", "op": 11, "text": ""});
    client.say(bad).await;
    assert_eq!(client.until(|m| m["op"] == 11).await["code"], "bad-message");
    let used_up = send_as(&mut client, 11, "now good").await;
    assert_eq!(
        used_up["code"], "bad-op",
        "a final refusal uses its number up"
    );
    assert_eq!(send_as(&mut client, 12, "x").await["status"], "ok");
}

#[tokio::test]
async fn an_author_meets_its_own_message_whole_on_another_connection() {
    let relay = Relay::start(2, &[]).await;
    let mut client = relay.join(0, "board").await;
    let seq = client.commit(json!({"type": "chat", "text": "mine"})).await;
    let socket = Socket::open(relay.address(1), "board").await.expect("up");
    let since = json!({"epoch": client.epoch, "seq": 0});
    let hello = json!({"client": client.id, "since": since});
    let mut again = Client::enter(socket, "board", hello).await;
    assert_eq!(again.welcome["mode"], "resume");
    let own = again.next().await.expect("its message");
    assert_eq!((&own["type"], &own["seq"]), (&json!("chat"), &json!(seq)));
    assert_eq!((&own["op"], &own["client"]), (&json!(1), &json!(client.id)));
}

#[tokio::test]
async fn many_ops_in_flight_are_answered_in_order() {
    let relay = Relay::start(2, &[]).await;
    let mut client = relay.join(0, "board").await;
    let other = relay.join(1, "board").await;
    // More than may wait for an ack: the server stops reading until there is room.
    for n in 0..3_000 {
        client
            .op(json!({"type": "broadcast", "event": "n", "data": n}))
            .await;
    }
    client.settle().await.expect("connected");
    assert_eq!(client.seq, 3_000);
    check_agreement(&mut [client, other]).await;
}
