//! Looks at canvases, empties them, and disconnects clients.

use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiState, answer, bad, canvas_id, later, not_found, refused, unavailable};
use crate::backplane::{Found, LogBatch, Member, Read, Snapshot};
use crate::http::long::{self, Room};
use crate::http::names::Names;
use crate::http::{error, json_response};
use crate::limits::{CATCH_UP_BYTES, MAX_STATE_BYTES, MAX_STATES_BYTES};
use crate::protocol::frame;
use crate::protocol::ids::{ClientId, Epoch, Position};
use crate::protocol::server_message::log_entry;

/// Canvases, or messages, of one answer unless `limit` says otherwise.
const DEFAULT_LIMIT: u32 = 100;
/// The largest `limit`.
const MAX_LIMIT: u32 = 1_000;
/// Bytes of messages after which an answer ends, whatever `limit` says.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// When who found no room for a long answer asks again.
const ANSWER_RETRY_MS: u64 = 1_000;
/// How long a disconnection is waited for, and when it is first looked for. Each look reads all members: the pauses double.
const DISCONNECT_WAIT: Duration = Duration::from_secs(2);
const DISCONNECT_LOOK: Duration = Duration::from_millis(20);

type Asked<T> = Result<Query<T>, QueryRejection>;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    after: Option<String>,
    limit: Option<u32>,
    all: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ObjectsQuery {
    logs: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct LogQuery {
    since: Option<u64>,
    epoch: Option<String>,
    limit: Option<u32>,
}

fn query<T>(asked: Asked<T>) -> Result<T, Box<Response>> {
    match asked {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(bad(&format!(
            "{}: since and limit are whole numbers, all and logs are true or false",
            rejection.body_text()
        ))),
    }
}

fn limit(asked: Option<u32>) -> Result<u32, Box<Response>> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(bad(&format!("limit must be from 1 to {MAX_LIMIT}")))
    }
}

fn summary(found: &Found) -> Value {
    let mut told = json!({
        "canvas": found.canvas.id.as_str(),
        "epoch": found.head.epoch.to_string(),
        "head": found.head.seq,
        "members": found.members,
        "objects": found.objects,
    });
    if let Some(usage) = &found.usage {
        told["bytes"] = usage.stored_bytes.into();
        told["log_bytes"] = usage.log_bytes.into();
        told["used_at"] = usage.used_at_ms.into();
    }
    told
}

/// The canvases that somebody is on, or all.
pub(super) async fn list(State(state): State<ApiState>, asked: Asked<ListQuery>) -> Response {
    answer(listed(&state, asked).await)
}

async fn listed(state: &ApiState, asked: Asked<ListQuery>) -> Result<Response, Box<Response>> {
    let asked = query(asked)?;
    let after = asked.after.unwrap_or_default();
    let limit = limit(asked.limit)?;
    let directory = &state.http.directory;
    let active = if asked.all == Some(true) {
        directory.all(&after, limit).await
    } else {
        directory.active(&after, limit).await
    };
    let active = active.map_err(|e| unavailable(&e))?;
    let full = active.len() >= limit as usize;
    let next = active
        .last()
        .filter(|_| full)
        .map(|found| found.canvas.id.as_str());
    let canvases: Vec<Value> = active.iter().map(summary).collect();
    let body = json!({ "canvases": canvases, "next": next });
    Ok(json_response(StatusCode::OK, &body))
}

/// One canvas.
pub(super) async fn show(State(state): State<ApiState>, Names(canvas): Names<String>) -> Response {
    let found = state.find(&canvas).await;
    answer(found.map(|found| json_response(StatusCode::OK, &summary(&found))))
}

/// Its objects, in the order of their creation, and their logs if they are asked for.
pub(super) async fn objects(
    State(state): State<ApiState>,
    Names(canvas): Names<String>,
    asked: Asked<ObjectsQuery>,
) -> Response {
    answer(async { objects_of(&state, &canvas, asked).await }.await)
}

