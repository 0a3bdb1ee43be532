//! `POST /sse/{canvas_id}` and below: a stream of events where no WebSocket gets through, and the posts of its client.

use std::num::NonZeroU64;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use futures::StreamExt as _;
use serde_json::json;
use serde_json::value::RawValue;

use super::body::{Announced, CROWDED, NoBody, whole};
use super::lobby::Door;
use super::upgrade::{UpgradeState, address, wrong_origin};
use super::{error, json_response};
use crate::backplane::Unavailable;
use crate::limits::{HELLO_BYTES, HTTP_BODY_TIMEOUT, POST_BYTES, PUBLISH_WAIT};
use crate::protocol::client_message::MAX_OP;
use crate::protocol::ids::CanvasId;
use crate::socket::connection::Hub;
use crate::socket::stream::{Answered, OutOfOrder, Posted, Which, numbers, open};

/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: &str = "600";

type Refused = Box<Response>;

/// The routes of streams.
pub fn router(state: UpgradeState) -> Router {
    Router::new()
        .route("/sse/{canvas_id}", post(stream).fallback(other_method))
        .route(
            "/sse/{canvas_id}/{session}",
            post(posted).fallback(other_method),
        )
        .route("/sse/", any(no_canvas))
        .with_state(state)
}

async fn no_canvas(State(state): State<UpgradeState>, request: Request) -> Response {
    let refused = canvas("").map_or_else(|refused| *refused, |_| StatusCode::OK.into_response());
    readable(&state.hub, request.headers(), refused)
}

/// A browser asks beforehand; and a client asks with GET whether it gets through to a server that has streams.
async fn other_method(State(state): State<UpgradeState>, request: Request) -> Response {
    let mut response = if request.method() == axum::http::Method::OPTIONS {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
        say(header::ACCESS_CONTROL_ALLOW_METHODS, "POST");
        say(header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type");
        say(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
        response
    } else {
        let message = "use POST, with the hello as the body: the answer is the stream of events";
        error(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            message,
        )
    };
    let allow = HeaderValue::from_static("POST, OPTIONS");
    response.headers_mut().insert(header::ALLOW, allow);
    readable(&state.hub, request.headers(), response)
}

/// Lets pages read it that may open a WebSocket. The others get their refusal in words, too.
fn readable(hub: &Hub, asked: &HeaderMap, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    let Some(origin) = asked.get(header::ORIGIN) else {
        return response;
    };
    // Nothing that a browser adds by itself counts here: no cookie and no login.
    let anybody = hub.config.security.allowed_origins.is_empty();
    let who = match anybody {
        true => HeaderValue::from_static("*"),
        false => origin.clone(),
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, who);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    response
}

async fn stream(
    State(state): State<UpgradeState>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let asked = request.headers().clone();
    let name = name.map_or(String::new(), |Path(name)| name);
    let response = streamed(&state, &name, request).await;
    readable(
        &state.hub,
        &asked,
        response.unwrap_or_else(|refused| *refused),
    )
}

async fn streamed(state: &UpgradeState, name: &str, request: Request) -> Result<Response, Refused> {
    let hub = &state.hub;
    let canvas = canvas(name)?;
    may_come(hub, request.headers())?;
    let address = address(hub, request.headers(), request.extensions());
    let door = request.extensions().get::<Door>().cloned();
    let config = &hub.config;
    let hello = text(
        request.into_body(),
        config.max_message_bytes.min(HELLO_BYTES),
        config.deadlines.hello,
    )
    .await?;
    if hub.draining() {
        return Err(draining());
    }
    let (events, task) = open(hub.clone(), canvas, &hello, address);
    let inside = door.map(|door| door.enter());
    state.spawner.spawn(async move {
        task.await;
        drop(inside);
    });
    let body = Body::from_stream(events.map(Ok::<Bytes, std::convert::Infallible>));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let mut say = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    say(header::CONTENT_TYPE, "text/event-stream");
    say(header::CACHE_CONTROL, "no-store");
    say(HeaderName::from_static("x-accel-buffering"), "no");
    // It has given its place back: see `Door`.
    say(header::CONNECTION, "close");
    Ok(response)
}

async fn posted(
    State(state): State<UpgradeState>,
    names: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let asked = request.headers().clone();
    let (name, session) = names.map_or_else(|_| Default::default(), |Path(names)| names);
    let answered = handed_over(&state.hub, &name, &session, request).await;
    readable(
        &state.hub,
        &asked,
        answered.unwrap_or_else(|refused| *refused),
    )
}

async fn handed_over(
    hub: &Hub,
    name: &str,
    session: &str,
    request: Request,
) -> Result<Response, Refused> {
    let canvas = canvas(name)?;
    may_come(hub, request.headers())?;
    let number = number(request.uri().query().unwrap_or_default())?;
    let most = hub.config.max_message_bytes + POST_BYTES;
    let messages = text(request.into_body(), most, HTTP_BODY_TIMEOUT).await?;
    let which = which(number, &messages)?;
    match hub.posted(&canvas, session, which, messages.into()).await {
        Posted::Taken => Ok(match number {
            Some(number) => json_response(StatusCode::ACCEPTED, &json!({ "post": number })),
            None => json_response(StatusCode::ACCEPTED, &json!([])),
        }),
        Posted::Answered(answered) => Ok(answers(answered).await),
        Posted::Unknown => {
            let message =
                "there is no such session on this canvas, or it has ended: ask for another stream";
            Err(refusal(StatusCode::GONE, "unknown-session", message))
        }
        Posted::OutOfOrder(OutOfOrder { next }) => {
            let message = format!(
                "post must be {next}, once the stream has said that the one before was taken"
            );
            Err(refusal(StatusCode::CONFLICT, "out-of-order", &message))
        }
        Posted::Draining => Err(draining()),
        Posted::Unavailable(why) => Err(unavailable(&why)),
    }
}

/// The acks and errors of a post. What takes longer, or comes when the stream is over, its client learns otherwise.
async fn answers(answered: Answered) -> Response {
    match tokio::time::timeout(PUBLISH_WAIT, answered).await {
        Ok(Ok(said)) => {
            let body = format!("[{}]", said.join(","));
            let json = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, json)], body).into_response()
        }
        Ok(Err(_)) | Err(_) => json_response(StatusCode::ACCEPTED, &json!([])),
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Refused {
    Box::new(error(status, code, message))
}

fn canvas(name: &str) -> Result<CanvasId, Refused> {
    CanvasId::parse(name)
        .map_err(|bad| refusal(StatusCode::BAD_REQUEST, "bad-canvas", &bad.to_string()))
}

fn may_come(hub: &Hub, headers: &HeaderMap) -> Result<(), Refused> {
    match wrong_origin(hub, headers) {
        Some(denied) => Err(refusal(StatusCode::FORBIDDEN, "forbidden", &denied.message)),
        None => Ok(()),
    }
}

fn draining() -> Refused {
    refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "draining",
        "this instance is shutting down",
    )
}

