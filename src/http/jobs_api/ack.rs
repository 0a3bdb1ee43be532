//! `POST /api/v1/ack`, `/api/v1/ack/batch`, `/api/v1/lease/{lease}/extend`.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::params::Params;
use super::text::text;
use super::{Answered, ApiState, answer, body, raw};
use crate::http::json_response;
use crate::http::names::Names;
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

pub(super) async fn one(State(state): State<ApiState>, params: Params, body: Body) -> Response {
    let acked = async {
        let ack = body::parsed(body).await?;
        params.end("")?;
        acked(&state, vec![ack], None).await
    };
    answer(acked.await)
}

pub(super) async fn batch(State(state): State<ApiState>, params: Params, body: Body) -> Response {
    let acked = async {
        let batch: Batch = body::parsed(body).await?;
        params.end("")?;
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
    let mut results: Vec<Option<Acked>> = acks.iter().map(|_| None).collect();
    let mut items = Vec::with_capacity(acks.len());
    let mut places = Vec::with_capacity(acks.len());
    for (index, mut ack) in acks.into_iter().enumerate() {
        let name = std::mem::take(&mut ack.transaction_id);
        match item(ack, group.as_ref()) {
            Ok(item) => {
                items.push(AckItem { name, ..item });
                places.push(index);
            }
            Err(refusal) => {
                let result = Err(refusal);
                results[index] = Some(Acked { name, result });
            }
        }
    }
    if !items.is_empty() {
        let Answer::Acked(acked) = state.jobs()?.run(Op::Ack(items)).await? else {
            return Err(Refusal::new(500, "internal", "the queue gave no answer"));
        };
        for (index, acked) in places.into_iter().zip(acked) {
            results[index] = Some(acked);
        }
    }
    let shown = results.iter().flatten().enumerate();
    let shown: Vec<_> = shown.map(|(index, acked)| result(index, acked)).collect();
    Ok(raw(StatusCode::OK, text(&shown)))
}

/// What became of an ack, on the wire.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(super) enum Shown<'a> {
    Done {
        index: usize,
        transaction_id: &'a str,
        success: bool,
        error: Option<&'a str>,
        queue_name: &'a str,
        partition_name: &'a str,
        lease_released: bool,
        dlq: bool,
        retry_at: Option<String>,
    },
    Refused {
        index: usize,
        transaction_id: &'a str,
        success: bool,
        error: &'a str,
        code: &'static str,
        status: u16,
        dlq: bool,
        lease_released: bool,
    },
}

pub(super) fn result(index: usize, acked: &Acked) -> Shown<'_> {
    match &acked.result {
        Ok(done) => Shown::Done {
            index,
            transaction_id: &acked.name,
            success: true,
            error: None,
            queue_name: &done.queue,
            partition_name: &done.partition,
            lease_released: done.lease_released,
            dlq: done.dead,
            retry_at: done.retry_at.map(iso),
        },
        Err(refusal) => Shown::Refused {
            index,
            transaction_id: &acked.name,
            success: false,
            error: &refusal.message,
            code: refusal.code,
            status: refusal.status,
            dlq: false,
            lease_released: false,
        },
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
    params: Params,
    body: Body,
) -> Response {
    answer(extended(&state, &lease, params, body).await)
}

async fn extended(state: &ApiState, text: &str, params: Params, body: Body) -> Answered {
    let extension: Extension = body::parsed(body).await?;
    params.end("")?;
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
