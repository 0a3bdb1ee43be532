//! `/api/v1/hooks`: the hooks that all processes of the relay follow.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiState, answer, bad, json_response, later};
use crate::hooks::file::{self, HookText};
use crate::hooks::{Change, Stored};
use crate::limits::RETRY_AFTER_MS;

/// What a secret looks like to those who ask for the hooks.
const MASKED: &str = "whsec_***";

/// The body of a change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    hooks: Vec<HookText>,
}

/// The hooks as they were written, with masked secrets, and which of them are off.
pub(super) async fn show(State(state): State<ApiState>) -> Response {
    let store = &state.http.hooks;
    let stored = store.watch().borrow().clone();
    json_response(StatusCode::OK, &body(&stored, store.dropped()))
}

/// Puts hooks in the place of all others, in one transaction.
pub(super) async fn replace(State(state): State<ApiState>, body: Bytes) -> Response {
    answer(replaced(&state, &body).await)
}

async fn replaced(state: &ApiState, body: &[u8]) -> Result<Response, Box<Response>> {
    let wanted: Replacement =
        serde_json::from_slice(body).map_err(|error| bad(&format!("hooks: {error}")))?;
    let masked = |text: &HookText| text.secrets.iter().any(|secret| secret == MASKED);
    if let Some(text) = wanted.hooks.iter().find(|text| masked(text)) {
        let message = format!(
            "hook {:?}: secrets: {MASKED} is only the mask of a secret: send the secret itself",
            text.name
        );
        return Err(bad(&message));
    }
    file::check_all(&wanted.hooks).map_err(|error| bad(&error))?;
    let changed = state.http.hooks.store(wanted.hooks, true).await;
    let changed = changed.map_err(|error| Box::new(later(&error, RETRY_AFTER_MS)))?;
    let changed = changed != Change::None;
    Ok(json_response(
        StatusCode::OK,
        &json!({ "changed": changed }),
    ))
}

fn body(stored: &Stored, dropped: u64) -> Value {
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
        "hooks": hooks.collect::<Vec<_>>(),
    })
}
