//! `scumble load clients`: real WebSocket clients that check every message.

mod client;
mod hearing;
mod ledger;
mod returns;
mod summary;
mod tally;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::client::{Client, DUE_QUEUE, Due, Plan, Stream};
use self::summary::{Progress, Run};
use self::tally::Shared;
use super::history::History;
use super::pacer::{self, Beat, Schedule};
use super::reach::ReachArgs;
use super::url::Url;
use super::{rate, report, seconds, seconds_or_none};
use crate::config::Hidden;
use crate::protocol::encoding::Encoding;

/// Clients of one load.
const MAX_CLIENTS: usize = 50_000;
/// Connections that are being made at the same time.
const RAMP: usize = 64;
/// Everybody must have joined within this, plus a millisecond for each client.
const RAMP_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct ClientsArgs {
    /// A relay's base URL. Repeat it: the clients of each canvas are spread over them
    #[arg(
        long = "url",
        value_name = "URL",
        value_parser = Hidden::<Url>::new(),
        default_value = "http://127.0.0.1:8080"
    )]
    urls: Vec<Url>,
    /// A relay where nobody begins, and where clients go that have lost theirs. Repeatable
    #[arg(long = "standby-url", value_name = "URL", value_parser = Hidden::<Url>::new())]
    standby: Vec<Url>,
    /// Canvases
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    canvases: u32,
    /// Clients of each canvas
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    clients_per_canvas: u32,
    /// How many clients of each canvas send [default: all that read]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    senders_per_canvas: Option<u32>,
    /// How many clients of each canvas join and then never read again
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=50_000))]
    stalled_per_canvas: u32,
    /// Cursors each client sends in a second
    #[arg(long, value_name = "RATE", default_value = "30", value_parser = rate)]
    cursor_rate: f64,
    /// Updates of its own object each client sends in a second
    #[arg(long, value_name = "RATE", default_value = "0.2", value_parser = rate)]
    object_rate: f64,
    /// Durable broadcasts each client sends in a second
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    message_rate: f64,
    /// Bytes of one broadcast
    #[arg(long, value_name = "BYTES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    message_bytes: u32,
    /// How long to send: seconds, or with a unit (90s, 2m)
    #[arg(long, default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// The longest wait for what is still under way at the end: seconds, or with a unit
    #[arg(long, default_value = "10", value_parser = seconds_or_none)]
    drain: Duration,
    /// How the clients read and write messages
    #[arg(long, value_enum, default_value = "json")]
    encoding: Written,
    /// The canvases are named PREFIX-0, PREFIX-1, …
    #[arg(long, value_name = "PREFIX", default_value = "load")]
    canvas_prefix: String,
    #[command(flatten)]
    reach: ReachArgs,
    /// Write what clients sent and were told to a file, for scripts/judge
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object instead of a summary
    #[arg(long)]
    json: bool,
}

/// The encodings by their names on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Written {
    Json,
    Msgpack,
}

impl From<Written> for Encoding {
    fn from(written: Written) -> Self {
        match written {
            Written::Json => Self::Json,
            Written::Msgpack => Self::Msgpack,
        }
    }
}

impl ClientsArgs {
    fn plans(&self) -> anyhow::Result<Vec<Plan>> {
        let canvases = self.canvases as usize;
        let members = self.clients_per_canvas as usize;
        if canvases * members > MAX_CLIENTS {
            bail!("--canvases times --clients-per-canvas must be at most {MAX_CLIENTS}");
        }
        let stalled = self.stalled_per_canvas as usize;
        if stalled + self.senders() > members {
            bail!(
                "--stalled-per-canvas and --senders-per-canvas together must be at most --clients-per-canvas"
            );
        }
        let mut plans = Vec::with_capacity(canvases * members);
        for canvas in 0..canvases {
            let canvas_id = format!("{}-{canvas}", self.canvas_prefix);
            crate::protocol::ids::CanvasId::parse(&canvas_id).context("--canvas-prefix")?;
            for member in 0..members {
                plans.push(Plan {
                    urls: self.urls_of(canvas + member),
                    stalls: member >= members - stalled,
                    canvas,
                    canvas_id: canvas_id.clone(),
                    member,
                    object: self.object_rate > 0.0,
                    message_bytes: self.message_bytes as usize,
                    encoding: self.encoding.into(),
                });
            }
        }
        Ok(plans)
    }

    /// How many members of a canvas send: its first.
    fn senders(&self) -> usize {
        let reading = self
            .clients_per_canvas
            .saturating_sub(self.stalled_per_canvas);
        self.senders_per_canvas.unwrap_or(reading) as usize
    }

    /// Where a client goes: its own relay first, then the others, which share those who have lost theirs.
    fn urls_of(&self, number: usize) -> Vec<Url> {
        let mut urls = self.urls.clone();
        urls.rotate_left(number % self.urls.len());
        let own = urls.remove(0);
        urls.extend(self.standby.iter().cloned());
        if !urls.is_empty() {
            let turn = number / self.urls.len() % urls.len();
            urls.rotate_left(turn);
        }
        urls.insert(0, own);
        urls
    }

    fn schedule(&self, clients: usize) -> Schedule<Stream> {
        let streams = [
            (Stream::Cursor, self.cursor_rate),
            (Stream::Object, self.object_rate),
            (Stream::Message, self.message_rate),
        ];
        let members = self.clients_per_canvas as usize;
        let senders = self.senders();
        let sends = move |who: &usize| who % members < senders;
        let beats = streams.into_iter().filter_map(|(stream, rate)| {
            let every_ns = pacer::interval_ns(rate)?;
            Some((0..clients).filter(sends).map(move |who| Beat {
                who,
                stream,
                every_ns,
            }))
        });
        Schedule::new(beats.flatten().collect())
    }
}

