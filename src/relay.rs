//! The composition root: the lead's.

use crate::config::Config;

/// Runs one relay process until it is told to end.
///
/// # Errors
/// When it can't start.
#[expect(clippy::unused_async, reason = "it will wait")]
pub async fn run(_: Config) -> anyhow::Result<()> {
    Ok(())
}
