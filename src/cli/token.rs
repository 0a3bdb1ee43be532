//! `scumble token`: a token for development, on standard output.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::auth::claims::Access;
use crate::auth::mint::{Wanted, mint};
use crate::auth::secret::Secret;
use crate::config::{Snippet, TokenArgs};

/// Makes a token and prints it.
///
/// # Errors
/// When the secret can't be read, or a claim is out of its bounds.
pub fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    let file = &args.secret_file;
    let secret = Secret::read(file)
        .and_then(|secret| secret.check_length(Secret::MIN_KEY_BYTES).map(|()| secret))
        .with_context(|| format!("--secret-file {}", file.display()))?;
    let patterns = args.canvas.len();
    let canvases: BTreeMap<_, _> = args.canvas.into_iter().collect();
    ensure!(
        canvases.len() == patterns,
        "--canvas: each pattern may be given once"
    );
    if let Some(language) = args.snippet {
        let program = snippet(language, file, &args.sub, &canvases, args.ttl)?;
        write!(std::io::stdout(), "{program}").context("standard output")?;
        return Ok(ExitCode::SUCCESS);
    }
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

/// The program with what was asked for in the place of its words in capitals. All three languages write these values as JSON does.
fn snippet(
    language: Snippet,
    file: &Path,
    sub: &str,
    canvases: &BTreeMap<String, Access>,
    ttl: Duration,
) -> anyhow::Result<String> {
    let program = match language {
        Snippet::Node => include_str!("snippets/node.mjs"),
        Snippet::Python => include_str!("snippets/python.py"),
        Snippet::Go => include_str!("snippets/go.go"),
    };
    let file = file
        .to_str()
        .with_context(|| format!("--secret-file {}: its name is no text", file.display()))?;
    let words: BTreeMap<&str, &str> = canvases
        .iter()
        .map(|(pattern, access)| (pattern.as_str(), access.word()))
        .collect();
    let canvases = serde_json::to_string(&words)?;
    Ok(program
        .replace("SECRET_FILE", &serde_json::to_string(file)?)
        .replace("CANVASES_TEXT", &serde_json::to_string(&canvases)?)
        .replace("CANVASES", &canvases)
        .replace("SUB", &serde_json::to_string(sub)?)
        .replace("TTL", &ttl.as_secs().to_string()))
}