/// The clients of a run, and how to reach them.
struct Crowd {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    due: Vec<mpsc::Sender<Due>>,
    ready: mpsc::Receiver<Result<(), String>>,
    stop: watch::Sender<bool>,
}

/// Runs the load and tells how it went. `false` when something was lost, repeated, out of order or never answered.
pub async fn run(args: ClientsArgs) -> anyhow::Result<bool> {
    let (shared, run) = put_on(&args).await?;
    summary::tell(args.json, &shared.tally.lock(), &run)?;
    Ok(run.is_right())
}

async fn put_on(args: &ClientsArgs) -> anyhow::Result<(Arc<Shared>, Run)> {
    let plans = args.plans()?;
    let clients = plans.len();
    super::raise_file_limit(clients)?;
    let all = args.urls.iter().chain(&args.standby);
    args.reach.settle(all.into_iter().any(|url| url.secure))?;
    let mut shared = Shared::new(args.canvases as usize, args.clients_per_canvas as usize);
    let history = args.record.as_deref();
    let history = history.map(|path| History::create(path, &args.canvas_prefix));
    shared.history = history.transpose()?;
    let shared = Arc::new(shared);
    let mut crowd = Crowd::start(plans, &shared);
    let ramp = Instant::now();
    crowd.wait_ready(clients).await?;
    let ramp_s = ramp.elapsed().as_secs_f64();

    let start = Instant::now();
    let progress = Progress::new(Arc::clone(&shared), start);
    let pacing = Pacing::start(args, &crowd, start)?;
    let end = start + args.duration;
    while Instant::now() < end {
        let next = (Instant::now() + Duration::from_secs(1)).min(end);
        tokio::time::sleep_until(next.into()).await;
        report::progress(&progress.line());
    }
    pacing.stop()?;
    let rates = progress.rates();
    let drain = Instant::now();
    while !settled(&shared) && drain.elapsed() < args.drain {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    report::progress_end();
    let run = Run {
        clients,
        instances: shared.instances(),
        ramp_s,
        rates,
        drain_s: drain.elapsed().as_secs_f64(),
        unanswered: u64::try_from(shared.open.load(Ordering::Relaxed)).unwrap_or(0),
        // Before the goodbyes: who has left hears nothing more.
        faults: shared.faults(),
    };
    crowd.end().await;
    shared.history.as_ref().map_or(Ok(()), History::finish)?;
    Ok((shared, run))
}

fn settled(shared: &Shared) -> bool {
    shared.open.load(Ordering::Relaxed) <= 0 && shared.faults().lost == 0
}

impl Crowd {
    fn start(plans: Vec<Plan>, shared: &Arc<Shared>) -> Self {
        let (ready_tx, ready) = mpsc::channel(plans.len() * 2);
        let (stop, stopped) = watch::channel(false);
        let ramp = Arc::new(Semaphore::new(RAMP));
        let mut tasks = JoinSet::new();
        let mut due = Vec::with_capacity(plans.len());
        for plan in plans {
            let (tx, rx) = mpsc::channel(DUE_QUEUE);
            due.push(tx);
            let client = Client::new(
                plan,
                Arc::clone(shared),
                rx,
                stopped.clone(),
                ready_tx.clone(),
                Arc::clone(&ramp),
            );
            tasks.spawn(client.run());
        }
        Self {
            shared: Arc::clone(shared),
            tasks,
            due,
            ready,
            stop,
        }
    }

    async fn wait_ready(&mut self, clients: usize) -> anyhow::Result<()> {
        let patience = RAMP_PATIENCE + Duration::from_millis(clients as u64);
        let all = async {
            for _ in 0..clients {
                match self.ready.recv().await {
                    Some(Ok(())) => {}
                    Some(Err(why)) => bail!("a client could not join: {why}"),
                    None => bail!("the clients ended before the load began"),
                }
            }
            Ok(())
        };
        timeout(patience, all)
            .await
            .context("not all clients joined in time")?
    }

    async fn end(mut self) {
        // A receiver that is gone is a client that ended already.
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(crate::limits::CLOSE_TIMEOUT * 2, all).await;
        self.tasks.abort_all();
    }
}

/// The thread that says what is due.
struct Pacing {
    thread: std::thread::JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Pacing {
    fn start(args: &ClientsArgs, crowd: &Crowd, start: Instant) -> anyhow::Result<Self> {
        let schedule = args.schedule(crowd.due.len());
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&crowd.shared);
        let due = crowd.due.clone();
        let end = start + args.duration;
        let stopped = Arc::clone(&stop);
        let tell = move |at: Instant, beat: Beat<Stream>| {
            let us = shared.us(at);
            shared.open.fetch_add(1, Ordering::Relaxed);
            if due[beat.who]
                .try_send(Due {
                    us,
                    stream: beat.stream,
                })
                .is_err()
            {
                shared.open.fetch_sub(1, Ordering::Relaxed);
                shared.tally.lock().skipped += 1;
            }
        };
        let thread = std::thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || pacer::run(schedule, start, end, &stopped, tell))
            .context("the pacer's thread did not start")?;
        Ok(Self { thread, stop })
    }

    fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the pacer died"))
    }
}
