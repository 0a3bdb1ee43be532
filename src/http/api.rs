//! `/api/v1/…`: this process and its queue in JSON, and the demo's controls.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use rustix::process::{Signal, getpid, kill_process};
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use super::{HttpState, QUEUE_ANSWER_TIMEOUT, error, json_response};
use crate::backplane::Stats;

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
}

/// All numbers, or 503 when the queue gives none.
pub(super) async fn stats(State(state): State<HttpState>) -> Response {
    let queue = match timeout(QUEUE_ANSWER_TIMEOUT, state.backplane.stats()).await {
        Ok(Ok(stats)) => stats,
        Ok(Err(unavailable)) => return unavailable_response(&unavailable.to_string()),
        Err(_) => return unavailable_response("the queue does not answer"),
    };
    let answer = Answer {
        instance_id: state.backplane.instance_id().as_str(),
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        backplane: match &state.config.redis {
            Some(_) => "redis",
            None if state.config.in_memory => "memory",
            None => "sqlite",
        },
        uptime_ms: u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        draining: state.relay.draining(),
        connections: state.relay.connections(),
        rooms: state.relay.rooms(),
        event_loop_lag_ms: state.relay.event_loop_lag_ms(),
        messages_per_second: state.monitor.messages_per_second(),
        queue,
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

/// Tells the demo that it may offer to kill this process.
pub(super) async fn demo(State(state): State<HttpState>) -> Response {
    let instance = state.backplane.instance_id().as_str();
    let body = json!({ "controls": true, "instance": instance, "pid": std::process::id() });
    json_response(StatusCode::OK, &body)
}

/// Ends the process the hard way (SIGKILL) after the answer had a moment to leave.
pub(super) async fn demo_kill(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    if !same_origin(&headers) {
        return error(
            StatusCode::FORBIDDEN,
            "forbidden",
            "only the demo's own page may ask for this",
        );
    }
    let instance = state.backplane.instance_id().as_str();
    tracing::warn!("the demo asked for the death of this process");
    let killer = std::thread::Builder::new()
        .name("killer".to_owned())
        .spawn(|| {
            let (_keep_open, never) = sync_channel::<()>(0);
            // Nothing will come: this is the moment for the answer.
            let _ = never.recv_timeout(Duration::from_millis(100));
            let _ = kill_process(getpid(), Signal::KILL);
        });
    match killer {
        Ok(_) => json_response(StatusCode::ACCEPTED, &json!({ "killed": instance })),
        Err(failed) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            &failed.to_string(),
        ),
    }
}

/// Whether the request comes from a page of this server, or from no page at all. Loopback does not
/// protect against other sites in the visitor's own browser.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match headers.get(header::ORIGIN) {
        None => true,
        Some(_) => {
            let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
            origin.is_some_and(|(_, host)| text(header::HOST) == Some(host))
        }
    }
}
