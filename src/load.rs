//! The load generator: its own engineer's.

use std::process::ExitCode;

/// Nothing yet.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Nothing yet.
///
/// # Errors
/// None.
pub fn run(_: Args) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
