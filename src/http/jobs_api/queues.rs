//! Queues: made, changed, deleted, in numbers.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::params::Params;
use super::{Answered, ApiState, answer, body};
use crate::http::json_response;
use crate::http::server_api::Names;
use crate::jobs::look::Query;
use crate::jobs::op::{Configure, Op};
use crate::jobs::status;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    queue: String,
    namespace: Option<String>,
    task: Option<String>,
    #[serde(default)]
    options: Option<Map<String, Value>>,
}

pub(super) async fn configure(State(state): State<ApiState>, body: Body) -> Response {
    let configured = async {
        let given: Given = body::parsed(body).await?;
        let op = Op::Configure(Configure {
            queue: given.queue,
            namespace: given.namespace,
            task: given.task,
            options: given.options.unwrap_or_default(),
        });
        state.run(op).await
    };
    answer(configured.await)
}

pub(super) async fn delete(State(state): State<ApiState>, Names(queue): Names<String>) -> Response {
    answer(state.run(Op::DeleteQueue(queue)).await)
}

pub(super) async fn clear(
    State(state): State<ApiState>,
    Names(queue): Names<String>,
    mut params: Params,
) -> Response {
    let partition = params.text("partition");
    if let Err(refusal) = params.end("partition") {
        return answer(Err(refusal));
    }
    answer(state.run(Op::Clear { queue, partition }).await)
}

async fn numbers(state: &ApiState, query: status::Query) -> Answered {
    state.look(Query::Status(query)).await
}

pub(super) async fn overview(State(state): State<ApiState>) -> Response {
    answer(numbers(&state, status::Query::Overview).await)
}

pub(super) async fn list(State(state): State<ApiState>, mut params: Params) -> Response {
    let namespace = params.text("namespace");
    let task = params.text("task");
    let query = status::Query::Queues { namespace, task };
    answer(numbers(&state, query).await)
}

pub(super) async fn show(State(state): State<ApiState>, Names(queue): Names<String>) -> Response {
    answer(numbers(&state, status::Query::Queue(queue)).await)
}

pub(super) async fn namespaces(State(state): State<ApiState>) -> Response {
    answer(numbers(&state, status::Query::Namespaces).await)
}

pub(super) async fn tasks(State(state): State<ApiState>) -> Response {
    answer(numbers(&state, status::Query::Tasks).await)
}

/// Partitions in one answer.
const MOST_PARTITIONS: usize = 1_000;

pub(super) async fn partitions(State(state): State<ApiState>, mut params: Params) -> Response {
    let listed = async {
        let queue = params.text("queue");
        let limit = params.number("limit", 100, 1..=MOST_PARTITIONS)?;
        numbers(&state, status::Query::Partitions { queue, limit }).await
    };
    answer(listed.await)
}

/// The numbers of now: what they were is for who scrapes `/metrics`.
pub(super) async fn analytics(State(state): State<ApiState>) -> Response {
    answer(numbers(&state, status::Query::Overview).await)
}

/// Numbers are always of now: there is nothing to refresh.
pub(super) async fn refresh() -> Response {
    json_response(StatusCode::OK, &json!({"success": true}))
}
