//! The raw flags of `scumble serve`, each with its environment variable, and the columns of `--profile`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::asset_args::AssetArgs;
use super::limit_args::LimitArgs;
use super::quota_args::QuotaArgs;
use super::security_args::SecurityArgs;
use super::values::{Switch, duration, instance_id, listen, number};
use super::{FailPoint, LogFormat, LogLevel, RedisArgs, Synchronous};
use crate::limits::{DEFAULT_MESSAGE_BYTES, MAX_OBJECT_BYTES};
use crate::protocol::ids::InstanceId;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

const MINUTE: Duration = s(60);
const HOUR: Duration = s(3600);

/// A column of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Spends processor time so that messages arrive sooner.
    LowLatency,
    /// The default.
    Balanced,
    /// Waits a little, and does more at once.
    HighThroughput,
}

/// What a profile decides. A flag given beside it wins.
pub(super) struct Column {
    pub poll_interval: Duration,
    pub poll_idle: Duration,
    pub max_messages_per_poll: u32,
    pub cursor_flush_min: Duration,
    pub cursor_flush_max: Duration,
    pub local_broadcast: bool,
}

impl Profile {
    /// The profile's defaults.
    pub(super) fn column(self) -> Column {
        let balanced = Column {
            poll_interval: ms(50),
            poll_idle: ms(200),
            max_messages_per_poll: 100,
            cursor_flush_min: ms(33),
            cursor_flush_max: ms(200),
            local_broadcast: true,
        };
        match self {
            Self::Balanced => balanced,
            Self::LowLatency => Column {
                poll_interval: ms(20),
                cursor_flush_min: ms(16),
                cursor_flush_max: ms(100),
                ..balanced
            },
            Self::HighThroughput => Column {
                poll_interval: ms(200),
                poll_idle: s(1),
                max_messages_per_poll: 1000,
                cursor_flush_min: ms(200),
                cursor_flush_max: ms(500),
                local_broadcast: false,
            },
        }
    }
}

const DURABILITY: &str = "\
Durability: what survives of what was acked
  --synchronous normal (the default)
      process killed: every acked message survives
      power lost:     consistent; the last moments' acked messages may be gone; every canvas then
                      gets a new epoch, so no client resumes onto reissued numbers
  --synchronous full
      process killed: every acked message survives
      power lost:     every acked message survives, if the disk honours sync

Durations carry a unit: 50ms, 60s, 2m.";

/// The flags of `scumble serve`. `None` means: as the profile says.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = DURABILITY)]
pub struct ServeArgs {
    /// TOML file with flags, without their dashes: they count less than the environment, and more than --profile
    #[arg(long, env = "SCUMBLE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address and port to listen on; port 0 lets the system choose
    #[arg(
        long,
        env = "SCUMBLE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    #[arg(value_parser = listen)]
    pub listen: SocketAddr,

