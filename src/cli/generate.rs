//! `scumble completions` and `scumble man`: files that packages install beside the program.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use super::Cli;

/// `scumble completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// For which shell
    shell: clap_complete::Shell,
}

/// `scumble man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder to write them into; it must be there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Prints what the shell is to load.
pub fn completions(args: &CompletionsArgs) -> ExitCode {
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "scumble",
        &mut std::io::stdout(),
    );
    ExitCode::SUCCESS
}

/// Writes a page for the program and each of its subcommands.
///
/// # Errors
/// When the folder can't be written.
pub fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    clap_mangen::generate_to(Cli::command(), &args.dir)
        .with_context(|| format!("--dir {}", args.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
