//! One process of a cluster: started, its log lines marked, started again, ended.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use crate::config::RedisUrl;
use crate::telemetry::forward_line;

/// What the cluster is about. Only ever raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Keep all running.
    Run,
    /// End all in good order.
    Drain,
    /// End all now.
    Kill,
}

impl Phase {
    /// Moves on to `phase`; `false` if it is there or beyond already.
    pub(super) fn raise(&mut self, phase: Self) -> bool {
        let raised = phase > *self;
        *self = phase.max(*self);
        raised
    }
}

/// How to run one process.
pub(super) struct Member {
    /// From 1 on; marks its log lines.
    pub number: usize,
    /// The program.
    pub binary: PathBuf,
    /// What it is given, beside `serve`.
    pub flags: Vec<OsString>,
    /// Where its relay is, if not in a file.
    pub redis: Option<RedisUrl>,
    /// Whether its lines are JSON.
    pub json_logs: bool,
    /// How long it may take to end after SIGTERM before it is killed.
    pub stop_within: Duration,
    /// Changes with each SIGHUP that is to be passed on.
    pub hangups: watch::Receiver<u64>,
}

impl Member {
    /// Keeps the process running until the phase says otherwise; `false` if it had to be killed in the end.
    pub(super) async fn tend(self, mut phases: watch::Receiver<Phase>) -> bool {
        let number = self.number;
        let mut backoff = Backoff::default();
        while *phases.borrow() == Phase::Run {
            let started = Instant::now();
            match self.start() {
                Ok((mut child, stderr)) => {
                    let pid = child.id();
                    tracing::info!(number, pid, "process started");
                    let lines = self.forward(stderr);
                    let (end, ()) = tokio::join!(self.watch(&mut child, &mut phases), lines);
                    match end {
                        End::Told { in_time } => return in_time,
                        // Somebody ended it alone, as in an upgrade: it drained.
                        End::Died(Ok(status)) if status.success() => {
                            tracing::info!(number, pid, "process ended");
                        }
                        End::Died(status) => {
                            let status = told(status);
                            tracing::error!(number, pid, status, "process died");
                        }
                    }
                }
                Err(error) => tracing::error!(number, %error, "process could not be started"),
            }
            let wait = backoff.after(started.elapsed());
            tracing::info!(
                number,
                wait_ms = wait.as_millis(),
                "process will be started again"
            );
            tokio::select! {
                () = sleep(wait) => {}
                () = until(&mut phases, Phase::Drain) => {}
            }
        }
        true
    }

    /// Its own process group, so that Ctrl-C in a terminal reaches the supervisor alone, which passes it on once.
    fn start(&self) -> std::io::Result<(Child, ChildStderr)> {
        let mut child = Command::new(&self.binary)
            .arg("serve")
            .args(&self.flags)
            .arg("--until-stdin-closes")
            // What it is given is all of it.
            .env_remove("SCUMBLE_CONFIG")
            .envs(self.redis.iter().map(|url| ("SCUMBLE_REDIS", url.reveal())))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok((child, stderr))
    }

    /// Waits for its death, or ends it when the phase says so.
    async fn watch(&self, child: &mut Child, phases: &mut watch::Receiver<Phase>) -> End {
        // `Child::wait` would close the standard input, which means the end to the process.
        let stdin = child.stdin.take();
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let mut hangups = self.hangups.clone();
        hangups.mark_unchanged();
        loop {
            tokio::select! {
                status = child.wait() => return End::Died(status),
                () = until(phases, Phase::Drain) => break,
                Ok(()) = hangups.changed() => {
                    // As below.
                    let _ = pid.map(|pid| kill_process(pid, Signal::HUP));
                }
            }
        }
        if let Some(pid) = pid {
            // It may have ended this moment; then there is nobody to tell.
            let _ = kill_process(pid, Signal::TERM);
        }
        let in_time = tokio::select! {
            ended = timeout(self.stop_within, child.wait()) => {
                ended.is_ok_and(|status| status.is_ok_and(|status| status.success()))
            }
            () = until(phases, Phase::Kill) => false,
        };
        if !in_time {
            tracing::error!(
                number = self.number,
                "process did not end well: it is killed"
            );
            if let Err(error) = child.kill().await {
                tracing::error!(number = self.number, %error, "process can't be killed");
            }
        }
        drop(stdin);
        End::Told { in_time }
    }

    /// Copies its log lines to the cluster's own log, marked with its number, until it ends.
    async fn forward(&self, stderr: ChildStderr) {
        let mut lines = BufReader::new(stderr).split(b'\n');
        loop {
            match lines.next_segment().await {
                Ok(Some(line)) => {
                    forward_line(&self.mark(&String::from_utf8_lossy(&line)));
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(number = self.number, %error, "log lines can't be read");
                    return;
                }
            }
        }
    }

    fn mark(&self, line: &str) -> String {
        let number = self.number;
        match line.strip_prefix('{') {
            Some(fields) if self.json_logs => format!("{{\"process\":{number},{fields}"),
            // Why it can't start: said before it has a log.
            None if self.json_logs => {
                serde_json::json!({"process": number, "level": "ERROR", "message": line})
                    .to_string()
            }
            _ => format!("[{number}] {line}"),
        }
    }
}

enum End {
    /// Nobody had asked for it.
    Died(std::io::Result<ExitStatus>),
    /// As it was told to, in time or not.
    Told { in_time: bool },
}

fn told(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Waits until the phase is at least this. A supervisor that is gone counts.
async fn until(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = phases.wait_for(|now| *now >= phase).await;
}
