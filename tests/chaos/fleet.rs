//! The processes of a round: they die, stop and come back, over one file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::Random;
use crate::harness::server::Process;

/// The steps of the write path at which a process can be killed: all there are.
pub const STEPS: [&str; 8] = [
    "before-begin",
    "after-begin",
    "after-insert",
    "before-commit",
    "after-commit",
    "before-wake",
    "before-ack",
    "after-ack",
];

/// Those that only a process with a spill file passes.
const SPILL_STEPS: [&str; 3] = ["before-spill", "after-spill", "after-replay"];

/// Where processes are that take clients: what the crowd knows of the fleet.
#[derive(Clone, Default)]
pub struct Addresses(Arc<Mutex<Vec<SocketAddr>>>);

impl Addresses {
    /// One of them; `None` while there is none.
    pub fn any(&self, random: &mut Random) -> Option<SocketAddr> {
        let up = self.0.lock();
        let n = usize::try_from(random.below(up.len().max(1) as u64)).expect("small");
        up.get(n).copied()
    }
}

/// See the module's head.
pub struct Fleet {
    flags: Vec<String>,
    spills: bool,
    alive: Vec<(SocketAddr, Process)>,
    /// Their logs explain a failure.
    dead: Vec<Process>,
    /// Where the crowd finds them.
    pub addresses: Addresses,
    /// How many ended by themselves at a fail point.
    pub failed: usize,
    dir: TempDir,
}

impl Fleet {
    /// An empty fleet over a file that is not there yet.
    pub fn new(flags: &[&str], spills: bool) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        if spills {
            let spill = dir.path().join("spill");
            std::fs::create_dir(&spill).expect("a folder");
            flags.extend(["--spill-dir".to_owned(), spill.display().to_string()]);
        }
        Self {
            flags,
            spills,
            alive: Vec::new(),
            dead: Vec::new(),
            addresses: Addresses::default(),
            failed: 0,
            dir,
        }
    }

    /// The file.
    pub fn db(&self) -> PathBuf {
        self.dir.path().join("relay.db")
    }

    /// How many are there.
    pub fn len(&self) -> usize {
        self.alive.len()
    }

    /// Starts one that is sound.
    pub async fn start(&mut self) {
        assert!(self.launch(&[]).await, "it is armed with nothing");
    }

    /// Starts one that will fail somewhere, or not. It may end before it takes a client.
    pub async fn start_armed(&mut self, random: &mut Random) {
        let points = arm(random, self.spills);
        let mut flags = Vec::new();
        for point in &points {
            flags.extend(["--fail-point", point]);
        }
        if !self.launch(&flags).await {
            self.failed += 1;
        }
    }

    /// Starts one with those flags; `false` if it ended before it took a client.
    pub async fn launch(&mut self, flags: &[&str]) -> bool {
        let mut all: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        all.extend(flags);
        let mut process = Process::launch(&self.db(), &all);
        let started = process.started().await;
        match started {
            Some(address) => {
                self.alive.push((address, process));
                self.publish();
            }
            None => self.dead.push(process),
        }
        started.is_some()
    }

    /// How often those that are there, and those that were, have said that.
    pub fn said(&self, what: &str) -> usize {
        let alive = self.alive.iter().map(|(_, process)| process);
        let logs = alive.chain(&self.dead).map(Process::log);
        logs.map(|log| log.matches(what).count()).sum()
    }

    /// Notes which have ended by themselves; gives how many.
    pub fn count_dead(&mut self) -> usize {
        let mut n = 0;
        while let Some(at) = self.alive.iter_mut().position(|(_, p)| is_over(p)) {
            self.dead.push(self.alive.swap_remove(at).1);
            n += 1;
        }
        self.failed += n;
        self.publish();
        n
    }

    /// kill -9 to one of them.
    pub async fn kill(&mut self, random: &mut Random) {
        let (_, mut process) = self.alive.swap_remove(self.pick(random));
        self.publish();
        if !is_over(&process) {
            process.kill().await;
        }
        self.dead.push(process);
    }

    /// Has one of them drain and end.
    pub async fn drain(&mut self, random: &mut Random) {
        let (_, mut process) = self.alive.swap_remove(self.pick(random));
        self.publish();
        if !is_over(&process) {
            process.signal(Signal::TERM);
            process.ended().await;
        }
        self.dead.push(process);
    }

    /// Stops one of them for a while; clients still find it.
    pub async fn stop(&mut self, random: &mut Random, pause: Duration) {
        let at = self.pick(random);
        let process = &mut self.alive[at].1;
        if is_over(process) {
            return;
        }
        process.signal(Signal::STOP);
        tokio::time::sleep(pause).await;
        process.signal(Signal::CONT);
    }

    fn pick(&self, random: &mut Random) -> usize {
        usize::try_from(random.below(self.alive.len() as u64)).expect("small")
    }

    fn publish(&self) {
        let up = self.alive.iter().map(|(address, _)| *address).collect();
        *self.addresses.0.lock() = up;
    }
}

/// What a process is armed with: mostly a death, sometimes a disk that fails or is slow for a while.
fn arm(random: &mut Random, spills: bool) -> Vec<String> {
    let step = |random: &mut Random, of: &[&str]| {
        of[usize::try_from(random.below(of.len() as u64)).expect("small")].to_owned()
    };
    let mut points = Vec::new();
    if random.below(4) > 0 {
        let at = 1 + random.below(40);
        points.push(format!("{}=abort@{at}", step(random, &STEPS)));
    }
    if random.below(3) == 0 {
        let (from, times) = (1 + random.below(40), random.below(7));
        let step = step(random, &STEPS[..4]);
        points.push(format!("{step}=error@{from}..{}", from + times));
    }
    if random.below(4) == 0 {
        let (at, ms) = (1 + random.below(40), 50 + random.below(1_500));
        points.push(format!("{}=delay:{ms}ms@{at}", step(random, &STEPS)));
    }
    if spills && random.below(2) == 0 {
        let at = 1 + random.below(3);
        points.push(format!("{}=abort@{at}", step(random, &SPILL_STEPS)));
    }
    points
}

/// Whether a process has ended; nobody has asked for its status yet.
fn is_over(process: &Process) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid()));
    stat.expect("it was not waited for").contains(") Z ")
}
