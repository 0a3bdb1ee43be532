//! What the process says about itself: log lines on standard error, and the names of all metrics.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics::Unit;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel};

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Sends log lines to standard error from here on. Libraries speak up to `info` at most: what they
/// have to say below that drowns what this program says.
pub fn start_logging(format: LogFormat, level: LogLevel) {
    let level = LevelFilter::from(level);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("scumble", level);
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => registry.with(lines.with_target(false)).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
}

/// What a metric counts as.
enum Kind {
    Gauge,
    Counter,
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
        OVERLOADED = Counter "scumble_overloaded_total" Count "Entries refused as overloaded by this process.";
        POLL = Gauge "scumble_poll_seconds" Seconds "Duration of a poll's query, by quantile.";
        WRITE = Gauge "scumble_write_seconds" Seconds "Time from taking an entry to its commit, by quantile.";
        POLL_TASKS = Gauge "scumble_active_poll_tasks" Count "Canvases that this process polls.";
        WAL_BYTES = Gauge "scumble_wal_bytes" Bytes "Size of the write-ahead log.";
        DB_BYTES = Gauge "scumble_db_bytes" Bytes "Size of the database file.";
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
            }
        }
    }

    /// Every metric's name.
    pub fn all() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(_, name, ..)| *name)
    }
}

/// The process's recorder of metrics, installed at the first call.
pub fn metrics_recorder() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Fails only if some other code of the process has installed one: then that one gets the numbers.
            if let Err(error) = metrics::set_global_recorder(recorder) {
                tracing::warn!(%error, "another metrics recorder is in place: /metrics stays empty");
            }
            names::describe();
            handle
        })
        .clone()
}
