//! `/api/v1/analytics`: the whole relay in numbers, now and over the last day, with what is wrong and what to do about it.

pub mod sampler;

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::diagnosis::diagnose;
use super::{HttpState, QUEUE_ANSWER_TIMEOUT, error, health, json_response};
use crate::analytics::history::{Lines, Range, lines, ms, quantile_ms};
use crate::analytics::{Grain, Now, Sample};
use crate::backplane::{InstanceStats, Stats};
use crate::limits::{ANALYTICS_STEP, HEARTBEAT_STALE};
use crate::time::{millis, wall_ms};

/// How far back rates and latencies of now reach.
const RECENT_MS: i64 = 60_000;
/// Who is more rows behind than that is said to be so: far more than a busy process has under way.
const BEHIND_ROWS: u64 = 10_000;
/// Timers later than this mean that a process does not get the processor.
const LATE_US: u64 = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    range: Option<String>,
}

/// All numbers, or why there are none.
pub(super) async fn show(
    State(state): State<HttpState>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let word = match asked {
        Ok(Query(asked)) => asked.range.unwrap_or_else(|| Range::WORDS[0].to_owned()),
        Err(rejection) => {
            let message = format!("{}; the only field is range", rejection.body_text());
            return error(StatusCode::BAD_REQUEST, "bad-request", &message);
        }
    };
    let place = Range::WORDS.iter().position(|known| *known == word);
    let look = place.and_then(|place| state.analytics_shown.get(place));
    let (Some(range), Some(look)) = (Range::parse(&word), look) else {
        let words = Range::WORDS.join(", ");
        let message = format!("range is one of {words}");
        return error(StatusCode::BAD_REQUEST, "bad-request", &message);
    };
    // A day of all processes is many rows.
    let shown = look.share(async || body(&state, range).await.map(Arc::new));
    match timeout(QUEUE_ANSWER_TIMEOUT, shown).await {
        Ok(Ok(body)) => json_response(StatusCode::OK, &body),
        Ok(Err(reason)) => error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &reason),
        Err(_) => {
            let reason = "the queue does not answer";
            error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", reason)
        }
    }
}

async fn body(state: &HttpState, range: Range) -> Result<Value, String> {
    let stats = state.queue_stats().await;
    let stats = stats.map_err(|error| error.to_string())?;
    let now_ms = wall_ms();
    let since = range.from_ms(now_ms);
    let mut kept = state.analytics.read(range.grain, since).await?;
    let recent = match range.grain {
        Grain::Fine => None,
        Grain::Minute => Some(
            state
                .analytics
                .read(Grain::Fine, now_ms - RECENT_MS)
                .await?,
        ),
    };
    let recent = recent.as_ref().map_or(&kept.spans, |recent| &recent.spans);
    let live = live(now_ms, recent);
    let own = state.lifecycle.instance_id().as_str();
    // What a process said outlives it for a while.
    let lives = |id: &String| stats.instances.iter().any(|one| one.instance_id == *id);
    kept.now.retain(|(id, _)| id == own || lives(id));
    own_now(state, &stats, own, &mut kept.now);
    let instances: Vec<Value> = stats
        .instances
        .iter()
        .map(|instance| {
            let said = kept.now.iter().find(|(id, _)| *id == instance.instance_id);
            one(instance, said.map(|(_, now)| now), stats.remedy, now_ms)
        })
        .collect();
    let mut lines = lines(range, now_ms, &kept.spans);
    now_at_the_end(&mut lines, &kept.now, &stats);
    Ok(json!({
        "scope": if kept.lacks.is_none() { "relay" } else { "process" },
        "note": kept.lacks,
        "instance_id": own,
        "version": env!("CARGO_PKG_VERSION"),
        "now_ms": now_ms,
        "health": health_of(state, &stats).await,
        "queue": queue(&stats),
        "connections": kept.now.iter().map(|(_, now)| now.last.connections).sum::<u64>(),
        "live": live,
        "instances": instances,
        "history": lines,
    }))
}

