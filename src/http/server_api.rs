//! `/api/v1/canvases/…`: the API for an application's own servers. Described in `server_api/openapi.json`, which is served too.
//!
//! Whoever has the token may do everything. Without one, only processes of this host may; a proxy in front would make
//! this host's of everybody, and a browser would lend its place to any page, so requests that show signs of either are refused.

mod access;
mod canvases;
mod publish;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{HttpState, error, json_response};
use crate::backplane::{Found, Refusal, Unavailable};
use crate::protocol::ids::CanvasId;
use publish::Robot;

/// The description of this API, in OpenAPI 3.1.
const OPENAPI: &str = include_str!("server_api/openapi.json");

/// What the handlers share.
#[derive(Clone)]
struct ApiState {
    http: HttpState,
    /// The author of messages without a key.
    robot: Arc<Robot>,
}

/// The routes, behind their guard; the description is for everybody.
pub(super) fn router(http: HttpState) -> Router<HttpState> {
    let robot = Arc::new(Robot::new());
    let state = ApiState {
        http: http.clone(),
        robot,
    };
    Router::new()
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
        .layer(from_fn_with_state(http, access::guard))
        .with_state(state)
        .route("/api/v1/openapi.json", get(openapi))
}

/// The names in a path. One that is no text is refused like any other that is wrong.
struct Names<T>(T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(rejection) => Err(*bad(&rejection.body_text())),
        }
    }
}

async fn openapi() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, headers, OPENAPI).into_response()
}

fn canvas_id(text: &str) -> Result<CanvasId, Box<Response>> {
    CanvasId::parse(text).map_err(|wrong| bad(&wrong.to_string()))
}

/// 400, with what would be right.
fn bad(message: &str) -> Box<Response> {
    Box::new(error(StatusCode::BAD_REQUEST, "bad-request", message))
}

fn not_found(message: &str) -> Box<Response> {
    Box::new(error(StatusCode::NOT_FOUND, "not-found", message))
}

fn unavailable(error: &Unavailable) -> Box<Response> {
    Box::new(later(&error.to_string(), crate::limits::RETRY_AFTER_MS))
}

/// 503 for what may be asked again.
fn later(message: &str, retry_after_ms: u64) -> Response {
    let body = json!({
        "error": "overloaded",
        "message": message,
        "retry_after_ms": retry_after_ms,
    });
    let mut response = json_response(StatusCode::SERVICE_UNAVAILABLE, &body);
    let seconds = HeaderValue::from(retry_after_ms.div_ceil(1_000));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

fn refused(refusal: &Refusal) -> Response {
    match refusal.retry_after_ms {
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
        let found = self.http.backplane.find(&id).await;
        found
            .map_err(|e| unavailable(&e))?
            .ok_or_else(|| not_found("there is no canvas of this name"))
    }
}

/// A handler's answer, whichever way it came.
fn answer(result: Result<Response, Box<Response>>) -> Response {
    result.unwrap_or_else(|response| *response)
}
