//! What the generator is told.

use clap::{Parser, ValueEnum};

use crate::peer::{Lane, Protocol};

/// Puts load on WebSocket servers that fan messages out by room, and prints one JSON object.
#[derive(Parser, Debug)]
#[command(name = "fanload")]
pub struct Args {
    /// ws:// URL on loopback; may hold {room}. Repeat it: each room's clients are spread over them
    #[arg(long, required = true)]
    pub target: Vec<String>,
    /// How clients join and what surrounds a message
    #[arg(long, value_enum, default_value = "raw")]
    pub protocol: Protocol,
    #[arg(long, value_enum, default_value = "fixed")]
    pub mode: Mode,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rooms: u32,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub clients_per_room: u32,
    /// How many of a room's clients send [default: all]
    #[arg(long)]
    pub senders_per_room: Option<u32>,
    /// Messages a second and sender of the first stream
    #[arg(long, default_value_t = 30.0)]
    pub rate: f64,
    /// Messages a second and sender of a second, slower stream
    #[arg(long, default_value_t = 0.0)]
    pub rate2: f64,
    /// Closed loop: messages of one sender that not everybody has yet
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub window: u32,
    /// Bytes of a message
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub payload: u32,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10.0)]
    pub duration: f64,
    /// Seconds before them
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Seconds to wait at most for what is under way at the end
    #[arg(long, default_value_t = 5.0)]
    pub drain: f64,
    /// A process whose CPU and memory are the server's; repeat it
    #[arg(long)]
    pub server_pid: Vec<u32>,
    /// scumble: what the first stream is published as
    #[arg(long, value_enum, default_value = "durable")]
    pub lane: Lane,
    /// scumble: what the second stream is published as
    #[arg(long, value_enum, default_value = "object")]
    pub lane2: Lane,
}

/// When messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mode {
    /// Open loop: at their rate, whatever comes back. Latency counts from when a message was due
    Fixed,
    /// Closed loop: as fast as the window lets
    Saturate,
    /// Connections only
    Idle,
}

impl Args {
    /// How many of a room's clients send.
    pub fn senders(&self) -> usize {
        self.senders_per_room
            .unwrap_or(self.clients_per_room)
            .clamp(1, self.clients_per_room) as usize
    }

    /// What the two streams are published as, if they are used and lanes exist.
    pub fn uses(&self, lane: Lane) -> bool {
        let second = self.rate2 > 0.0 && self.lane2 == lane;
        self.protocol == Protocol::Scumble && (self.lane == lane || second)
    }
}
