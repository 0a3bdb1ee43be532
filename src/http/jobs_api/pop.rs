//! `GET /api/v1/pop…`: answers at once, or as soon as a message comes.

use std::fmt::Write;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::params::{Params, not_a_time, not_ours};
use super::text::{PartitionIds, Text, Times, as_text, text};
use super::{Answered, ApiState, answer, raw};
use crate::http::long;
use crate::http::names::Names;
use crate::jobs::lists::group_or_default;
use crate::jobs::look::parse_iso;
use crate::jobs::op::{PopRequest, Popped, Refusal, Source, Start};
use crate::jobs::work::{check_name, lease_text, partition_id};
use crate::limits::{JOB_BATCH, JOB_WAIT_MS, LONG_ANSWER_PIECE};

const KNOWN: &str =
    "batch, wait, timeout, consumerGroup, autoAck, partitions, subscriptionMode, subscriptionFrom";

pub(super) async fn queue(
    State(state): State<ApiState>,
    Names(queue): Names<String>,
    params: Params,
) -> Response {
    let from = Source::Queue {
        queue,
        partition: None,
    };
    answer(popped(&state, from, params).await)
}

pub(super) async fn partition(
    State(state): State<ApiState>,
    Names((queue, partition)): Names<(String, String)>,
    params: Params,
) -> Response {
    let from = Source::Queue {
        queue,
        partition: Some(partition),
    };
    answer(popped(&state, from, params).await)
}

pub(super) async fn filtered(State(state): State<ApiState>, mut params: Params) -> Response {
    let popped = async {
        let namespace = params.name("namespace")?;
        let task = params.name("task")?;
        popped(&state, Source::Filter { namespace, task }, params).await
    };
    answer(popped.await)
}

async fn popped(state: &ApiState, from: Source, params: Params) -> Answered {
    let jobs = state.jobs()?;
    let (request, wait) = read(from, params, jobs.now_ms())?;
    let group = request.group.clone();
    let deadline = wait.map(|wait| Instant::now() + wait);
    let popped = jobs.pop(request, deadline).await?;
    if popped.messages.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let text = write(&popped, &group);
    let lease = popped.lease;
    drop(popped);
    if text.len() <= LONG_ANSWER_PIECE {
        return Ok(raw(StatusCode::OK, text));
    }
    let room = match state.room(text.len()).await {
        Ok(room) => room,
        Err(refusal) => {
            // What is completed already can't be given back, nor asked for again.
            let Some(lease) = lease else {
                return Ok(raw(StatusCode::OK, text));
            };
            drop(text);
            jobs.give_back(lease).await;
            return Err(refusal);
        }
    };
    Ok(long::whole(text, room))
}

fn read(
    from: Source,
    mut params: Params,
    now: i64,
) -> Result<(PopRequest, Option<Duration>), Refusal> {
    if let Source::Queue { queue, partition } = &from {
        check_name("queue", queue)?;
        not_ours("queue", queue)?;
        partition
            .as_ref()
            .map_or(Ok(()), |name| check_name("partition", name))?;
    }
    let batch = params.number("batch", 1, 1..=JOB_BATCH)?;
    let partitions = params.number("partitions", 1, 1..=JOB_BATCH)?;
    let wait = params.flag("wait")?.unwrap_or(false);
    let timeout = params.number("timeout", 30_000, 0..=JOB_WAIT_MS)?;
    let auto_ack = params.flag("autoAck")?.unwrap_or(false);
    let group = group_or_default(params.name("consumerGroup")?);
    let mode = params.text("subscriptionMode");
    let begin = params.text("subscriptionFrom");
    let start = start(mode.as_deref(), begin.as_deref(), now)?;
    // A client may say them beside the queue, which has them anyway.
    let _ = (params.text("namespace"), params.text("task"));
    // Clients of Queen MQ since 2.0 ask for sizes of the server's choice by it, where they give none: those are the defaults.
    let _ = params.flag("autopilot")?;
    params.end(KNOWN)?;
    let nowhere = Source::Filter {
        namespace: None,
        task: None,
    };
    if from == nowhere {
        let message =
            "say which queues: namespace, task, or both; or pop from /api/v1/pop/queue/{queue}";
        return Err(Refusal::bad(message));
    }
    let request = PopRequest {
        from,
        group,
        batch,
        partitions,
        auto_ack,
        start,
    };
    let timeout = Duration::from_millis(timeout as u64);
    Ok((request, wait.then_some(timeout)))
}

/// Where a group that pops for the first time begins.
fn start(mode: Option<&str>, from: Option<&str>, now: i64) -> Result<Start, Refusal> {
    match (mode, from) {
        (_, Some("now")) => Ok(Start::New),
        (None | Some("all" | "new" | "new-only" | "timestamp"), Some(text)) => {
            let at = parse_iso(text).ok_or_else(|| not_a_time("subscriptionFrom"))?;
            Ok(if at > now {
                Start::New
            } else {
                Start::From(at)
            })
        }
        (None | Some("all"), None) => Ok(Start::All),
        (Some("new" | "new-only"), None) => Ok(Start::New),
        (Some(_), _) => Err(Refusal::bad(
            "subscriptionMode is all or new; with subscriptionFrom it begins at a time",
        )),
    }
}

/// A message on the wire, without its payload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(serialize_with = "as_text")]
    id: i64,
    transaction_id: &'a str,
    partition_id: Text,
    lease_id: &'a str,
    queue: &'a str,
    partition: &'a str,
    consumer_group: &'a str,
    trace_id: Option<&'a str>,
    created_at: Text,
    position: i64,
    priority: i64,
    retry_count: i64,
    attempt: i64,
    error_message: Option<&'a str>,
    lease_expires_at: Option<Text>,
}

/// The answer; payloads are in it as they were pushed.
fn write(popped: &Popped, group: &str) -> String {
    let lease = popped.lease.as_ref().map(lease_text).unwrap_or_default();
    let bytes: usize = popped
        .messages
        .iter()
        .map(|message| message.payload.len() + 512)
        .sum();
    let mut all = String::with_capacity(bytes);
    all.push_str("{\"success\":true,\"messages\":[");
    let mut ids = PartitionIds::new();
    let mut times = Times::new();
    let mut ends = Times::new();
    for (i, message) in popped.messages.iter().enumerate() {
        let object = text(&Shown {
            id: message.id,
            transaction_id: &message.name,
            partition_id: ids.of(message.partition, message.partition_tag),
            lease_id: &lease,
            queue: &message.queue,
            partition: &message.partition_name,
            consumer_group: group,
            trace_id: message.trace.as_deref(),
            created_at: times.of(message.created_at),
            position: message.seq,
            priority: message.priority,
            retry_count: message.retries,
            attempt: message.retries + 1,
            error_message: message.error.as_deref(),
            lease_expires_at: popped.lease.map(|_| ends.of(message.until)),
        });
        all.push_str(if i == 0 { "" } else { "," });
        all.push_str(&object[..object.len() - 1]);
        all.push_str(",\"data\":");
        all.push_str(&message.payload);
        all.push('}');
    }
    let first = &popped.messages[0];
    let rest = json!({
        "leaseId": lease,
        "queue": first.queue,
        "partition": first.partition_name,
        "partitionId": partition_id(first.partition, first.partition_tag),
        "consumerGroup": group,
    })
    .to_string();
    let _ = write!(all, "],{}", &rest[1..]);
    all
}
