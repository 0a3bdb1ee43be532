//! `scumble backup`.

use std::process::ExitCode;

use crate::config::BackupArgs;

/// Runs it.
///
/// # Errors
/// Always, so far.
pub fn run(_: &BackupArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
