//! `scumble doctor`.

use std::process::ExitCode;

use crate::config::DoctorArgs;

/// Runs it.
///
/// # Errors
/// Always, so far.
pub fn run(_: &DoctorArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
