//! `scumble load polling`: how long one process's queries take while it follows many canvases that another writes to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use serde_json::json;

use super::queue::follow;
use super::report;
use super::scratch::Scratch;
use super::writer::{self, Notifier, Pace, Writer};
use super::{milliseconds, rate, seconds};
use crate::backplane::{Backplane, Canvas, Delivery, Sink, Stats};
use crate::protocol::ids::CanvasId;

/// The longest wait for what is under way at the end.
const DRAIN: Duration = Duration::from_secs(10);
/// Messages of one canvas that may wait for their commit.
const WINDOW: usize = 64;

#[derive(Debug, clap::Args)]
pub struct PollingArgs {
    /// Canvases that are followed
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    canvases: u32,
    /// The safety poll's interval: milliseconds, or with a unit
    #[arg(long, default_value = "50", value_parser = milliseconds)]
    poll_interval: Duration,
    /// Messages written in a second, over all canvases; 0: none
    #[arg(long, value_name = "RATE", default_value = "100", value_parser = rate)]
    messages_per_sec: f64,
    /// How long: seconds, or with a unit (90s, 2m)
    #[arg(long, default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// The queue file, made if it is not there; without this a temporary one
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Print one JSON object instead of a summary
    #[arg(long)]
    json: bool,
}

/// What came to the reader of one canvas.
#[derive(Debug, Default)]
struct Seen {
    head: u64,
    delivered: u64,
    duplicated: u64,
    disordered: u64,
}

#[derive(Default)]
struct Reader(Mutex<Seen>);

impl Sink for Reader {
    fn deliver(&self, delivery: Delivery) {
        let Delivery::Log(batch) = delivery else {
            return;
        };
        let mut seen = self.0.lock();
        for seq in batch.first_seq..=batch.last_seq() {
            match seq.cmp(&(seen.head + 1)) {
                std::cmp::Ordering::Less => seen.duplicated += 1,
                order => {
                    seen.disordered += u64::from(order.is_gt());
                    seen.delivered += 1;
                    seen.head = seq;
                }
            }
        }
    }
}

struct Run {
    elapsed_s: f64,
    written: writer::Written,
    delivered: u64,
    lost: u64,
    duplicated: u64,
    disordered: u64,
    stats: Stats,
}

/// Runs the load and tells how it went. `false` when something was lost, repeated or out of order.
pub async fn run(args: PollingArgs) -> anyhow::Result<bool> {
    let scratch = Scratch::new(args.db.clone())?;
    let interval = humantime::format_duration(args.poll_interval).to_string();
    let idle = humantime::format_duration(args.poll_interval.max(Duration::from_millis(200)));
    let flags = [
        "--poll-interval",
        &interval,
        "--poll-idle",
        &idle.to_string(),
    ];
    // Else most rows would come along with a wake, and nothing be polled for.
    let (reading, _deaf) = scratch.open_deaf(&flags)?;
    let writing = scratch.open(&[])?;
    let run = put_on(&args, &reading, &writing).await;
    writing.shutdown().await;
    reading.shutdown().await;
    let run = run?;
    let json = if args.json {
        json(&args, &run)
    } else {
        json!(null)
    };
    report::result(args.json, &json, &lines(&run))?;
    Ok(run.lost + run.duplicated + run.disordered == 0)
}

