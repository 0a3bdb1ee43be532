//! The command line, and the subcommands beside `serve`: they run several processes, look, examine, copy, and make
//! tokens.

use std::any::TypeId;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{
    BackupArgs, ClusterArgs, Config, DoctorArgs, JobsArgs, MigrateArgs, RedisSettings, ServeArgs,
    SourceArgs, StatsArgs, TailArgs, TokenArgs, command_line, print_toml, shown_file, with_file,
};

mod assets;
pub mod backup;
mod base;
pub mod cluster;
pub mod doctor;
mod file;
pub mod generate;
pub mod jobs;
pub mod migrate;
pub mod stats;
pub mod tail;
pub mod token;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "scumble", version, about, term_width = 100)]
#[command(propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line; ends the process where it is wrong. A negative number is a value, so that it is refused with
    /// its flag instead of being taken for one.
    pub fn read() -> Self {
        let args = command_line();
        let command = values_may_be_negative(Self::command());
        let mut command = with_file(command, &args).unwrap_or_else(|error| error.exit());
        let matches = command
            .try_get_matches_from_mut(args)
            .unwrap_or_else(|error| error.exit());
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

fn values_may_be_negative(command: clap::Command) -> clap::Command {
    let with_values = |arg: Arg| match arg.get_action().takes_values() {
        // `-5s` is no number.
        true if arg.get_value_parser().type_id() == TypeId::of::<Duration>() => {
            arg.allow_hyphen_values(true)
        }
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    command
        .mut_args(with_values)
        .mut_subcommands(values_may_be_negative)
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one relay process. Several on the same --db are one relay
    Serve(ServeArgs),
    /// Check flags, variables and the file of --config, and report every mistake
    CheckConfig(ServeArgs),
    /// Run several relay processes over one file, and restart those that die
    Cluster(ClusterArgs),
    /// Follow one canvas, read from the file or from Redis
    Tail(TailArgs),
    /// Print the numbers of a running relay
    Stats(StatsArgs),
    /// Examine the file or the Redis of a relay, and say what to do about each finding
    Doctor(DoctorArgs),
    /// Copy a relay into a file while processes use it
    Backup(BackupArgs),
    /// Move a relay from a file into Redis, or back
    Migrate(MigrateArgs),
    /// Push, pop and look at jobs of a running relay
    Jobs(JobsArgs),
    /// Make a token for development
    Token(TokenArgs),
    /// Print completions for a shell
    Completions(generate::CompletionsArgs),
    /// Write manual pages
    Man(generate::ManArgs),
    /// Measure the queue, polling or whole relays
    Load(crate::load::Args),
}

/// Prints the effective configuration as a file for `--config`.
///
/// # Errors
/// When standard output is closed.
pub fn print_config(config: &Config) -> anyhow::Result<()> {
    let command = Cli::command();
    let serve = command.find_subcommand("serve");
    let repeatable: Vec<&str> = serve
        .into_iter()
        .flat_map(clap::Command::get_arguments)
        .filter(|arg| matches!(arg.get_action(), ArgAction::Append))
        .filter_map(Arg::get_long)
        .collect();
    let text = print_toml(&config.effective(), &repeatable);
    write!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// `scumble check-config`: what is wrong was said before it came to this, or is said here.
///
/// # Errors
/// When standard output is closed.
pub fn check_config(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let file = shown_file(args.config.as_deref());
    Config::from_args(args).unwrap_or_else(|error| error.into_usage_error().exit());
    writeln!(std::io::stdout(), "the configuration is right: {file}")?;
    Ok(ExitCode::SUCCESS)
}

/// Where the relay is in Redis; `None` if it is in a file. Wrong flags end the process.
fn redis_of(source: &SourceArgs) -> Option<RedisSettings> {
    let redis = source.redis();
    redis.unwrap_or_else(|error| error.into_usage_error().exit())
}

/// How long it waits for standard error: a pipe may be full, and its reader stopped.
const SAID_WITHIN: Duration = Duration::from_secs(1);

/// Says on standard error why a command failed.
pub fn complain(error: &anyhow::Error) {
    let text = format!("scumble: {error:#}");
    let (said, done) = std::sync::mpsc::sync_channel(1);
    let say = move || {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{text}");
        let _ = said.send(());
    };
    if std::thread::Builder::new().spawn(say).is_ok() {
        let _ = done.recv_timeout(SAID_WITHIN);
    }
}
