//! A run: producers and consumers, and what is measured of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::args::{Args, Mode};
use crate::ledger::Ledger;
use crate::payload::{Payload, payload};
use crate::process;
use crate::summary::{Latency, Sample, summary};
use crate::wire::Wire;

/// How long consumers may take for what is left when the producers have ended.
const REST: Duration = Duration::from_secs(15);
/// A pop that finds nothing waits so long: the end of a run must come to its notice.
const POP_WAIT: Duration = Duration::from_millis(500);
/// Messages of one push before the measurement.
const FILL_BATCH: u32 = 500;

/// What all producers and consumers share.
pub struct Run {
    pub args: Args,
    began: Instant,
    pub ledger: RefCell<Ledger>,
    pub push: Latency,
    pub delivery: Latency,
    pub ack: Latency,
    /// Latencies count.
    measuring: Cell<bool>,
    /// Producers end.
    stop: Cell<bool>,
    /// Consumers end.
    ended: Cell<bool>,
    /// The number of each producer's next message.
    next: Vec<Cell<usize>>,
    acked: Notify,
}

impl Run {
    fn record(&self, latency: &Latency, since: Instant) {
        if self.measuring.get() {
            latency.record(since.elapsed());
        }
    }

    /// Sleeps until then, or until consumers have everything.
    async fn sleep(&self, until: Instant, or_complete: bool) {
        while Instant::now() < until && !(or_complete && self.ledger.borrow().is_complete()) {
            let step = until.min(Instant::now() + Duration::from_millis(5));
            tokio::time::sleep_until(step.into()).await;
        }
    }

    pub fn sample(&self) -> Sample {
        let ledger = self.ledger.borrow();
        let servers = process::family(&self.args.server_pid);
        Sample {
            at: Instant::now(),
            pushed: ledger.pushed,
            acked: ledger.acked,
            own: process::own_cpu_s(),
            servers: servers.into_iter().map(process::cpu_s).sum(),
            steal: process::machine_s().1,
        }
    }
}

pub async fn run<W: Wire>(args: Args) -> anyhow::Result<serde_json::Value> {
    let ends = (args.target.first().cloned(), args.target.last().cloned());
    let (Some(first), Some(last)) = ends else {
        bail!("--target is missing");
    };
    let mut producers = Vec::new();
    for _ in 0..args.producers {
        producers.push(W::connect(&first, &args).await?);
    }
    producers[0].prepare().await.context("making the queue")?;
    let run = Rc::new(Run {
        began: Instant::now(),
        ledger: RefCell::new(Ledger::new(args.is_ordered())),
        push: Latency::default(),
        delivery: Latency::default(),
        ack: Latency::default(),
        measuring: Cell::new(false),
        stop: Cell::new(false),
        ended: Cell::new(false),
        next: vec![Cell::new(0); args.producers as usize],
        acked: Notify::new(),
        args,
    });
    let producers = fill(&run, producers).await?;
    // Not before: a server may close what is silent for long.
    let mut consumers = Vec::new();
    if run.args.has_consumers() {
        for _ in 0..run.args.consumers {
            consumers.push(W::connect(&last, &run.args).await?);
        }
    }
    let (from, to) = load(&run, producers, consumers).await?;
    Ok(summary(&run, &from, &to))
}

/// Pushes what is to be there before.
async fn fill<W: Wire>(run: &Rc<Run>, producers: Vec<W>) -> anyhow::Result<Vec<W>> {
    if !matches!(run.args.mode, Mode::Drain | Mode::Fill) {
        return Ok(producers);
    }
    let mut tasks = JoinSet::new();
    let left = Rc::new(Cell::new(run.args.messages));
    for (n, mut wire) in producers.into_iter().enumerate() {
        let (run, left) = (run.clone(), left.clone());
        tasks.spawn_local(async move {
            let mut turn = n as u32;
            loop {
                let count = left.get().min(u64::from(FILL_BATCH)) as u32;
                if count == 0 {
                    return anyhow::Ok(wire);
                }
                left.set(left.get() - u64::from(count));
                push(&run, &mut wire, n, &mut turn, count, Instant::now()).await?;
            }
        });
    }
    let mut producers = Vec::new();
    while let Some(wire) = tasks.join_next().await {
        producers.push(wire??);
    }
    Ok(producers)
}

