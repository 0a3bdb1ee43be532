//! The thread for upkeep: heartbeats, peers, watermarks; on the one instance that leads, also lost clients, expired
//! rows and the log's length. It only reads; the writer does all writes.

pub(super) mod checkpoint;
pub(super) mod cleanup;
pub(super) mod watermarks;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::command::{Command, Task};
use super::hooks::HookState;
use super::jobs::{self, Lane};
use super::spill::Spill;
use crate::backplane::intake::Intake;
use crate::limits;
use crate::sqlite::delivery::stats::Counters;
use crate::sqlite::delivery::tail::{self, Tail};
use crate::sqlite::delivery::wake::waker::Waker;
use crate::sqlite::delivery::wake::{Peer, Peers};
use crate::sqlite::membership::instances::{self, Registration};
use crate::sqlite::storage::clock::Clock;
use crate::sqlite::storage::ending::Ending;
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::generation::Generation;
use crate::sqlite::storage::locks::{self, Sign};
use crate::sqlite::storage::sql;
use crate::sqlite::storage::stopped::{Fatal, Stopped};
use crate::time::millis;
use checkpoint::Checkpoints;
use cleanup::Cleanup;

/// How often the log's length is looked at while it grows.
const BUSY_TICK: Duration = Duration::from_millis(100);

/// What the thread works with.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) files: Arc<Files>,
    pub(super) generation: Arc<Generation>,
    pub(super) own: Arc<Registration>,
    pub(super) ending: Arc<Ending>,
    pub(super) waker: Arc<Waker>,
    pub(super) intake: Arc<Intake<Task>>,
    pub(super) tail: Arc<Tail>,
    pub(super) peers: Arc<Peers>,
    pub(super) counters: Arc<Counters>,
    pub(super) hooks: Arc<HookState>,
    pub(super) spill: Option<Arc<Spill>>,
    pub(super) jobs: Arc<Lane>,
    pub(super) lane: Arc<jobs::Parts>,
}

pub(super) struct Upkeep {
    conn: Connection,
    parts: Parts,
    /// Peers that are dead: their files go once their rows are gone.
    dead: Vec<Peer>,
    cleanup: Cleanup,
    checkpoints: Checkpoints,
    /// When the heartbeat and the watermarks are due.
    beat: Instant,
    marks: Instant,
    ticked: Instant,
    /// Until then the heartbeats of others say nothing: this process was stopped or could not commit, and they may have
    /// been in the same state.
    judge_after: Instant,
    /// `PRAGMA data_version` when the presence table was last looked at, and who was the first to be lost.
    version: Option<i64>,
    first_away: Option<i64>,
    /// What was the first that is set aside for hooks, when that was last looked at.
    aside: Option<i64>,
    failing: bool,
    /// Its socket is gone: told once.
    socket_gone: bool,
}

impl Upkeep {
    pub(super) fn new(conn: Connection, cleanup: Cleanup, parts: Parts) -> Self {
        let now = Instant::now();
        Self {
            conn,
            parts,
            dead: Vec::new(),
            cleanup,
            checkpoints: Checkpoints::default(),
            beat: now + limits::HEARTBEAT,
            marks: now,
            ticked: now,
            judge_after: now,
            version: None,
            first_away: None,
            aside: None,
            failing: false,
            socket_gone: false,
        }
    }