async fn objects_of(
    state: &ApiState,
    canvas: &str,
    asked: Asked<ObjectsQuery>,
) -> Result<Response, Box<Response>> {
    let asked = query(asked)?;
    let found = state.find(canvas).await?;
    // What it takes is read before it is there: so room is asked for by what is known of the canvas.
    let most = state.http.config.rules.bounds.max_bytes;
    let bytes = found.usage.map_or(most, |usage| {
        usize::try_from(usage.stored_bytes).unwrap_or(most)
    });
    let room = room(state, bytes).await?;
    let snapshot = state.http.directory.snapshot(&found.canvas).await;
    let snapshot = snapshot.map_err(|e| unavailable(&e))?;
    let logs = match asked.logs {
        Some(true) => {
            let entries = snapshot.entries().map(|(_, entry)| log_entry(entry));
            format!("\"logs\":[{}],", entries.collect::<Vec<_>>().join(","))
        }
        _ => String::new(),
    };
    let Snapshot { at, objects, .. } = snapshot;
    let head = format!(
        "{{\"epoch\":\"{}\",\"seq\":{},{logs}\"objects\":[",
        at.epoch, at.seq
    );
    Ok(long::answer(head, objects, "]}", room))
}

/// Room for an answer of so many bytes.
async fn room(state: &ApiState, bytes: usize) -> Result<Room, Box<Response>> {
    let room = state.http.long_answers.room(bytes).await;
    room.ok_or_else(|| {
        let message = "other long answers are still being read: ask again later";
        Box::new(later(message, ANSWER_RETRY_MS))
    })
}

/// Who is on it, over all processes.
pub(super) async fn members(
    State(state): State<ApiState>,
    Names(canvas): Names<String>,
) -> Response {
    answer(async { members_of(&state, &canvas).await }.await)
}

async fn members_of(state: &ApiState, canvas: &str) -> Result<Response, Box<Response>> {
    let found = state.find(canvas).await?;
    let each = usize::try_from(found.members).unwrap_or(MAX_STATES_BYTES);
    let bytes = each
        .saturating_mul(MAX_STATE_BYTES)
        .min(2 * MAX_STATES_BYTES);
    let room = room(state, bytes).await?;
    let members = state.http.directory.members(&found.canvas).await;
    let table = members.map_err(|e| unavailable(&e))?;
    let members = table.members.iter().map(|one| member(one).into()).collect();
    drop(table);
    Ok(long::answer(
        "{\"members\":[".to_owned(),
        members,
        "]}",
        room,
    ))
}

/// A member. What it said of itself is JSON already.
fn member(member: &Member) -> String {
    let Member {
        client, user, away, ..
    } = member;
    let state = member.state.as_ref();
    let state = state.map_or(String::new(), |state| format!(",\"state\":{state}"));
    format!("{{\"client\":\"{client}\",\"user\":{user},\"away\":{away}{state}}}")
}

/// The messages after `since`, as far as they are retained.
pub(super) async fn messages(
    State(state): State<ApiState>,
    Names(canvas): Names<String>,
    asked: Asked<LogQuery>,
) -> Response {
    answer(messages_of(&state, &canvas, asked).await)
}

