//! The one thread of a process that writes. It commits all waiting entries as one transaction. There is no timer: the
//! batch is what came while the last one was written.

pub(super) mod commands;
mod farewell;
mod left;

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::apply::{HeldChange, Txn};
use super::command::{Command, Task};
use super::spill::Spill;
use crate::backplane::Entry;
use crate::backplane::intake::{Budget, Look, Waiting, decided, durable_of};
use crate::config::Step as FailStep;
use crate::limits;
use crate::sqlite::delivery::refusals::Refusals;
use crate::sqlite::delivery::tail::Committed;
use crate::sqlite::delivery::wake::Peers;
use crate::sqlite::delivery::wake::notifier::{Notifier, WakeHint};
use crate::sqlite::delivery::wake::waker::Waker;
use crate::sqlite::storage::clock::Clock;
use crate::sqlite::storage::ending::Ending;
use crate::sqlite::storage::fail_point::FailPoints;
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::generation::Generation;
use crate::sqlite::storage::stopped::{Fatal, Stopped};
use crate::sqlite::storage::turnstile::Turnstile;
use commands::Places;
use left::{Left, apply_batch};

/// The longest pause after a failed transaction.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// A restart of the log waits for readers at most this long, since everybody waits for it.
const RESTART_WAIT: Duration = Duration::from_millis(50);

thread_local! {
    /// What SQLite says after each commit: the write-ahead log's length in pages.
    static WAL_FRAMES: Cell<u32> = const { Cell::new(0) };
}

/// What the thread works with.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) files: Arc<Files>,
    pub(super) generation: Arc<Generation>,
    pub(super) fail_points: Arc<FailPoints>,
    pub(super) ending: Arc<Ending>,
    /// Whom it tells of what it has committed, beside the tail's rooms.
    pub(super) peers: Arc<Peers>,
    pub(super) notifier: Arc<Notifier>,
    pub(super) waker: Arc<Waker>,
    /// Where entries come from, and how those that it can't commit go back.
    pub(super) refusals: Refusals,
    /// Where messages wait while the file can't be written, if anywhere.
    pub(super) spill: Option<Arc<Spill>>,
    pub(super) commands: commands::Parts,
    /// Own commits are delivered at once from memory.
    pub(super) local_broadcast: bool,
}

pub(super) struct Writer {
    conn: Connection,
    turnstile: Turnstile,
    parts: Parts,
    places: Places,
    failures: u32,
}

/// A transaction that was not committed.
struct Failed {
    error: Stopped,
    taken: Taken,
}

/// What a transaction is about.
struct Taken {
    tasks: Vec<Task>,
    batch: Vec<Waiting>,
    /// The batch stands in the spill file, and stays there until it is committed.
    spilled: bool,
}

impl Taken {
    fn has(&self, command: &Command) -> bool {
        self.tasks.iter().any(|task| task.command == *command)
    }
}

/// What a transaction did.
struct Applied {
    committed: Committed,
    held: Vec<HeldChange>,
    /// What the entries have done beyond their own bytes.
    budget: Budget,
    /// What has not happened.
    left: Left,
}

/// A transaction that was committed.
struct Done {
    applied: Applied,
    taken: Taken,
}

impl Writer {
    pub(super) fn new(conn: Connection, turnstile: Turnstile, parts: Parts) -> Self {
        conn.wal_hook(Some(|_, frames| {
            WAL_FRAMES.set(u32::try_from(frames).unwrap_or(0));
            Ok(())
        }));
        Self {
            conn,
            turnstile,
            parts,
            places: Places::new(),
            failures: 0,
        }
    }

    /// Runs until the intake ends.
    pub(super) fn run(mut self) -> Result<(), Fatal> {
        loop {
            match self.parts.refusals.intake.wait() {
                Look::Work => self.turn()?,
                Look::Finished => return self.farewell(),
                Look::Abandoned => return Ok(()),
            }
        }
    }

    /// One transaction, and what follows from how it ended.
    fn turn(&mut self) -> Result<(), Fatal> {
        let started = Instant::now();
        match self.transact() {
            Ok(done) => {
                let counters = &self.parts.refusals.counters;
                let now_ms = done.applied.committed.now_ms;
                counters.committed_at_ms.store(now_ms, Ordering::Release);
                if self.failures > 0 {
                    self.failures = 0;
                    counters.failing.store(false, Ordering::Release);
                    *counters.trouble.lock() = None;
                    tracing::info!("the queue commits again");
                }
                let done = self.give_back(done);
                self.publish(done, started);
                self.parts.refusals.intake.hands_free();
                Ok(())
            }
            Err(failed) => self.recover(failed),
        }
    }

