//! `scumble load join` and `scumble load resume`: how soon a client that comes to a canvas has its contents, or the
//! messages that it missed. Many may come at the same moment. Every part, every object and every `seq` is checked.

mod author;
mod check;
mod visitor;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::author::Author;
use self::check::Expected;
use self::visitor::{Arrival, Visitor};
use super::latency::Latency;
use super::reach::ReachArgs;
use super::report;
use super::url::Url;
use crate::config::Hidden;
use crate::protocol::ids::CanvasId;

/// All visitors must have everything within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What both take.
#[derive(Debug, clap::Args)]
struct Common {
    /// A relay's base URL
    #[arg(long, value_name = "URL", value_parser = Hidden::<Url>::new(), default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// How many come at the same moment
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// The canvas: one that nobody uses [default: a new one]
    #[arg(long, value_name = "CANVAS")]
    canvas: Option<String>,
    #[command(flatten)]
    reach: ReachArgs,
    /// They read what is long compressed
    #[arg(long)]
    compress: bool,
    /// Print one JSON object instead of a summary
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct JoinArgs {
    /// Objects on the canvas, created before anybody comes
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    objects: u32,
    /// Bytes of one object
    #[arg(long, value_name = "BYTES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    object_bytes: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// Messages that were missed
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    missed: u32,
    /// Bytes of one message
    #[arg(long, value_name = "BYTES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    message_bytes: u32,
    #[command(flatten)]
    common: Common,
}

/// What a run showed.
#[derive(Debug, Default)]
struct Run {
    clients: usize,
    /// From before the connection is made to the welcome, and to the last of what was expected.
    welcome: Latency,
    complete: Latency,
    bytes: u64,
    elapsed_s: f64,
    lost: u64,
    duplicated: u64,
    disordered: u64,
}

/// Lets visitors join a canvas with objects. `false` when one of them did not get exactly those.
pub async fn join(args: JoinArgs) -> anyhow::Result<bool> {
    let common = &args.common;
    common.reach.settle(common.url.secure)?;
    let canvas = canvas_of(common)?;
    let mut author = Author::join(&common.url, &canvas).await?;
    author
        .create_objects(args.objects, args.object_bytes as usize)
        .await
        .context("the canvas with its objects could not be made")?;
    let expected = Expected::snapshot(&author, args.objects);
    author.leave().await;
    let run = arrive(common, &canvas, &expected).await?;
    tell(common, "join", ("objects", args.objects), &run)
}

/// Lets visitors come back who missed messages. `false` when one of them did not get exactly those.
pub async fn resume(args: ResumeArgs) -> anyhow::Result<bool> {
    let common = &args.common;
    common.reach.settle(common.url.secure)?;
    let canvas = canvas_of(common)?;
    let mut author = Author::join(&common.url, &canvas).await?;
    let since = author.position();
    author
        .broadcast(args.missed, args.message_bytes as usize)
        .await
        .context("writing what is missed")?;
    let expected = Expected::messages(since, args.missed);
    author.leave().await;
    let run = arrive(common, &canvas, &expected).await?;
    tell(common, "resume", ("missed", args.missed), &run)
}

fn canvas_of(common: &Common) -> anyhow::Result<String> {
    let new = || format!("load-{}", uuid::Uuid::new_v4());
    let canvas = common.canvas.clone().unwrap_or_else(new);
    CanvasId::parse(&canvas).context("--canvas")?;
    Ok(canvas)
}

/// Lets all of them come at once, and waits until the last has everything.
async fn arrive(common: &Common, canvas: &str, expected: &Expected) -> anyhow::Result<Run> {
    super::raise_file_limit(common.clients as usize)?;
    let start = Arc::new(Barrier::new(common.clients as usize + 1));
    let mut coming = JoinSet::new();
    for number in 0..common.clients as usize {
        let start = Arc::clone(&start);
        let url = common.url.clone();
        let canvas = canvas.to_owned();
        let visitor = Visitor::new(number, expected.clone(), common.compress);
        coming.spawn(async move {
            start.wait().await;
            visitor.come(&url, &canvas).await
        });
    }
    start.wait().await;
    let began = Instant::now();
    let all = async {
        // Who is done stays until all are: who leaves early would cost the others.
        let mut arrivals = Vec::new();
        while let Some(arrival) = coming.join_next().await {
            arrivals.push(arrival.context("a client of the load ended with a fault")??);
        }
        anyhow::Ok(arrivals)
    };
    let arrivals = timeout(PATIENCE, all)
        .await
        .context("not everybody had everything within a minute")??;
    let mut run = sum(&arrivals);
    run.elapsed_s = began.elapsed().as_secs_f64();
    Ok(run)
}

fn sum(arrivals: &[Arrival]) -> Run {
    let mut run = Run {
        clients: arrivals.len(),
        ..Run::default()
    };
    for arrival in arrivals {
        run.welcome.record(arrival.welcome_us);
        run.complete.record(arrival.complete_us);
        run.bytes += arrival.bytes;
        run.lost += arrival.faults.lost;
        run.duplicated += arrival.faults.duplicated;
        run.disordered += arrival.faults.disordered;
    }
    run
}

fn tell(
    common: &Common,
    load: &str,
    (what, count): (&'static str, u32),
    run: &Run,
) -> anyhow::Result<bool> {
    let value = json!({
        "load": load, what: count, "clients": run.clients, "bytes": run.bytes,
        "elapsed_s": report::seconds(run.elapsed_s),
        "latency_ms": {"welcome": run.welcome.json(), "complete": run.complete.json()},
        "lost": run.lost, "duplicated": run.duplicated, "disordered": run.disordered,
    });
    let lines = [
        (what, count.to_string()),
        ("clients", run.clients.to_string()),
        ("bytes", run.bytes.to_string()),
        ("to the welcome", run.welcome.text()),
        ("to the last", run.complete.text()),
        ("lost", run.lost.to_string()),
        ("duplicated", run.duplicated.to_string()),
        ("disordered", run.disordered.to_string()),
    ];
    report::result(common.json, &value, &lines)?;
    Ok(run.lost + run.duplicated + run.disordered == 0)
}
