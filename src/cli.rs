//! The subcommands beside `serve`: run several, look, examine, copy, make tokens.

use std::io::Write;

use crate::config::Config;

pub mod backup;
pub mod cluster;
pub mod doctor;
mod file;
pub mod stats;
pub mod tail;
pub mod token;

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