/// One push, of the producer's next messages into its next partition.
async fn push<W: Wire>(
    run: &Run,
    wire: &mut W,
    producer: usize,
    turn: &mut u32,
    count: u32,
    due: Instant,
) -> anyhow::Result<()> {
    let partition = *turn % run.args.partitions;
    *turn = turn.wrapping_add(1);
    let first = run.next[producer].replace(run.next[producer].get() + count as usize);
    let since = due.saturating_duration_since(run.began);
    let payloads: Vec<String> = (first..first + count as usize)
        .map(|n| payload(producer, n, partition, since, run.args.bytes as usize))
        .collect();
    wire.push(partition, &payloads).await?;
    run.ledger.borrow_mut().pushed += u64::from(count);
    Ok(())
}

/// Producers, consumers, and the samples around what is measured.
async fn load<W: Wire>(
    run: &Rc<Run>,
    producers: Vec<W>,
    consumers: Vec<W>,
) -> anyhow::Result<(Sample, Sample)> {
    let mode = run.args.mode;
    let is_drain = mode == Mode::Drain;
    let warmup = match mode {
        Mode::Drain | Mode::Fill => 0.0,
        _ => run.args.warmup,
    };
    let began = Instant::now();
    let mut pushing = JoinSet::new();
    let mut popping = JoinSet::new();
    for wire in consumers {
        popping.spawn_local(consume(run.clone(), wire));
    }
    if matches!(mode, Mode::Push | Mode::Through | Mode::Paced) {
        for (n, wire) in producers.into_iter().enumerate() {
            pushing.spawn_local(produce(run.clone(), wire, n));
        }
    }
    let from_at = began + Duration::from_secs_f64(warmup);
    let measured = async {
        run.sleep(from_at, false).await;
        run.measuring.set(true);
        let from = run.sample();
        if mode != Mode::Fill {
            let until = from.at + Duration::from_secs_f64(run.args.duration);
            run.sleep(until, is_drain).await;
        }
        run.measuring.set(false);
        (from, run.sample())
    };
    let samples = tokio::select! {
        samples = measured => samples,
        // They end when they are told to, or when they fail.
        failed = failure(&mut pushing) => return Err(failed),
        failed = failure(&mut popping) => return Err(failed),
    };
    run.stop.set(true);
    run.acked.notify_waiters();
    while let Some(ended) = pushing.join_next().await {
        ended?.context("a producer")?;
    }
    if run.args.has_consumers() && !is_drain {
        run.sleep(Instant::now() + REST, true).await;
    }
    run.ended.set(true);
    while let Some(ended) = popping.join_next().await {
        ended?.context("a consumer")?;
    }
    Ok(samples)
}

/// Of the first task that ends before it is told to.
async fn failure(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Error {
    match tasks.join_next().await {
        None => std::future::pending().await,
        Some(Ok(Err(error))) => error,
        Some(Ok(Ok(()))) => anyhow::anyhow!("a connection ended too early"),
        Some(Err(error)) => error.into(),
    }
}

async fn produce<W: Wire>(run: Rc<Run>, mut wire: W, n: usize) -> anyhow::Result<()> {
    let args = &run.args;
    let every =
        Duration::from_secs_f64(f64::from(args.batch) * f64::from(args.producers) / args.rate);
    let mut turn = n as u32;
    // Each at a phase of its own.
    let mut due = Instant::now() + every.mul_f64(n as f64 / f64::from(args.producers));
    while !run.stop.get() {
        match args.mode {
            Mode::Paced => {
                tokio::time::sleep_until(due.into()).await;
                if run.stop.get() {
                    break;
                }
            }
            Mode::Through if is_full(&run) => {
                run.acked.notified().await;
                continue;
            }
            _ => due = Instant::now(),
        }
        push(&run, &mut wire, n, &mut turn, args.batch, due).await?;
        run.record(&run.push, due);
        due += every;
    }
    Ok(())
}

fn is_full(run: &Run) -> bool {
    let ledger = run.ledger.borrow();
    ledger.pushed >= ledger.acked + run.args.window
}

async fn consume<W: Wire>(run: Rc<Run>, mut wire: W) -> anyhow::Result<()> {
    while !run.ended.get() {
        let messages = wire.pop(run.args.pop_batch, POP_WAIT).await?;
        if messages.is_empty() {
            continue;
        }
        let now = run.began.elapsed();
        for message in &messages {
            came(&run, message, now);
        }
        let asked = Instant::now();
        wire.ack().await?;
        run.record(&run.ack, asked);
        run.ledger.borrow_mut().acked += messages.len() as u64;
        run.acked.notify_waiters();
    }
    Ok(())
}

fn came(run: &Run, message: &Payload, now: Duration) {
    run.ledger.borrow_mut().came(message);
    if run.measuring.get() {
        run.delivery
            .record(now.saturating_sub(Duration::from_nanos(message.due)));
    }
}
