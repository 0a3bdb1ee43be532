//! `/api/v1/canvases/…`: the API for an application's own servers. Described in `server_api/openapi.json`, which is
//! served too.
//!
//! A token allows what its scopes say. Without tokens, only processes of this host are answered. A proxy in front would
//! make everybody a process of this host, and a browser would act for any page. So a request that shows signs of either
//! is refused.

mod access;
mod canvases;
mod document;
mod hooks;
mod publish;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use super::body::{CROWDED, NoBody};
use super::names::RefusesPaths;
use super::{HttpState, error, json_response};
use crate::backplane::{Found, Refusal, Unavailable};
use crate::limits::HTTP_BODY_TIMEOUT;
use crate::protocol::ids::CanvasId;
use crate::protocol::server_message::ErrorCode;
pub(super) use access::{guard_jobs, is_straight};
use publish::Robot;

/// What the handlers share.
#[derive(Clone)]
struct ApiState {
    http: HttpState,
    /// The author of messages without a key.
    robot: Arc<Robot>,
}

impl RefusesPaths for ApiState {
    fn bad_path(message: String) -> Response {
        *bad(&message)
    }
}

/// The routes, behind their guard; the description is for everybody.
pub(super) fn router(http: HttpState) -> Router<HttpState> {
    let state = ApiState {
        http: http.clone(),
        robot: Arc::new(Robot::new()),
    };
    Router::new()
        .route(
            "/api/v1/analytics",
            get(super::analytics::show).with_state(http.clone()),
        )
        .route("/api/v1/canvases", get(canvases::list))
        .route(
            "/api/v1/canvases/{canvas}",
            get(canvases::show).delete(canvases::delete),
        )
        .route("/api/v1/canvases/{canvas}/objects", get(canvases::objects))
        .route("/api/v1/canvases/{canvas}/members", get(canvases::members))
        .route(
            "/api/v1/canvases/{canvas}/messages",
            get(canvases::messages).post(publish::publish),
        )
        .route(
            "/api/v1/canvases/{canvas}/clients/{client}/disconnect",
            post(canvases::disconnect),
        )
        .route("/api/v1/hooks", get(hooks::show).put(hooks::replace))
        .route("/api/v1/hooks/{hook}/deliveries", get(hooks::deliveries))
        .layer(from_fn_with_state(http, access::guard))
        .with_state(state)
        .route("/api/v1/openapi.json", get(document::openapi))
}

/// What of it the dashboard uses, below a prefix and a guard of its own.
pub(super) fn for_dashboard(http: HttpState) -> Router<HttpState> {
    let state = ApiState {
        http: http.clone(),
        robot: Arc::new(Robot::new()),
    };
    Router::new()
        .route("/analytics", get(super::analytics::show).with_state(http))
        .route("/canvases", get(canvases::list))
        .route(
            "/canvases/{canvas}",
            get(canvases::show).delete(canvases::delete),
        )
        .route("/canvases/{canvas}/objects", get(canvases::objects))
        .route("/canvases/{canvas}/members", get(canvases::members))
        .route("/canvases/{canvas}/messages", get(canvases::messages))
        .route(
            "/canvases/{canvas}/clients/{client}/disconnect",
            post(canvases::disconnect),
        )
        .route("/hooks", get(hooks::show))
        .route("/hooks/{hook}/deliveries", get(hooks::deliveries))
        .with_state(state)
}

fn canvas_id(text: &str) -> Result<CanvasId, Box<Response>> {
    CanvasId::parse(text).map_err(|wrong| bad(&wrong.to_string()))
}

/// 400, with what would be right.
fn bad(message: &str) -> Box<Response> {
    Box::new(error(StatusCode::BAD_REQUEST, "bad-request", message))
}

/// Why a body could not be read.
fn no_body(why: NoBody, too_large: impl FnOnce() -> Box<Response>) -> Box<Response> {
    match why {
        NoBody::TooLarge => too_large(),
        NoBody::Broken => bad("the body could not be read"),
        NoBody::Late => {
            let seconds = HTTP_BODY_TIMEOUT.as_secs();
            let message = format!("the body must come within {seconds} s");
            let status = StatusCode::REQUEST_TIMEOUT;
            Box::new(error(status, "timeout", &message))
        }
        NoBody::Crowded => Box::new(later(CROWDED, crate::limits::RETRY_AFTER_MS)),
    }
}

fn not_found(message: &str) -> Box<Response> {
    Box::new(error(StatusCode::NOT_FOUND, "not-found", message))
}

fn unavailable(error: &Unavailable) -> Box<Response> {
    Box::new(match error {
        Unavailable::NotNow(_) => later(&error.to_string(), crate::limits::RETRY_AFTER_MS),
        Unavailable::Full(refusal) => refused(refusal),
    })
}

/// 503 for what may be asked again.
fn later(message: &str, retry_after_ms: u64) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    after(status, "overloaded", message, retry_after_ms)
}

/// A refusal that says when to ask again.
fn after(status: StatusCode, code: &str, message: &str, retry_after_ms: u64) -> Response {
    let body = json!({
        "error": code,
        "message": message,
        "retry_after_ms": retry_after_ms,
    });
    let mut response = json_response(status, &body);
    let seconds = HeaderValue::from(retry_after_ms.div_ceil(1_000));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

fn refused(refusal: &Refusal) -> Response {
    match refusal.retry_after_ms {
        Some(ms) if refusal.code == ErrorCode::RateLimited => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            after(status, refusal.code.as_str(), &refusal.message, ms)
        }
        Some(ms) => later(&refusal.message, ms),
        None => error(
            StatusCode::UNPROCESSABLE_ENTITY,
            refusal.code.as_str(),
            &refusal.message,
        ),
    }
}

impl ApiState {
    /// The canvas of that name.
    async fn find(&self, name: &str) -> Result<Found, Box<Response>> {
        let id = canvas_id(name)?;
        let found = self.http.directory.find(&id).await;
        found
            .map_err(|e| unavailable(&e))?
            .ok_or_else(|| not_found("there is no canvas of this name"))
    }
}

/// A handler's answer, whichever way it came.
fn answer(result: Result<Response, Box<Response>>) -> Response {
    result.unwrap_or_else(|response| *response)
}