    /// Runs until the queue stops.
    pub(super) fn run(mut self) -> Result<(), Fatal> {
        let mut busy = false;
        while !self.parts.ending.is_stopping() {
            let tick = match (self.cleanup.busy(), busy) {
                (true, _) => Duration::from_millis(1),
                (false, true) => BUSY_TICK,
                (false, false) => limits::PROBE_INTERVAL,
            };
            self.parts.waker.wait(tick);
            match self.tick() {
                Ok(now_busy) => (busy, self.failing) = (now_busy, false),
                Err(Stopped::Fatal(fatal)) => return Err(fatal),
                Err(error) => {
                    if let Stopped::Store(error) = &error {
                        self.parts.files.damaged(error)?;
                    }
                    // The next tick tries again; readiness and the writer report what lasts.
                    if !self.failing {
                        tracing::warn!(%error, "upkeep failed");
                    }
                    busy = false;
                    self.failing = true;
                }
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<bool, Stopped> {
        let now = Instant::now();
        // Who could not commit its own heartbeat knows nothing of theirs.
        let beaten_at_ms = self.parts.counters.beaten_at_ms.load(Ordering::Acquire);
        let silent_ms = self.parts.clock.now_ms() - beaten_at_ms;
        if now - self.ticked > limits::HEARTBEAT || silent_ms > millis(2 * limits::HEARTBEAT) {
            self.judge_after = now + 2 * limits::HEARTBEAT;
        }
        self.ticked = now;
        let beat = now >= self.beat;
        if beat {
            self.beat = now + limits::HEARTBEAT;
            self.parts.intake.submit(Command::Beat, None);
            self.look_for_own_socket();
            let spill = self.parts.spill.as_ref().map(|spill| spill.path());
            self.parts.files.share_mode(spill);
        }
        if self.parts.peers.take_stale() || beat {
            self.refresh()?;
        }
        self.probe(now);
        if now >= self.marks {
            self.marks = now + limits::WATERMARK_INTERVAL;
            let changed = self.parts.tail.take_watermarks();
            if !changed.is_empty() {
                let command = Command::Watermarks(changed);
                self.parts.intake.submit(command, None);
            }
        }
        if self.parts.hooks.left_aside() {
            self.parts.intake.submit(Command::DispatchAside, None);
        }
        if !self.leads() {
            self.parts.jobs.grant(&self.parts.lane);
            return Ok(false);
        }
        if beat {
            let generation = &self.parts.generation;
            generation.settle(&self.conn, &self.parts.files.db)?;
        }
        let busy = self.checkpoints.round(
            &self.conn,
            &self.parts.files,
            &self.parts.counters,
            &self.parts.intake,
        )?;
        if !self.checkpoints.restarts_now() {
            self.parts.jobs.grant(&self.parts.lane);
        }
        self.sweep()?;
        let now_ms = self.parts.clock.now_ms();
        if self.parts.hooks.is_due(&self.conn, now_ms)? {
            self.parts.intake.submit(Command::FireHooks, None);
        }
        // Whoever sets something aside tells it. What stands still is of one that died.
        let aside = self.parts.hooks.first_aside(&self.conn)?;
        if aside.is_some() && aside == self.aside {
            self.parts.intake.submit(Command::DispatchAside, None);
        }
        self.aside = aside;
        let idle = !busy && self.parts.intake.depth() == 0;
        self.cleanup.round(&self.conn, idle)?;
        Ok(busy)
    }

    /// Deleted, it loses nothing, but messages of other processes come by the safety poll only.
    fn look_for_own_socket(&mut self) {
        let path = &self.parts.own.wake_path;
        let socket_gone = matches!(path.try_exists(), Ok(false));
        if socket_gone && !self.socket_gone {
            tracing::error!(
                path = %path.display(),
                "the socket of this instance was deleted: no other process can wake it, restart it"
            );
        }
        self.socket_gone = socket_gone;
    }

    /// The oldest live instance leads. No lock says so: one that is stopped would keep it. Two that both believe it
    /// for a moment do no harm, since every command looks again within its transaction.
    fn leads(&self) -> bool {
        let own = self.parts.own.setup.number;
        self.parts.peers.list().iter().all(|peer| peer.number > own)
    }

    /// Reads who is there.
    fn refresh(&mut self) -> rusqlite::Result<()> {
        let peers = instances::peers(&self.conn, &self.parts.own)?;
        self.dead.retain(|dead| {
            let there = peers.iter().any(|peer| peer.number == dead.number);
            if !there {
                locks::remove_with_socket(&dead.lock_path);
            }
            there
        });
        self.parts.peers.set(peers);
        Ok(())
    }

    /// Has dead peers removed: those whose lock is free, and those that are silent for too long.
    fn probe(&mut self, now: Instant) {
        let silent_since = self.parts.clock.now_ms() - millis(limits::HEARTBEAT_STALE);
        for peer in self.parts.peers.list() {
            let number = peer.number;
            let silent = peer.heartbeat_at < silent_since && now >= self.judge_after;
            let silent_since = match locks::look(&peer.lock_path) {
                Sign::Dead => None,
                _ if silent => Some(silent_since),
                _ => continue,
            };
            self.parts.intake.submit(
                Command::Reap {
                    number,
                    silent_since,
                },
                None,
            );
            self.parts.peers.mark_stale();
            if silent_since.is_none() && !self.dead.iter().any(|dead| dead.number == number) {
                self.dead.push(peer);
            }
        }
    }

    /// Has those removed who were away for longer than the grace. Looks at the table only when something was committed,
    /// or when the first of them is due.
    fn sweep(&mut self) -> rusqlite::Result<()> {
        if tail::has_changed(&self.conn, &mut self.version)? {
            let mut first = self.conn.prepare_cached(sql::FIRST_AWAY)?;
            let mut rows = first.query([])?;
            self.first_away = rows.next()?.map(|row| row.get(0)).transpose()?;
        }
        let rules = &self.parts.own.setup.rules;
        let due = rules.gone_since_ms(self.parts.clock.now_ms());
        if self.first_away.is_some_and(|at| at <= due) {
            self.parts.intake.submit(Command::Sweep, None);
        }
        Ok(())
    }
}
