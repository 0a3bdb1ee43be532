//! `scumble load jobs`: producers and consumers on the work queue of running relays, and a check of the results.
//!
//! With a rate it is an open loop: a message counts from the moment it was due, so delays show as latency. Without a
//! rate, each producer pushes again as soon as it has its answer.

mod consumer;
mod http;
mod ledger;
mod producer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;

use super::latency::Latency;
use super::report;
use super::url::Url;
use crate::auth::api_tokens::{ApiTokens, Scope};
use crate::auth::file_error::FileError;
use crate::config::Hidden;
use http::Http;
use ledger::Ledger;

/// How long consumers may take for what is left when the producers have ended.
const REST: Duration = Duration::from_secs(30);

/// The flags.
#[derive(Debug, clap::Args)]
pub struct JobsArgs {
    /// Relays, as http://host:port; repeat it for several. Producers and consumers take turns on them
    #[arg(long, value_name = "URL", value_parser = Hidden::<Url>::new(), default_value = "http://127.0.0.1:8080")]
    url: Vec<Url>,
    /// The relay's file of tokens, or a file with one token of the scope jobs or admin
    #[arg(long, value_name = "FILE")]
    api_token_file: Option<std::path::PathBuf>,
    /// Connections that push
    #[arg(long, value_name = "N", default_value = "50")]
    producers: usize,
    /// Connections that pop, of each group
    #[arg(long, value_name = "N", default_value = "4")]
    consumers: usize,
    /// Messages a second of all producers; 0: as many as go
    #[arg(long, value_name = "N", default_value = "0")]
    rate: u32,
    /// Messages of one push
    #[arg(long, value_name = "N", default_value = "1")]
    batch: usize,
    /// Messages of one pop, and of one ack
    #[arg(long, value_name = "N", default_value = "100")]
    pop_batch: usize,
    /// Partitions
    #[arg(long, value_name = "N", default_value = "8")]
    partitions: usize,
    /// Consumer groups
    #[arg(long, value_name = "N", default_value = "1")]
    groups: usize,
    /// Bytes of a message's payload, at least 64
    #[arg(long, value_name = "N", default_value = "200")]
    bytes: usize,
    /// A queue without an order
    #[arg(long)]
    unordered: bool,
    /// How long to push, in seconds
    #[arg(long, value_name = "N", default_value = "10")]
    seconds: u64,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What all producers and consumers share.
struct Shared {
    args: JobsArgs,
    queue: String,
    token: Option<String>,
    began: Instant,
    pushed: Mutex<Latency>,
    delivered: Mutex<Latency>,
    acked: Mutex<Latency>,
    ledger: Mutex<Ledger>,
    ended: AtomicBool,
}

impl Shared {
    fn ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    async fn connect(&self, n: usize) -> anyhow::Result<Http> {
        let url = &self.args.url[n % self.args.url.len()];
        Http::connect(url, self.token.as_deref()).await
    }
}

/// Runs the load; `false` if anything was lost, came twice or in another order.
pub async fn run(args: JobsArgs) -> anyhow::Result<bool> {
    check(&args)?;
    let token = match &args.api_token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(FileError::from);
            let sent = text.and_then(|text| ApiTokens::to_send(&text, Scope::Jobs));
            Some(sent.with_context(|| format!("--api-token-file {}", path.display()))?)
        }
        None => None,
    };
    let queue = format!("load-{}", uuid::Uuid::new_v4().simple());
    let ledger = Ledger::new(args.groups, args.producers, !args.unordered);
    let shared = Arc::new(Shared {
        args,
        queue,
        token,
        began: Instant::now(),
        pushed: Mutex::default(),
        delivered: Mutex::default(),
        acked: Mutex::default(),
        ledger: Mutex::new(ledger),
        ended: AtomicBool::new(false),
    });
    prepare(&shared).await?;
    let mut consumers = JoinSet::new();
    for group in 0..shared.args.groups {
        for n in 0..shared.args.consumers {
            consumers.spawn(consumer::consume(shared.clone(), group, n));
        }
    }
    let mut producers = JoinSet::new();
    for n in 0..shared.args.producers {
        producers.spawn(producer::produce(shared.clone(), n));
    }
    while let Some(ended) = producers.join_next().await {
        ended.context("a producer")??;
    }
    let pushing = shared.began.elapsed();
    if shared.args.consumers > 0 {
        rest(&shared).await;
    }
    let all = shared.began.elapsed();
    shared.ended.store(true, Ordering::Release);
    while let Some(ended) = consumers.join_next().await {
        ended.context("a consumer")??;
    }
    let mut http = shared.connect(0).await?;
    http.call(
        "DELETE",
        &format!("/api/v1/resources/queues/{}", shared.queue),
        "",
    )
    .await?;
    tell(&shared, pushing, all)
}