    /// The SQLite file that the processes of one relay share. Must be on a local disk
    #[arg(
        long,
        env = "SCUMBLE_DB",
        value_name = "FILE",
        default_value = "./scumble.db"
    )]
    pub db: PathBuf,

    /// Where the relay is, if in Redis.
    #[command(flatten)]
    pub redis: RedisArgs,

    /// This process's name, unique in its relay [default: a new UUID]
    #[arg(long, env = "SCUMBLE_INSTANCE_ID", value_name = "NAME", value_parser = instance_id)]
    pub instance_id: Option<InstanceId>,

    /// Chooses among the defaults that some flags below name; a flag that is given wins
    #[arg(
        long,
        env = "SCUMBLE_PROFILE",
        value_name = "PROFILE",
        default_value = "balanced"
    )]
    pub profile: Profile,

    /// How often a process looks for messages that no wake announced, 1ms to 10s
    /// [default: 50ms; low-latency 20ms, high-throughput 200ms]
    #[arg(long, env = "SCUMBLE_POLL_INTERVAL", value_name = "DURATION")]
    #[arg(value_parser = duration(ms(1), s(10)))]
    pub poll_interval: Option<Duration>,

    /// The same on an idle canvas, 1ms to 60s
    /// [default: 200ms; high-throughput 1s]
    #[arg(long, env = "SCUMBLE_POLL_IDLE", value_name = "DURATION")]
    #[arg(value_parser = duration(ms(1), MINUTE))]
    pub poll_idle: Option<Duration>,

    /// Rows that one poll reads at most, 1 to 100000
    /// [default: 100; high-throughput 1000]
    #[arg(long, env = "SCUMBLE_MAX_MESSAGES_PER_POLL", value_name = "N")]
    #[arg(value_parser = number(1, 100_000))]
    pub max_messages_per_poll: Option<u32>,

    /// The cursor flusher's shortest interval, 1ms to 10s
    /// [default: 33ms; low-latency 16ms, high-throughput 200ms]
    #[arg(long, env = "SCUMBLE_CURSOR_FLUSH_MIN", value_name = "DURATION")]
    #[arg(value_parser = duration(ms(1), s(10)))]
    pub cursor_flush_min: Option<Duration>,

    /// The cursor flusher's longest interval, 1ms to 10s
    /// [default: 200ms; low-latency 100ms, high-throughput 500ms]
    #[arg(long, env = "SCUMBLE_CURSOR_FLUSH_MAX", value_name = "DURATION")]
    #[arg(value_parser = duration(ms(1), s(10)))]
    pub cursor_flush_max: Option<Duration>,

    /// How long a durable message stays resumable, 1s to 24h
    #[arg(
        long,
        env = "SCUMBLE_MESSAGE_TTL",
        value_name = "DURATION",
        default_value = "60s"
    )]
    #[arg(value_parser = duration(s(1), HOUR * 24))]
    pub message_ttl: Duration,

    /// How long cursors, presence changes and signals wait for other processes, 100ms to 1h
    #[arg(
        long,
        env = "SCUMBLE_CURSOR_TTL",
        value_name = "DURATION",
        default_value = "5s"
    )]
    #[arg(value_parser = duration(ms(100), HOUR))]
    pub cursor_ttl: Duration,

    /// How often expired rows are deleted, 100ms to 1h
    #[arg(
        long,
        env = "SCUMBLE_CLEANUP_INTERVAL",
        value_name = "DURATION",
        default_value = "30s"
    )]
    #[arg(value_parser = duration(ms(100), HOUR))]
    pub cleanup_interval: Duration,

    /// on: a process sends a message to its own clients right after the commit; off: it reads all messages back from
    /// the queue first [default: on; high-throughput off]
    #[arg(
        long,
        env = "SCUMBLE_LOCAL_BROADCAST",
        value_name = "on|off",
        hide_possible_values = true
    )]
    pub local_broadcast: Option<Switch>,

    /// off: one process, in memory, without a file: a way to go on while the file can't be used
    #[arg(
        long,
        env = "SCUMBLE_QUEUE",
        value_name = "on|off",
        default_value = "on"
    )]
    #[arg(hide_possible_values = true)]
    pub queue: Switch,

    /// What an ack waits for: see Durability below
    #[arg(
        long,
        env = "SCUMBLE_SYNCHRONOUS",
        value_name = "MODE",
        default_value = "normal"
    )]
    pub synchronous: Synchronous,

    /// How long a client without a connection is shown as away before it is gone, 0s to 1h
    #[arg(
        long,
        env = "SCUMBLE_PRESENCE_GRACE",
        value_name = "DURATION",
        default_value = "10s"
    )]
    #[arg(value_parser = duration(s(0), HOUR))]
    pub presence_grace: Duration,

    /// How long a shutdown may take, 100ms to 10m
    #[arg(
        long,
        env = "SCUMBLE_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s"
    )]
    #[arg(value_parser = duration(ms(100), MINUTE * 10))]
    pub drain_timeout: Duration,

    /// Close a connection that makes no progress for this long, 1s to 10m
    #[arg(
        long,
        env = "SCUMBLE_WRITE_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s"
    )]
    #[arg(value_parser = duration(s(1), MINUTE * 10))]
    pub write_timeout: Duration,

    /// Bytes of one client message, 1024 to 262144
    #[arg(
        long,
        env = "SCUMBLE_MAX_MESSAGE_BYTES",
        value_name = "N",
        default_value_t = DEFAULT_MESSAGE_BYTES
    )]
    #[arg(value_parser = number(1024, MAX_OBJECT_BYTES as u32))]
    pub max_message_bytes: u32,

    /// Clients of one canvas, on all processes together, 1 to 100000
    #[arg(
        long,
        env = "SCUMBLE_MAX_CLIENTS_PER_CANVAS",
        value_name = "N",
        default_value = "1000"
    )]
    #[arg(value_parser = number(1, 100_000))]
    pub max_clients_per_canvas: u32,

    /// Objects of one canvas, 1 to 1000000
    #[arg(
        long,
        env = "SCUMBLE_MAX_OBJECTS",
        value_name = "N",
        default_value = "10000"
    )]
    #[arg(value_parser = number(1, 1_000_000))]
    pub max_objects: u32,

    /// off: clients that can't resume get a resync message and an empty canvas, not a snapshot
    #[arg(
        long,
        env = "SCUMBLE_SNAPSHOTS",
        value_name = "on|off",
        default_value = "on"
    )]
    #[arg(hide_possible_values = true)]
    pub snapshots: Switch,

    /// File for log lines, instead of standard error; opened again on SIGUSR1
    #[arg(long, env = "SCUMBLE_LOG_FILE", value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    /// How log lines are written
    #[arg(
        long,
        env = "SCUMBLE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,

    /// The least important log lines that are written
    #[arg(
        long,
        env = "SCUMBLE_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: LogLevel,

    /// Serve the demo canvas at / and /c/{canvas}. off: only the library, the API and health
    #[arg(
        long,
        env = "SCUMBLE_DEMO",
        value_name = "on|off",
        default_value = "on"
    )]
    #[arg(hide_possible_values = true)]
    pub demo: Switch,

    /// Let the dashboard at /admin disconnect, delete, review and replay. Without it, it only looks
    #[arg(long, env = "SCUMBLE_ADMIN_WRITES", action = clap::ArgAction::Set)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(
        default_value = "false",
        hide_default_value = true,
        value_name = "BOOL"
    )]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), hide_possible_values = true)]
    pub admin_writes: bool,

    /// Let the demo page kill this process. Refused unless --listen is a loopback address
    #[arg(long, env = "SCUMBLE_DEMO_CONTROLS")]
    pub demo_controls: bool,

    /// A folder for messages that can't be committed at once: they are accepted all the same, and
    /// committed and acknowledged when they can be. off: they are refused
    #[arg(
        long,
        env = "SCUMBLE_SPILL_DIR",
        value_name = "DIR|off",
        default_value = "off"
    )]
    pub spill_dir: PathBuf,

    /// File with hooks: canvas events for your back end. Read again on SIGHUP
    #[arg(long, env = "SCUMBLE_HOOKS", value_name = "FILE")]
    pub hooks: Option<PathBuf>,

    /// Bytes of this process's spill file, 65536 to 1073741824
    #[arg(
        long,
        env = "SCUMBLE_SPILL_MAX_BYTES",
        value_name = "N",
        default_value = "67108864"
    )]
    #[arg(value_parser = number(65_536, 1_073_741_824))]
    pub spill_max_bytes: u32,

    /// Print the effective configuration as a file for --config, and exit
    #[arg(long)]
    pub print_config: bool,

    /// Shut down when standard input closes: how a cluster's processes notice its end
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,

    /// Fail at a step of the write path, for tests: NAME=abort|error|delay:50ms, with @N or @N..M
    #[arg(long, env = "SCUMBLE_FAIL_POINT", value_name = "POINT", hide = true)]
    #[arg(value_parser = FailPoint::parse, value_delimiter = ',')]
    pub fail_point: Vec<FailPoint>,
    /// How much one client may do
    #[command(flatten)]
    pub limits: LimitArgs,

    /// How much is kept of all
    #[command(flatten)]
    pub quotas: QuotaArgs,

    /// Images and files
    #[command(flatten)]
    pub assets: AssetArgs,

    /// Who may enter
    #[command(flatten)]
    pub security: SecurityArgs,
}
