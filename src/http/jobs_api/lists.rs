//! Messages, dead letters and traces, page by page.

use axum::extract::State;
use axum::response::Response;

use super::params::{NoParams, Params};
use super::{Answered, ApiState, answer};
use crate::http::names::Names;
use crate::jobs::lists::{DeadQuery, MessagesQuery, Query, group_or_default};
use crate::jobs::look;
use crate::jobs::op::Refusal;
use crate::limits::JOB_BATCH;

async fn listed(state: &ApiState, query: Query) -> Answered {
    state.list(look::Query::Lists(query)).await
}

/// How far into a list one may ask.
const MOST_OFFSET: usize = 10_000_000;

fn page(params: &mut Params, default: usize) -> Result<(usize, usize), Refusal> {
    let limit = params.number("limit", default, 1..=JOB_BATCH)?;
    let offset = params.number("offset", 0, 0..=MOST_OFFSET)?;
    Ok((limit, offset))
}

pub(super) async fn peek(
    State(state): State<ApiState>,
    Names(queue): Names<String>,
    mut params: Params,
) -> Response {
    let peeked = async {
        let partition = params.name("partition")?;
        let group = group_or_default(params.name("consumerGroup")?);
        let batch = params.number("batch", 1, 1..=JOB_BATCH)?;
        let limit = params.number("limit", batch, 1..=JOB_BATCH)?;
        params.end("batch, limit, partition, consumerGroup")?;
        let query = Query::Peek {
            queue,
            partition,
            group,
            limit,
        };
        listed(&state, query).await
    };
    answer(peeked.await)
}

pub(super) async fn dead(State(state): State<ApiState>, mut params: Params) -> Response {
    let found = async {
        let (limit, offset) = page(&mut params, 100)?;
        let query = DeadQuery {
            queue: params.name("queue")?,
            group: params.name("consumerGroup")?,
            partition: params.name("partition")?,
            namespace: params.name("namespace")?,
            task: params.name("task")?,
            reviewed: params.flag("reviewed")?,
            from: params.time("from")?,
            to: params.time("to")?,
            limit,
            offset,
        };
        params.end(
            "queue, namespace, task, consumerGroup, partition, reviewed, from, to, limit, offset",
        )?;
        listed(&state, Query::Dead(query)).await
    };
    answer(found.await)
}

/// What a message can be. The last three are the same: it is in the dead-letter queue.
const STATUSES: [&str; 6] = [
    "pending",
    "processing",
    "completed",
    "failed",
    "dead_letter",
    "dlq",
];

async fn messages_by(state: &ApiState, queue: Option<String>, mut params: Params) -> Answered {
    let (limit, offset) = page(&mut params, 50)?;
    let named = match queue {
        Some(_) => None,
        None => params.name("queue")?,
    };
    let status = params.text("status");
    if status
        .as_ref()
        .is_some_and(|status| !STATUSES.contains(&status.as_str()))
    {
        let message = format!("status is one of {}", STATUSES.join(", "));
        return Err(Refusal::bad(message));
    }
    let query = MessagesQuery {
        queue: queue.or(named),
        partition: params.name("partition")?,
        namespace: match params.name("namespace")? {
            Some(namespace) => Some(namespace),
            None => params.name("ns")?,
        },
        task: params.name("task")?,
        status,
        limit,
        offset,
    };
    params.end("queue, partition, namespace, ns, task, status, limit, offset")?;
    listed(state, Query::Messages(query)).await
}

pub(super) async fn messages(State(state): State<ApiState>, params: Params) -> Response {
    answer(messages_by(&state, None, params).await)
}

pub(super) async fn messages_of(
    State(state): State<ApiState>,
    Names(queue): Names<String>,
    params: Params,
) -> Response {
    answer(messages_by(&state, Some(queue), params).await)
}

pub(super) async fn message(
    State(state): State<ApiState>,
    Names((partition_id, name)): Names<(String, String)>,
    _: NoParams,
) -> Response {
    answer(listed(&state, Query::Message { partition_id, name }).await)
}

pub(super) async fn traces(
    State(state): State<ApiState>,
    Names((partition_id, name)): Names<(String, String)>,
    _: NoParams,
) -> Response {
    answer(listed(&state, Query::Traces { partition_id, name }).await)
}

pub(super) async fn traces_named(
    State(state): State<ApiState>,
    Names(name): Names<String>,
    mut params: Params,
) -> Response {
    let found = async {
        let (limit, offset) = page(&mut params, 100)?;
        let from = params.time("from")?;
        let to = params.time("to")?;
        params.end("from, to, limit, offset")?;
        let query = Query::TracesNamed {
            name,
            from,
            to,
            limit,
            offset,
        };
        listed(&state, query).await
    };
    answer(found.await)
}

pub(super) async fn trace_names(State(state): State<ApiState>, mut params: Params) -> Response {
    let found = async {
        let limit = params.number("limit", 100, 1..=JOB_BATCH)?;
        let search = params.name("search")?;
        params.end("search, limit")?;
        listed(&state, Query::TraceNames { search, limit }).await
    };
    answer(found.await)
}
