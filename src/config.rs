//! Configuration. It is parsed twice: first as flags and environment ([`ServeArgs`]), then into typed settings
//! ([`Config`]). Nothing else reads the environment.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::limits::{CanvasRules, JobLimits};
use crate::protocol::ids::InstanceId;

mod asset_args;
mod bucket_args;
mod effective;
mod fail_point;
mod file;
mod jobs_args;
mod limit_args;
mod quota_args;
mod redis_args;
mod redis_url;
mod resolve;
mod security_args;
mod serve_args;
mod tool_args;
mod values;

pub use bucket_args::{BucketSettings, BucketUrl};
pub use fail_point::{Action, FailPoint, FailPoints, Step, Tripped};
pub(crate) use file::{command_line, print as print_toml, shown as shown_file, with_file};
pub use jobs_args::{From as JobsFrom, JobsArgs, JobsCommand, Leased as JobsLeased};
pub use redis_args::{
    RedisArgs, RedisPlaceArgs, RedisSettings, RedisTls, RedisTlsArgs, SourceArgs,
};
pub use redis_url::{RedisUrl, Sentinels};
pub use resolve::ConfigError;
pub(crate) use resolve::{Hidden, usage_error};
pub use security_args::{AuthMode, Security};
pub use serve_args::{Profile, ServeArgs};
pub use tool_args::{
    AssetsOf, BackupArgs, ClusterArgs, DoctorArgs, MigrateArgs, Place, Snippet, StatsArgs,
    TailArgs, TokenArgs,
};
pub use values::Network;
#[cfg(test)]
pub(crate) use values::network;

/// Everything `serve` needs to know, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// This process's name.
    pub instance_id: InstanceId,
    /// Where the relay is kept.
    pub store: Store,
    /// What its canvases are held to, wherever they are kept.
    pub rules: CanvasRules,
    /// What its work queue may take.
    pub jobs: JobLimits,
    /// Where tests let the store fail.
    pub fail_points: Vec<FailPoint>,
    /// Own clients hear at commit, without waiting for a poll.
    pub local_broadcast: bool,
    /// The cursor flusher's shortest interval.
    pub cursor_flush_min: Duration,
    /// The cursor flusher's longest interval.
    pub cursor_flush_max: Duration,
    /// How long a shutdown may take.
    pub drain_timeout: Duration,
    /// Bytes of one client message.
    pub max_message_bytes: usize,
    /// Connections of one canvas on this instance.
    pub max_clients_per_canvas: usize,
    /// A socket that takes no byte for this long is closed.
    pub write_timeout: Duration,
    /// With snapshots off, who can't resume starts empty and is told so.
    pub snapshots: bool,
    /// How much one connection may do, and how many there may be.
    pub limits: ConnectionLimits,
    /// How long a connection may take.
    pub deadlines: Deadlines,
    /// Who may enter.
    pub security: Security,
    /// The file with the hooks; it was read, and is right.
    pub hooks_file: Option<PathBuf>,
    /// Images and files of canvases.
    pub assets: AssetSettings,
    /// Which column of defaults was taken.
    pub profile: Profile,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Where log lines go; standard error without it.
    pub log_file: Option<PathBuf>,
    /// What is logged.
    pub log_level: LogLevel,
    /// Whether the demo's page is served.
    pub demo: bool,
    /// Whether the dashboard may change anything.
    pub admin_writes: bool,
    /// Whether the demo may kill this process; only ever on a loopback address.
    pub demo_controls: bool,
}

/// Images and files of canvases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetSettings {
    /// Where their bytes are.
    pub place: AssetPlace,
    /// Bytes of one.
    pub max_bytes: u64,
    /// Bytes of all of one canvas.
    pub canvas_bytes: u64,
    /// Bytes of all.
    pub total_bytes: Option<u64>,
    /// How long one stays that no object names.
    pub ttl: Duration,
}

impl AssetSettings {
    /// Whether there are any.
    #[must_use]
    pub fn are_taken(&self) -> bool {
        !matches!(self.place, AssetPlace::Off | AssetPlace::Nowhere)
    }
}

