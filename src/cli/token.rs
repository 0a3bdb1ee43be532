//! `scumble token`: a token for development, on standard output.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::auth::mint::{Wanted, mint};
use crate::auth::secret::Secret;
use crate::config::TokenArgs;

/// Makes a token and prints it.
///
/// # Errors
/// When the secret can't be read, or a claim is out of its bounds.
pub fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    let file = &args.secret_file;
    let secret = Secret::read(file).with_context(|| format!("--secret-file {}", file.display()))?;
    let patterns = args.canvas.len();
    let canvases: BTreeMap<_, _> = args.canvas.into_iter().collect();
    ensure!(
        canvases.len() == patterns,
        "--canvas: each pattern may be given once"
    );
    let wanted = Wanted {
        subject: args.sub,
        canvases,
        ttl: args.ttl,
        name: args.name,
        color: args.color,
        token_id: Some(args.jti.unwrap_or_else(|| uuid::Uuid::new_v4().to_string())),
    };
    let token = mint(&secret, &wanted).map_err(anyhow::Error::msg)?;
    writeln!(std::io::stdout(), "{token}").context("standard output")?;
    Ok(ExitCode::SUCCESS)
}