async fn put_on(
    args: &PollingArgs,
    reading: &Arc<dyn Backplane>,
    writing: &Arc<dyn Backplane>,
) -> anyhow::Result<Run> {
    let start = Instant::now();
    let notifier = Arc::new(Notifier::default());
    let mut readers: Vec<(Canvas, Arc<Reader>)> = Vec::new();
    let mut writers = Vec::new();
    for _ in 0..args.canvases {
        let canvas = CanvasId::parse(&format!("load-{}", uuid::Uuid::new_v4()))?;
        let reader = Arc::new(Reader::default());
        let opened = reading
            .open(&canvas, Arc::clone(&reader) as Arc<dyn Sink>)
            .await?;
        reader.0.lock().head = opened.head.seq;
        readers.push((opened.canvas, reader));
        let writer = Writer::open(writing, &canvas, start, &notifier, (200, WINDOW)).await?;
        writers.push(Arc::new(writer));
    }
    let from = Instant::now();
    let end = from + args.duration;
    let each = args.messages_per_sec / f64::from(args.canvases);
    let pace = Pace {
        rate: each,
        from,
        start,
        end,
        drain: DRAIN,
    };
    let running = if each > 0.0 {
        vec![writer::spawn(
            "writer".to_owned(),
            writers.clone(),
            notifier,
            pace,
        )?]
    } else {
        Vec::new()
    };
    let (elapsed_s, _) = follow(&writers, from, end).await;
    writer::join(running, end + DRAIN).await?;
    let lost = caught_up(&readers, &writers).await;
    report::progress_end();
    let (written, _) = writer::sum(&writers);
    let stats = reading.stats().await.context("the reader's numbers")?;
    let mut run = Run {
        elapsed_s,
        written,
        delivered: 0,
        lost,
        duplicated: 0,
        disordered: 0,
        stats,
    };
    for (canvas, reader) in &readers {
        reading.close(canvas, &(Arc::clone(reader) as Arc<dyn Sink>));
        let seen = reader.0.lock();
        run.delivered += seen.delivered;
        run.duplicated += seen.duplicated;
        run.disordered += seen.disordered;
    }
    Ok(run)
}

/// Waits until the readers have all that was committed; returns how much they have not.
async fn caught_up(readers: &[(Canvas, Arc<Reader>)], writers: &[Arc<Writer>]) -> u64 {
    let behind = || {
        let each = readers.iter().zip(writers).map(|((_, reader), writer)| {
            writer
                .look(|written| written.head)
                .saturating_sub(reader.0.lock().head)
        });
        each.sum::<u64>()
    };
    let give_up = Instant::now() + DRAIN;
    while behind() > 0 && Instant::now() < give_up {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    behind()
}

fn json(args: &PollingArgs, run: &Run) -> serde_json::Value {
    let s = &run.stats;
    json!({
        "load": "polling", "canvases": args.canvases,
        "poll_interval_ms": u64::try_from(args.poll_interval.as_millis()).unwrap_or(u64::MAX),
        "elapsed_s": report::seconds(run.elapsed_s), "polls": s.polls, "sent": run.written.sent,
        "deliveries": run.delivered, "errors": run.written.errors,
        "latency_ms": {
            "p50": s.poll_p50_ms, "p95": s.poll_p95_ms, "p99": s.poll_p99_ms, "max": s.poll_max_ms,
        },
        "lost": run.lost, "duplicated": run.duplicated, "disordered": run.disordered,
    })
}

fn lines(run: &Run) -> Vec<(&'static str, String)> {
    let s = &run.stats;
    vec![
        ("polls", s.polls.to_string()),
        (
            "query latency",
            format!(
                "p50 {:.3} ms, p95 {:.3} ms, p99 {:.3} ms, max {:.3} ms",
                s.poll_p50_ms, s.poll_p95_ms, s.poll_p99_ms, s.poll_max_ms
            ),
        ),
        ("written", run.written.sent.to_string()),
        ("delivered", run.delivered.to_string()),
        ("errors", run.written.errors.to_string()),
        ("lost", run.lost.to_string()),
        ("duplicated", run.duplicated.to_string()),
        ("disordered", run.disordered.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::load::scratch::in_memory_pair;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: PollingArgs,
    }

    #[tokio::test]
    async fn what_one_handle_writes_the_other_hears_once() {
        let line = "x --canvases 20 --messages-per-sec 400 --duration 500ms";
        let cli = Cli::parse_from(line.split(' '));
        let (reading, writing) = in_memory_pair();
        let run = put_on(&cli.args, &reading, &writing);
        let run = tokio::time::timeout(Duration::from_secs(30), run)
            .await
            .expect("bounded");
        let run = run.expect("ran");
        assert!((180..=220).contains(&run.delivered), "{}", run.delivered);
        assert_eq!(run.delivered, run.written.sent);
        assert_eq!((run.lost, run.duplicated, run.disordered), (0, 0, 0));
    }
}
