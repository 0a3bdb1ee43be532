//! Finds canvases by a part of their name, also those that nobody is on.

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
use crate::backplane::Found;

/// The largest `limit`.
const MOST: u32 = 200;
/// Canvases that are looked at in one step where names are not searched by the store. A search ends with the time for it.
const PAGE: u32 = 1_000;

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
        Ok(rows) => {
            let full = rows.len() >= limit as usize;
            let next = rows.last().filter(|_| full).map(|row| row.canvas.clone());
            let body = json!({ "canvases": rows, "next": next });
            json_response(StatusCode::OK, &body)
        }
        Err(reason) => error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &reason),
    }
}

async fn find(state: &HttpState, search: Search) -> Result<Vec<CanvasRow>, String> {
    if let Some(rows) = state.analytics.canvases(search.clone()).await? {
        return Ok(rows);
    }
    let part = search.part.to_lowercase();
    let mut rows = Vec::new();
    let mut after = search.after;
    loop {
        let page = match search.people {
            true => state.directory.active(&after, PAGE).await,
            false => state.directory.all(&after, PAGE).await,
        };
        let page = page.map_err(|error| error.to_string())?;
        let last = page.last().map(|found| found.canvas.id.as_str().to_owned());
        let wanted = page.into_iter().filter(|found| {
            let name = found.canvas.id.as_str();
            name.to_lowercase().contains(&part)
        });
        rows.extend(wanted.map(row));
        match last {
            Some(last) if rows.len() < search.limit as usize => after = last,
            _ => break,
        }
    }
    rows.truncate(search.limit as usize);
    Ok(rows)
}

fn row(found: Found) -> CanvasRow {
    CanvasRow {
        canvas: found.canvas.id.as_str().to_owned(),
        head: found.head.seq,
        objects: found.objects,
        object_bytes: found.usage.map_or(0, |usage| usage.stored_bytes),
        members: found.members,
    }
}
