//! `POST /api/v1/push`.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::params::{Params, not_ours};
use super::text::{PartitionIds, Text, as_text, text};
use super::{Answered, ApiState, answer, body, raw, refused};
use crate::jobs::op::{Answer, Op, PushItem, Pushed, Refusal};
use crate::limits::JOB_BATCH;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    items: Vec<Item>,
}

/// A message as it is pushed, here and in a transaction.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Item {
    queue: String,
    partition: Option<String>,
    #[serde(alias = "data")]
    payload: Box<RawValue>,
    transaction_id: Option<String>,
    trace_id: Option<String>,
    priority: Option<i64>,
}

impl From<Item> for PushItem {
    fn from(item: Item) -> Self {
        Self {
            queue: item.queue,
            partition: item.partition.unwrap_or_default(),
            name: item.transaction_id.unwrap_or_default(),
            payload: Box::<str>::from(item.payload).into(),
            trace: item.trace_id,
            priority: item.priority,
        }
    }
}

pub(super) fn items(items: Vec<Item>) -> Result<Vec<PushItem>, Refusal> {
    if items.is_empty() || items.len() > JOB_BATCH {
        let message = format!("items has 1 to {JOB_BATCH} messages");
        return Err(Refusal::bad(message));
    }
    // Left out they have a default. An empty one is a variable that its author forgot to set.
    for (at, item) in items.iter().enumerate() {
        not_ours(&format!("items[{at}].queue"), &item.queue)?;
        for (name, given) in [
            ("partition", &item.partition),
            ("transactionId", &item.transaction_id),
        ] {
            if given.as_ref().is_some_and(String::is_empty) {
                let message = format!("items[{at}].{name} is 1 to 128 characters, or left out");
                return Err(Refusal::bad(message));
            }
        }
    }
    Ok(items.into_iter().map(PushItem::from).collect())
}

pub(super) async fn push(State(state): State<ApiState>, params: Params, body: Body) -> Response {
    answer(pushed(&state, params, body).await)
}

async fn pushed(state: &ApiState, params: Params, body: Body) -> Answered {
    let request: Request = body::parsed(body).await?;
    params.end("")?;
    let items = items(request.items)?;
    let Answer::Pushed(pushed) = state.jobs()?.run(Op::Push(items)).await? else {
        return Err(Refusal::new(500, "internal", "the queue gave no answer"));
    };
    let results = results(&pushed);
    let mut refusals = pushed.iter().map(|done| match done {
        Pushed::Failed { refusal, .. } => Some(refusal),
        _ => None,
    });
    let first = refusals.next().flatten();
    match first {
        Some(first) if refusals.all(|refusal| refusal.is_some()) => {
            Ok(refused(first, json!({"results": results})))
        }
        _ => Ok(raw(StatusCode::CREATED, text(&results))),
    }
}

/// What became of a message, on the wire.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Shown<'a> {
    There(There<'a>),
    Failed(Failed<'a>),
}

#[derive(Serialize)]
pub(super) struct There<'a> {
    index: usize,
    status: &'static str,
    transaction_id: &'a str,
    #[serde(rename = "transactionId")]
    transaction: &'a str,
    #[serde(serialize_with = "as_text")]
    message_id: i64,
    #[serde(rename = "messageId", serialize_with = "as_text")]
    message: i64,
    partition_id: Text,
    #[serde(rename = "partitionId")]
    partition: Text,
    position: i64,
    depth: i64,
}

#[derive(Serialize)]
pub(super) struct Failed<'a> {
    index: usize,
    status: &'static str,
    transaction_id: &'a str,
    #[serde(rename = "transactionId")]
    transaction: &'a str,
    error: &'a str,
    code: &'static str,
    #[serde(rename = "httpStatus")]
    http_status: u16,
}

/// What became of all of them.
pub(super) fn results(pushed: &[Pushed]) -> Vec<Shown<'_>> {
    let mut ids = PartitionIds::new();
    let all = pushed.iter().enumerate();
    all.map(|(index, done)| result(index, done, &mut ids))
        .collect()
}

fn result<'a>(index: usize, pushed: &'a Pushed, ids: &mut PartitionIds) -> Shown<'a> {
    let (status, queued) = match pushed {
        Pushed::Queued(queued) => ("queued", queued),
        Pushed::Duplicate(queued) => ("duplicate", queued),
        Pushed::Failed { name, refusal } => {
            return Shown::Failed(Failed {
                index,
                status: "failed",
                transaction_id: name,
                transaction: name,
                error: &refusal.message,
                code: refusal.code,
                http_status: refusal.status,
            });
        }
    };
    let partition = ids.of(queued.partition, queued.partition_tag);
    Shown::There(There {
        index,
        status,
        transaction_id: &queued.name,
        transaction: &queued.name,
        message_id: queued.id,
        message: queued.id,
        partition_id: partition.clone(),
        partition,
        // The wire has no place of what is gone as 0.
        position: queued.position.unwrap_or(0),
        depth: queued.depth,
    })
}
