//! `/metrics`: gauges are read at each request, so they are never older than the answer.

use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use metrics::{counter, gauge};
use serde_json::Value;
use tokio::time::timeout;

use super::{HttpState, QUEUE_ANSWER_TIMEOUT};
use crate::backplane::Stats;
use crate::backplane::histogram::{BOUNDS_US, Buckets};
use crate::counts;
use crate::telemetry::names;

/// How old the gauges of jobs may be.
const JOBS_AGE: Duration = Duration::from_secs(2);

/// The Prometheus text format.
pub(super) async fn metrics(State(state): State<HttpState>) -> Response {
    process_gauges(&state);
    counters();
    let stats = timeout(QUEUE_ANSWER_TIMEOUT, state.queue_stats()).await;
    let up = matches!(stats, Ok(Ok(_)));
    gauge!(names::QUEUE_UP).set(if up { 1.0 } else { 0.0 });
    let mut text = String::new();
    if let Ok(Ok(stats)) = stats {
        queue_gauges(&stats);
        histogram(&mut text, names::DELIVERY, &stats.delivery);
        histogram(&mut text, names::COMMIT, &stats.commit);
        histogram(&mut text, names::POLL, &stats.poll);
    }
    hook_gauges(&state).await;
    asset_gauges(&state).await;
    text += &jobs_gauges(&state).await;
    let headers = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (headers, text + &state.metrics.render()).into_response()
}

/// What is in the queues of jobs: as it was within the last seconds, since reading it costs more than the rest.
pub(super) async fn jobs_shown(state: &HttpState) -> Option<Value> {
    let jobs = state.jobs.as_ref()?;
    let mut shown = state.jobs_shown.lock().await;
    if let Some((at, rows)) = &*shown
        && at.elapsed() < JOBS_AGE
    {
        return Some(rows.clone());
    }
    let rows = timeout(QUEUE_ANSWER_TIMEOUT, jobs.gauges()).await;
    let rows = rows.ok()?.ok()?;
    *shown = Some((Instant::now(), rows.clone()));
    Some(rows)
}

async fn jobs_gauges(state: &HttpState) -> String {
    let rows = jobs_shown(state).await;
    rows.as_ref().map_or_else(String::new, jobs_text)
}

async fn hook_gauges(state: &HttpState) {
    if let Ok(aside) = timeout(QUEUE_ANSWER_TIMEOUT, state.hooks.set_aside()).await {
        gauge!(names::HOOKS_SET_ASIDE).set(count(aside));
    }
}

async fn asset_gauges(state: &HttpState) {
    let Some(assets) = &state.assets else {
        counter!(names::ASSET_UPLOADS).absolute(0);
        counter!(names::ASSETS_REMOVED).absolute(0);
        gauge!(names::ASSETS).set(0.0);
        gauge!(names::ASSETS_BYTES).set(0.0);
        gauge!(names::ASSETS_FAILING).set(0.0);
        return;
    };
    let counts = &assets.counts;
    counter!(names::ASSET_UPLOADS).absolute(counts.uploads.load(Ordering::Relaxed));
    counter!(names::ASSETS_REMOVED).absolute(counts.removed.load(Ordering::Relaxed));
    let failing = if assets.are_failing() { 1.0 } else { 0.0 };
    gauge!(names::ASSETS_FAILING).set(failing);
    if let Ok(Ok(totals)) = timeout(QUEUE_ANSWER_TIMEOUT, assets.totals()).await {
        gauge!(names::ASSETS).set(count(totals.assets));
        gauge!(names::ASSETS_BYTES).set(count(totals.bytes));
    }
}

fn process_gauges(state: &HttpState) {
    let relay = &state.relay;
    gauge!(names::CONNECTIONS).set(count(relay.connections()));
    gauge!(names::ROOMS).set(count(relay.rooms()));
    gauge!(names::DRAINING).set(if relay.draining() { 1.0 } else { 0.0 });
    gauge!(names::UPTIME).set(state.started.elapsed().as_secs_f64());
    let refused = state.beginnings.as_ref().map(|makers| makers.refused());
    counter!(names::NEW_CANVASES_REFUSED).absolute(refused.unwrap_or_default());
    counter!(names::LOG_DROPPED).absolute(crate::telemetry::dropped_lines());
    gauge!(names::EVENT_LOOP_LAG).set(relay.event_loop_lag_ms() / 1000.0);
}

