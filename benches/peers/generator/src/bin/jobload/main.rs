//! jobload: a load generator for durable work queues, each through a client of its own protocol. One thread, so that it
//! takes one core at most; it tells its own CPU to show how near to that it came.

mod args;
mod beanstalkd;
mod http;
mod ledger;
mod load;
mod payload;
mod process;
mod redis_streams;
mod summary;
mod wire;

use std::num::NonZeroU64;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use args::{Args, Protocol};

fn main() -> ExitCode {
    match measured(Args::parse()) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("jobload: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measured(args: Args) -> anyhow::Result<serde_json::Value> {
    args.check()?;
    // Timers are otherwise up to 50 µs late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1000)).context("timer slack")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    runtime.block_on(tasks.run_until(async {
        match args.protocol {
            Protocol::Queen | Protocol::QueenUnordered => load::run::<http::Queen>(args).await,
            Protocol::Redis => load::run::<redis_streams::Streams>(args).await,
            Protocol::Beanstalkd => load::run::<beanstalkd::Beanstalkd>(args).await,
        }
    }))
}
