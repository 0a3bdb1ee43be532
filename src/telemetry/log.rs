//! Log lines, to standard error or a file. A thread of its own writes them. So a reader that hangs, a full pipe or a
//! full disk never stops the code that logs. Lines that find no room are dropped and counted.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel};
use crate::limits::LOG_LINES;

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

/// The way to the log, once there is one.
static LINES: OnceLock<NonBlocking> = OnceLock::new();
/// The file is to be opened anew before the next line.
static REOPEN: AtomicBool = AtomicBool::new(false);
/// Lines that could not be written: a full disk, a reader that is gone.
static LOST: AtomicU64 = AtomicU64::new(0);
/// As many of the dropped lines have been told of.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// Writes what is left when it is dropped, or gives up after about a second.
#[must_use]
pub struct Logging {
    _worker: WorkerGuard,
}

/// Sends log lines to the file, or to standard error, from here on. Libraries speak up to `info` at most: what they
/// have to say below that drowns what this program says.
///
/// # Errors
/// When the file can't be opened.
pub fn start_logging(
    format: LogFormat,
    level: LogLevel,
    file: Option<&Path>,
) -> anyhow::Result<Logging> {
    let out = Out::open(file)?;
    let colours = file.is_none() && io::stderr().is_terminal();
    let (lines, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LOG_LINES)
        .thread_name("log")
        .finish(out);
    let _ = LINES.set(lines.clone());
    let level = LevelFilter::from(level);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("scumble", level);
    let registry = tracing_subscriber::registry().with(targets);
    // Of an error in writing the layer would tell on standard error, and panic where that is closed.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(lines)
        .log_internal_errors(false)
        .with_ansi(colours);
    match format {
        LogFormat::Text => registry.with(lines.with_target(false)).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    Ok(Logging { _worker: worker })
}

/// Writes a line that is complete already, as a supervisor does with its processes' lines.
pub fn forward_line(line: &str) {
    if let Some(mut lines) = LINES.get().cloned() {
        // It never fails: what finds no room is counted.
        let _ = lines.write(format!("{line}\n").as_bytes());
    }
}

/// Opens the log file anew, for programs that rotate logs; nothing without `--log-file`. What was written before stays in the old one.
pub fn reopen_log() {
    REOPEN.store(true, Ordering::Release);
    // The line also makes the writing thread look.
    tracing::info!("SIGUSR1: the log file is opened again");
}

/// Log lines that were dropped since the start.
pub fn dropped_lines() -> u64 {
    let dropped = LINES.get().map_or(0, |lines| {
        u64::try_from(lines.error_counter().dropped_lines()).unwrap_or(u64::MAX)
    });
    dropped.saturating_add(LOST.load(Ordering::Relaxed))
}

/// Says in the log how many lines are missing from it, once there is room again. To be called now and then.
pub fn tell_of_dropped_lines() {
    let dropped = dropped_lines();
    let told = TOLD.load(Ordering::Relaxed);
    if dropped <= told {
        return;
    }
    let missing = dropped - told;
    tracing::warn!(
        missing,
        "log lines were dropped: they were not taken in time"
    );
    // That line may have been dropped as well; then it is said again.
    if dropped_lines() == dropped {
        TOLD.store(dropped, Ordering::Relaxed);
    }
}

/// Where lines go.
enum Out {
    Stderr,
    File { path: PathBuf, file: File },
}

impl Out {
    fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = file else {
            return Ok(Self::Stderr);
        };
        let file = append_to(path).with_context(|| format!("--log-file {}", path.display()))?;
        let path = path.to_owned();
        Ok(Self::File { path, file })
    }

    fn reopen(&mut self) {
        let Self::File { path, file } = self else {
            return;
        };
        match append_to(path) {
            Ok(new) => *file = new,
            // The old one is better than none.
            Err(error) => {
                let told = format!(
                    "the log file {} can't be opened again: {error}\n",
                    path.display()
                );
                let _ = file.write_all(told.as_bytes());
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

impl Write for Out {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if REOPEN.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        let written = match self {
            Self::Stderr => io::stderr().write_all(line),
            Self::File { file, .. } => file.write_all(line),
        };
        if written.is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
