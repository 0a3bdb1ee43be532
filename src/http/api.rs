//! `/api/v1/stats`: this process and its queue in JSON.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{HttpState, QUEUE_ANSWER_TIMEOUT, error, json_response};
use crate::backplane::Stats;
use crate::config::Store;

/// The answer of `/api/v1/stats`.
#[derive(Serialize)]
struct Answer<'a> {
    instance_id: &'a str,
    version: &'static str,
    pid: u32,
    /// `sqlite` or `memory`.
    backplane: &'static str,
    uptime_ms: u64,
    draining: bool,
    connections: u64,
    rooms: u64,
    event_loop_lag_ms: f64,
    messages_per_second: f64,
    #[serde(flatten)]
    queue: Stats,
    /// The queues of jobs; `null` if they can't be read now, or there are none here.
    jobs: Option<Value>,
}

/// All numbers, or 503 when the queue gives none.
pub(super) async fn stats(State(state): State<HttpState>) -> Response {
    let queue = match timeout(QUEUE_ANSWER_TIMEOUT, state.queue_stats()).await {
        Ok(Ok(stats)) => stats,
        Ok(Err(unavailable)) => return unavailable_response(&unavailable.to_string()),
        Err(_) => return unavailable_response("the queue does not answer"),
    };
    let answer = Answer {
        instance_id: state.lifecycle.instance_id().as_str(),
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        backplane: match state.config.store {
            Store::Memory => "memory",
            Store::Sqlite(_) => "sqlite",
            Store::Redis(_) => "redis",
        },
        uptime_ms: u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        draining: state.relay.draining(),
        connections: state.relay.connections(),
        rooms: state.relay.rooms(),
        event_loop_lag_ms: state.relay.event_loop_lag_ms(),
        messages_per_second: state.monitor.messages_per_second(),
        queue,
        jobs: super::metrics::jobs_shown(&state).await,
    };
    match serde_json::to_value(&answer) {
        Ok(body) => json_response(StatusCode::OK, &body),
        Err(failed) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            &failed.to_string(),
        ),
    }
}

fn unavailable_response(reason: &str) -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", reason)
}
