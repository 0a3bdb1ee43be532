//! `scumble load …`: puts a measured load on a running relay ([`clients`]) or on the queue alone
//! ([`queue`], [`polling`]), or comes to a canvas ([`arrivals`]), and checks what comes back.
//!
//! The first three are open loops unless told otherwise: a message counts from the moment it was due, so a relay (or
//! a generator) that falls behind shows it as latency instead of sending less.

mod arrivals;
mod clients;
mod history;
mod jobs;
mod latency;
mod msgpack;
mod ops;
mod pacer;
mod polling;
mod queue;
mod reach;
mod report;
mod scratch;
mod socket;
mod url;
mod wire;
mod writer;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

/// What `scumble load` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write into a queue file from several threads and time the commits
    Queue(queue::QueueArgs),
    /// Let one queue handle poll many canvases while another writes to them, and time its queries
    Polling(polling::PollingArgs),
    /// Connect WebSocket clients to running relays and check every message they get
    Clients(clients::ClientsArgs),
    /// Join a canvas full of objects, alone or many at once, and time it
    Join(arrivals::JoinArgs),
    /// Push, pop and acknowledge jobs on running relays, and check what comes out
    Jobs(jobs::JobsArgs),
    /// Come back to a canvas having missed messages, alone or many at once, and time it
    Resume(arrivals::ResumeArgs),
}

/// Runs one load to its end. Blocks, on a runtime of its own.
///
/// The exit code is 1 when anything was lost, repeated or out of order.
///
/// # Errors
/// When the load could not be run at all: no relay at the URL, a file that can't be opened.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    // The relay under test usually shares the machine: half of it is the generator's.
    let threads = std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).max(1));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("the runtime did not start")?;
    let ok = runtime.block_on(async {
        match args.command {
            Command::Queue(args) => queue::run(args).await,
            Command::Polling(args) => polling::run(args).await,
            Command::Clients(args) => clients::run(args).await,
            Command::Join(args) => arrivals::join(args).await,
            Command::Jobs(args) => jobs::run(args).await,
            Command::Resume(args) => arrivals::resume(args).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    Ok(if ok? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The longest run, in hours: a load is bounded.
const MAX_HOURS: u64 = 24;

fn duration(text: &str, unit: &str, min: Duration) -> Result<Duration, String> {
    let bare = text.parse::<f64>().is_ok();
    let whole = if bare {
        format!("{text}{unit}")
    } else {
        text.to_owned()
    };
    let parsed = match text.parse::<f64>() {
        // humantime knows no fractions; a bare number may have one.
        Ok(n) if unit == "s" && n.is_finite() && n >= 0.0 => Duration::try_from_secs_f64(n).ok(),
        _ => humantime::parse_duration(&whole).ok(),
    };
    match parsed {
        Some(d) if d >= min && d <= Duration::from_secs(MAX_HOURS * 3600) => Ok(d),
        Some(_) => Err(format!("must be from {min:?} to {MAX_HOURS}h")),
        None => Err(format!(
            "must be a number ({unit}) or a duration such as 500ms, 60s, 2m"
        )),
    }
}

/// A duration whose bare number means seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    duration(text, "s", Duration::from_millis(100))
}

/// A duration whose bare number means seconds, and that may be nothing.
fn seconds_or_none(text: &str) -> Result<Duration, String> {
    duration(text, "s", Duration::ZERO)
}

/// A duration whose bare number means milliseconds.
fn milliseconds(text: &str) -> Result<Duration, String> {
    duration(text, "ms", Duration::from_millis(1))
}

/// How often something happens in a second: 0 for never, at most 100,000.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 0 to 100000".to_owned()),
    }
}

/// Lets the process have a socket for each client.
fn raise_file_limit(clients: usize) -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let need = clients as u64 + 64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= need) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < need) {
        bail!("{clients} clients need {need} open files; raise the limit (ulimit -Hn)");
    }
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raising the limit of open files")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        load: Args,
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["x"].into_iter().chain(line.split(' ')))
    }

    #[test]
    fn bare_numbers_and_units_are_both_taken() {
        assert_eq!(seconds("60"), Ok(Duration::from_secs(60)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(milliseconds("50"), Ok(Duration::from_millis(50)));
        assert_eq!(milliseconds("1s"), Ok(Duration::from_secs(1)));
        for bad in ["", "-1", "0", "NaN", "inf", "x", "25h", "1e300"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_documented_lines_are_taken() {
        for line in [
            "queue --threads 10 --messages-per-sec 100 --duration 60",
            "polling --canvases 50 --poll-interval 50 --duration 60 --db x.db --json",
            "clients --url http://127.0.0.1:8080 --url ws://127.0.0.1:8081 --canvases 10 \
             --clients-per-canvas 10 --cursor-rate 30 --object-rate 0.2 --duration 10",
            "join --objects 10000 --clients 200",
            "resume --missed 1000 --clients 200 --json",
        ] {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            parse(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
        assert!(parse("queue --threads 0").is_err());
        assert!(parse("clients --cursor-rate -1").is_err());
        assert!(parse("clients --url ftp://example.org").is_err());
    }
}
