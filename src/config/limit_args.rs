//! The raw flags that limit what one client and one canvas may take, and for how long. 0 means no limit.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use super::values::{Network, duration, network, number, whole};
use super::{ConnectionLimits, Deadlines};
use crate::limits::JobLimits;
use crate::protocol::client_message::{DEFAULT_DEPTH, MAX_DEPTH, MIN_DEPTH};

/// The shortest of the times below: less than a busy machine may take by itself helps nobody.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest wait for a client.
const LONGEST: Duration = Duration::from_secs(600);
/// Less is less than one request.
const LEAST_JOBS: i64 = 1 << 20;
/// A file may have that much, and a disk hardly more.
const MOST_JOBS: i64 = 1 << 40;
/// The rarest ping.
const RAREST: Duration = Duration::from_secs(3_600);

/// The flags of `scumble serve` that keep one client from using up what belongs to all.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Durable messages a second of one connection; as many may come at once; 0: no limit
    #[arg(long, env = "SCUMBLE_OPS_PER_S", value_name = "N", default_value = "0")]
    #[arg(value_parser = number(0, 1_000_000))]
    pub ops_per_s: u32,

    /// Bytes of durable messages a second of one connection; 0: no limit. One message always fits
    #[arg(
        long,
        env = "SCUMBLE_OP_BYTES_PER_S",
        value_name = "N",
        default_value = "0"
    )]
    #[arg(value_parser = number(0, 1_000_000_000))]
    pub op_bytes_per_s: u32,

    /// Cursors, presence changes and signals a second of one connection; 0: no limit
    #[arg(
        long,
        env = "SCUMBLE_EPHEMERAL_PER_S",
        value_name = "N",
        default_value = "0"
    )]
    #[arg(value_parser = number(0, 1_000_000))]
    pub ephemeral_per_s: u32,

    /// Bytes of cursors, presence changes and signals a second of one connection; 0: no limit. One message always
    /// fits
    #[arg(
        long,
        env = "SCUMBLE_EPHEMERAL_BYTES_PER_S",
        value_name = "N",
        default_value = "0"
    )]
    #[arg(value_parser = number(0, 1_000_000_000))]
    pub ephemeral_bytes_per_s: u32,

    /// Bytes of all objects of one canvas, as in a snapshot, 131072 to 1073741824. A snapshot is held in
    /// memory while people join
    #[arg(
        long,
        env = "SCUMBLE_MAX_CANVAS_BYTES",
        value_name = "N",
        default_value = "67108864"
    )]
    #[arg(value_parser = number(131_072, 1_073_741_824))]
    pub max_canvas_bytes: u32,

    /// Bytes of all jobs of one queue, 1048576 to 1099511627776: those that wait, dead ones, marks of duplicates
    #[arg(
        long,
        env = "SCUMBLE_JOBS_QUEUE_BYTES",
        value_name = "N",
        default_value = "1073741824"
    )]
    #[arg(value_parser = |text: &str| whole(text, LEAST_JOBS..=MOST_JOBS))]
    pub jobs_queue_bytes: i64,

    /// Bytes of all jobs of all queues, 1048576 to 1099511627776
    #[arg(
        long,
        env = "SCUMBLE_JOBS_BYTES",
        value_name = "N",
        default_value = "4294967296"
    )]
    #[arg(value_parser = |text: &str| whole(text, LEAST_JOBS..=MOST_JOBS))]
    pub jobs_bytes: i64,

    /// Levels of arrays and objects in one message, its own braces included, 2 to 64
    #[arg(long, env = "SCUMBLE_MAX_JSON_DEPTH", value_name = "N")]
    #[arg(default_value_t = DEFAULT_DEPTH as u32)]
    #[arg(value_parser = number(MIN_DEPTH as u32, MAX_DEPTH as u32))]
    pub max_json_depth: u32,

    /// Connections of this process, 1 to 1000000
    #[arg(
        long,
        env = "SCUMBLE_MAX_CONNECTIONS",
        value_name = "N",
        default_value = "20000"
    )]
    #[arg(value_parser = number(1, 1_000_000))]
    pub max_connections: u32,

    /// Connections of one address (IPv6: of one /64) on this process; 0: no limit. Behind a proxy, name it with
    /// --trusted-proxy
    #[arg(
        long,
        env = "SCUMBLE_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        default_value = "0"
    )]
    #[arg(value_parser = number(0, 1_000_000))]
    pub max_connections_per_address: u32,

    /// Address or network of a proxy whose X-Forwarded-For is believed, like 127.0.0.1 or 10.0.0.0/8. Repeatable
    #[arg(
        long,
        env = "SCUMBLE_TRUSTED_PROXY",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    #[arg(value_parser = network)]
    pub trusted_proxy: Vec<Network>,

    /// How long a connection may take to send the head of a request, and be idle between two, 100ms to 10m
    #[arg(
        long,
        env = "SCUMBLE_HANDSHAKE_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s"
    )]
    #[arg(value_parser = duration(SHORTEST, LONGEST))]
    pub handshake_timeout: Duration,

    /// How long a WebSocket may take to say hello, 100ms to 10m
    #[arg(
        long,
        env = "SCUMBLE_HELLO_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s"
    )]
    #[arg(value_parser = duration(SHORTEST, LONGEST))]
    pub hello_timeout: Duration,

    /// How long a WebSocket may be silent before it is pinged, 100ms to 1h. Keep it well below the read timeouts of
    /// proxies
    #[arg(
        long,
        env = "SCUMBLE_PING_INTERVAL",
        value_name = "DURATION",
        default_value = "25s"
    )]
    #[arg(value_parser = duration(SHORTEST, RAREST))]
    pub ping_interval: Duration,

    /// Close a WebSocket that sends nothing for this long after a ping, 100ms to 10m
    #[arg(
        long,
        env = "SCUMBLE_PONG_TIMEOUT",
        value_name = "DURATION",
        default_value = "20s"
    )]
    #[arg(value_parser = duration(SHORTEST, LONGEST))]
    pub pong_timeout: Duration,
}

impl LimitArgs {
    pub(super) fn jobs(&self) -> JobLimits {
        JobLimits {
            queue_bytes: self.jobs_queue_bytes,
            bytes: self.jobs_bytes,
        }
    }

    pub(super) fn deadlines(&self) -> Deadlines {
        Deadlines {
            handshake: self.handshake_timeout,
            hello: self.hello_timeout,
            ping_interval: self.ping_interval,
            pong: self.pong_timeout,
        }
    }

    pub(super) fn resolve(self, new_canvases_per_minute: Option<NonZeroU32>) -> ConnectionLimits {
        ConnectionLimits {
            ops_per_s: self.ops_per_s,
            op_bytes_per_s: self.op_bytes_per_s,
            ephemeral_per_s: self.ephemeral_per_s,
            ephemeral_bytes_per_s: self.ephemeral_bytes_per_s,
            max_json_depth: self.max_json_depth as usize,
            max_connections: self.max_connections,
            max_connections_per_address: self.max_connections_per_address,
            new_canvases_per_minute,
            trusted_proxies: self.trusted_proxy,
        }
    }
}
