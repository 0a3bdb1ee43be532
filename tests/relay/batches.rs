//! `batch`: several messages take places that follow one another, or nothing of them happens.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::new_id;
use crate::harness::history::check_agreement;
use crate::harness::{Relay, Socket};
use crate::redis_server::RedisServer;

fn create(op: u64, id: &str) -> Value {
    json!({"type": "object-create", "op": op, "object": {"id": id, "kind": "k", "n": 1}})
}

/// Says several as one, and gives the answers until each has one.
async fn batch(socket: &mut Socket, ops: &[Value]) -> Vec<Value> {
    let batch = json!({"type": "batch", "ops": ops});
    socket.send(&batch).await.expect("a connection");
    let mut answers = Vec::new();
    while answers.len() < ops.len() {
        let message = socket.receive().await.expect("an answer");
        if message["type"] == "ack" || message["type"] == "error" {
            answers.push(message);
        }
    }
    answers
}

/// The same, again as long as the canvas has to wait for itself.
async fn decided(socket: &mut Socket, ops: &[Value]) -> Vec<Value> {
    for _ in 0..60 {
        let answers = batch(socket, ops).await;
        match answers[0]["retry_after_ms"].as_u64() {
            Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            None => return answers,
        }
    }
    panic!("it is not decided");
}

async fn single(socket: &mut Socket, message: &Value) -> Value {
    socket.send(message).await.expect("sent");
    loop {
        let answer = socket.receive().await.expect("an answer");
        if answer["type"] == "ack" || answer["type"] == "error" {
            return answer;
        }
    }
}

async fn come(relay: &Relay, n: usize, client: &str) -> (Socket, Value) {
    let mut socket = Socket::open(relay.address(n), "board")
        .await
        .expect("an upgrade");
    let hello = json!({"type": "hello", "v": 1, "client": client, "features": ["set", "batch"]});
    socket.send(&hello).await.expect("sent");
    let welcome = socket.receive().await.expect("a welcome");
    (socket, welcome)
}

async fn all_or_nothing(relay: &Relay, last: usize) {
    let mut readers = [
        relay.join(0, "board").await,
        relay.join(last, "board").await,
    ];
    let id = new_id();
    let (mut author, welcome) = come(relay, 0, &id).await;
    let features = welcome["features"].as_array().expect("features");
    assert!(
        features.contains(&json!("batch")) && features.contains(&json!("set")),
        "{welcome}"
    );
    let ops = [
        create(3, "a"),
        json!({"type": "object-update", "op": 4, "id": "nowhere", "patch": {}}),
        json!({"type": "object-update", "op": 5, "id": "a", "append": {"list": [1]}}),
        json!({"type": "object-delete", "op": 6, "id": "a"}),
        create(8, "b"),
        json!({"type": "chat", "op": 9, "text": "done"}),
    ];
    let answers = batch(&mut author, &ops).await;
    let status = |answer: &Value| (answer["op"].as_u64(), answer["seq"].as_u64());
    let mut places: Vec<_> = answers.iter().map(status).collect();
    places.sort_unstable();
    let expected = [(3, 1), (4, 0), (5, 2), (6, 3), (8, 4), (9, 5)];
    assert_eq!(places, expected.map(|(op, seq)| (Some(op), Some(seq))));
    // Sent again, it is not done again.
    let again = batch(&mut author, &ops).await;
    assert!(
        again.iter().all(|answer| answer["status"] == "dup"),
        "{again:?}"
    );
    assert_eq!(status(&again[5]), (Some(9), Some(5)));
    refused_whole(&mut author).await;
    for reader in &mut readers {
        reader.reach(6).await;
    }
    check_agreement(&mut readers).await;
    let fresh = relay.join(last, "board").await;
    let ids: Vec<&str> = fresh.model.objects.iter().map(|(id, _)| &**id).collect();
    assert_eq!((fresh.seq, ids), (6, vec!["b", "g"]));
    assert_eq!(fresh.model.objects, readers[1].model.objects);
}

