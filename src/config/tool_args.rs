//! The raw flags of the other subcommands.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use super::asset_args::in_bucket;
use super::bucket_args::BucketArgs;
use super::redis_args::{RedisPlaceArgs, SourceArgs};
use super::resolve::usage_error;
use super::serve_args::ServeArgs;
use super::values::{duration, pattern, whole};
use super::{AssetPlace, ConfigError, RedisUrl};
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

    /// Where the relay is
    #[command(flatten)]
    pub source: SourceArgs,

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

/// Where a tool finds the assets of a relay.
#[derive(Debug, Args)]
pub struct AssetsOf {
    /// Folder with the relay's images and files, as it is given to serve; off: they are left out
    /// [default: the name of the relay's file and .assets]
    #[arg(long, env = "SCUMBLE_ASSETS_DIR", value_name = "DIR|off")]
    pub assets_dir: Option<PathBuf>,

    /// A bucket instead
    #[command(flatten)]
    pub bucket: BucketArgs,
}

impl AssetsOf {
    /// Where that is. `db`: the relay's file, if it is in one.
    ///
    /// # Errors
    /// [`ConfigError`] names flags that exclude each other.
    pub fn place(&self, db: Option<&Path>) -> Result<AssetPlace, ConfigError> {
        if let Some(bucket) = in_bucket(self.assets_dir.as_deref(), &self.bucket)? {
            return Ok(AssetPlace::Bucket(bucket));
        }
        Ok(match &self.assets_dir {
            Some(dir) if dir.as_os_str() == "off" => AssetPlace::Off,
            Some(dir) => AssetPlace::Folder(dir.clone()),
            None => db.map_or(AssetPlace::Nowhere, AssetPlace::beside),
        })
    }
}

/// `scumble doctor`. Exits with 0 when all is well, 1 with findings, 2 when the file or the Redis can't be read.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where the relay is
    #[command(flatten)]
    pub source: SourceArgs,

    /// Check every index entry too (PRAGMA integrity_check); over Redis, read every canvas: slow if there is much
    #[arg(long)]
    pub thorough: bool,

    /// Its assets
    #[command(flatten)]
    pub assets: AssetsOf,
}

/// `scumble backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where the relay is
    #[command(flatten)]
    pub source: SourceArgs,

    /// The copy; must not be there yet. Images and files go into a folder beside it, of its name and .assets
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,

    /// Its assets
    #[command(flatten)]
    pub assets: AssetsOf,
}

/// `scumble migrate`: from a file into Redis, or from Redis into a new file.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Where the relay is: a file, or redis://… as its processes are given it. None of them may run
    #[arg(long, value_name = "FILE|URL", value_parser = PlaceParser)]
    pub from: Place,

    /// Where it goes: a new file, or a Redis that has nothing under the prefix
    #[arg(long, value_name = "FILE|URL", value_parser = PlaceParser)]
    pub to: Place,

    /// Of the one in Redis
    #[command(flatten)]
    pub place: RedisPlaceArgs,

    /// Where its assets are, and stay
    #[command(flatten)]
    pub assets: AssetsOf,

    /// Read everything and say what would be moved; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Where a relay is, or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In Redis.
    Redis(RedisUrl),
}

/// Takes a place; a wrong address is refused without telling it: it may hold a password.
#[derive(Clone)]
struct PlaceParser;

impl TypedValueParser for PlaceParser {
    type Value = Place;

    fn parse_ref(
        &self,
        _: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Place, clap::Error> {
        let flag = arg.and_then(clap::Arg::get_long).unwrap_or_default();
        let wrong = |hint: &str| usage_error(&format!("invalid value for '--{flag}': {hint}"));
        match value.to_str() {
            Some("") => Err(wrong("it is empty; name a file, or redis://…")),
            Some(text) if text.starts_with("redis") && text.contains("://") => {
                let url = RedisUrl::parse(text).map_err(|hint| wrong(&hint))?;
                Ok(Place::Redis(url))
            }
            _ => Ok(Place::File(value.into())),
        }
    }
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
