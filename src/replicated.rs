//! The backplane of relays that outgrow one host: processes of several hosts share one log ([`crate::log`]), such as
//! Redis.
//!
//! Each canvas has a log of batches there, in one order for all. Each instance that has the canvas open runs each batch
//! through its own copy of the canvas, by the same rules ([`crate::canvas`]). So all copies come to the same state, and
//! reads are answered from the copy. This module does not know which engine keeps the log.
//!
//! - [`link`]: the link to the log, and coming back after it broke.
//! - [`writer`]: commits all entries that came since its last commit, together.
//! - [`canvases`], [`replica`]: the copies. [`loading`]: how they read what they lack. [`keeping`]: snapshots, and
//!   copies that are dropped.
//! - [`agreement`]: whether the copies are alike.
//! - [`resuming`]: the proof that nothing was lost, before a new link is used.
//! - [`mending`]: canvases of which the engine lost something.
//! - [`listing`]: canvases as those see them who are not in them.
//! - [`quotas`]: what there is no room for; [`ends`]: canvases that nobody uses, and their counts.
//! - [`peers`]: heartbeats, and the clients of instances that died.
//! - [`mod@jobs`]: the work queue. [`mod@samples`]: the numbers for the analytics.
//! - [`dispatch`]: what hooks are told.
//! - [`mod@tools`]: canvases and rows as tools see them, which are no instance.
//! - [`upkeep`]: time that passes on quiet canvases, snapshots that are due, copies that nobody uses.
//!
//! What the engine itself loses (a crash between two syncs of its file, a failover to a replica that was behind) is
//! lost. Connected clients learn of it: the engine begins a new *era*. If anything that the instances know is missing
//! in it, every canvas gets a new epoch.

mod agreement;
mod as_backplane;
mod canvases;
mod directory;
mod dispatch;
mod ends;
mod jobs;
mod keeping;
mod link;
mod listing;
mod loading;
mod mending;
mod peers;
mod quotas;
mod replica;
mod resuming;
mod rules;
mod samples;
mod start;
#[cfg(test)]
mod tests;
pub(crate) mod tools;
mod upkeep;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

pub use jobs::jobs;
#[cfg(test)]
pub(crate) use jobs::tests as job_store;
pub use samples::samples;
pub use start::StartError;

use crate::backplane::histogram::Histogram;
use crate::backplane::intake::Intake;
use crate::backplane::latency::Latency;
use crate::backplane::{Unavailable, Waiters};
use crate::canvas::{Command, Rules};
use crate::config::{AuthMode, FailPoint, FailPoints};
use crate::limits::CanvasRules;
use crate::log::{Clock, Engine};
use crate::protocol::ids::{CanvasId, InstanceId, InstanceNumber};
use crate::time;
use canvases::Canvases;
use link::Link;
use loading::Turns;

/// How long a shutdown waits for what was taken to be committed, and for the snapshots after that.
const DRAIN: Duration = Duration::from_secs(4);

/// What a backplane over a log needs to know.
#[derive(Clone)]
pub struct ReplicatedConfig {
    /// This process's name.
    pub instance_id: InstanceId,
    /// What canvases are held to.
    pub rules: CanvasRules,
    /// Whether tokens are asked for: the processes of a relay must agree on it.
    pub auth: AuthMode,
    /// Replicas of the engine that must have a commit before it is published; 0: none.
    pub wait_replicas: u32,
    /// Where tests let it die.
    pub fail_points: Vec<FailPoint>,
}

/// One instance of a relay over a log. Dropping it ends its part of the work as a crash would.
pub struct ReplicatedBackplane {
    shared: Arc<Shared>,
    conns: AtomicU64,
}

/// What the parts share.
struct Shared {
    config: ReplicatedConfig,
    rules: Rules,
    engine: Arc<dyn Engine>,
    /// Tells this process from others that may be given its number by an engine that forgot.
    token: String,
    number: OnceLock<InstanceNumber>,
    link: Link,
    canvases: Canvases,
    /// It has no jobs: see `asked`.
    intake: Intake<()>,
    /// Rung when the intake, or `asked`, has something for the writer.
    work: Notify,
    asked: Mutex<Vec<Asked>>,
    /// The writer has something in hand.
    busy: AtomicBool,
    /// Numbers this instance's batches: one that comes twice is known by it.
    serial: AtomicU64,
    waiters: Waiters,
    clock: Arc<Clock>,
    turns: Turns,
    jobs: jobs::Lane,
    dispatcher: dispatch::Dispatcher,
    fail_points: FailPoints,
    /// How many other instances were connected at the last heartbeat.
    others: AtomicUsize,
    samples: samples::Lane,
    /// The highest count of commits that the engine told.
    commits: AtomicU64,
    counters: Counters,
    /// The end was asked for.
    ending: AtomicBool,
    /// Everything is done.
    ended: watch::Sender<bool>,
}

/// What the upkeep has the writer commit.
struct Asked {
    canvas: CanvasId,
    command: Command,
    committed: Option<oneshot::Sender<()>>,
}

#[derive(Default)]
struct Counters {
    committed: AtomicU64,
    commits: AtomicU64,
    overloaded: AtomicU64,
    /// Of these, those that a full log refused.
    full: AtomicU64,
    diverged: AtomicU64,
    last_commit_us: AtomicU64,
    write: Latency,
    /// From a batch's time to its being handed to the room.
    delivery: Histogram,
}

impl Shared {
    fn number(&self) -> InstanceNumber {
        *self
            .number
            .get()
            .expect("the first link is made before anything else begins")
    }

    fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What messages call the engine.
    fn engine(&self) -> &'static str {
        self.engine.name()
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn saw_commits(&self, commits: u64) {
        self.commits.fetch_max(commits, Ordering::Relaxed);
    }

    fn commits_seen(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Has the writer commit something of this instance's own.
    fn ask(&self, canvas: CanvasId, command: Command) {
        self.asked.lock().push(Asked {
            canvas,
            command,
            committed: None,
        });
        self.work.notify_one();
    }

    /// The same; the answer comes with the commit.
    fn ask_and_wait(&self, canvas: CanvasId, command: Command) -> oneshot::Receiver<()> {
        let (committed, heard) = oneshot::channel();
        self.asked.lock().push(Asked {
            canvas,
            command,
            committed: Some(committed),
        });
        self.work.notify_one();
        heard
    }

    fn check_open(&self) -> Result<(), Unavailable> {
        if self.ending.load(Ordering::Acquire) {
            return Err(Unavailable::NotNow("this instance is stopping".to_owned()));
        }
        Ok(())
    }
}

impl ReplicatedBackplane {
    /// Commits what was taken, turns the clients that are still here away, keeps what changed, and leaves the registry.
    async fn stop(&self) {
        let shared = &self.shared;
        if shared.ending.swap(true, Ordering::AcqRel) {
            return;
        }
        shared.intake.finish();
        shared.work.notify_one();
        if time::timeout(DRAIN, upkeep::farewell(shared))
            .await
            .is_err()
        {
            tracing::warn!(
                "{} did not answer in time: the others will turn this instance's clients away",
                shared.engine()
            );
        }
        shared.intake.abandon();
        shared.ended.send_replace(true);
        shared.work.notify_one();
    }
}
