//! Everything over plain HTTP: health, numbers, the pages. The upgrade to a WebSocket is `upgrade`'s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::backplane::Backplane;
use crate::config::Config;

mod api;
mod assets;
mod diagnosis;
mod health;
pub mod listener;
mod metrics;
mod monitor;
mod patient;
mod server_api;
pub mod upgrade;

pub use monitor::Monitor;

/// How long a request waits for the queue before it says that the queue does not answer.
const QUEUE_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What the pages and probes need from the rest of the process.
pub trait RelayStatus: Send + Sync + 'static {
    /// Open WebSocket connections.
    fn connections(&self) -> u64;
    /// Canvases with a connection here.
    fn rooms(&self) -> u64;
    /// Whether the process shuts down.
    fn draining(&self) -> bool;
    /// How late timers fire, in milliseconds: the latest measurement.
    fn event_loop_lag_ms(&self) -> f64;
}

/// What all handlers share.
#[derive(Clone)]
pub struct HttpState {
    /// Where the numbers of the queue come from.
    pub backplane: Arc<dyn Backplane>,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The numbers of this process.
    pub relay: Arc<dyn RelayStatus>,
    /// Renders `/metrics`; see [`crate::telemetry::metrics_recorder`].
    pub metrics: PrometheusHandle,
    /// Watches the queue; [`Monitor::run`] must run beside the router.
    pub monitor: Arc<Monitor>,
    /// When the process started.
    pub started: Instant,
}

/// All plain routes. What is not there is answered in JSON.
pub fn router(state: HttpState) -> Router {
    let mut router = Router::new()
        .route("/", get(assets::page))
        .route("/c/{canvas}", get(assets::canvas_page))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/stats", get(api::stats))
        .merge(server_api::router(state.clone()));
    for asset in &assets::FILES {
        let serve = move |headers: HeaderMap| async move { assets::answer(asset, &headers) };
        router = router.route(asset.path, get(serve));
    }
    if state.config.demo_controls && state.config.listen.ip().is_loopback() {
        router = router
            .route("/api/v1/demo", get(api::demo))
            .route("/api/v1/demo/kill", post(api::demo_kill));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(map_response(with_safe_headers))
        .with_state(state)
}

/// An error as every route gives it: `{"error":…,"message":…}`.
fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json_response(status, &json!({ "error": code, "message": message }))
}

/// JSON that no cache keeps: all of it is about now.
fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{body}\n")).into_response()
}

async fn not_found() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "not-found",
        "there is nothing here; canvases are at /c/{canvas}",
    )
}

async fn method_not_allowed() -> Response {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "see the Allow header",
    )
}

/// Scripts, styles and connections only from and to this very server, and no frames of others around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; font-src 'self'; worker-src 'self'; connect-src 'self' ws: wss:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn with_safe_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
