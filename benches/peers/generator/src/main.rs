//! fanload: a load generator for servers that fan WebSocket messages out by room. One thread on epoll, so that it
//! measures the server and not itself; it tells its own CPU to prove it.

mod args;
mod connection;
mod count;
mod field;
mod frame;
mod generator;
mod join;
mod pace;
mod peer;
mod process;
mod receive;
mod scumble;
mod summary;
mod token;

use std::num::NonZeroU64;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::process::{Resource, getrlimit, setrlimit};

use args::{Args, Mode};
use connection::Connection;
use generator::Generator;
use join::Target;
use summary::Around;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // A tool for one machine has bounds.
    ensure!(
        args.rooms * args.clients_per_room <= 20_000,
        "at most 20,000 clients"
    );
    ensure!(
        args.duration <= 600.0 && args.warmup <= 60.0,
        "at most 600 s, after 60 s"
    );
    ensure!(
        args.mode != Mode::Saturate || args.clients_per_room > 1,
        "a closed loop needs someone who receives"
    );
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raising the limit of open files")?;
    // Timers are otherwise up to 50 µs late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1000)).context("timer slack")?;

    let memory = |pids: &[u32]| pids.iter().map(|pid| process::rss_kib(*pid)).sum::<u64>();
    let rss_before = memory(&args.server_pid);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let connecting = Instant::now();
    let (connections, repeats) = connect(&args, &epoll)?;
    let connect_s = connecting.elapsed().as_secs_f64();
    let mut generator = Generator::new(args, connections, epoll);
    for number in 0..generator.connections.len() {
        generator.feed(number, &[], 0);
    }
    generator.prepare()?;
    let (from, to) = generator.load();
    let rss_after = memory(&generator.args.server_pid);
    let drain_s = generator.drain();
    let around = Around {
        connect_s,
        repeats,
        drain_s,
        rss_before,
        rss_after,
    };
    println!("{}", summary::summary(&generator, &from, &to, &around));
    Ok(())
}

fn connect(args: &Args, epoll: &OwnedFd) -> anyhow::Result<(Vec<Connection>, u64)> {
    let targets = args.target.iter().map(|url| Target::parse(url));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let run = uuid::Uuid::new_v4().simple().to_string();
    let mut connections = Vec::new();
    let mut repeats = 0;
    for room in 0..args.rooms as usize {
        for member in 0..args.clients_per_room as usize {
            let number = connections.len();
            let target = member % targets.len();
            let joined = join::join(&targets[target], args.protocol, &run, room, number)
                .with_context(|| format!("client {number} could not join"))?;
            repeats += joined.repeats;
            let connection = Connection::new(joined, (room, member, target))?;
            connection.watch(epoll, number)?;
            connections.push(connection);
        }
    }
    Ok((connections, repeats))
}
