//! `scumble cluster` with real processes: it restarts, passes signals on, and leaves nobody behind.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::scumble;

const WAIT: Duration = Duration::from_secs(30);

/// Processes over a file of their own.
pub struct Cluster {
    supervisor: Child,
    lines: Receiver<String>,
    _folder: TempDir,
}

impl Cluster {
    pub fn start(instances: usize) -> Self {
        Self::start_with(instances, |_| Vec::new())
    }

    /// `flags`: those that name files in the cluster's folder.
    pub fn start_with(instances: usize, flags: impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = TempDir::new().unwrap();
        let mut supervisor = scumble()
            .args(["cluster", "--listen=127.0.0.1:0", "--log-format=json"])
            .arg(format!("--instances={instances}"))
            .args(flags(folder.path()))
            .arg("--db")
            .arg(folder.path().join("relay.db"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(supervisor.stderr.take().unwrap());
        let (sender, lines) = sync_channel(1024);
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)));
        });
        Self {
            supervisor,
            lines,
            _folder: folder,
        }
    }

    /// The next line with this message.
    pub fn line(&self, message: &str) -> Value {
        let deadline = Instant::now() + WAIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no {message:?}"));
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            if line["message"]
                .as_str()
                .is_some_and(|text| text.starts_with(message))
            {
                return line;
            }
        }
    }

    /// The addresses of all processes, once they are ready.
    pub fn ready(&self, instances: usize) -> Vec<SocketAddr> {
        let address = || {
            let line = self.line("ready on http://");
            assert!(line["process"].is_u64(), "{line}");
            line["message"].as_str().unwrap()["ready on http://".len()..]
                .parse()
                .unwrap()
        };
        (0..instances).map(|_| address()).collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.supervisor), signal).unwrap();
    }

    /// Its exit code. Its standard error ends when it does.
    pub fn code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + WAIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return self.supervisor.wait().unwrap().code();
                }
                Err(RecvTimeoutError::Timeout) => panic!("the supervisor does not end"),
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its processes notice. Both fail only if it has ended, as it should have.
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

fn pid(line: &Value) -> Pid {
    Pid::from_raw(i32::try_from(line["pid"].as_i64().unwrap()).unwrap()).unwrap()
}

/// Waits until nobody listens there any more.
fn gone(address: SocketAddr) {
    let deadline = Instant::now() + WAIT;
    while TcpStream::connect_timeout(&address, WAIT).is_ok() {
        assert!(Instant::now() < deadline, "{address} is still there");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_process_that_dies_is_started_again_and_all_end_well_on_a_signal() {
    let mut cluster = Cluster::start(2);
    let victim = pid(&cluster.line("process started"));
    cluster.ready(2);
    kill_process(victim, Signal::KILL).unwrap();
    let died = cluster.line("process died");
    assert_eq!(pid(&died), victim);
    assert!(
        died["status"].as_str().unwrap().contains("SIGKILL"),
        "{died}"
    );
    let next = pid(&cluster.line("process started"));
    assert_ne!(next, victim);
    cluster.ready(1);
    // Who ends one alone, as in an upgrade, sees it begin again, and no alarm.
    kill_process(next, Signal::TERM).unwrap();
    let ended = cluster.line("process ended");
    assert_eq!((pid(&ended), &ended["level"]), (next, &"INFO".into()));
    let addresses = cluster.ready(1);
    cluster.signal(Signal::TERM);
    assert_eq!(cluster.code(), Some(0));
    addresses.into_iter().for_each(gone);
}

#[test]
fn nobody_outlives_the_supervisor() {
    let mut cluster = Cluster::start(2);
    let addresses = cluster.ready(2);
    cluster.signal(Signal::KILL);
    assert_eq!(cluster.code(), None);
    addresses.into_iter().for_each(gone);
}

#[test]
fn a_hangup_has_all_processes_read_the_revoked_again() {
    let cluster = Cluster::start_with(2, |folder| {
        let file = |name: &str| {
            let path = folder.join(name);
            std::fs::write(&path, name.repeat(6)).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let (secret, revoked) = (file("secret"), file("revoked"));
        vec![
            format!("--auth-secret-file={secret}"),
            format!("--revoked-file={revoked}"),
        ]
    });
    cluster.ready(2);
    for _ in 0..2 {
        cluster.signal(Signal::HUP);
        let mut told = [0, 1].map(|_| {
            let line = cluster.line("--revoked-file was read again");
            assert_eq!(line["entries"], 1);
            line["process"].as_u64().unwrap()
        });
        told.sort_unstable();
        assert_eq!(told, [1, 2]);
    }
}

#[test]
fn the_hooks_of_a_cluster_are_those_of_its_processes() {
    let cluster = Cluster::start_with(2, |folder| {
        let path = folder.join("hooks.toml");
        let hook = "[[hook]]\nname = 'a'\ncanvases = ['*']\nevents = ['*']\nqueue = 'a'\n";
        std::fs::write(&path, hook).unwrap();
        vec![format!("--hooks={}", path.display())]
    });
    // The one that is ready last may say so before the first has stored them.
    let told = cluster.line("the relay's hooks are those of this file");
    assert_eq!(told["hooks"], 1, "{told}");
}

#[test]
fn a_process_that_can_not_start_says_why_in_json_too() {
    let cluster = Cluster::start_with(1, |folder| {
        std::fs::write(folder.join("relay.db"), "this is no database".repeat(99)).unwrap();
        Vec::new()
    });
    let why = cluster.line("scumble: ");
    assert_eq!(
        (&why["process"], &why["level"]),
        (&1.into(), &"ERROR".into())
    );
    assert!(
        why["message"].as_str().unwrap().contains("relay.db"),
        "{why}"
    );
}

#[test]
fn jobs_without_a_token_name_the_flag() {
    let cluster = Cluster::start_with(1, |folder| {
        let path = folder.join("api-token");
        std::fs::write(&path, "a token of sixteen bytes".replace(' ', "-")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        vec![format!("--api-token-file={}", path.display())]
    });
    let url = format!("http://{}", cluster.ready(1)[0]);
    let output = super::run(&["jobs", "stats", "--url", &url]);
    let told = super::stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("with --api-token-file"), "{told}");
}
