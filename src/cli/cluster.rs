//! `scumble cluster`: several `serve` processes over one file. A process that dies is started again.

mod backoff;
mod process;

use std::ffi::OsString;
use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{ClusterArgs, Config, LogFormat, Store, usage_error};
use crate::telemetry;
use process::{Member, Phase};

/// Over the processes' own drain timeout: what their end itself may take.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is told of log lines that were dropped.
const LOOK_AT_LOG: Duration = Duration::from_secs(2);

/// Runs the processes until a signal ends them; 0 if all of them ended as they should.
///
/// # Errors
/// When nothing can be started at all.
pub fn run(args: ClusterArgs) -> anyhow::Result<ExitCode> {
    let print_config = args.serve.print_config;
    let base_id = args.serve.instance_id.clone();
    let config = Config::from_args(args.serve).unwrap_or_else(|e| e.into_usage_error().exit());
    if matches!(config.store, Store::Memory) {
        usage_error(
            "'--queue off' leaves nothing that the processes could share; right would be on",
        )
        .exit();
    }
    let listens =
        listens(config.listen, args.instances).unwrap_or_else(|hint| usage_error(&hint).exit());
    if print_config {
        super::print_config(&config)?;
        return Ok(ExitCode::SUCCESS);
    }
    let log_file = config.log_file.as_deref();
    let _logging = telemetry::start_logging(config.log_format, config.log_level, log_file)?;
    let (hangup, hangups) = watch::channel(0);
    let binary = std::env::current_exe().context("the path of this program")?;
    let members = listens.into_iter().enumerate().map(|(index, listen)| {
        let number = index + 1;
        let id = base_id.as_ref().map(|id| format!("{id}-{number}"));
        Member {
            number,
            binary: binary.clone(),
            flags: flags(&config, listen, id),
            redis: match &config.store {
                Store::Redis(redis) => Some(redis.url.clone()),
                Store::Memory | Store::Sqlite(_) => None,
            },
            json_logs: config.log_format == LogFormat::Json,
            stop_within: config.drain_timeout + GRACE,
            hangups: hangups.clone(),
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(supervise(members.collect(), hangup))
}

/// Passes each SIGHUP on, and opens the log file anew at SIGUSR1, for ever.
async fn pass_on(hangup: watch::Sender<u64>) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    let mut rotations = signal(SignalKind::user_defined1())?;
    let mut ticks = tokio::time::interval(LOOK_AT_LOG);
    loop {
        tokio::select! {
            _ = hangups.recv() => hangup.send_modify(|count| *count += 1),
            _ = rotations.recv() => telemetry::reopen_log(),
            _ = ticks.tick() => telemetry::tell_of_dropped_lines(),
        }
    }
}

/// Consecutive ports from the first on. Port 0 stays 0 for all: the system chooses each.
fn listens(first: SocketAddr, instances: u16) -> Result<Vec<SocketAddr>, String> {
    (0..instances)
        .map(|index| match first.port() {
            0 => Ok(first),
            port => port.checked_add(index).map(|port| SocketAddr::new(first.ip(), port)).ok_or_else(
                || format!("invalid value '{first}' for '--listen': {instances} ports from there go past 65535"),
            ),
        })
        .collect()
}

/// The effective configuration as one process's flags: its environment can't change it any more.
fn flags(config: &Config, listen: SocketAddr, instance_id: Option<String>) -> Vec<OsString> {
    // The address of Redis goes with the environment: it may have a password.
    let own = [
        "listen",
        "instance-id",
        "db",
        "redis",
        "spill-dir",
        "demo-controls",
        // Their lines go through the cluster's log.
        "log-file",
    ];
    let shared = config
        .effective()
        .into_iter()
        .filter(|(flag, _)| !own.contains(flag));
    let mut flags: Vec<OsString> = shared
        .map(|(flag, value)| format!("--{flag}={value}").into())
        .collect();
    flags.push(format!("--listen={listen}").into());
    if let Store::Sqlite(file) = &config.store {
        flags.extend(["--db".into(), file.db.clone().into()]);
        if let Some(dir) = &file.spill_dir {
            flags.extend(["--spill-dir".into(), dir.clone().into()]);
        }
    }
    flags.extend(instance_id.map(|id| format!("--instance-id={id}").into()));
    if config.demo_controls {
        flags.push("--demo-controls".into());
    }
    flags
}

/// Keeps all members running until SIGTERM or SIGINT; a second signal doesn't wait for them.
async fn supervise(members: Vec<Member>, hangup: watch::Sender<u64>) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (phase, phases) = watch::channel(Phase::Run);
    tracing::info!(processes = members.len(), "cluster starts");
    let mut tasks = JoinSet::new();
    for member in members {
        tasks.spawn(member.tend(phases.clone()));
    }
    let mut well = true;
    let mut told_by = None;
    let mut pass_on = std::pin::pin!(pass_on(hangup));
    loop {
        let signal = tokio::select! {
            ended = tasks.join_next() => match ended {
                None => break,
                Some(Ok(true)) => continue,
                // Killed at the end of its time, or its task broke: the others end, and the exit code tells.
                Some(_) => {
                    well = false;
                    phase.send_if_modified(|phase| phase.raise(Phase::Drain));
                    continue;
                }
            },
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            failed = &mut pass_on => return failed.map(|()| ExitCode::FAILURE),
        };
        // Only the same signal again is impatience: a terminal and a script may each send theirs at once.
        if told_by == Some(signal) {
            tracing::warn!(signal, "cluster kills its processes");
            phase.send_if_modified(|phase| phase.raise(Phase::Kill));
        } else if phase.send_if_modified(|phase| phase.raise(Phase::Drain)) {
            tracing::info!(signal, "cluster drains; the same signal again kills");
            told_by = Some(signal);
        }
    }
    tracing::info!("cluster ended");
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Ends this process with SIGTERM when its standard input closes. The supervisor holds the other end and
/// the kernel closes it when the supervisor dies, however that happens: nobody stays behind.
///
/// # Errors
/// When no thread can be started.
pub fn end_with_stdin() -> anyhow::Result<()> {
    let watch = || {
        let mut nothing = [0; 64];
        while matches!(std::io::stdin().read(&mut nothing), Ok(n) if n > 0) {}
        tracing::warn!("standard input closed: the supervisor is gone");
        // Can't fail: a process may signal itself.
        let _ = kill_process(getpid(), Signal::TERM);
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(watch)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_consecutive_and_end_at_65535() {
        let ports = |first: &str, n| {
            let listens = listens(first.parse().unwrap(), n)?;
            Ok::<_, String>(listens.iter().map(SocketAddr::port).collect::<Vec<_>>())
        };
        assert_eq!(ports("127.0.0.1:8080", 3), Ok(vec![8080, 8081, 8082]));
        assert_eq!(ports("127.0.0.1:0", 2), Ok(vec![0, 0]));
        assert!(ports("127.0.0.1:65534", 2).is_ok());
        assert!(
            ports("127.0.0.1:65534", 3)
                .unwrap_err()
                .contains("--listen")
        );
    }

    #[test]
    fn a_process_is_given_the_effective_configuration() {
        let given = [
            "--profile=low-latency",
            "--poll-idle=300ms",
            "--db=x.db",
            "--demo-controls",
        ];
        let config = Config::from_flags(given).unwrap();
        let listen = "127.0.0.1:9".parse().unwrap();
        let child = Config::from_flags(flags(&config, listen, Some("a-1".to_owned()))).unwrap();
        let mut expected = config;
        expected.listen = listen;
        expected.instance_id = crate::protocol::ids::InstanceId::parse("a-1").unwrap();
        assert_eq!(child.effective(), expected.effective());
    }
}
