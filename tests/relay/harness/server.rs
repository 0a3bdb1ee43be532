//! Real processes over one file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::client::Client;
use super::http::{self, Answer};
use super::{eventually, soon};

/// Several processes that are one relay.
pub struct Relay {
    flags: Vec<String>,
    env: Vec<(String, String)>,
    processes: Vec<Process>,
    /// Last, so that it goes after the processes.
    dir: TempDir,
}

/// A process. It is killed, by its own pid, when dropped.
pub struct Process {
    child: Child,
    /// Closed by the kernel if the tests are killed: then the process ends too.
    _stdin: Option<ChildStdin>,
    pid: Pid,
    ready: watch::Receiver<Option<SocketAddr>>,
    address: Option<SocketAddr>,
    log: Arc<Mutex<String>>,
}

impl Relay {
    /// So many processes with those flags, started at the same moment over a file that is not there yet.
    pub async fn start(processes: usize, flags: &[&str]) -> Self {
        Self::start_in(processes, flags, &[]).await
    }

    /// The same, with that in their environment.
    pub async fn start_in(processes: usize, flags: &[&str], env: &[(String, String)]) -> Self {
        let mut relay = Self {
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            env: env.to_vec(),
            processes: Vec::new(),
            dir: tempfile::tempdir().expect("a temporary folder"),
        };
        for _ in 0..processes {
            let process = relay.launch(&[]);
            relay.processes.push(process);
        }
        for process in &mut relay.processes {
            process.ready().await;
        }
        relay
    }

    /// One process more, with further flags. Gives its number.
    pub async fn add(&mut self, flags: &[&str]) -> usize {
        let mut process = self.launch(flags);
        process.ready().await;
        self.processes.push(process);
        self.processes.len() - 1
    }

    fn launch(&self, flags: &[&str]) -> Process {
        let mut all: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        all.extend(flags);
        Process::launch_in(&self.db(), &all, &self.env)
    }

    /// The file.
    pub fn db(&self) -> PathBuf {
        self.dir.path().join("relay.db")
    }

    /// The folder that the file is in, and nothing else of the test's.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A process by its number.
    pub fn process(&mut self, n: usize) -> &mut Process {
        &mut self.processes[n]
    }

    /// Where a process listens.
    pub fn address(&self, n: usize) -> SocketAddr {
        self.processes[n].address.expect("it was ready")
    }

    /// What a process logged so far.
    pub fn log(&self, n: usize) -> String {
        self.processes[n].log()
    }

    /// A new client on a process.
    pub async fn join(&self, n: usize, canvas: &str) -> Client {
        Client::join(self.address(n), canvas).await
    }

    /// Asks a process.
    pub async fn get(&self, n: usize, path: &str) -> Option<Answer> {
        http::get(self.address(n), path, "").await
    }

    /// The first column of the first row, read from the file beside the relay. 0 for NULL and for no row.
    pub fn number(&self, sql: &str) -> i64 {
        let conn = Connection::open_with_flags(self.db(), OpenFlags::SQLITE_OPEN_READ_ONLY);
        let conn = conn.expect("the file");
        conn.busy_timeout(Duration::from_secs(5))
            .expect("a timeout");
        let mut statement = conn.prepare(sql).expect("a statement");
        let mut rows = statement.query([]).expect("rows");
        let row = rows.next().expect("a row");
        row.map_or(0, |row| {
            row.get::<_, Option<i64>>(0).expect("a number").unwrap_or(0)
        })
    }

    /// Waits until that number is as wanted.
    pub async fn until_number(&self, sql: &str, wanted: impl Fn(i64) -> bool) -> i64 {
        eventually(sql, || async {
            Some(self.number(sql)).filter(|number| wanted(*number))
        })
        .await
    }

    /// A connection that can write: for tests that get in the way.
    pub fn writer(&self) -> Connection {
        let conn = Connection::open(self.db()).expect("the file");
        conn.busy_timeout(Duration::from_secs(10))
            .expect("a timeout");
        conn
    }
}

impl Process {
    /// Whether it has ended already.
    #[allow(dead_code, reason = "for tests/chaos, which shares this harness")]
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_some()
    }

    /// Starts a process with those flags; it may not get ready.
    pub fn launch(db: &Path, flags: &[&str]) -> Self {
        Self::launch_in(db, flags, &[])
    }

    fn launch_in(db: &Path, flags: &[&str], env: &[(String, String)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scumble"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--until-stdin-closes",
                "--db",
            ])
            .arg(db)
            .args(flags)
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .envs(env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let stderr = child.stderr.take().expect("a pipe");
        let lines = BufReader::new(File::from(stderr.into_owned_fd().expect("a pipe")));
        let (found, ready) = watch::channel(None);
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("ready on http://") {
                    let address = url.split_whitespace().next();
                    found.send_replace(address.and_then(|address| address.parse().ok()));
                }
                let mut log = kept.lock();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            _stdin: child.stdin.take(),
            child,
            pid: pid.expect("a pid"),
            ready,
            address: None,
            log,
        }
    }

    /// Waits for the line that says where it listens. `None` if the process ends without one.
    pub async fn started(&mut self) -> Option<SocketAddr> {
        let ready = soon("ready", self.ready.wait_for(Option::is_some)).await;
        self.address = ready.ok().and_then(|address| *address);
        self.address
    }

    /// Waits for the line that says where it listens.
    pub async fn ready(&mut self) -> SocketAddr {
        let Some(address) = self.started().await else {
            panic!(
                "the process ended before it was ready:\n{}",
                self.log.lock()
            )
        };
        address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the process is there");
    }

    /// Waits until it has ended, and all that it logged was read.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = soon("the process to end", self.child.wait()).await;
        // Its sender belongs to whoever reads the log.
        let read = async { while self.ready.changed().await.is_ok() {} };
        soon("the end of its log", read).await;
        status.expect("its status")
    }

    /// kill -9, and the end of it.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Its resident memory in KiB, as the kernel has it.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("VmRSS").parse().expect("a number")
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the log explains a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- process {} ---\n{}", self.pid(), self.log.lock());
        }
    }
}
