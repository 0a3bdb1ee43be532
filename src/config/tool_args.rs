//! The raw flags of the other subcommands.

use std::path::PathBuf;

use clap::Args;

use super::serve_args::ServeArgs;
use crate::protocol::ids::CanvasId;

/// `scumble cluster`: as many processes on consecutive ports, with the same flags otherwise.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// How many processes, 1 to 64, on consecutive ports from that of --listen
    #[arg(long, value_name = "N", default_value = "3")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub instances: u16,

    /// What each of them is given. With --instance-id X they are, …
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// `scumble tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// The canvas to follow
    #[arg(value_parser = |text: &str| CanvasId::parse(text).map_err(|error| error.to_string()))]
    pub canvas: CanvasId,

    /// The relay's file
    #[arg(
        long,
        env = "SCUMBLE_DB",
        value_name = "FILE",
        default_value = "./scumble.db"
    )]
    pub db: PathBuf,

    /// Begin after this seq, as far as it is kept [default: the head, only what is new]
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    pub since: Option<i64>,

    /// One JSON object a line, as clients get them
    #[arg(long)]
    pub json: bool,
}

/// `scumble stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// A process of the relay
    #[arg(
        long,
        env = "SCUMBLE_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub url: String,

    /// The answer as it is
    #[arg(long)]
    pub json: bool,
}

/// `scumble doctor`. Exits with 0 when all is well, 1 with findings, 2 when the file can't be read.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The relay's file
    #[arg(
        long,
        env = "SCUMBLE_DB",
        value_name = "FILE",
        default_value = "./scumble.db"
    )]
    pub db: PathBuf,

    /// Check every index entry too (PRAGMA integrity_check): slow on a large file
    #[arg(long)]
    pub thorough: bool,
}

/// `scumble backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The relay's file
    #[arg(
        long,
        env = "SCUMBLE_DB",
        value_name = "FILE",
        default_value = "./scumble.db"
    )]
    pub db: PathBuf,

    /// The copy; must not be there yet
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}
