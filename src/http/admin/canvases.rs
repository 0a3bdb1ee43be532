//! All canvases by a part of their name, those that nobody is on included.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::super::{HttpState, QUEUE_ANSWER_TIMEOUT, json_response};
use super::error;
use crate::analytics::{CanvasRow, Search};

/// The largest `limit`.
const MOST: u32 = 200;
/// Canvases that are looked at where only those with people are known.
const MOST_ACTIVE: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    search: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    people: bool,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(state): State<HttpState>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(rejection) => {
            let message = rejection.body_text();
            return error(StatusCode::BAD_REQUEST, "bad-request", &message);
        }
    };
    let limit = asked.limit.unwrap_or(MOST).clamp(1, MOST);
    let search = Search {
        part: asked.search,
        people: asked.people,
        after: asked.after,
        limit,
    };
    let found = timeout(QUEUE_ANSWER_TIMEOUT, find(&state, search)).await;
    let found = found.unwrap_or_else(|_| Err("the queue does not answer".to_owned()));
    match found {
        Ok((of, rows)) => {
            let full = rows.len() >= limit as usize;
            let next = rows.last().filter(|_| full).map(|row| row.canvas.clone());
            let body = json!({ "canvases": rows, "next": next, "of": of });
            json_response(StatusCode::OK, &body)
        }
        Err(reason) => error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &reason),
    }
}

async fn find(state: &HttpState, search: Search) -> Result<(&'static str, Vec<CanvasRow>), String> {
    if let Some(rows) = state.analytics.canvases(search.clone()).await? {
        return Ok(("all", rows));
    }
    let active = state.directory.active(&search.after, MOST_ACTIVE).await;
    let part = search.part.to_lowercase();
    let rows = active
        .map_err(|error| error.to_string())?
        .into_iter()
        .filter(|found| found.canvas.id.as_str().to_lowercase().contains(&part))
        .take(search.limit as usize)
        .map(|found| CanvasRow {
            canvas: found.canvas.id.as_str().to_owned(),
            head: found.head.seq,
            objects: found.objects,
            object_bytes: 0,
            members: found.members,
        });
    Ok(("active", rows.collect()))
}
