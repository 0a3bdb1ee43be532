//! `POST /api/v1/push`.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Answered, ApiState, answer, body, refused};
use crate::http::json_response;
use crate::jobs::op::{Answer, Op, PushItem, Pushed, Queued, Refusal};
use crate::jobs::work::partition_id;
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
    Ok(items.into_iter().map(PushItem::from).collect())
}

pub(super) async fn push(State(state): State<ApiState>, body: Body) -> Response {
    answer(pushed(&state, body).await)
}

async fn pushed(state: &ApiState, body: Body) -> Answered {
    let request: Request = body::parsed(body).await?;
    let items = items(request.items)?;
    let Answer::Pushed(pushed) = state.jobs()?.run(Op::Push(items)).await? else {
        return Err(Refusal::new(500, "internal", "the queue gave no answer"));
    };
    let results: Vec<Value> = pushed
        .iter()
        .enumerate()
        .map(|(i, done)| result(i, done))
        .collect();
    let mut refusals = pushed.iter().map(|done| match done {
        Pushed::Failed { refusal, .. } => Some(refusal),
        _ => None,
    });
    let first = refusals.next().flatten();
    match first {
        Some(first) if refusals.all(|refusal| refusal.is_some()) => {
            Ok(refused(first, json!({"results": results})))
        }
        _ => Ok(json_response(StatusCode::CREATED, &Value::Array(results))),
    }
}

pub(super) fn result(index: usize, pushed: &Pushed) -> Value {
    match pushed {
        Pushed::Queued(queued) => there(index, "queued", queued),
        Pushed::Duplicate(queued) => there(index, "duplicate", queued),
        Pushed::Failed { name, refusal } => json!({
            "index": index,
            "status": "failed",
            "transaction_id": name,
            "transactionId": name,
            "error": refusal.message,
            "code": refusal.code,
            "httpStatus": refusal.status,
        }),
    }
}

fn there(index: usize, status: &str, queued: &Queued) -> Value {
    let partition = partition_id(queued.partition, queued.partition_tag);
    let id = queued.id.to_string();
    json!({
        "index": index,
        "status": status,
        "transaction_id": queued.name,
        "transactionId": queued.name,
        "message_id": id,
        "messageId": id,
        "partition_id": partition,
        "partitionId": partition,
        "position": queued.position,
        "depth": queued.depth,
    })
}
