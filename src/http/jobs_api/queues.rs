//! Queues: made, changed, deleted, in numbers.

use std::fmt::Formatter;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::params::{NoParams, Params};
use super::{Answered, ApiState, answer, body};
use crate::http::json_response;
use crate::http::names::Names;
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
    options: Option<Options>,
}

/// Options as they are given, each once.
struct Options(Map<String, Value>);

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Options;
            fn expecting(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
                to.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Options, A::Error> {
                let mut all = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if all.contains_key(&name) {
                        let message = format!("duplicate field `{name}`");
                        return Err(A::Error::custom(message));
                    }
                    all.insert(name, value);
                }
                Ok(Options(all))
            }
        }
        from.deserialize_map(Each)
    }
}

pub(super) async fn configure(
    State(state): State<ApiState>,
    params: Params,
    body: Body,
) -> Response {
    let configured = async {
        let given: Given = body::parsed(body).await?;
        params.end("")?;
        let op = Op::Configure(Configure {
            queue: given.queue,
            namespace: given.namespace,
            task: given.task,
            options: given.options.map(|options| options.0).unwrap_or_default(),
        });
        state.run(op).await
    };
    answer(configured.await)
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Names(queue): Names<String>,
    _: NoParams,
) -> Response {
    answer(state.run(Op::DeleteQueue(queue)).await)
}

pub(super) async fn clear(
    State(state): State<ApiState>,
    Names(queue): Names<String>,
    mut params: Params,
) -> Response {
    let cleared = async {
        let partition = params.name("partition")?;
        params.end("partition")?;
        state.run(Op::Clear { queue, partition }).await
    };
    answer(cleared.await)
}

async fn numbers(state: &ApiState, query: status::Query) -> Answered {
    state.look(Query::Status(query)).await
}

pub(super) async fn overview(State(state): State<ApiState>, mut params: Params) -> Response {
    let overview = async {
        params.span()?;
        params.end("from, to, interval")?;
        numbers(&state, status::Query::Overview).await
    };
    answer(overview.await)
}

pub(super) async fn list(State(state): State<ApiState>, mut params: Params) -> Response {
    let listed = async {
        params.span()?;
        let query = status::Query::Queues(status::Which {
            namespace: params.name("namespace")?,
            task: params.name("task")?,
            search: params.name("search")?,
            limit: params.number("limit", MOST_QUEUES, 1..=MOST_QUEUES)?,
            offset: params.number("offset", 0, 0..=MOST_QUEUES)?,
        });
        params.end("namespace, task, search, limit, offset, from, to, interval")?;
        numbers(&state, query).await
    };
    answer(listed.await)
}

pub(super) async fn show(
    State(state): State<ApiState>,
    Names(queue): Names<String>,
    mut params: Params,
) -> Response {
    let shown = async {
        params.span()?;
        params.end("from, to, interval")?;
        numbers(&state, status::Query::Queue(queue)).await
    };
    answer(shown.await)
}

pub(super) async fn namespaces(State(state): State<ApiState>, _: NoParams) -> Response {
    answer(numbers(&state, status::Query::Namespaces).await)
}

pub(super) async fn tasks(State(state): State<ApiState>, _: NoParams) -> Response {
    answer(numbers(&state, status::Query::Tasks).await)
}

/// Queues in one answer: all of them.
const MOST_QUEUES: usize = 1_000;

/// Partitions in one answer, and before it.
const MOST_PARTITIONS: usize = 1_000;
const MOST_PARTITIONS_PASSED: usize = 10_000_000;

pub(super) async fn partitions(State(state): State<ApiState>, mut params: Params) -> Response {
    let listed = async {
        let queue = params.name("queue")?;
        let limit = params.number("limit", 100, 1..=MOST_PARTITIONS)?;
        let offset = params.number("offset", 0, 0..=MOST_PARTITIONS_PASSED)?;
        params.end("queue, limit, offset")?;
        let query = status::Query::Partitions {
            queue,
            limit,
            offset,
        };
        numbers(&state, query).await
    };
    answer(listed.await)
}

/// The numbers of now: what they were is for who scrapes `/metrics`.
pub(super) async fn analytics(State(state): State<ApiState>, mut params: Params) -> Response {
    let numbers = async {
        params.span()?;
        for name in ["queue", "namespace", "task"] {
            params.name(name)?;
        }
        params.end("from, to, interval, queue, namespace, task")?;
        numbers(&state, status::Query::Overview).await
    };
    answer(numbers.await)
}

/// Numbers are always of now: there is nothing to refresh.
pub(super) async fn refresh(_: NoParams) -> Response {
    json_response(StatusCode::OK, &json!({"success": true}))
}
