//! A Redis of a test's own: on a socket in a temporary folder, ended by its own pid.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For the server to be there.
const START: Duration = Duration::from_secs(20);

/// A running server and its folder.
pub struct RedisServer {
    folder: tempfile::TempDir,
    child: Option<Child>,
    flags: Vec<String>,
    env: Vec<(String, String)>,
    port: u16,
}

impl RedisServer {
    /// Starts one that keeps everything until it is killed: its append-only file is synced with each write.
    pub fn start() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub fn start_with(flags: &[&str]) -> Self {
        Self::start_in(flags, &[])
    }

    /// The same, with that in its environment.
    pub fn start_in(flags: &[&str], env: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut server = Self {
            folder,
            child: None,
            flags,
            env: env.to_vec(),
            port: 0,
        };
        server.run();
        server
    }

    /// Starts one that others may follow: it listens on a port of the loopback, too.
    #[allow(dead_code, reason = "not every test has two")]
    pub fn start_on_port(flags: &[&str]) -> Self {
        for _ in 0..20 {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = listener.local_addr().expect("an address").port();
            drop(listener);
            let folder = tempfile::tempdir().expect("a temporary folder");
            let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
            let mut server = Self {
                folder,
                child: None,
                flags,
                env: Vec::new(),
                port,
            };
            server.run();
            // Somebody else may have been given the port meanwhile.
            let told = server.ask(&["CONFIG", "GET", "port"]);
            if told.ends_with(&port.to_string()) {
                return server;
            }
        }
        panic!("no port is free");
    }

    #[allow(dead_code, reason = "not every test has two")]
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// What instances are given.
    #[allow(dead_code, reason = "not every test leads there so")]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    #[allow(dead_code, reason = "not every test looks there")]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait().expect("a killed process ends");
        }
    }

    /// Starts it again over the same folder.
    pub fn run(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(self.socket());
        let child = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
                "--repl-diskless-sync-delay",
                "0",
                "--save",
                "",
                "--daemonize",
                "no",
                "--unixsocket",
            ])
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.flags)
            .envs(self.env.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed (scripts/install-test-deps)");
        self.child = Some(child);
        let until = Instant::now() + START;
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < until, "redis-server does not start");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Its files as they are now.
    #[allow(dead_code, reason = "not every test has it lose something")]
    pub fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("a temporary folder");
        copy_files(&self.files(), copy.path());
        copy
    }

    /// Kills it, puts earlier files in place and starts it again.
    #[allow(dead_code, reason = "not every test has it lose something")]
    pub fn go_back_to(&mut self, copy: &tempfile::TempDir) {
        self.kill();
        std::fs::remove_dir_all(self.files()).expect("its files");
        std::fs::create_dir(self.files()).expect("a folder");
        copy_files(copy.path(), &self.files());
        self.run();
    }

    fn files(&self) -> PathBuf {
        self.folder.path().join("appendonlydir")
    }

    /// A number of those that a canvas takes, by its place from 1: see `src/redis/lua/count.lua`. 0 if it has none.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn takes(&self, canvas: &str, which: usize) -> i64 {
        let read = "local takes = redis.call('HGET', KEYS[1], 'takes') return takes and \
                    string.format('%.0f', ({ struct.unpack('>ddddddddd', takes) })[tonumber(ARGV[1])])";
        let key = format!("scumble:canvas:{canvas}");
        let told = self.ask(&["EVAL", read, "1", &key, &which.to_string()]);
        told.parse().unwrap_or(0)
    }

    /// As if a canvas that was deleted had been so for as long as it is remembered.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn end_now(&self, canvas: &str) {
        let write = "local takes = { struct.unpack('>ddddddddd', redis.call('HGET', KEYS[1], 'takes')) } \
                     takes[7] = 1 takes[10] = nil \
                     return redis.call('HSET', KEYS[1], 'takes', struct.pack('>ddddddddd', unpack(takes)))";
        let key = format!("scumble:canvas:{canvas}");
        self.ask(&["EVAL", write, "1", &key]);
    }

    /// What `redis-cli` prints.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn ask(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .arg("-s")
            .arg(self.socket())
            .args(command)
            .output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout)
            .trim()
            .to_owned()
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).expect("its files").flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