    /// Enters the turnstile, then takes the batch: what came while it waited is in it, and what waited too long
    /// has been refused and is not.
    fn transact(&mut self) -> Result<Done, Failed> {
        let parts = &self.parts;
        let begun = self
            .turnstile
            .enter()
            .map_err(|error| Stopped::Around(format!("the turnstile: {error}")))
            .and_then(|turn| {
                parts.fail_points.pass(FailStep::BeforeBegin)?;
                self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
                Ok(turn)
            });
        let taken = self.take();
        let turn = match begun {
            Ok(turn) => turn,
            Err(error) => return Err(Failed { error, taken }),
        };
        match self
            .apply(&taken)
            .and_then(|applied| self.commit().map(|()| applied))
        {
            Ok(applied) => {
                parts.fail_points.note(FailStep::AfterCommit);
                if taken.has(&Command::RestartWal) {
                    self.restart_wal();
                }
                drop(turn);
                Ok(Done { applied, taken })
            }
            Err(error) => {
                // While it still has its turn. Whether it succeeded is looked at when recovering.
                let _ = self.conn.execute_batch("ROLLBACK");
                drop(turn);
                Err(Failed { error, taken })
            }
        }
    }

    /// The commands, and the oldest entries: those in the spill file come first.
    fn take(&self) -> Taken {
        let parts = &self.parts;
        let intake = &parts.refusals.intake;
        let mut tasks = None;
        let mut from_intake = || {
            let (commands, batch) = intake.drain();
            tasks = Some(commands);
            batch
        };
        let (batch, spilled) = match &parts.spill {
            Some(spill) => spill.next(from_intake),
            None => (from_intake(), false),
        };
        Taken {
            tasks: tasks.unwrap_or_else(|| intake.drain_jobs()),
            batch,
            spilled,
        }
    }

    fn apply(&self, taken: &Taken) -> Result<Applied, Stopped> {
        let parts = &self.parts;
        parts.files.check()?;
        let now_ms = parts.clock.now_ms();
        parts.fail_points.pass(FailStep::AfterBegin)?;
        let commands = &parts.commands;
        let mut txn = Txn::new(&self.conn, &commands.own.setup, now_ms);
        txn.hooks = commands.hooks.state.stage(&self.conn)?;
        let mut entries = taken.batch.iter().map(|waiting| &waiting.entry);
        if entries.any(|entry| matches!(entry, Entry::Join { .. })) {
            // Who joins an instance that is not registered would be a ghost after its death.
            commands::stay_registered(commands, &mut txn, &self.places)?;
        }
        for task in &taken.tasks {
            commands::run(commands, &mut txn, &self.places, &task.command)?;
        }
        let (budget, left) = apply_batch(&mut txn, taken)?;
        parts.fail_points.pass(FailStep::AfterInsert)?;
        let stage = txn.hooks.take();
        let (committed, held) = txn.finish()?;
        if let Some(stage) = stage {
            commands.hooks.dispatch(stage, &self.conn, now_ms)?;
        }
        if taken.has(&Command::DispatchAside) {
            commands
                .hooks
                .dispatch_aside(taken.batch.len(), &self.conn, now_ms)?;
        }
        if let Some(ids) = committed.ids {
            commands.tail.hold_back(ids.first);
        }
        parts.fail_points.pass(FailStep::BeforeCommit)?;
        Ok(Applied {
            committed,
            held,
            budget,
            left,
        })
    }

