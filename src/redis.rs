//! The backplane over Redis, for relays that outgrow one host: processes of several hosts share one Redis server.
//!
//! Every canvas has a log of batches there, one order for all. Each instance that has the canvas applies each batch to a
//! copy of its own of the same machine ([`crate::machine`]), and so comes to the same state: what a batch means is decided
//! nowhere else. Reads are answered from that copy.
//!
//! - [`link`]: the one connection, and coming back after it broke.
//! - [`writer`]: commits what waits, everything that came meanwhile in one go.
//! - [`canvases`], [`replica`]: the copies, and how they get what they lack.
//! - [`peers`]: heartbeats, and the clients of instances that died.
//! - [`house`]: time that passes, snapshots, copies that nobody uses.
//!
//! What Redis itself loses (a crash between two syncs of its file, a failover to a replica that was behind) is lost. Whoever
//! is connected hears of it: every run of the server begins a new *era*, in which every canvas has a new epoch.

mod as_backplane;
mod canvases;
mod catalogue;
mod house;
mod keys;
mod link;
mod peers;
mod replica;
mod rules;
mod scripts;
mod start;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

pub use start::StartError;

use crate::backplane::intake::Intake;
use crate::backplane::latency::Latency;
use crate::backplane::object_bounds::ObjectBounds;
use crate::backplane::{Unavailable, Waiters};
use crate::config::RedisUrl;
use crate::machine::{Command, Rules};
use crate::protocol::ids::{CanvasId, InstanceId};
use canvases::Canvases;
use link::Link;

/// How long a shutdown waits for what was taken to be committed, and for the snapshots after that.
const DRAIN: Duration = Duration::from_secs(4);

/// What the backplane over Redis needs to know.
#[derive(Clone)]
pub struct RedisConfig {
    /// Where Redis is.
    pub url: RedisUrl,
    /// This process's name.
    pub instance_id: InstanceId,
    /// How long a log message is kept.
    pub message_ttl: Duration,
    /// How long a lost client stays `away` before it is gone.
    pub presence_grace: Duration,
    /// What the objects of one canvas are held to.
    pub bounds: ObjectBounds,
}

/// One instance of a relay over Redis. Dropping it ends its part of the work as a crash would.
pub struct RedisBackplane {
    shared: Arc<Shared>,
    conns: AtomicU64,
}

/// What the parts share.
struct Shared {
    config: RedisConfig,
    rules: Rules,
    /// Tells this process from others that may be given its number by a Redis that forgot.
    token: String,
    number: AtomicU32,
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
    clock: Mutex<Clock>,
    counters: Counters,
    /// The end was asked for.
    ending: AtomicBool,
    /// Everything is done.
    ended: watch::Sender<bool>,
}

/// What the house has the writer commit.
struct Asked {
    canvas: CanvasId,
    command: Command,
    committed: Option<oneshot::Sender<()>>,
}

/// The time on Redis's clock, which all instances go by.
struct Clock {
    then: Instant,
    then_ms: i64,
}

#[derive(Default)]
struct Counters {
    committed: AtomicU64,
    commits: AtomicU64,
    overloaded: AtomicU64,
    last_commit_us: AtomicU64,
    write: Latency,
}

impl Shared {
    fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn now_ms(&self) -> i64 {
        let clock = self.clock.lock();
        clock.then_ms.saturating_add(millis(clock.then.elapsed()))
    }

    fn set_clock(&self, now_ms: i64) {
        *self.clock.lock() = Clock {
            then: Instant::now(),
            then_ms: now_ms,
        };
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
    fn ask_and_hear(&self, canvas: CanvasId, command: Command) -> oneshot::Receiver<()> {
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
            return Err(Unavailable("this instance is stopping".to_owned()));
        }
        Ok(())
    }
}

impl RedisBackplane {
    /// Commits what was taken, turns the clients that are still here away, keeps what changed, and leaves the registry.
    async fn stop(&self) {
        let shared = &self.shared;
        if shared.ending.swap(true, Ordering::AcqRel) {
            return;
        }
        shared.intake.finish();
        shared.work.notify_one();
        if tokio::time::timeout(DRAIN, house::farewell(shared))
            .await
            .is_err()
        {
            tracing::warn!(
                "Redis did not answer in time: the others will turn this instance's clients away"
            );
        }
        shared.intake.abandon();
        shared.ended.send_replace(true);
        shared.work.notify_one();
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
