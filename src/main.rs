//! The `scumble` binary: parse, log, dispatch.

use std::process::ExitCode;
use std::time::Duration;

use scumble::cli::{self, Cli, Command};
use scumble::config::{Config, ServeArgs};
use scumble::{load, relay, telemetry};

/// How long the report of a panic may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    abort_on_panic();
    match run(Cli::read().command) {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// A panic is a bug. The process says so and ends at once, like after a kill -9, which loses nothing:
/// better than going on without a thread or a task.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Standard error may be a pipe that nobody reads.
        let _ = std::thread::Builder::new().spawn(|| {
            std::thread::park_timeout(LAST_WORDS);
            std::process::abort();
        });
        report(panic);
        std::process::abort();
    }));
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve(args),
        Command::CheckConfig(args) => cli::check_config(args),
        Command::Completions(args) => Ok(cli::generate::completions(&args)),
        Command::Man(args) => cli::generate::man(&args),
        Command::Cluster(args) => cli::cluster::run(args),
        Command::Tail(args) => cli::tail::run(&args),
        Command::Stats(args) => cli::stats::run(&args),
        Command::Doctor(args) => cli::doctor::run(&args),
        Command::Backup(args) => cli::backup::run(&args),
        Command::Migrate(args) => cli::migrate::run(&args),
        Command::Jobs(args) => cli::jobs::run(&args),
        Command::Token(args) => cli::token::run(args),
        Command::Load(args) => load::run(args),
    }
}

fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let print_config = args.print_config;
    let until_stdin_closes = args.until_stdin_closes;
    let config = Config::from_args(args).unwrap_or_else(|error| error.into_usage_error().exit());
    if print_config {
        cli::print_config(&config)?;
        return Ok(ExitCode::SUCCESS);
    }
    let _logging = telemetry::start_logging(
        config.log_format,
        config.log_level,
        config.log_file.as_deref(),
    )?;
    if until_stdin_closes {
        cli::cluster::end_with_stdin()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(relay::run(config));
    // Not waiting for reads and locks that hang: the shutdown's deadline is past, and the process's end frees them.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}
