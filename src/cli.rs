//! The command line, and the subcommands beside `serve`: run several, look, examine, copy, make tokens.

use std::any::TypeId;
use std::io::Write;
use std::time::Duration;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{
    BackupArgs, ClusterArgs, Config, DoctorArgs, ServeArgs, StatsArgs, TailArgs, TokenArgs,
};

pub mod backup;
pub mod cluster;
pub mod doctor;
mod file;
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
        let mut command = values_may_be_negative(Self::command());
        let matches = command.get_matches_mut();
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
    /// Run several relay processes over one file, and restart those that die
    Cluster(ClusterArgs),
    /// Follow one canvas, read from the file
    Tail(TailArgs),
    /// Print the numbers of a running relay
    Stats(StatsArgs),
    /// Examine a file, and say what to do about what was found
    Doctor(DoctorArgs),
    /// Copy a file while relays use it
    Backup(BackupArgs),
    /// Make a token for development
    Token(TokenArgs),
    /// Measure the queue, polling or whole relays
    Load(crate::load::Args),
}

/// Prints the effective configuration, one `flag = value` a line.
///
/// # Errors
/// When standard output is closed.
pub fn print_config(config: &Config) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for (flag, value) in config.effective() {
        writeln!(out, "{flag} = {value}")?;
    }
    Ok(())
}

/// Says on standard error why a command failed.
pub fn complain(error: &anyhow::Error) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "scumble: {error:#}");
}