/// Where the bytes of assets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssetPlace {
    /// There are none.
    Off,
    /// There are none, since nobody has said where all hosts find them.
    Nowhere,
    /// In a folder of this process's own, which ends with it.
    Temporary,
    /// In that folder, which all processes share.
    Folder(PathBuf),
    /// In a bucket, which all processes share.
    Bucket(BucketSettings),
}

/// Where a relay is kept. Each has the settings that mean something there, and no others.
#[derive(Debug, Clone)]
pub enum Store {
    /// `--queue off`: in this process alone.
    Memory,
    /// In a file that the processes of one host share.
    Sqlite(SqliteSettings),
    /// In Redis, for processes of several hosts.
    Redis(RedisSettings),
}

/// Where the file is, and how it is used.
#[derive(Debug, Clone)]
pub struct SqliteSettings {
    /// The SQLite file.
    pub db: PathBuf,
    /// The safety poll after activity.
    pub poll_interval: Duration,
    /// The safety poll when idle.
    pub poll_idle: Duration,
    /// Rows of one poll.
    pub max_messages_per_poll: u32,
    /// How long rows of the ephemeral lane are kept.
    pub cursor_ttl: Duration,
    /// How often expired rows go.
    pub cleanup_interval: Duration,
    /// `PRAGMA synchronous`.
    pub synchronous: Synchronous,
    /// The folder for messages that can't be committed at once; several processes, and several relays, may share it.
    /// Without it they are refused.
    pub spill_dir: Option<PathBuf>,
    /// This process's file there at most, in bytes.
    pub spill_max_bytes: u64,
}

/// What a backplane over a file needs to know.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// This process's name.
    pub instance_id: InstanceId,
    /// The file, and how it is used.
    pub file: SqliteSettings,
    /// What canvases are held to.
    pub rules: CanvasRules,
    /// Whether tokens are asked for: the processes of a relay must agree on it.
    pub auth: AuthMode,
    /// What the work queue may take.
    pub jobs: JobLimits,
    /// Own commits are delivered at once from memory.
    pub local_broadcast: bool,
    /// Where tests let the queue fail.
    pub fail_points: Vec<FailPoint>,
}

/// How much one connection may do, and how many there may be. 0 is no limit, but for `max_connections`.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Durable messages a second.
    pub ops_per_s: u32,
    /// Bytes of durable messages a second.
    pub op_bytes_per_s: u32,
    /// Cursors, presence changes and signals a second.
    pub ephemeral_per_s: u32,
    /// Bytes of them a second.
    pub ephemeral_bytes_per_s: u32,
    /// Levels of arrays and objects in a message.
    pub max_json_depth: usize,
    /// Connections of this process.
    pub max_connections: u32,
    /// Connections of one address.
    pub max_connections_per_address: u32,
    /// Canvases that one `sub` or address may make a minute.
    pub new_canvases_per_minute: Option<NonZeroU32>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// How long a connection may take, beside `write_timeout`.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// For the head of a request, and between two.
    pub handshake: Duration,
    /// For the first message.
    pub hello: Duration,
    /// For being silent before it is pinged.
    pub ping_interval: Duration,
    /// For any frame after a ping.
    pub pong: Duration,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Synchronous {
    /// The kernel has it: survives the process, not a power cut.
    Normal,
    /// The disk has it: survives a power cut too, if the disk honours sync.
    Full,
}

/// How log lines are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least that a log line must matter to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Config {
    /// Parses flags as `scumble serve` would; the environment counts too.
    ///
    /// # Errors
    /// A usage error that names the flag and says what would be right.
    pub fn from_flags<I, T>(flags: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        #[derive(Parser)]
        #[command(name = "serve", no_binary_name = true)]
        struct Flags {
            #[command(flatten)]
            serve: ServeArgs,
        }
        Self::from_args(Flags::try_parse_from(flags)?.serve).map_err(ConfigError::into_usage_error)
    }

    /// What a backplane over this file needs to know.
    #[must_use]
    pub fn over(&self, file: &SqliteSettings) -> SqliteConfig {
        SqliteConfig {
            instance_id: self.instance_id.clone(),
            file: file.clone(),
            rules: self.rules,
            auth: self.security.mode(),
            jobs: self.jobs,
            local_broadcast: self.local_broadcast,
            fail_points: self.fail_points.clone(),
        }
    }
}
