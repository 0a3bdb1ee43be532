//! `scumble cluster`.

use std::process::ExitCode;

use crate::config::ClusterArgs;

/// Runs it.
///
/// # Errors
/// Always, so far.
pub fn run(_: ClusterArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}

/// Ends this process with SIGTERM when its standard input closes.
///
/// # Errors
/// When no thread can be started.
pub fn end_with_stdin() -> anyhow::Result<()> {
    Ok(())
}
