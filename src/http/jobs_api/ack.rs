//! `POST /api/v1/ack`, `/api/v1/ack/batch`, `/api/v1/lease/{lease}/extend`.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, ApiState, answer, body};
use crate::http::json_response;
use crate::http::server_api::Names;
use crate::jobs::ack::lease_over;
use crate::jobs::lists::group_or_default;
use crate::jobs::look::iso;
use crate::jobs::op::{AckItem, Acked, Answer, Op, Refusal, Verdict};
use crate::jobs::work::parse_lease;
use crate::limits::JOB_BATCH;

/// An ack, here and in a transaction.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Ack {
    pub(super) transaction_id: String,
    pub(super) partition_id: String,
    pub(super) status: Option<String>,
    pub(super) error: Option<String>,
    pub(super) lease_id: Option<String>,
    pub(super) consumer_group: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Batch {
    acknowledgments: Vec<Ack>,
    consumer_group: Option<String>,
}

/// An ack as the rules take it. A lease that can't be one is like one that is over.
pub(super) fn item(ack: Ack, group: Option<&String>) -> Result<AckItem, Refusal> {
    let verdict = match ack.status.as_deref() {
        None | Some("completed" | "success") => Verdict::Completed,
        Some("failed") => Verdict::Failed,
        Some("retry") => Verdict::Retry,
        Some("dlq") => Verdict::Dead,
        Some(other) => {
            let message = format!("status is completed, failed, retry or dlq, not {other:.40}");
            return Err(Refusal::bad(message));
        }
    };
    let lease = ack
        .lease_id
        .filter(|lease| !lease.is_empty())
        .map(|lease| parse_lease(&lease).ok_or_else(lease_over))
        .transpose()?;
    Ok(AckItem {
        partition_id: ack.partition_id,
        name: ack.transaction_id,
        verdict,
        error: ack.error,
        lease,
        group: group_or_default(ack.consumer_group.or_else(|| group.cloned())),
    })
}

pub(super) async fn one(State(state): State<ApiState>, body: Body) -> Response {
    let acked = async {
        let ack = body::parsed(body).await?;
        acked(&state, vec![ack], None).await
    };
    answer(acked.await)
}

pub(super) async fn batch(State(state): State<ApiState>, body: Body) -> Response {
    let acked = async {
        let batch: Batch = body::parsed(body).await?;
        acked(&state, batch.acknowledgments, batch.consumer_group).await
    };
    answer(acked.await)
}

async fn acked(state: &ApiState, acks: Vec<Ack>, group: Option<String>) -> Answered {
    if acks.is_empty() || acks.len() > JOB_BATCH {
        let message = format!("acknowledgments has 1 to {JOB_BATCH} of them");
        return Err(Refusal::bad(message));
    }
    // What is wrong by itself has its error at its place; the others are taken.
    let (mut results, mut items, mut places) =
        (vec![Value::Null; acks.len()], Vec::new(), Vec::new());
    for (index, ack) in acks.into_iter().enumerate() {
        let name = ack.transaction_id.clone();
        match item(ack, group.as_ref()) {
            Ok(item) => {
                items.push(item);
                places.push(index);
            }
            Err(refusal) => {
                let result = Err(refusal);
                results[index] = self::result(index, &Acked { name, result });
            }
        }
    }
    if !items.is_empty() {
        let Answer::Acked(acked) = state.jobs()?.run(Op::Ack(items)).await? else {
            return Err(Refusal::new(500, "internal", "the queue gave no answer"));
        };
        for (index, acked) in places.into_iter().zip(&acked) {
            results[index] = result(index, acked);
        }
    }
    Ok(json_response(StatusCode::OK, &Value::Array(results)))
}

pub(super) fn result(index: usize, acked: &Acked) -> Value {
    match &acked.result {
        Ok(done) => json!({
            "index": index,
            "transactionId": acked.name,
            "success": true,
            "error": null,
            "queueName": done.queue,
            "partitionName": done.partition,
            "leaseReleased": done.lease_released,
            "dlq": done.dead,
            "retryAt": done.retry_at.map(iso),
        }),
        Err(refusal) => json!({
            "index": index,
            "transactionId": acked.name,
            "success": false,
            "error": refusal.message,
            "code": refusal.code,
            "status": refusal.status,
            "dlq": false,
            "leaseReleased": false,
        }),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    seconds: Option<i64>,
}

/// The longest extension, in seconds: that of a lease.
const MOST_SECONDS: i64 = 43_200;

pub(super) async fn extend(
    State(state): State<ApiState>,
    Names(lease): Names<String>,
    body: Body,
) -> Response {
    answer(extended(&state, &lease, body).await)
}

async fn extended(state: &ApiState, text: &str, body: Body) -> Answered {
    let extension: Extension = body::parsed(body).await?;
    let wrong = |seconds: &i64| !(1..=MOST_SECONDS).contains(seconds);
    if extension.seconds.as_ref().is_some_and(wrong) {
        let message = format!("seconds is a whole number from 1 to {MOST_SECONDS}");
        return Err(Refusal::bad(message));
    }
    let lease = parse_lease(text).ok_or_else(lease_over)?;
    let ms = extension.seconds.map(|seconds| seconds * 1_000);
    let Answer::Extended(until) = state.jobs()?.run(Op::Extend { lease, ms }).await? else {
        return Err(Refusal::new(500, "internal", "the queue gave no answer"));
    };
    let until = iso(until);
    let body = json!({
        "success": true, "leaseId": text, "newExpiresAt": until, "expiresAt": until, "lease_expires_at": until,
    });
    Ok(json_response(StatusCode::OK, &body))
}
