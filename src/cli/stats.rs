//! `scumble stats`.

use std::process::ExitCode;

use crate::config::StatsArgs;

/// Runs it.
///
/// # Errors
/// Always, so far.
pub fn run(_: &StatsArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
