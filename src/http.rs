//! Everything over plain HTTP: health, numbers, the pages. `upgrade` has the way to a WebSocket, and `sse` the streams
//! that take its place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::analytics::Store;
use crate::analytics::history::Range;
use crate::assets::Assets;
use crate::backplane::{Beginnings, Directory, Lifecycle, Stats, Unavailable};
use crate::config::Config;
use crate::hooks::HookStore;
use crate::jobs::Jobs;
use crate::limits::GZIP_FROM_BYTES;

mod admin;
mod analytics;
mod api;
pub mod assets;
mod body;
mod demo;
mod diagnosis;
mod embedded;
mod forwarded;
mod health;
mod jobs_api;
pub mod listener;
pub mod lobby;
mod long;
mod look;
mod metrics;
mod monitor;
mod named_json;
mod names;
mod passing;
mod patient;
mod server_api;
pub mod sse;
pub mod upgrade;

pub use analytics::sampler;
pub use long::LongAnswers;
pub use look::Look;
pub use monitor::Monitor;
use upgrade::UpgradeState;

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

/// The analytics of one range, or why there are none.
type AnalyticsLook = Look<Result<Arc<Value>, String>>;

/// What all handlers share.
#[derive(Clone)]
pub struct HttpState {
    /// The canvases, for those who are not in one.
    pub directory: Arc<dyn Directory>,
    /// Who makes canvases, if that is bounded.
    pub beginnings: Option<Arc<Beginnings>>,
    /// Where the numbers of the queue come from.
    pub lifecycle: Arc<dyn Lifecycle>,
    /// The work queue; none over Redis.
    pub jobs: Option<Arc<Jobs>>,
    /// Images and files; none where they are off.
    pub assets: Option<Arc<Assets>>,
    /// The hooks.
    pub hooks: Arc<dyn HookStore>,
    /// What all processes did, for the analytics.
    pub analytics: Arc<dyn Store>,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The numbers of this process.
    pub relay: Arc<dyn RelayStatus>,
    /// Renders `/metrics`; see [`crate::telemetry::metrics_recorder`].
    pub metrics: PrometheusHandle,
    /// Watches the queue; [`Monitor::run`] must run beside the router.
    pub monitor: Arc<Monitor>,
    /// The gauges of jobs as `/metrics` last showed them, and when.
    pub jobs_shown: Arc<tokio::sync::Mutex<Option<(Instant, Value)>>>,
    /// The numbers of the queue, as they were last read.
    pub stats: Arc<Look<Result<Stats, Unavailable>>>,
    /// The analytics, as they were last read, by their range.
    pub analytics_shown: Arc<[AnalyticsLook; Range::WORDS.len()]>,
    /// What long answers hold.
    pub long_answers: LongAnswers,
    /// When the process started.
    pub started: Instant,
}

impl HttpState {
    /// The numbers of the queue. Whoever reaches the port may ask for them, so those who ask at a time share them.
    async fn queue_stats(&self) -> Result<Stats, Unavailable> {
        let read = async || self.lifecycle.stats().await;
        self.stats.share(read).await
    }
}

/// All routes of a relay.
pub fn whole(state: HttpState, upgrade: UpgradeState) -> Router {
    let hub = upgrade.hub.clone();
    let spawner = upgrade.spawner.clone();
    let assets = assets::router(hub, state.assets.clone(), spawner);
    router(state)
        .merge(assets)
        .merge(sse::router(upgrade.clone()))
        .merge(upgrade::router(upgrade))
}

/// All plain routes. What is not there is answered in JSON.
pub fn router(state: HttpState) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/stats", get(api::stats))
        .merge(server_api::router(state.clone()))
        .merge(jobs_api::router(state.clone()))
        .merge(admin::router(&state));
    router = serve_files(router, &embedded::LIBRARY);
    if state.config.demo {
        router = router
            .route("/", get(embedded::page))
            .route("/c/{canvas}", get(embedded::canvas_page))
            .route("/c/{canvas}/", get(embedded::canvas_folder));
        router = serve_files(router, &embedded::DEMO);
    }
    if state.config.demo_controls && state.config.listen.ip().is_loopback() {
        router = router
            .route("/api/v1/demo", get(demo::controls))
            .route("/api/v1/demo/kill", post(demo::kill));
    }
    let nothing_here = if state.config.demo {
        "there is nothing here; canvases are at /c/{canvas}"
    } else {
        "there is nothing here; the demo is switched off (--demo off)"
    };
    router
        .fallback(move || async move { error(StatusCode::NOT_FOUND, "not-found", nothing_here) })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(map_response(with_safe_headers))
        .layer(compression())
        .with_state(state)
}

fn serve_files(
    mut router: Router<HttpState>,
    files: &'static [embedded::Asset],
) -> Router<HttpState> {
    for asset in files {
        let serve = move |headers: HeaderMap| async move { embedded::answer(asset, &headers) };
        router = router.route(asset.path, get(serve));
    }
    router
}

/// Answers of more than a KiB are compressed for who takes that, but for those that are already, and streams.
fn compression() -> CompressionLayer<impl Predicate> {
    let long = SizeAbove::new(GZIP_FROM_BYTES).and(NotForContentType::SSE);
    CompressionLayer::new().gzip(true).compress_when(long)
}

/// An error as every route gives it: `{"error":…,"message":…}`.
fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json_response(status, &json!({ "error": code, "message": message }))
}

/// JSON that no cache keeps: all of it is about now.
fn json_response(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{body}\n")).into_response()
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
    img-src 'self' data: blob:; font-src 'self'; worker-src 'self'; connect-src 'self' ws: wss: blob:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn with_safe_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The dashboard has a stricter one of its own.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    response
}

#[cfg(test)]
mod tests;
