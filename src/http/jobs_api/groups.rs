//! Consumer groups.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::params::{NoParams, Params, not_a_time};
use super::{Answered, ApiState, answer, body};
use crate::http::names::Names;
use crate::jobs::look::{Query, parse_iso};
use crate::jobs::op::{Op, Refusal, Start};
use crate::jobs::status;

async fn numbers(state: &ApiState, name: Option<String>, behind_s: i64) -> Answered {
    let query = status::Query::Groups { name, behind_s };
    state.look(Query::Status(query)).await
}

pub(super) async fn list(State(state): State<ApiState>, _: NoParams) -> Response {
    answer(numbers(&state, None, 0).await)
}

/// A day: who is further behind is behind all the same.
const MOST_SECONDS: usize = 315_360_000;

pub(super) async fn lagging(State(state): State<ApiState>, mut params: Params) -> Response {
    let lagging = async {
        let behind = params.number("minLagSeconds", 60, 0..=MOST_SECONDS)?;
        params.end("minLagSeconds")?;
        let behind_s = i64::try_from(behind).unwrap_or(i64::MAX);
        numbers(&state, None, behind_s.max(1)).await
    };
    answer(lagging.await)
}

pub(super) async fn show(
    State(state): State<ApiState>,
    Names(group): Names<String>,
    _: NoParams,
) -> Response {
    answer(numbers(&state, Some(group), 0).await)
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Names(group): Names<String>,
    params: Params,
) -> Response {
    answer(deleted(&state, None, group, params).await)
}

pub(super) async fn delete_of_queue(
    State(state): State<ApiState>,
    Names((group, queue)): Names<(String, String)>,
    params: Params,
) -> Response {
    answer(deleted(&state, Some(queue), group, params).await)
}

async fn deleted(
    state: &ApiState,
    queue: Option<String>,
    group: String,
    mut params: Params,
) -> Answered {
    // A group is its place and its begin: there is no metadata that could stay.
    params.flag("deleteMetadata")?;
    params.end("deleteMetadata")?;
    state.run(Op::DeleteGroup { queue, group }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Subscription {
    subscription_timestamp: String,
}

pub(super) async fn subscribe(
    State(state): State<ApiState>,
    Names(group): Names<String>,
    params: Params,
    body: Body,
) -> Response {
    let subscribed = async {
        let given: Subscription = body::parsed(body).await?;
        params.end("")?;
        let from = parse_iso(&given.subscription_timestamp);
        let from = from.ok_or_else(|| not_a_time("subscriptionTimestamp"))?;
        state.run(Op::Subscribe { group, from }).await
    };
    answer(subscribed.await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Seek {
    to_end: Option<bool>,
    timestamp: Option<String>,
}

pub(super) async fn seek(
    State(state): State<ApiState>,
    Names((group, queue)): Names<(String, String)>,
    params: Params,
    body: Body,
) -> Response {
    let sought = async {
        let given = body::parsed(body).await?;
        params.end("")?;
        let to = match given {
            Seek {
                to_end: Some(true),
                timestamp: None,
            } => Start::New,
            Seek {
                to_end: None | Some(false),
                timestamp: Some(text),
            } => Start::From(parse_iso(&text).ok_or_else(|| not_a_time("timestamp"))?),
            _ => {
                let message = "give either toEnd: true, or a timestamp";
                return Err(Refusal::bad(message));
            }
        };
        state.run(Op::Seek { queue, group, to }).await
    };
    answer(sought.await)
}
