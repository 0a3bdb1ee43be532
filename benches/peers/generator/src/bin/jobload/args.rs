//! What the generator is told.

use anyhow::ensure;
use clap::{Parser, ValueEnum};

/// Puts load on a durable work queue, and prints one JSON object.
#[derive(Parser, Debug, Clone)]
#[command(name = "jobload")]
pub struct Args {
    /// host:port on loopback. Of two, producers have the first and consumers the second
    #[arg(long, required = true)]
    pub target: Vec<String>,
    #[arg(long, value_enum)]
    pub protocol: Protocol,
    #[arg(long, value_enum)]
    pub mode: Mode,
    /// Connections that push
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub producers: u32,
    /// Connections that pop and ack
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub consumers: u32,
    /// Messages of one push
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub batch: u32,
    /// Messages of one pop, and of its ack
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub pop_batch: u32,
    /// paced: messages a second of all producers
    #[arg(long, default_value_t = 1_000.0)]
    pub rate: f64,
    /// through: messages that are pushed and not acked yet, of all producers
    #[arg(long, default_value_t = 20_000)]
    pub window: u64,
    /// drain, fill: messages that are pushed before
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub messages: u64,
    /// Partitions, for protocols that have them
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub partitions: u32,
    /// Bytes of a message, at least 80
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(80..=1_000_000))]
    pub bytes: u32,
    /// Seconds that are measured
    #[arg(long, default_value_t = 3.0)]
    pub duration: f64,
    /// Seconds before them
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// A process whose CPU and memory are the server's, with its children; repeat it
    #[arg(long)]
    pub server_pid: Vec<u32>,
}

/// How the queue is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Protocol {
    /// Queen MQ's HTTP, which is scumble's too: partitions in order
    Queen,
    /// The same, with `fifo: false`: scumble alone has it
    QueenUnordered,
    /// Redis Streams with a consumer group
    Redis,
    Beanstalkd,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mode {
    /// Each producer pushes again as soon as it has its answer. Nobody pops
    Push,
    /// The same, and consumers pop and ack; producers wait where --window is full
    Through,
    /// Open loop: messages are due at a fixed rate, and count from then on
    Paced,
    /// --messages are pushed before; then consumers pop and ack
    Drain,
    /// --messages are pushed, and stay
    Fill,
}

impl Args {
    /// A tool for one machine has bounds.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            (0.1..=600.0).contains(&self.duration) && (0.0..=60.0).contains(&self.warmup),
            "--duration is 0.1 to 600 seconds, --warmup 0 to 60"
        );
        ensure!(
            (0.1..=1e6).contains(&self.rate),
            "--rate is 0.1 to 1000000 messages a second"
        );
        ensure!(self.target.len() <= 2, "at most two of --target");
        Ok(())
    }

    pub fn has_consumers(&self) -> bool {
        !matches!(self.mode, Mode::Push | Mode::Fill)
    }

    /// Whether messages of one partition come in their order, one consumer at a time.
    pub fn is_ordered(&self) -> bool {
        self.protocol == Protocol::Queen
    }
}
