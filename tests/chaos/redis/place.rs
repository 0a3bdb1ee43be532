//! Where a round's Redis is: one server, or two of which one follows the other, and what leads there; and what becomes of it.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::gate::{Gate, Way};
use super::{Kind, PROCESSES};
use crate::harness::history::{self, Record};
use crate::harness::{Random, eventually};
use crate::redis_server::RedisServer;

/// What somebody does to the keys of the canvas behind the relay's back.
const MEDDLING: [&[&str]; 6] = [
    &["DEL", "scumble:canvas:board"],
    &["DEL", "scumble:log:board"],
    &["DEL", "scumble:canvas:board", "scumble:log:board"],
    &["SET", "scumble:log:board", "x"],
    &["SET", "scumble:canvas:board", "x"],
    &["HSET", "scumble:canvas:board", "n", "many"],
];
/// What Redis ships with, and what a large canvas must live with.
const STOCK_LIMIT: &str = "pubsub 33554432 8388608 60";

/// See the module's head.
pub struct Place {
    kind: Kind,
    /// The second, if there is one, follows the first, or the first the second.
    servers: Vec<RedisServer>,
    master: usize,
    folder: tempfile::TempDir,
    gates: Vec<Gate>,
}

impl Place {
    pub async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let servers = match kind {
            Kind::FailsBack => {
                let flags = ["--appendonly", "yes", "--appendfsync", "always"];
                vec![
                    RedisServer::start_on_port(&flags),
                    RedisServer::start_on_port(&flags),
                ]
            }
            _ => vec![RedisServer::start()],
        };
        let limits = servers[0].ask(&["CONFIG", "GET", "client-output-buffer-limit"]);
        assert!(limits.contains(STOCK_LIMIT), "{limits}");
        let place = Self {
            kind,
            servers,
            master: 0,
            folder,
            gates: Vec::new(),
        };
        place.lead_there();
        if kind == Kind::FailsBack {
            place.follow(1).await;
        }
        place
    }

    fn server(&self) -> &RedisServer {
        &self.servers[self.master]
    }

    fn address(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    fn lead_there(&self) {
        // It may not be there yet.
        let _ = std::fs::remove_file(self.address());
        symlink(self.server().socket(), self.address()).expect("a link");
    }

    /// The address for the next process: the same for all, or a way of its own.
    pub fn url(&mut self) -> String {
        let socket = match self.kind {
            Kind::Parts => {
                let path = self
                    .folder
                    .path()
                    .join(format!("{}.sock", self.gates.len()));
                self.gates.push(Gate::open(&path, self.server().socket()));
                path
            }
            _ => self.address(),
        };
        format!("redis+unix://{}", socket.display())
    }

    /// Connections of notifications are cut.
    pub fn cut(&self) {
        self.server().ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }

    /// It hangs for a moment.
    pub fn hang(&self, random: &mut Random) {
        let pause = (50 + random.below(500)).to_string();
        self.server().ask(&["CLIENT", "PAUSE", &pause]);
    }

    /// What becomes of it in this kind of round. Gives what it forgets by that. `mended` says whether what was done to a canvas's keys
    /// was put right.
    pub async fn suffer(
        &mut self,
        random: &mut Random,
        mended: impl Fn(&RedisServer) -> bool,
    ) -> Option<Record> {
        match self.kind {
            Kind::Lives => {}
            Kind::Dies | Kind::Large => self.servers[self.master].run(),
            Kind::Forgets => return Some(self.forget(random).await),
            Kind::Parts => self.part(random).await,
            Kind::FailsBack => return self.fail_over(random).await,
            Kind::Meddled => {
                let which = usize::try_from(random.below(MEDDLING.len() as u64)).expect("small");
                self.server().ask(MEDDLING[which]);
                eventually("keys that are put right", async || {
                    mended(self.server()).then_some(())
                })
                .await;
            }
            Kind::Full => self.fill(random).await,
        }
        None
    }

    async fn forget(&mut self, random: &mut Random) -> Record {
        let to = history::now_ms();
        let server = &mut self.servers[self.master];
        let before = server.copy();
        tokio::time::sleep(Duration::from_millis(random.below(300))).await;
        server.go_back_to(&before);
        forgotten(to)
    }

    /// The network cuts some processes off, and heals. After eleven seconds the others have given them up.
    async fn part(&self, random: &mut Random) {
        let long = random.below(10) == 0;
        let pause = if long {
            11_000
        } else {
            100 + random.below(2_500)
        };
        let way = if random.below(2) == 0 {
            Way::Held
        } else {
            Way::Cut
        };
        let latest = self.gates.len().saturating_sub(PROCESSES);
        let some: Vec<&Gate> = self.gates[latest..]
            .iter()
            .filter(|_| random.below(2) == 0)
            .collect();
        some.iter().for_each(|gate| gate.set(way));
        tokio::time::sleep(Duration::from_millis(pause)).await;
        some.iter().for_each(|gate| gate.set(Way::Open));
    }

    /// Its memory is full for a moment, which may be longer than an op waits.
    async fn fill(&self, random: &mut Random) {
        let used = self.server().ask(&["INFO", "memory"]);
        let used = used
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        let used = used.expect("it says so").trim();
        self.server().ask(&["CONFIG", "SET", "maxmemory", used]);
        tokio::time::sleep(Duration::from_millis(100 + random.below(6_500))).await;
        self.server().ask(&["CONFIG", "SET", "maxmemory", "0"]);
    }

    async fn follow(&self, which: usize) {
        let port = self.servers[1 - which].port().to_string();
        self.servers[which].ask(&["REPLICAOF", "127.0.0.1", &port]);
        eventually("a replica that follows", async || {
            let told = self.servers[which].ask(&["INFO", "replication"]);
            told.contains("master_link_status:up").then_some(())
        })
        .await;
    }

    /// The other server takes over, with all of it or without the last moments; the first one follows it from then on. The next time it
    /// takes over itself.
    async fn fail_over(&mut self, random: &mut Random) -> Option<Record> {
        let loses = random.below(2) == 0;
        let (old, new) = (self.master, 1 - self.master);
        self.servers[old].ask(&["CLIENT", "PAUSE", "30000", "WRITE"]);
        eventually("a replica that has everything", async || {
            let offset = |which: usize| {
                let told = self.servers[which].ask(&["INFO", "replication"]);
                let offset = told
                    .lines()
                    .find_map(|line| line.strip_prefix("master_repl_offset:"));
                offset.map(str::to_owned)
            };
            (offset(old).is_some() && offset(old) == offset(new)).then_some(())
        })
        .await;
        let to = history::now_ms();
        if loses {
            self.servers[new].ask(&["REPLICAOF", "127.0.0.1", "1"]);
            self.servers[old].ask(&["CLIENT", "UNPAUSE"]);
            tokio::time::sleep(Duration::from_millis(random.below(600))).await;
        }
        self.servers[new].ask(&["REPLICAOF", "NO", "ONE"]);
        self.master = new;
        self.lead_there();
        for kind in ["normal", "pubsub"] {
            self.servers[old].ask(&["CLIENT", "KILL", "TYPE", kind]);
        }
        self.servers[old].ask(&["CLIENT", "UNPAUSE"]);
        self.follow(old).await;
        loses.then(|| forgotten(to))
    }
}

/// Whether the canvas's keys are of the kinds that they should be.
pub fn are_sound(server: &RedisServer) -> bool {
    let n = server.ask(&["HGET", "scumble:canvas:board", "n"]);
    n.parse::<u64>().is_ok() && server.ask(&["TYPE", "scumble:log:board"]) == "stream"
}

/// What came after that moment may be gone.
fn forgotten(to: f64) -> Record {
    history::record("board", "forgets", json!({"to": to}))
}
