//! The log is best effort, serving is not: whoever reads the log may hang, be gone or move the file away.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::harness::{Client, Relay, eventually, http};

/// A process that is started with these streams, and ended at the end.
struct Bare {
    child: Child,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Bare {
    async fn start(stderr: impl Into<Stdio>, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A port that was free a moment ago: the line that tells the port is what is not read here.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let child = Command::new(env!("CARGO_BIN_EXE_scumble"))
            .args(["serve", "--until-stdin-closes", "--listen"])
            .arg(address.to_string())
            .arg("--db")
            .arg(folder.path().join("relay.db"))
            .args(flags)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        eventually("an answer", async || {
            http::get(address, "/healthz", "").await
        })
        .await;
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    async fn ends_well(&mut self) {
        let told = Instant::now();
        self.signal(Signal::TERM);
        let child = std::sync::Mutex::new(&mut self.child);
        let status = eventually("its end", async || {
            let mut child = child.lock().expect("nobody else");
            child.try_wait().expect("a child")
        })
        .await;
        assert!(status.success(), "{status}");
        assert!(
            told.elapsed() < Duration::from_secs(8),
            "{:?}",
            told.elapsed()
        );
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn dropped_lines(address: std::net::SocketAddr) -> u64 {
    let metrics = http::get(address, "/metrics", "").await.expect("an answer");
    let line = metrics
        .body
        .lines()
        .find_map(|line| line.strip_prefix("scumble_log_lines_dropped_total "));
    line.expect("the counter").parse().expect("a number")
}

/// A pipe has room for some hundred lines, and the process for some thousand more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_nothing_and_is_counted() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut relay = Bare::start(writer, &["--log-level=debug"]).await;
    let mut client = Client::join(relay.address, "board").await;
    for _ in 0..7_000 {
        // What is no HTTP ends with a line of its own.
        let stream = std::net::TcpStream::connect(relay.address).expect("it accepts");
        let _ = std::io::Write::write_all(&mut &stream, b"\x16\x03\x01\r\n\r\n");
        drop(stream);
    }
    eventually("a line that found no room", async || {
        (dropped_lines(relay.address).await > 0).then_some(())
    })
    .await;
    let sent = Instant::now();
    client
        .commit(json!({"type": "chat", "text": "still here"}))
        .await;
    assert!(
        sent.elapsed() < Duration::from_secs(2),
        "{:?}",
        sent.elapsed()
    );
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    // Read again, it says how much is missing.
    tokio::time::sleep(Duration::from_secs(3)).await;
    relay.ends_well().await;
    let text = read.join().expect("a thread").expect("text");
    assert!(
        text.contains("log lines were dropped"),
        "{} bytes",
        text.len()
    );
    assert!(text.contains("ended"), "what came last is written");
}

#[tokio::test]
async fn a_full_pipe_does_not_hold_the_end_up() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut relay = Bare::start(writer, &["--log-level=debug"]).await;
    for _ in 0..1_500 {
        let stream = std::net::TcpStream::connect(relay.address).expect("it accepts");
        let _ = std::io::Write::write_all(&mut &stream, b"\x16\x03\x01\r\n\r\n");
    }
    relay.ends_well().await;
    drop(reader);
}

#[tokio::test]
async fn a_reader_that_is_gone_is_no_reason_to_end() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut relay = Bare::start(writer, &[]).await;
    drop(reader);
    for _ in 0..20 {
        relay.signal(Signal::HUP);
        relay.signal(Signal::USR1);
        assert!(http::get(relay.address, "/healthz", "").await.is_some());
    }
    relay.ends_well().await;
}

#[tokio::test]
async fn a_log_file_that_was_moved_away_is_made_anew_at_sigusr1() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, old) = (
        folder.path().join("scumble.log"),
        folder.path().join("scumble.log.1"),
    );
    let flag = format!("--log-file={}", log.display());
    let mut relay = Bare::start(Stdio::null(), &[&flag]).await;
    std::fs::rename(&log, &old).expect("a log");
    relay.signal(Signal::USR1);
    eventually("the new file", async || log.exists().then_some(())).await;
    relay.ends_well().await;
    let read = |path| std::fs::read_to_string(path).expect("a log");
    assert!(read(&old).contains("ready on") && !read(&old).contains("draining"));
    assert!(read(&log).contains("draining") && !read(&log).contains("ready on"));
}

/// Neither ends a process, whatever its flags: a terminal that closes, a rotation that is set up for all services.
#[tokio::test]
async fn signals_to_read_again_end_no_process() {
    let mut relay = Relay::start(1, &[]).await;
    let mut client = relay.join(0, "board").await;
    for signal in [Signal::HUP, Signal::USR1, Signal::HUP] {
        relay.process(0).signal(signal);
        client.commit(json!({"type": "chat", "text": "here"})).await;
    }
    relay.process(0).signal(Signal::TERM);
    assert!(relay.process(0).ended().await.success());
}
