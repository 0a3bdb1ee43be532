//! The work queue over real processes: waking, draining, dying. What its rules mean is tested in `src/jobs/tests.rs`, on every store.

#[path = "../relay/harness.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the other test binary uses the rest"
)]
mod harness;

mod api;
mod chaos;
mod clock;
#[path = "../chaos/disk.rs"]
#[allow(dead_code, reason = "the chaos rounds use the rest")]
mod disk;
mod processes;
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod steps;
mod tools;
mod wrong;

use std::time::Duration;

use serde_json::{Value, json};

use harness::{Relay, http};

/// One request to process `n`; its status and its body.
async fn ask(relay: &Relay, n: usize, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let headers = "Host: localhost\r\nContent-Type: application/json\r\n";
    let answer = http::ask(relay.address(n), method, path, headers, &body)
        .await
        .expect("an answer");
    let value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    (answer.status, value)
}

/// Pushes these messages into a queue's partition, each named as it is.
async fn push(relay: &Relay, n: usize, queue: &str, partition: &str, names: &[String]) -> Value {
    let items: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"queue": queue, "partition": partition, "transactionId": name, "payload": {"name": name}})
        })
        .collect();
    let (status, answer) = ask(relay, n, "POST", "/api/v1/push", &json!({"items": items})).await;
    assert_eq!(status, 201, "{answer}");
    answer
}

async fn pop(relay: &Relay, n: usize, query: &str) -> Vec<Value> {
    let (status, answer) = ask(
        relay,
        n,
        "GET",
        &format!("/api/v1/pop/queue/{query}"),
        &Value::Null,
    )
    .await;
    assert!(matches!(status, 200 | 204), "{status} {answer}");
    answer["messages"].as_array().cloned().unwrap_or_default()
}

/// An ack for the message as it was popped.
fn ack_of(message: &Value, status: &str) -> Value {
    json!({
        "transactionId": message["transactionId"],
        "partitionId": message["partitionId"],
        "leaseId": message["leaseId"],
        "consumerGroup": message["consumerGroup"],
        "status": status,
    })
}

async fn ack(relay: &Relay, n: usize, message: &Value, status: &str) -> Value {
    let (code, answer) = ask(relay, n, "POST", "/api/v1/ack", &ack_of(message, status)).await;
    assert_eq!(code, 200, "{answer}");
    answer[0].clone()
}

async fn status(relay: &Relay, n: usize, queue: &str) -> Value {
    let path = format!("/api/v1/status/queues/{queue}");
    ask(relay, n, "GET", &path, &Value::Null).await.1
}

async fn configure(relay: &Relay, queue: &str, options: Value) {
    let body = json!({"queue": queue, "options": options});
    let (code, answer) = ask(relay, 0, "POST", "/api/v1/configure", &body).await;
    assert_eq!(code, 200, "{answer}");
}

fn name_of(message: &Value) -> &str {
    message["transactionId"].as_str().expect("a name")
}

async fn nap(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
