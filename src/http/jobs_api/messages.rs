//! Single messages, dead letters, and traces.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::params::{NoParams, Params};
use super::{Answered, ApiState, answer, body};
use crate::http::names::Names;
use crate::jobs::lists::group_or_default;
use crate::jobs::op::{Op, Refusal, Touch, TraceItem, What};
use crate::jobs::work::check_name;
use crate::limits::MAX_OBJECT_BYTES;

type Message = Names<(String, String)>;

pub(super) async fn requeue(
    State(state): State<ApiState>,
    message: Message,
    params: Params,
) -> Response {
    answer(touched(&state, message, params, What::Requeue).await)
}

pub(super) async fn to_dead(
    State(state): State<ApiState>,
    message: Message,
    params: Params,
) -> Response {
    answer(touched(&state, message, params, What::ToDead).await)
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    message: Message,
    params: Params,
) -> Response {
    answer(touched(&state, message, params, What::Delete).await)
}

async fn touched(
    state: &ApiState,
    Names((partition_id, name)): Message,
    mut params: Params,
    what: What,
) -> Answered {
    let group = params.name("consumerGroup")?;
    params.end("consumerGroup")?;
    let touch = Touch {
        partition_id,
        name,
        group,
        what,
    };
    state.run(Op::Touch(touch)).await
}

/// Numbers of the dead are numbers in text.
fn dead_id(text: &str) -> Result<i64, Refusal> {
    let message = "the id of an entry is a number, as /api/v1/dlq tells it";
    text.parse().map_err(|_| Refusal::bad(message))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Review {
    reviewed: Option<bool>,
}

pub(super) async fn reviewed(
    State(state): State<ApiState>,
    Names(id): Names<String>,
    params: Params,
    body: Body,
) -> Response {
    let reviewed = async {
        let review: Review = body::parsed(body).await?;
        params.end("")?;
        let op = Op::DeadReviewed {
            id: dead_id(&id)?,
            reviewed: review.reviewed.unwrap_or(true),
        };
        state.run(op).await
    };
    answer(reviewed.await)
}

pub(super) async fn replay(
    State(state): State<ApiState>,
    Names(id): Names<String>,
    _: NoParams,
) -> Response {
    let replayed = async { state.run(Op::DeadReplay { id: dead_id(&id)? }).await };
    answer(replayed.await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Note {
    transaction_id: String,
    partition_id: String,
    consumer_group: Option<String>,
    trace_names: Option<Vec<String>>,
    event_type: Option<String>,
    data: Box<RawValue>,
}

/// Names of one trace.
const MOST_NAMES: usize = 16;

pub(super) async fn trace(State(state): State<ApiState>, params: Params, body: Body) -> Response {
    answer(traced(&state, params, body).await)
}

async fn traced(state: &ApiState, params: Params, body: Body) -> Answered {
    let note: Note = body::parsed(body).await?;
    params.end("")?;
    let names = note.trace_names.unwrap_or_default();
    if names.len() > MOST_NAMES {
        return Err(Refusal::bad(format!("traceNames has at most {MOST_NAMES}")));
    }
    names
        .iter()
        .try_for_each(|name| check_name("each of traceNames", name))?;
    let event = note.event_type.unwrap_or_else(|| "info".to_owned());
    check_name("eventType", &event)?;
    let group = group_or_default(note.consumer_group);
    check_name("consumerGroup", &group)?;
    if note.data.get().len() > MAX_OBJECT_BYTES {
        let message = format!("data is at most {MAX_OBJECT_BYTES} bytes");
        return Err(Refusal::new(413, "too-large", message));
    }
    let item = TraceItem {
        partition_id: note.partition_id,
        name: note.transaction_id,
        group,
        event,
        names,
        data: note.data.get().to_owned(),
    };
    state.run(Op::Trace(item)).await
}
