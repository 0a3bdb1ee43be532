//! `/api/v1/hooks`: the hooks that all processes of the relay follow.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiState, answer, bad, error, json_response, later, no_body, not_found};
use crate::hooks::file::{self, HookText};
use crate::hooks::{Change, OWN_QUEUES, Stored};
use crate::http::body::{self, Announced};
use crate::http::named_json;
use crate::http::names::Names;
use crate::jobs::lists;
use crate::jobs::look;
use crate::jobs::op::Answer;
use crate::limits::{HOOKS_BYTES, HTTP_BODY_TIMEOUT, JOB_DELIVERIES_PAGE, RETRY_AFTER_MS};

/// What a secret looks like to those who ask for the hooks.
const MASKED: &str = "whsec_***";

/// The body of a change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    hooks: Vec<HookText>,
}

/// Which of the attempts are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    before: Option<i64>,
    limit: Option<i64>,
}

/// Attempts of one answer, unless `limit` says otherwise.
const DEFAULT_LIMIT: i64 = 100;

/// The hooks as they were written, with masked secrets, and which of them are off.
pub(super) async fn show(State(state): State<ApiState>, RawQuery(query): RawQuery) -> Response {
    if let Err(wrong) = no_query(query) {
        return *wrong;
    }
    let store = &state.http.hooks;
    let stored = store.watch().borrow().clone();
    let counts = (store.dropped(), store.set_aside().await);
    json_response(StatusCode::OK, &shown(&stored, counts))
}

/// Puts hooks in the place of all others, in one transaction.
pub(super) async fn replace(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    answer(replaced(&state, query, body).await)
}

/// A field there would mean nothing.
fn no_query(query: Option<String>) -> Result<(), Box<Response>> {
    match query.filter(|query| !query.is_empty()) {
        None => Ok(()),
        Some(query) => Err(bad(&format!(
            "the query has no fields here, and not {query:.100}"
        ))),
    }
}

/// Reads them, and checks each. Many hooks are a second's work: it is done beside the event loop.
async fn read(body: Body) -> Result<Vec<HookText>, Box<Response>> {
    let whole = body::whole(body, HOOKS_BYTES, HTTP_BODY_TIMEOUT, Announced::Pass);
    let body = whole.await.map_err(|why| no_body(why, too_large))?;
    let reading = tokio::task::spawn_blocking(move || checked(&body));
    let read = reading.await;
    read.map_err(|error| Box::new(later(&error.to_string(), RETRY_AFTER_MS)))?
        .map_err(|error| bad(&error))
}

fn too_large() -> Box<Response> {
    let message = format!("hooks: all of them together have at most {HOOKS_BYTES} bytes");
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Box::new(error(status, "too-large", &message))
}

fn checked(body: &[u8]) -> Result<Vec<HookText>, String> {
    let wanted: Replacement = named_json::parse(body).map_err(|error| match error {
        error if error.starts_with("hooks") => error,
        error => format!("hooks: {error}"),
    })?;
    let masked = |text: &HookText| text.secrets.iter().any(|secret| secret == MASKED);
    if let Some(text) = wanted.hooks.iter().find(|text| masked(text)) {
        return Err(format!(
            "hook {:?}: secrets: {MASKED} is only the mask of a secret: send the secret itself",
            text.name
        ));
    }
    file::check_all(&wanted.hooks)?;
    Ok(wanted.hooks)
}

async fn replaced(
    state: &ApiState,
    query: Option<String>,
    body: Body,
) -> Result<Response, Box<Response>> {
    let hooks = read(body).await?;
    no_query(query)?;
    let stored = state.http.hooks.store(hooks, true).await;
    let change = stored.map_err(|error| Box::new(later(&error, RETRY_AFTER_MS)))?;
    Ok(json_response(
        StatusCode::OK,
        &json!({ "changed": change != Change::None }),
    ))
}

/// The attempts to deliver a webhook's events, the latest first.
pub(super) async fn deliveries(
    State(state): State<ApiState>,
    Names(name): Names<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    answer(delivered(&state, &name, wanted).await)
}

async fn delivered(
    state: &ApiState,
    name: &str,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Box<Response>> {
    let wanted = wanted.map_err(|rejection| {
        let why = rejection.body_text();
        bad(&format!("{why} (before and limit are whole numbers)"))
    })?;
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=JOB_DELIVERIES_PAGE).contains(&limit) {
        let message = format!("limit must be from 1 to {JOB_DELIVERIES_PAGE}");
        return Err(bad(&message));
    }
    let stored = state.http.hooks.watch().borrow().clone();
    let text = stored.texts.iter().find(|text| text.name == name);
    if let Some(queue) = text.and_then(|text| text.queue.as_ref()) {
        let message = format!(
            "hook {name:?}: url: it has none, so the relay delivers nothing; its events are in the queue {queue:?}"
        );
        return Err(bad(&message));
    }
    let Some(jobs) = &state.http.jobs else {
        return Err(Box::new(later("this relay has no jobs", RETRY_AFTER_MS)));
    };
    let query = lists::Query::Deliveries {
        queue: format!("{OWN_QUEUES}{name}"),
        before: wanted.before,
        limit: usize::try_from(limit).unwrap_or(1),
    };
    let body = match jobs.look(look::Query::Lists(query)).await {
        Ok(Answer::Json(body)) => body,
        Ok(_) => return Err(Box::new(later("no answer", RETRY_AFTER_MS))),
        Err(refusal) => return Err(Box::new(later(&refusal.message, RETRY_AFTER_MS))),
    };
    // A hook that is there no more, or that this process has yet to hear of, may have a history.
    let none = body["deliveries"].as_array().is_none_or(Vec::is_empty);
    if none && text.is_none() && wanted.before.is_none() {
        return Err(not_found("there is no hook of this name"));
    }
    Ok(json_response(StatusCode::OK, &body))
}

fn shown(stored: &Stored, (dropped, set_aside): (u64, u64)) -> Value {
    let hooks = stored.texts.iter().map(|text| {
        let mut text = text.clone();
        text.secrets
            .iter_mut()
            .for_each(|secret| MASKED.clone_into(secret));
        let off = stored.off.iter().find(|(name, _)| *name == text.name);
        let mut value = serde_json::to_value(&text).unwrap_or_default();
        value["off"] = off.map_or(Value::Null, |(_, why)| Value::from(why.as_str()));
        value
    });
    json!({
        "version": stored.version,
        "dropped": dropped,
        "set_aside": set_aside,
        "hooks": hooks.collect::<Vec<_>>(),
    })
}
