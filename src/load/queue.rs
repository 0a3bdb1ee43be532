//! `scumble load queue`: how fast and how soon one process's writer commits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::report::{self, per_second};
use super::scratch::Scratch;
use super::writer::{self, Notifier, Pace, Writer};
use super::{rate, seconds};
use crate::backplane::{Backplane, Stats};
use crate::limits;
use crate::protocol::ids::CanvasId;

/// The longest wait for commits that are under way at the end.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct QueueArgs {
    /// Threads that write, each as one author on a canvas of its own
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Messages each thread writes in a second; 0: as fast as --window lets it
    #[arg(long, value_name = "RATE", default_value = "100", value_parser = rate)]
    messages_per_sec: f64,
    /// How long to write: seconds, or with a unit (90s, 2m)
    #[arg(long, default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// Bytes of one message
    #[arg(long, value_name = "BYTES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    message_bytes: u32,
    /// Messages of one thread that may wait for their commit
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=4096))]
    window: u32,
    /// The queue file, made if it is not there; without this a temporary one
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Print one JSON object instead of a summary
    #[arg(long)]
    json: bool,
}

/// What a run showed.
#[derive(Debug)]
struct Run {
    elapsed_s: f64,
    committed_per_s: f64,
    written: writer::Written,
    lost: u64,
    stats: Stats,
}

/// Runs the load and tells how it went. `false` when something was lost, repeated or out of order.
pub async fn run(args: QueueArgs) -> anyhow::Result<bool> {
    let scratch = Scratch::new(args.db.clone())?;
    let queue = scratch.open(&[])?;
    let run = put_on(&args, &queue).await;
    queue.shutdown().await;
    let run = run?;
    let json = if args.json {
        json(&args, &run)
    } else {
        json!(null)
    };
    report::result(args.json, &json, &lines(&run))?;
    Ok(run.lost + run.written.duplicated + run.written.disordered == 0)
}

async fn put_on(args: &QueueArgs, queue: &Arc<dyn Backplane>) -> anyhow::Result<Run> {
    // All windows together stay below what the queue takes, so that `overloaded` means the queue's own trouble.
    let share = limits::WRITER_QUEUE_ENTRIES / usize::from(args.threads);
    let window = (args.window as usize).min(share).max(1);
    let start = Instant::now();
    let mut writers = Vec::new();
    let mut threads = Vec::new();
    for n in 0..args.threads {
        // A canvas nobody else has: several runs may share a file.
        let canvas = CanvasId::parse(&format!("load-{}", uuid::Uuid::new_v4()))?;
        let notifier = Arc::new(Notifier::default());
        let size = (args.message_bytes as usize, window);
        let writer = Arc::new(Writer::open(queue, &canvas, start, &notifier, size).await?);
        writers.push(Arc::clone(&writer));
        threads.push((format!("writer-{n}"), writer, notifier));
    }
    let opened = start.elapsed();
    let end = start + opened + args.duration;
    let mut running = Vec::new();
    for (name, writer, notifier) in threads {
        let pace = Pace {
            rate: args.messages_per_sec,
            from: start + opened,
            start,
            end,
            drain: DRAIN,
        };
        running.push(writer::spawn(name, vec![writer], notifier, pace)?);
    }
    let told = follow(&writers, start + opened, end).await;
    writer::join(running, end + DRAIN).await?;
    report::progress_end();
    let (written, lost) = writer::sum(&writers);
    let stats = queue.stats().await?;
    Ok(Run {
        elapsed_s: told.0,
        committed_per_s: per_second(told.1, told.0),
        written,
        lost,
        stats,
    })
}

/// A progress line a second until the end. Returns the seconds gone by and what was committed in them.
pub async fn follow(writers: &[Arc<Writer>], start: Instant, end: Instant) -> (f64, u64) {
    loop {
        let next = (Instant::now() + Duration::from_secs(1)).min(end);
        tokio::time::sleep_until(next.into()).await;
        let elapsed = start.elapsed().as_secs_f64();
        let (written, open) = writer::sum(writers);
        report::progress(&format!(
            "{elapsed:.0} s: {} committed ({:.0}/s), {open} under way, {} errors, p50 {:.2} ms",
            written.committed,
            per_second(written.committed, elapsed),
            written.errors,
            written.latency.ms(0.5),
        ));
        if Instant::now() >= end {
            return (elapsed, written.committed);
        }
    }
}

fn json(args: &QueueArgs, run: &Run) -> serde_json::Value {
    let w = &run.written;
    json!({
        "load": "queue", "threads": args.threads, "messages_per_sec": args.messages_per_sec,
        "elapsed_s": report::seconds(run.elapsed_s), "sent": w.sent, "committed": w.committed, "errors": w.errors,
        "messages_per_s": run.committed_per_s, "commits": run.stats.commits,
        "latency_ms": w.latency.json(),
        "lost": run.lost, "duplicated": w.duplicated, "disordered": w.disordered,
    })
}

fn lines(run: &Run) -> Vec<(&'static str, String)> {
    let w = &run.written;
    vec![
        ("sent", w.sent.to_string()),
        (
            "committed",
            format!("{} ({:.0}/s)", w.committed, run.committed_per_s),
        ),
        ("commits", run.stats.commits.to_string()),
        ("errors", w.errors.to_string()),
        ("write latency", w.latency.text()),
        ("lost", run.lost.to_string()),
        ("duplicated", w.duplicated.to_string()),
        ("disordered", w.disordered.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::load::scratch::in_memory;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: QueueArgs,
    }

    async fn load(line: &str) -> Run {
        let cli = Cli::parse_from(["x"].into_iter().chain(line.split(' ')));
        let queue = in_memory();
        let run = tokio::time::timeout(Duration::from_secs(30), put_on(&cli.args, &queue));
        run.await.expect("bounded").expect("ran")
    }

    #[tokio::test]
    async fn a_rate_is_kept_and_everything_comes_back_once() {
        let run = load("--threads 4 --messages-per-sec 100 --duration 500ms").await;
        let w = &run.written;
        assert!((180..=204).contains(&w.sent), "{run:?}");
        assert_eq!(
            (w.committed, w.latency.count(), run.lost),
            (w.sent, w.sent, 0)
        );
        assert_eq!((w.errors, w.duplicated, w.disordered), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_rate_of_zero_is_as_fast_as_the_window_lets_it() {
        let run = load("--threads 2 --messages-per-sec 0 --window 8 --duration 200ms").await;
        assert!(run.written.sent > 200, "{run:?}");
        assert_eq!((run.written.committed, run.lost), (run.written.sent, 0));
    }
}