fn unavailable(why: &Unavailable) -> Refused {
    let message = why.to_string();
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "overloaded", &message);
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, soon);
    response
}

/// Which post these messages are.
fn which(number: Option<NonZeroU64>, messages: &str) -> Result<Which, Refused> {
    let each: Vec<&RawValue> = serde_json::from_str(messages).map_err(|wrong| {
        let message = format!("the body must be a JSON array of messages: {wrong}");
        refusal(StatusCode::BAD_REQUEST, "bad-json", &message)
    })?;
    Ok(match number {
        Some(number) => Which::Number(number),
        None => Which::Next(numbers(&each)),
    })
}

/// Which post it is, if its client counts them.
fn number(query: &str) -> Result<Option<NonZeroU64>, Refused> {
    let mut said = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("post="));
    let Some(digits) = said.next() else {
        return Ok(None);
    };
    let number: Option<NonZeroU64> = digits.parse().ok();
    let number = number.filter(|number| number.get() <= MAX_OP);
    number.map(Some).ok_or_else(|| {
        let message = format!("post must be a whole number from 1 to {MAX_OP}, as in ?post=1");
        refusal(StatusCode::BAD_REQUEST, "bad-request", &message)
    })
}

/// A body of that many bytes at most, as text.
async fn text(body: Body, most: usize, within: Duration) -> Result<String, Refused> {
    let too_large = || {
        let message = format!("the body has at most {most} bytes");
        refusal(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &message)
    };
    let bytes = match whole(body, most, within, Announced::Pass).await {
        Ok(bytes) => bytes,
        Err(NoBody::TooLarge) => return Err(too_large()),
        Err(NoBody::Broken) => {
            let message = "the body could not be read";
            return Err(refusal(StatusCode::BAD_REQUEST, "bad-request", message));
        }
        Err(NoBody::Late) => {
            let message = format!("the body must come within {} s", within.as_secs());
            return Err(refusal(StatusCode::REQUEST_TIMEOUT, "timeout", &message));
        }
        Err(NoBody::Crowded) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(refusal(status, "overloaded", CROWDED));
        }
    };
    String::from_utf8(bytes.into_bytes()).map_err(|_| {
        let message = "the body must be UTF-8";
        refusal(StatusCode::BAD_REQUEST, "bad-json", message)
    })
}