fn check(args: &JobsArgs) -> anyhow::Result<()> {
    for (flag, value, most) in [
        ("--producers", args.producers, 10_000),
        ("--batch", args.batch, 1_000),
        ("--pop-batch", args.pop_batch, 1_000),
        ("--partitions", args.partitions, 100_000),
        ("--groups", args.groups, 100),
    ] {
        if !(1..=most).contains(&value) {
            bail!("{flag} is a whole number from 1 to {most}");
        }
    }
    if !(64..=1_000_000).contains(&args.bytes) {
        bail!("--bytes is a whole number from 64 to 1000000");
    }
    if !(1..=86_400).contains(&args.seconds) {
        bail!("--seconds is a whole number from 1 to 86400");
    }
    Ok(())
}

/// The queue, and its groups, so that they have everything before them.
async fn prepare(shared: &Shared) -> anyhow::Result<()> {
    let mut http = shared.connect(0).await?;
    let options = json!({"queue": shared.queue, "options": {"fifo": !shared.args.unordered}});
    let (status, body) = http
        .call("POST", "/api/v1/configure", &options.to_string())
        .await?;
    if status != 200 {
        bail!(
            "the relay answers {status}: {}",
            String::from_utf8_lossy(&body)
        );
    }
    for group in 0..shared.args.groups {
        let path = format!("/api/v1/pop/queue/{}?consumerGroup=g{group}", shared.queue);
        http.call("GET", &path, "").await?;
    }
    Ok(())
}

/// Until everything has come, or nothing has for a while.
async fn rest(shared: &Shared) {
    let until = Instant::now() + REST;
    while Instant::now() < until && !shared.ledger.lock().is_complete() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn tell(shared: &Shared, pushing: Duration, all: Duration) -> anyhow::Result<bool> {
    let ledger = shared.ledger.lock();
    let pushed = shared.pushed.lock();
    let delivered = shared.delivered.lock();
    let acked = shared.acked.lock();
    let lost = if shared.args.consumers == 0 {
        0
    } else {
        ledger.lost()
    };
    let ok = lost == 0 && ledger.doubled == 0 && ledger.disordered == 0 && ledger.refused == 0;
    let pushed_per_s = report::per_second(ledger.pushed, pushing.as_secs_f64());
    let done_per_s = report::per_second(ledger.delivered, all.as_secs_f64());
    let json = json!({
        "pushed": ledger.pushed, "delivered": ledger.delivered, "lost": lost, "doubled": ledger.doubled,
        "disordered": ledger.disordered, "refused": ledger.refused,
        "pushed_per_s": pushed_per_s, "delivered_per_s": done_per_s,
        "push_ms": pushed.json(), "delivery_ms": delivered.json(), "ack_ms": acked.json(),
        "seconds": report::seconds(all.as_secs_f64()),
    });
    let lines = [
        ("pushed", format!("{} ({pushed_per_s}/s)", ledger.pushed)),
        (
            "delivered and acked",
            format!("{} ({done_per_s}/s)", ledger.delivered),
        ),
        (
            "lost, doubled, disordered, refused",
            format!(
                "{lost}, {}, {}, {}",
                ledger.doubled, ledger.disordered, ledger.refused
            ),
        ),
        ("a push", pushed.text()),
        ("from when due to delivery", delivered.text()),
        ("an ack", acked.text()),
    ];
    report::result(shared.args.json, &json, &lines).context("standard output")?;
    Ok(ok)
}
