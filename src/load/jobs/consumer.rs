//! A connection that pops and acks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::Shared;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Popped {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    transaction_id: String,
    partition_id: String,
    lease_id: String,
    partition: String,
    data: Payload,
}

#[derive(Deserialize)]
struct Payload {
    s: usize,
    n: usize,
    due: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ack<'a> {
    transaction_id: &'a str,
    partition_id: &'a str,
    lease_id: &'a str,
    status: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Acks<'a> {
    acknowledgments: Vec<Ack<'a>>,
    consumer_group: String,
}

/// Pops and acks until there is nothing more to come.
pub async fn consume(shared: Arc<Shared>, group: usize, n: usize) -> anyhow::Result<()> {
    let mut http = shared.connect(n).await?;
    let path = format!(
        "/api/v1/pop/queue/{}?consumerGroup=g{group}&batch={}&partitions={}&wait=true&timeout=500",
        shared.queue,
        shared.args.pop_batch,
        shared.args.partitions.min(100)
    );
    while !shared.ended.load(Ordering::Acquire) {
        let (status, body) = http.call("GET", &path, "").await?;
        match status {
            200 => {}
            204 => continue,
            _ => bail!(
                "the relay answers {status}: {}",
                String::from_utf8_lossy(&body)
            ),
        }
        let popped: Popped = serde_json::from_slice(&body)?;
        let now = shared.ns();
        {
            let mut delivered = shared.delivered.lock();
            for message in &popped.messages {
                delivered.record(now.saturating_sub(message.data.due) / 1_000);
            }
        }
        let acknowledgments = popped.messages.iter().map(|message| Ack {
            transaction_id: &message.transaction_id,
            partition_id: &message.partition_id,
            lease_id: &message.lease_id,
            status: "completed",
        });
        let acks = Acks {
            acknowledgments: acknowledgments.collect(),
            consumer_group: format!("g{group}"),
        };
        let asked = Instant::now();
        let body = serde_json::to_string(&acks)?;
        let (status, answer) = http.call("POST", "/api/v1/ack/batch", &body).await?;
        let us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        shared.acked.lock().record(us);
        let answer = String::from_utf8_lossy(&answer);
        if status != 200 || answer.contains("\"success\":false") {
            bail!("an ack was refused with {status}: {answer:.200}");
        }
        let mut ledger = shared.ledger.lock();
        for message in &popped.messages {
            ledger.came(group, &message.partition, message.data.s, message.data.n);
        }
    }
    Ok(())
}