async fn messages_of(
    state: &ApiState,
    canvas: &str,
    asked: Asked<LogQuery>,
) -> Result<Response, Box<Response>> {
    let asked = query(asked)?;
    let limit = limit(asked.limit)? as usize;
    let found = state.find(canvas).await?;
    let epoch = match asked.epoch.as_deref().map(Epoch::parse) {
        None => found.head.epoch,
        Some(Some(epoch)) => epoch,
        Some(None) => return Err(bad("epoch must be 16 hexadecimal digits")),
    };
    let since = asked.since.unwrap_or(0);
    if epoch == found.head.epoch && since > found.head.seq {
        return Err(bad("since is beyond the canvas's head"));
    }
    let room = room(state, MAX_ANSWER_BYTES).await?;
    let mut seq = since;
    let mut texts = Vec::new();
    let mut bytes = 0;
    let mut more = false;
    while !more {
        let after = Position { epoch, seq };
        let read = state
            .http
            .directory
            .read(&found.canvas, after, CATCH_UP_BYTES)
            .await;
        match read.map_err(|e| unavailable(&e))? {
            // What was read is good whatever became of the rest.
            Read::Gone if texts.is_empty() => return Err(gone()),
            Read::Gone | Read::Batch(None) => break,
            Read::Batch(Some(batch)) => {
                for text in payloads(&batch) {
                    more = texts.len() == limit || bytes >= MAX_ANSWER_BYTES;
                    if more {
                        break;
                    }
                    bytes += text.len();
                    seq += 1;
                    texts.push(text);
                }
            }
        }
    }
    let head = format!(
        "{{\"epoch\":\"{epoch}\",\"since\":{since},\"next\":{seq},\"more\":{more},\"messages\":["
    );
    let texts = texts.into_iter().map(Into::into).collect();
    Ok(long::answer(head, texts, "]}", room))
}

/// The messages of a batch as clients get them.
fn payloads(batch: &LogBatch) -> Vec<String> {
    let mut start = 0;
    let cut = |mark: &crate::backplane::Mark| {
        let frame = &batch.frames[start..mark.end];
        start = mark.end;
        String::from_utf8_lossy(frame::payload(frame)).into_owned()
    };
    batch.marks.iter().map(cut).collect()
}

fn gone() -> Box<Response> {
    let message = "the messages after since are no longer retained, or are of another epoch: \
                   read the objects, and go on from their seq";
    Box::new(error(StatusCode::GONE, "gone", message))
}

/// Empties the canvas.
pub(super) async fn delete(
    State(state): State<ApiState>,
    Names(canvas): Names<String>,
) -> Response {
    answer(async { deleted(&state, &canvas).await }.await)
}

async fn deleted(state: &ApiState, canvas: &str) -> Result<Response, Box<Response>> {
    let found = state.find(canvas).await?;
    let head = state.http.directory.delete(&found.canvas).await;
    let head = head.map_err(|e| unavailable(&e))?;
    tracing::info!(canvas = %found.canvas.id, "a canvas was deleted through the server API");
    let body = json!({ "epoch": head.epoch.to_string(), "head": head.seq });
    Ok(json_response(StatusCode::OK, &body))
}

/// Closes a client's connection, on whatever process it is.
pub(super) async fn disconnect(
    State(state): State<ApiState>,
    Names((canvas, client)): Names<(String, String)>,
) -> Response {
    answer(disconnected(&state, &canvas, &client).await)
}

async fn disconnected(
    state: &ApiState,
    canvas: &str,
    client: &str,
) -> Result<Response, Box<Response>> {
    canvas_id(canvas)?;
    let client = ClientId::parse(client).map_err(|wrong| bad(&wrong.to_string()))?;
    let canvas = state.find(canvas).await?.canvas;
    let directory = &state.http.directory;
    let holder = async || {
        let table = directory
            .members(&canvas)
            .await
            .map_err(|e| unavailable(&e))?;
        let mut here = table.members.into_iter().filter(|member| !member.away);
        Ok::<_, Box<Response>>(here.find(|member| member.client == client))
    };
    let Some(Member { conn, .. }) = holder().await? else {
        return Err(not_found("this client has no connection to the canvas"));
    };
    directory
        .kick(&canvas, conn)
        .map_err(|refusal| Box::new(refused(&refusal)))?;
    let until = Instant::now() + DISCONNECT_WAIT;
    let mut gone = false;
    let mut pause = DISCONNECT_LOOK;
    while !gone && Instant::now() < until {
        let left = until.saturating_duration_since(Instant::now());
        tokio::time::sleep(pause.min(left)).await;
        pause *= 2;
        gone = holder().await?.is_none_or(|member| member.conn != conn);
    }
    // Its process may be stopped or behind: then the connection may still be there.
    let status = if gone {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let body = json!({ "client": client.as_str(), "disconnected": gone });
    Ok(json_response(status, &body))
}
