//! `/healthz`: the process is alive. `/readyz`: it can take clients and commit their messages.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use tokio::time::timeout;

use super::{HttpState, QUEUE_ANSWER_TIMEOUT, json_response};

/// Answers as long as the process can.
pub(super) async fn healthz() -> Response {
    json_response(StatusCode::OK, &json!({ "alive": true }))
}

/// 200, or 503 with the reason. A place of assets that does not answer is no reason: canvases go on, and another process has the same one.
pub(super) async fn readyz(State(state): State<HttpState>) -> Response {
    match unready(&state).await {
        None => {
            let mut body = json!({ "ready": true });
            if state
                .assets
                .as_ref()
                .is_some_and(|assets| assets.are_failing())
            {
                body["assets"] = "can't be kept or read: see the log".into();
            }
            json_response(StatusCode::OK, &body)
        }
        Some(reason) => {
            let body = json!({ "ready": false, "reason": reason });
            json_response(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}

pub(super) async fn unready(state: &HttpState) -> Option<String> {
    if state.relay.draining() {
        return Some("draining: this process is shutting down".to_owned());
    }
    match timeout(QUEUE_ANSWER_TIMEOUT, state.lifecycle.ready()).await {
        Err(_) => Some("the queue does not answer".to_owned()),
        Ok(Err(error)) => Some(error.to_string()),
        Ok(Ok(())) => state.monitor.is_critical().then(|| {
            "the queue is critical: see queue_size and oldest_unprocessed_ms in /api/v1/stats"
                .to_owned()
        }),
    }
}
