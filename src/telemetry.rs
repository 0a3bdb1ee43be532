//! Log lines, and the names of all metrics.

mod log;

use std::sync::OnceLock;

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use log::{
    Logging, dropped_lines, forward_line, reopen_log, start_logging, tell_of_dropped_lines,
};

/// What a metric counts as.
enum Kind {
    Gauge,
    Counter,
    /// Written by `histogram`: what the recorder would keep is kept elsewhere already.
    Histogram,
}

macro_rules! metrics_table {
    ($($(#[$doc:meta])* $constant:ident = $kind:ident $name:literal $unit:ident $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*
        const TABLE: &[(Kind, &str, Unit, &str)] = &[$((Kind::$kind, $name, Unit::$unit, $help)),*];
    };
}

/// The names of all metrics.
pub mod names {
    use super::{Kind, Unit};

    metrics_table! {
        CONNECTIONS = Gauge "scumble_connections" Count "WebSocket connections of this process.";
        ROOMS = Gauge "scumble_rooms" Count "Canvases with a connection on this process.";
        DRAINING = Gauge "scumble_draining" Count "1 while this process shuts down.";
        UPTIME = Gauge "scumble_uptime_seconds" Seconds "Time since this process started.";
        EVENT_LOOP_LAG = Gauge "scumble_event_loop_lag_seconds" Seconds "How late this process's timers fire.";
        QUEUE_UP = Gauge "scumble_queue_up" Count "1 when the queue answered this scrape; the queue's other gauges are old if not.";
        QUEUE_HEALTH = Gauge "scumble_queue_health" Count "0 healthy, 1 warning, 2 critical.";
        QUEUE_SIZE = Gauge "scumble_queue_size" Count "Unexpired rows that some live instance with members has not processed.";
        QUEUE_OLDEST = Gauge "scumble_queue_oldest_unprocessed_seconds" Seconds "Age of the oldest of them.";
        QUEUE_ROWS = Gauge "scumble_queue_rows" Count "Rows of the queue, those kept only for their TTL included.";
        SPILLED = Gauge "scumble_spilled" Count "Messages in this process's spill file.";
        WRITER_DEPTH = Gauge "scumble_writer_depth" Count "Entries waiting for this process's writer.";
        COMMITTED = Counter "scumble_messages_committed_total" Count "Messages committed by this process.";
        COMMITS = Counter "scumble_commits_total" Count "Transactions of this process's writer; messages per commit is the batch.";
        LOG_DROPPED = Counter "scumble_log_lines_dropped_total" Count "Log lines that nobody took in time.";
        OVERLOADED = Counter "scumble_overloaded_total" Count "Entries refused as overloaded by this process.";
        LOG_FULL = Counter "scumble_log_full_total" Count "Messages that this process refused because a log was full.";
        NEW_CANVASES_REFUSED = Counter "scumble_new_canvases_refused_total" Count "Canvases that this process did not make (--new-canvases-per-minute).";
        COPIES_DIVERGED = Counter "scumble_copies_diverged_total" Count "Copies of canvases here that were found to differ from another instance's, and were read anew.";
        COPIES = Gauge "scumble_copies" Count "Canvases of which this process has a copy.";
        COPIES_BYTES = Gauge "scumble_copies_bytes" Bytes "JSON of the objects and the chat in these copies.";
        LOG_BYTES = Gauge "scumble_log_bytes" Bytes "Retained messages of all canvases, as --max-log-bytes counts them.";
        LOG_BYTES_LIMIT = Gauge "scumble_log_bytes_limit" Bytes "What they may be at most (--max-log-bytes).";
        POLL = Histogram "scumble_poll_seconds" Seconds "Duration of a poll's query.";
        COMMIT = Histogram "scumble_commit_seconds" Seconds "Time from taking an entry to its commit.";
        DELIVERY = Histogram "scumble_delivery_seconds" Seconds "Time from a message's transaction to its being handed to the members on this process.";
        COMMITS_FAILING = Gauge "scumble_commits_failing" Count "1 while this process can't commit.";
        BUILD_INFO = Gauge "scumble_build_info" Count "1, with the version of this program.";
        JOINS = Counter "scumble_joins_total" Count "Clients that were welcomed by this process.";
        CLOSES = Counter "scumble_closes_total" Count "WebSockets of this process that ended, by the code they were closed with.";
        REFUSALS = Counter "scumble_refusals_total" Count "Errors told to clients of this process, by their code.";
        DELIVERIES = Counter "scumble_deliveries_total" Count "Messages handed to members of this process: one that ten hear counts ten times.";
        ADMIN_LOGIN_FAILURES = Counter "scumble_admin_login_failures_total" Count "Logins at the dashboard that this process refused.";
        AUTH_FAILURES = Counter "scumble_auth_failures_total" Count "Tokens that this process refused.";
        BYTES_IN = Counter "scumble_received_bytes_total" Bytes "Bytes received over WebSockets by this process.";
        BYTES_OUT = Counter "scumble_sent_bytes_total" Bytes "Bytes sent over WebSockets by this process.";
        POLL_TASKS = Gauge "scumble_active_poll_tasks" Count "Canvases that this process polls.";
        WAL_BYTES = Gauge "scumble_wal_bytes" Bytes "Size of the write-ahead log.";
        DB_BYTES = Gauge "scumble_db_bytes" Bytes "Size of the database file.";
        JOBS_ENQUEUED = Counter "scumble_jobs_enqueued_total" Count "Jobs pushed through this process.";
        JOBS_DUPLICATES = Counter "scumble_jobs_duplicates_total" Count "Jobs that were pushed before.";
        JOBS_DELIVERED = Counter "scumble_jobs_delivered_total" Count "Jobs handed out by this process.";
        JOBS_ACKED = Counter "scumble_jobs_acked_total" Count "Jobs acknowledged as completed.";
        JOBS_RETRIED = Counter "scumble_jobs_retried_total" Count "Jobs that failed and come again.";
        JOBS_DEAD_TOTAL = Counter "scumble_jobs_dead_total" Count "Jobs that went to the dead letters.";
        JOBS_DROPPED = Counter "scumble_jobs_dropped_total" Count "Jobs that ended without a delivery: too old, or deleted.";
        JOBS_WAIT = Histogram "scumble_jobs_wait_seconds" Seconds "Time from a job's push to its first delivery.";
        JOBS_PROCESSING = Histogram "scumble_jobs_processing_seconds" Seconds "Time from a job's delivery to its acknowledgement.";
        JOBS_DEPTH = Gauge "scumble_jobs_depth" Count "Jobs in a queue that are not completed.";
        JOBS_IN_FLIGHT = Gauge "scumble_jobs_in_flight" Count "Jobs that are handed out and not decided, of all groups.";
        JOBS_DEAD = Gauge "scumble_jobs_dead" Count "Dead letters of a queue.";
        JOBS_BYTES = Gauge "scumble_jobs_bytes" Bytes "Bytes of a queue's jobs.";
        JOBS_OLDEST = Gauge "scumble_jobs_oldest_age_seconds" Seconds "Age of the oldest job of a queue; left out where it has too many partitions to look through.";
        HOOKS_SET_ASIDE = Gauge "scumble_hooks_set_aside" Count "Events that are written and not in their hooks' queues yet.";
        ASSETS = Gauge "scumble_assets" Count "Images and files of all canvases.";
        ASSETS_BYTES = Gauge "scumble_assets_bytes" Bytes "Their bytes, as --max-total-asset-bytes counts them.";
        ASSETS_FAILING = Gauge "scumble_assets_failing" Count "1: their folder or bucket could not be used when this process last tried.";
        ASSET_UPLOADS = Counter "scumble_asset_uploads_total" Count "Assets that this process took and that were not there before.";
        ASSETS_REMOVED = Counter "scumble_assets_removed_total" Count "Assets that this process removed because no object named them any more.";
        INSTANCES = Gauge "scumble_instances" Count "Live instances of this relay.";
        INSTANCE_LAG = Gauge "scumble_instance_lag" Count "Rows that the furthest-behind live instance has not processed.";
        HEARTBEAT_AGE = Gauge "scumble_instance_heartbeat_age_seconds" Seconds "Age of the oldest heartbeat among the instances.";
    }

    /// Gives each metric its HELP line.
    pub(super) fn describe() {
        for (kind, name, unit, help) in TABLE {
            match kind {
                Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
                Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
                Kind::Histogram => metrics::describe_histogram!(*name, *unit, *help),
            }
        }
    }

    /// A metric's HELP line.
    pub(crate) fn help(wanted: &str) -> &'static str {
        let found = TABLE.iter().find(|(_, name, ..)| *name == wanted);
        found.map_or("", |(_, _, _, help)| help)
    }

    /// Every metric's name.
    pub fn all() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(_, name, ..)| *name)
    }
}

/// Upper bounds of the histograms of jobs, in seconds.
const JOB_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 3_600.0,
];

/// The process's recorder of metrics, installed at the first call.
pub fn metrics_recorder() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            // Fails for no buckets only.
            let jobs = Matcher::Prefix("scumble_jobs_".to_owned());
            let builder = PrometheusBuilder::new().set_buckets_for_metric(jobs, JOB_BUCKETS);
            let recorder = builder.unwrap_or_default().build_recorder();
            let handle = recorder.handle();
            // Fails only if some other code of the process has installed one: then that one gets the numbers.
            if let Err(error) = metrics::set_global_recorder(recorder) {
                tracing::warn!(%error, "another metrics recorder is in place: /metrics stays empty");
            }
            names::describe();
            metrics_process::Collector::default().describe();
            handle
        })
        .clone()
}