/// What this process knows of itself is of this moment.
fn own_now(state: &HttpState, stats: &Stats, own: &str, all: &mut Vec<(String, Now)>) {
    let known = all.iter().position(|(id, _)| id == own);
    let known = known.map(|at| all.swap_remove(at).1);
    let mut now = known.unwrap_or_else(|| Now {
        at_ms: wall_ms(),
        ..Now::default()
    });
    let gauges = sampler::gauges(state, stats);
    now.last.connections = gauges.connections;
    now.last.rooms = gauges.rooms;
    now.last.loop_lag_us = gauges.loop_lag_us;
    now.last.writer_depth = gauges.writer_depth;
    now.draining = state.relay.draining();
    now.trouble.clone_from(&stats.trouble);
    now.version = env!("CARGO_PKG_VERSION").to_owned();
    let up_ms = millis(state.started.elapsed());
    now.started_ms = wall_ms() - up_ms;
    all.push((own.to_owned(), now));
}

/// Processes that live stand in the last point as they are now, even if they said nothing lately.
fn now_at_the_end(lines: &mut Lines, now: &[(String, Now)], stats: &Stats) {
    let lives = |id: &String| stats.instances.iter().any(|one| one.instance_id == *id);
    let there = now.iter().filter(|(id, _)| lives(id));
    if let Some(last) = lines.connections.last_mut() {
        *last = Some(there.map(|(_, now)| now.last.connections).sum());
    }
}

/// Rates and latencies of the last minute.
fn live(now_ms: i64, spans: &[(i64, i64, Sample)]) -> Value {
    let mut sum = Sample::default();
    let recent = |at: i64| now_ms - at <= RECENT_MS;
    let recent = spans.iter().filter(|(at, _, _)| recent(*at));
    recent.for_each(|(_, _, sample)| sum.add(sample));
    let rate = |n: u64| ms(n * 10_000) / 600.0;
    let times = |counts| {
        json!({
            "p50_ms": quantile_ms(counts, 0.5),
            "p95_ms": quantile_ms(counts, 0.95),
            "p99_ms": quantile_ms(counts, 0.99),
        })
    };
    json!({
        "seconds": RECENT_MS / 1_000,
        "messages_per_second": rate(sum.messages),
        "deliveries_per_second": rate(sum.deliveries),
        "received_bytes_per_second": rate(sum.bytes_in),
        "sent_bytes_per_second": rate(sum.bytes_out),
        "joins": sum.joins,
        "refusals": sum.refusals,
        "overloaded": sum.overloaded,
        "commit": times(&sum.commit),
        "delivery": times(&sum.delivery),
    })
}

fn queue(stats: &Stats) -> Value {
    json!({
        "size": stats.queue_size,
        "oldest_unprocessed_ms": stats.oldest_unprocessed_ms,
        "rows": stats.rows,
        "spilled": stats.spilled,
        "wal_bytes": stats.wal_bytes,
        "db_bytes": stats.db_bytes,
    })
}

