//! `/metrics`: gauges are set when they are asked for, so that they are never older than the answer.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use metrics::{counter, gauge};
use tokio::time::timeout;

use super::{HttpState, QUEUE_ANSWER_TIMEOUT};
use crate::backplane::Stats;
use crate::telemetry::names;

/// The Prometheus text format.
pub(super) async fn metrics(State(state): State<HttpState>) -> Response {
    process_gauges(&state);
    let stats = timeout(QUEUE_ANSWER_TIMEOUT, state.backplane.stats()).await;
    let up = matches!(stats, Ok(Ok(_)));
    gauge!(names::QUEUE_UP).set(if up { 1.0 } else { 0.0 });
    if let Ok(Ok(stats)) = stats {
        queue_gauges(&stats);
    }
    let headers = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (headers, state.metrics.render()).into_response()
}

fn process_gauges(state: &HttpState) {
    let relay = &state.relay;
    gauge!(names::CONNECTIONS).set(count(relay.connections()));
    gauge!(names::ROOMS).set(count(relay.rooms()));
    gauge!(names::DRAINING).set(if relay.draining() { 1.0 } else { 0.0 });
    gauge!(names::UPTIME).set(state.started.elapsed().as_secs_f64());
    gauge!(names::EVENT_LOOP_LAG).set(relay.event_loop_lag_ms() / 1000.0);
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
    for (quantile, poll_ms, write_ms) in [
        ("0.5", stats.poll_p50_ms, stats.write_p50_ms),
        ("0.99", stats.poll_p99_ms, stats.write_p99_ms),
    ] {
        gauge!(names::POLL, "quantile" => quantile).set(poll_ms / 1000.0);
        gauge!(names::WRITE, "quantile" => quantile).set(write_ms / 1000.0);
    }
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
