//! The raw flags about how much one client may do. 0 means no limit.

use clap::Args;

use super::values::Network;
use super::values::network;

/// The flags of `scumble serve` that keep one client from using up what belongs to all.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Durable messages a second of one connection, with as many at once; 0: no limit
    #[arg(long, env = "SCUMBLE_OPS_PER_S", value_name = "N", default_value = "0")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub ops_per_s: u32,

    /// Bytes of durable messages a second of one connection; 0: no limit. One message always fits
    #[arg(
        long,
        env = "SCUMBLE_OP_BYTES_PER_S",
        value_name = "N",
        default_value = "0"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    pub op_bytes_per_s: u32,

    /// Cursors, presence changes and signals a second of one connection; 0: no limit
    #[arg(
        long,
        env = "SCUMBLE_EPHEMERAL_PER_S",
        value_name = "N",
        default_value = "0"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub ephemeral_per_s: u32,

    /// Connections of this process, 1 to 1000000
    #[arg(
        long,
        env = "SCUMBLE_MAX_CONNECTIONS",
        value_name = "N",
        default_value = "20000"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Connections of one address (IPv6: of one /64) on this process; 0: no limit. Behind a proxy, name it with
    /// --trusted-proxy
    #[arg(
        long,
        env = "SCUMBLE_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        default_value = "0"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
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
}
