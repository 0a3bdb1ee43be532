//! The raw flags of the other subcommands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::serve_args::ServeArgs;
use super::values::{duration, pattern, whole};
use crate::auth::claims::Access;
use crate::protocol::ids::CanvasId;

/// `scumble cluster`: as many processes on consecutive ports, with the same flags otherwise.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// How many processes, 1 to 64, on consecutive ports from that of --listen
    #[arg(long, value_name = "N", default_value = "3")]
    #[arg(value_parser = |text: &str| whole(text, 1..=64_u16))]
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
    #[arg(long, value_name = "SEQ", value_parser = |text: &str| whole(text, 0..=i64::MAX))]
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

/// A language that `scumble token` has a program in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Snippet {
    Node,
    Python,
    Go,
}

/// `scumble token`: for development and tests. In production another program makes tokens.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The file that the relay is given as --auth-secret-file
    #[arg(long, env = "SCUMBLE_AUTH_SECRET_FILE", value_name = "FILE")]
    pub secret_file: PathBuf,

    /// The user that the token is for
    #[arg(long, value_name = "SUB")]
    pub sub: String,

    /// A right: a canvas, or a prefix and *, then =read or =write. Repeatable
    #[arg(long, value_name = "PATTERN=ACCESS", required = true, value_parser = pattern)]
    pub canvas: Vec<(String, Access)>,

    /// How long the token is valid, 1s to 366 days
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    #[arg(value_parser = duration(Duration::from_secs(1), Duration::from_secs(366 * 86_400)))]
    pub ttl: Duration,

    /// The name that others see
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The colour that others see
    #[arg(long, value_name = "COLOR")]
    pub color: Option<String>,

    /// Print a program that makes such tokens, for your own server, instead of a token
    #[arg(long, value_name = "LANGUAGE")]
    pub snippet: Option<Snippet>,

    /// The token's own name, by which it can be revoked [default: a new UUID]
    #[arg(long, value_name = "ID")]
    pub jti: Option<String>,
}