    fn commit(&self) -> Result<(), Stopped> {
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Tells peers, rooms and whoever waits: those who are farthest first.
    fn publish(&mut self, done: Done, started: Instant) {
        let Done {
            applied: Applied {
                committed, held, ..
            },
            taken,
        } = done;
        let Taken {
            tasks,
            batch,
            spilled,
        } = taken;
        let parts = &self.parts;
        let Refusals {
            intake,
            tail,
            counters,
        } = &parts.refusals;
        let now = Instant::now();
        let frames = WAL_FRAMES.get();
        counters.wal_frames.store(frames, Ordering::Relaxed);
        parts.fail_points.note(FailStep::BeforeWake);
        let has_rows = committed.ids.is_some();
        let frames = NonZeroU32::new(frames);
        if has_rows && !parts.peers.is_empty() && !parts.peers.notify(&committed, frames) {
            parts.waker.notify();
        }
        counters.count(
            &committed,
            now - started,
            batch.iter().map(|w| now.duration_since(w.since)),
        );
        decided(batch.iter().map(|waiting| &waiting.entry));
        let from_memory = parts.local_broadcast;
        parts.fail_points.note(FailStep::BeforeAck);
        let took = started.elapsed();
        let told = tail.publish(&self.conn, committed, from_memory, took);
        let left = told.unwrap_or_else(|error| {
            tracing::warn!(%error, "the rows of other processes could not be read; the poller reads them");
            true
        });
        parts.fail_points.note(FailStep::AfterAck);
        if left {
            parts.notifier.notify(WakeHint::Any);
        }
        if let Some(spill) = parts.spill.as_ref().filter(|_| spilled) {
            spill.committed(batch.len());
        }
        if tasks.iter().any(|task| task.command == Command::Beat) {
            let now_ms = parts.clock.now_ms();
            counters.beaten_at_ms.store(now_ms, Ordering::Release);
        }
        let commands::Parts {
            jobs, lane, hooks, ..
        } = &parts.commands;
        jobs.committed(lane);
        let changed = tasks.iter().any(|task| task.command.is_of_hooks());
        if changed && let Err(error) = hooks.state.stage(&self.conn) {
            tracing::warn!(%error, "new hooks are followed from the next commit on");
        }
        // With what has come meanwhile, or at once if nothing has. Those before are forgotten once they are told all.
        if hooks.state.goes_on() || changed {
            intake.submit(Command::DispatchAside, None);
        }
        for reply in tasks.into_iter().filter_map(|task| task.reply) {
            reply();
        }
        for change in held {
            self.hold(change);
        }
    }

    fn hold(&mut self, change: HeldChange) {
        match change {
            HeldChange::Take(key, held) => {
                self.places.insert((key, held.author.client.clone()), held);
            }
            HeldChange::Drop(key, client, conn) => {
                let place = (key, client);
                if self
                    .places
                    .get(&place)
                    .is_some_and(|held| held.author.conn == conn)
                {
                    self.places.remove(&place);
                }
            }
        }
    }

    /// Nothing of the transaction happened: its messages go to the spill file, or are refused and held, and the writer pauses.
    fn recover(&mut self, failed: Failed) -> Result<(), Fatal> {
        let Failed { error, taken } = failed;
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
            && !self.conn.is_autocommit()
        {
            return Err(Fatal(format!(
                "a failed transaction could not be rolled back: {error}"
            )));
        }
        match &error {
            Stopped::Store(error) => self.parts.files.damaged(error)?,
            Stopped::Around(_) => {}
            Stopped::Fatal(Fatal(reason)) => {
                self.parts.ending.fail(reason.clone());
            }
        }
        self.parts.files.replaced()?;
        let parts = &self.parts;
        let Refusals {
            intake,
            tail,
            counters,
        } = &parts.refusals;
        parts.commands.jobs.failed(&parts.commands.lane);
        tail.let_go();
        tail.forget_watermarks();
        parts.notifier.notify(WakeHint::Any);
        counters.failing.store(true, Ordering::Release);
        let why = format!("the queue cannot commit: {error}");
        *counters.trouble.lock() = Some(why.clone());
        self.failures += 1;
        if self.failures == 1 {
            let until = match parts.spill {
                Some(_) => "messages go to the spill file until it can",
                None => "messages are refused until it can",
            };
            tracing::error!(%error, "the queue cannot commit: {until}");
        }
        self.put_aside(taken.batch, taken.spilled, &why);
        intake.hands_free();
        for task in taken.tasks {
            // Watermarks are told once; everything else is asked for again, and who waits hears that it is dropped.
            if let command @ Command::Watermarks(_) = task.command {
                intake.submit(command, None);
            }
        }
        let backoff = Duration::from_millis(10 << self.failures.min(7));
        intake.pause(backoff.min(MAX_BACKOFF));
        Ok(())
    }

    /// What was not committed.
    fn put_aside(&self, batch: Vec<Waiting>, spilled: bool, why: &str) {
        let refusals = &self.parts.refusals;
        match &self.parts.spill {
            Some(_) if spilled => {}
            Some(spill) => {
                let is_durable = |waiting: &Waiting| durable_of(&waiting.entry).is_some();
                let (durable, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_durable);
                spill.take_back(durable);
                refusals.refuse(others, why);
            }
            None => refusals.refuse(batch, why),
        }
    }

    /// Starts the write-ahead log from its beginning: the turnstile keeps other writers out meanwhile.
    fn restart_wal(&self) {
        let restart = || {
            self.conn.busy_timeout(RESTART_WAIT)?;
            let result = self
                .conn
                .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| {
                    row.get::<_, i64>(0)
                });
            self.conn.busy_timeout(limits::BUSY_TIMEOUT)?;
            result
        };
        let started = Instant::now();
        let frames = WAL_FRAMES.get();
        match restart() {
            Ok(0) => {
                WAL_FRAMES.set(0);
                let restarts = &self.parts.refusals.counters.wal_restarts;
                restarts.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(frames, took = ?started.elapsed(), "the write-ahead log begins anew");
            }
            Ok(_) => tracing::debug!(frames, "somebody reads in the write-ahead log: it goes on"),
            Err(error) => tracing::debug!(%error, "the write-ahead log could not be restarted yet"),
        }
    }
}