/// What happened over the sockets, and the process itself.
fn counters() {
    counter!(names::JOINS).absolute(counts::JOINS.get());
    counter!(names::DELIVERIES).absolute(counts::DELIVERIES.get());
    counter!(names::ADMIN_LOGIN_FAILURES).absolute(counts::ADMIN_LOGIN_FAILURES.get());
    counter!(names::AUTH_FAILURES).absolute(counts::AUTH_FAILURES.get());
    counter!(names::BYTES_IN).absolute(counts::BYTES_IN.get());
    counter!(names::BYTES_OUT).absolute(counts::BYTES_OUT.get());
    for (code, n) in counts::CLOSES.all() {
        counter!(names::CLOSES, "code" => code).absolute(n);
    }
    for (code, n) in counts::REFUSALS.all() {
        counter!(names::REFUSALS, "code" => code).absolute(n);
    }
    let version = env!("CARGO_PKG_VERSION");
    gauge!(names::BUILD_INFO, "version" => version).set(1.0);
    metrics_process::Collector::default().collect();
}

/// One histogram in the text format.
fn histogram(out: &mut String, name: &str, buckets: &Buckets) {
    let _ = writeln!(
        out,
        "# HELP {name} {}\n# TYPE {name} histogram",
        names::help(name)
    );
    for (bound, n) in BOUNDS_US.iter().zip(&buckets.upto) {
        let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {n}", count(*bound) / 1e6);
    }
    let all = buckets.count;
    let sum = count(buckets.sum_us) / 1e6;
    let _ = writeln!(
        out,
        "{name}_bucket{{le=\"+Inf\"}} {all}\n{name}_sum {sum}\n{name}_count {all}\n"
    );
}

fn queue_gauges(stats: &Stats) {
    gauge!(names::QUEUE_HEALTH).set(match stats.queue_health {
        "critical" => 2.0,
        "warning" => 1.0,
        _ => 0.0,
    });
    gauge!(names::QUEUE_SIZE).set(count(stats.queue_size));
    gauge!(names::QUEUE_OLDEST).set(seconds(stats.oldest_unprocessed_ms));
    gauge!(names::QUEUE_ROWS).set(count(stats.rows));
    gauge!(names::WRITER_DEPTH).set(count(stats.writer_depth));
    gauge!(names::SPILLED).set(count(stats.spilled));
    counter!(names::COMMITTED).absolute(stats.committed);
    counter!(names::COMMITS).absolute(stats.commits);
    counter!(names::OVERLOADED).absolute(stats.overloaded);
    counter!(names::LOG_FULL).absolute(stats.log_full);
    counter!(names::COPIES_DIVERGED).absolute(stats.copies_diverged);
    gauge!(names::COPIES).set(count(stats.copies));
    gauge!(names::COPIES_BYTES).set(count(stats.copies_bytes));
    gauge!(names::LOG_BYTES).set(count(stats.log_bytes));
    gauge!(names::LOG_BYTES_LIMIT).set(count(stats.max_log_bytes));
    gauge!(names::COMMITS_FAILING).set(if stats.trouble.is_some() { 1.0 } else { 0.0 });
    gauge!(names::POLL_TASKS).set(count(stats.active_poll_tasks));
    gauge!(names::WAL_BYTES).set(count(stats.wal_bytes));
    gauge!(names::DB_BYTES).set(count(stats.db_bytes));
    gauge!(names::INSTANCES).set(count(stats.instances.len() as u64));
    let lag = stats.instances.iter().map(|instance| instance.lag).max();
    gauge!(names::INSTANCE_LAG).set(count(lag.unwrap_or(0)));
    let age_ms = stats
        .instances
        .iter()
        .map(|instance| instance.heartbeat_age_ms)
        .max();
    gauge!(names::HEARTBEAT_AGE).set(seconds(age_ms.unwrap_or(0)));
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn count(n: u64) -> f64 {
    n as f64
}

fn seconds(ms: u64) -> f64 {
    count(ms) / 1000.0
}

/// The gauges of the queues in the text format.
fn jobs_text(rows: &Value) -> String {
    let mut out = String::new();
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    for (name, field) in [
        (names::JOBS_DEPTH, "depth"),
        (names::JOBS_IN_FLIGHT, "inFlight"),
        (names::JOBS_DEAD, "dead"),
        (names::JOBS_BYTES, "bytes"),
        (names::JOBS_OLDEST, "oldestAgeSeconds"),
    ] {
        let values: Vec<_> = rows
            .iter()
            .filter(|row| row[field].is_number())
            .map(|row| format!("{name}{{queue={}}} {}\n", row["queue"], row[field]))
            .collect();
        if !values.is_empty() {
            let _ = write!(
                out,
                "# HELP {name} {}\n# TYPE {name} gauge\n",
                names::help(name)
            );
            out.extend(values);
            out.push('\n');
        }
    }
    out
}