/// One process, in the words of those who would have to do something.
fn one(instance: &InstanceStats, said: Option<&Now>, remedy: &'static str, now_ms: i64) -> Value {
    let (state, todo) = condition(instance, said, remedy);
    let mut value = json!({
        "instance_id": instance.instance_id,
        "pid": instance.pid,
        "state": state,
        "todo": todo,
        "heartbeat_age_ms": instance.heartbeat_age_ms,
        "lag": instance.lag,
    });
    let Some(now) = said else {
        return value;
    };
    // A quiet process says nothing until something happens.
    let quiet = now_ms - now.at_ms > 2 * Grain::Fine.step_ms();
    let span_s = ms(u64::try_from(now.span_ms).unwrap_or(0) * 1_000) / 1_000.0;
    let rate = if quiet || span_s <= 0.0 {
        0.0
    } else {
        ms(now.last.messages * 1_000) / span_s
    };
    let more = json!({
        "version": now.version,
        "uptime_ms": (now_ms - now.started_ms).max(0),
        "sampled_ms_ago": (now_ms - now.at_ms).max(0),
        "connections": now.last.connections,
        "rooms": now.last.rooms,
        "event_loop_lag_ms": ms(now.last.loop_lag_us),
        "writer_depth": now.last.writer_depth,
        "messages_per_second": rate,
        "commit_p99_ms": quantile_ms(&now.last.commit, 0.99),
        "delivery_p99_ms": quantile_ms(&now.last.delivery, 0.99),
        "trouble": now.trouble,
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

/// How a process is, in a word, and what to do if that is not well: `remedy` where it can't commit.
fn condition(
    instance: &InstanceStats,
    said: Option<&Now>,
    remedy: &'static str,
) -> (&'static str, Option<&'static str>) {
    let stale_ms = u64::try_from(HEARTBEAT_STALE.as_millis()).unwrap_or(u64::MAX);
    if instance.heartbeat_age_ms > stale_ms {
        let todo = "it is stopped or hangs: end that process, its clients reconnect elsewhere";
        return ("silent", Some(todo));
    }
    match said {
        Some(now) if now.trouble.is_some() => ("failing", Some(remedy)),
        Some(now) if now.draining => ("draining", None),
        _ if instance.lag > BEHIND_ROWS => (
            "behind",
            Some(
                "look at that process's own log and processor time; if it does not recover, restart it",
            ),
        ),
        Some(now) if now.last.loop_lag_us > LATE_US => (
            "late",
            Some("its timers fire late: give it more processor time, or more processes"),
        ),
        _ => ("healthy", None),
    }
}

/// What `/readyz` says, and what the log would say about the queue.
async fn health_of(state: &HttpState, stats: &Stats) -> Value {
    let reason = health::unready(state).await;
    let ill = stats.queue_health != "healthy" || stats.trouble.is_some();
    let found = ill.then(|| diagnose(stats, state.relay.event_loop_lag_ms()));
    json!({
        "state": if stats.trouble.is_some() { "critical" } else { stats.queue_health },
        "ready": reason.is_none(),
        "reason": reason,
        "cause": found.as_ref().map(|found| &found.cause),
        "todo": found.as_ref().map(|found| found.advice),
    })
}

/// A span of the sampler's, in milliseconds.
fn step_ms() -> i64 {
    millis(ANALYTICS_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(heartbeat_age_ms: u64, lag: u64) -> InstanceStats {
        InstanceStats {
            instance_id: "a".to_owned(),
            pid: 7,
            heartbeat_age_ms,
            lag,
        }
    }

    #[test]
    fn a_process_has_one_word_and_whoever_is_not_well_has_something_to_do() {
        let late = Now {
            last: Sample {
                loop_lag_us: 200_000,
                ..Sample::default()
            },
            ..Now::default()
        };
        let failing = Now {
            trouble: Some("full".to_owned()),
            draining: true,
            ..late.clone()
        };
        let draining = Now {
            draining: true,
            ..late.clone()
        };
        for (instance, said, word) in [
            (instance(1, 0), None, "healthy"),
            (instance(60_000, 0), Some(&failing), "silent"),
            (instance(1, 20_000), Some(&failing), "failing"),
            (instance(1, 20_000), Some(&draining), "draining"),
            (instance(1, 20_000), Some(&late), "behind"),
            (instance(1, 0), Some(&late), "late"),
        ] {
            let (state, todo) = condition(&instance, said, "repair it");
            assert_eq!(state, word);
            let well = ["healthy", "draining"].contains(&state);
            assert_eq!(todo.is_none(), well, "{state}");
        }
    }

    #[test]
    fn rates_are_those_of_the_last_minute() {
        let sample = Sample {
            messages: 600,
            bytes_in: 60_000,
            ..Sample::default()
        };
        let spans = [(100_000, 1, sample.clone()), (20_000, 1, sample)];
        let live = live(130_000, &spans);
        assert_eq!(live["messages_per_second"], 10.0);
        assert_eq!(live["received_bytes_per_second"], 1_000.0);
        assert_eq!(live["commit"]["p50_ms"], Value::Null);
    }
}