/// The second of three can't be done, at its place; then one message, to see what took none.
async fn refused_whole(author: &mut Socket) {
    let bad = json!({"type": "object-update", "op": 11, "id": "e", "set": {"n.x": 1}});
    let answers = batch(author, &[create(10, "e"), bad, create(12, "f")]).await;
    assert!(
        answers.iter().all(|answer| answer["code"] == "bad-message"),
        "{answers:?}"
    );
    let mut ops: Vec<_> = answers.iter().map(|answer| answer["op"].as_u64()).collect();
    let text = answers[0]["message"].as_str().expect("a text");
    assert!(
        text.starts_with("ops[1] (op 11): set \"n.x\": \"n\" is a number"),
        "{text}"
    );
    let text = answers[1]["message"].as_str().expect("a text");
    assert_eq!(
        text,
        "nothing of the batch was done: ops[1] (op 11) was refused"
    );
    ops.sort_unstable();
    assert_eq!(ops, [Some(10), Some(11), Some(12)]);
    let answers = batch(author, &[create(13, "g")]).await;
    assert_eq!(
        (&answers[0]["status"], &answers[0]["seq"]),
        (&json!("ok"), &json!(6))
    );
}

/// A batch is one step of the queue, which others wait for: a few bytes may not have a whole canvas taken apart.
async fn too_much_at_once(flags: &[&str]) {
    let relay = Relay::start(1, flags).await;
    let (mut author, _) = come(&relay, 0, &new_id()).await;
    let mut op = 0;
    for n in 0..40 {
        for part in ["a", "b"] {
            op += 1;
            let text = json!({ part: "x".repeat(60_000) });
            let message = match part {
                "a" => {
                    json!({"type": "object-create", "op": op, "object": {"id": format!("o{n}"), "kind": "k", "a": text}})
                }
                _ => {
                    json!({"type": "object-update", "op": op, "id": format!("o{n}"), "patch": {"b": text}})
                }
            };
            let answer = single(&mut author, &message).await;
            assert_eq!(answer["status"], "ok", "{answer}");
        }
    }
    let touch = |op: u64, n: u64| json!({"type": "object-update", "op": op + n, "id": format!("o{n}"), "patch": {"c": 1}});
    let all: Vec<Value> = (0..40).map(|n| touch(op + 1, n)).collect();
    let answers = decided(&mut author, &all).await;
    let text = answers[0]["message"].as_str().expect("a text");
    assert!(
        answers.iter().all(|answer| answer["code"] == "too-large") && text.contains("4 MiB in all"),
        "{answers:?}"
    );
    let some: Vec<Value> = (0..30).map(|n| touch(op + 100, n)).collect();
    let answers = decided(&mut author, &some).await;
    assert!(
        answers.iter().all(|answer| answer["status"] == "ok"),
        "{answers:?}"
    );
    let gone = |n: u64| json!({"type": "object-delete", "op": op + 200 + n, "id": format!("o{n}")});
    let all: Vec<Value> = (0..40).map(gone).collect();
    let answers = decided(&mut author, &all).await;
    assert!(
        answers.iter().all(|answer| answer["status"] == "ok"),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_batch_may_be_so_much_work_and_no_more() {
    too_much_at_once(&[]).await;
    too_much_at_once(&["--queue", "off"]).await;
}

#[tokio::test]
async fn a_batch_is_done_whole_or_not_at_all() {
    all_or_nothing(&Relay::start(2, &[]).await, 1).await;
}

#[tokio::test]
async fn so_it_is_in_memory() {
    all_or_nothing(&Relay::start(1, &["--queue", "off"]).await, 0).await;
}

#[tokio::test]
async fn so_it_is_over_redis() {
    let server = RedisServer::start();
    all_or_nothing(&Relay::start(2, &["--redis", &server.url()]).await, 1).await;
}

#[tokio::test]
async fn what_is_no_batch_is_refused_with_the_place_named() {
    let relay = Relay::start(1, &[]).await;
    let (mut author, _) = come(&relay, 0, &new_id()).await;
    // Short ones: all of them fit into one message.
    let delete = |op| json!({"type": "object-delete", "op": op, "id": "x"});
    let many: Vec<Value> = (1..=1_001).map(delete).collect();
    for (ops, message) in [
        (json!([]), "ops must be an array of 1 to 1000 messages"),
        (json!({}), "ops must be an array of 1 to 1000 messages"),
        (
            Value::from(many),
            "ops must be an array of 1 to 1000 messages",
        ),
        (
            json!([{"type": "cursor", "x": 1, "y": 2}]),
            "ops[0]: only messages that are",
        ),
        (
            json!([{"type": "batch", "ops": [create(1, "x")]}]),
            "ops[0]: only messages that are",
        ),
        (
            json!([create(1, "x"), {"type": "chat", "op": 2, "text": ""}]),
            "ops[1]: text must have",
        ),
        (
            json!([create(4, "x"), create(4, "x")]),
            "ops[1]: op 4 is not above 4",
        ),
    ] {
        author
            .send(&json!({"type": "batch", "ops": ops}))
            .await
            .expect("sent");
        let error = loop {
            let answer = author.receive().await.expect("an answer");
            let text = answer["message"].as_str().unwrap_or_default().to_owned();
            if answer["type"] == "error" && !text.starts_with("nothing of the batch") {
                break text;
            }
        };
        assert!(error.starts_with(message), "{error}, not {message}");
    }
    let answers = batch(&mut author, &[create(1, "y")]).await;
    assert_eq!(
        answers[0]["code"], "bad-op",
        "its number was used up: {answers:?}"
    );
    let answers = batch(&mut author, &[create(20, "y")]).await;
    assert_eq!(answers[0]["seq"], 1);
}

/// Killed at whatever step of a commit: a batch is there whole or not at all, and what was answered is there. Sent again it is
/// there once.
#[tokio::test]
async fn a_batch_that_is_killed_at_its_commit_is_whole_or_not_there() {
    for point in [
        "after-insert",
        "before-commit",
        "after-commit",
        "before-ack",
    ] {
        let mut relay = Relay::start(1, &[]).await;
        let dying = relay
            .add(&["--fail-point", &format!("{point}=abort@25")])
            .await;
        let id = new_id();
        let (mut author, _) = come(&relay, dying, &id).await;
        let mut answered = 0_u64;
        let mut ops: Vec<Value>;
        'alive: loop {
            let first = answered + 1;
            ops = (first..first + 20)
                .map(|op| create(op, &format!("o{op}")))
                .collect();
            let text = json!({"type": "batch", "ops": ops});
            if author.send(&text).await.is_err() {
                break;
            }
            while answered < first + 19 {
                match author.receive().await {
                    Ok(message) => answered += u64::from(message["type"] == "ack"),
                    Err(_) => break 'alive,
                }
            }
        }
        let whole = answered / 20 * 20;
        let seen = relay.join(0, "board").await;
        assert!(
            [whole, whole + 20].contains(&seen.seq),
            "{point}: {} of {answered}",
            seen.seq
        );
        assert_eq!(seen.model.objects.len() as u64, seen.seq);
        let (mut author, welcome) = come(&relay, 0, &id).await;
        assert_eq!(welcome["acked_op"], seen.seq, "{point}");
        let answers = batch(&mut author, &ops).await;
        let fine = |answer: &Value| answer["status"] == "ok" || answer["status"] == "dup";
        assert!(answers.iter().all(fine), "{answers:?}");
        let fresh = relay.join(0, "board").await;
        assert_eq!(
            (fresh.model.objects.len() as u64, fresh.seq),
            (whole + 20, whole + 20)
        );
    }
}
