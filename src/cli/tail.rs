//! `scumble tail`.

use std::process::ExitCode;

use crate::config::TailArgs;

/// Runs it.
///
/// # Errors
/// Always, so far.
pub fn run(_: &TailArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
