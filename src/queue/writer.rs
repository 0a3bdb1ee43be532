//! The one thread of a process that writes. It commits what waits as one transaction: no timer, the batch is what came
//! while the last one was written.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, params};

use super::apply::{Held, HeldChange, Txn};
use super::intake::{Job, Look, Task, Waiting};
use super::tail::{Committed, Step};
use super::turnstile::Turnstile;
use super::{Fatal, Shared, sql};
use crate::limits;
use crate::protocol::ids::{ClientId, Epoch};

/// The longest pause after a failed transaction.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// A restart of the log waits for readers at most this long, since everybody waits for it.
const RESTART_WAIT: Duration = Duration::from_millis(100);

thread_local! {
    /// What SQLite says after each commit: the write-ahead log's length in pages.
    static WAL_FRAMES: Cell<u32> = const { Cell::new(0) };
}

pub(super) struct Writer {
    conn: Connection,
    turnstile: Turnstile,
    shared: Arc<Shared>,
    /// The places of this process's clients, for the case that a peer takes this process for dead.
    held: HashMap<(i64, ClientId), Held>,
    failures: u32,
}

/// A transaction that was not committed.
struct Failed {
    error: rusqlite::Error,
    batch: Vec<Waiting>,
}

/// A transaction that was.
struct Done {
    committed: Committed,
    held: Vec<HeldChange>,
    answers: Vec<(Option<SyncSender<i64>>, i64)>,
    batch: Vec<Waiting>,
}

impl Writer {
    pub(super) fn new(conn: Connection, turnstile: Turnstile, shared: Arc<Shared>) -> Self {
        conn.wal_hook(Some(|_, frames| {
            WAL_FRAMES.set(u32::try_from(frames).unwrap_or(0));
            Ok(())
        }));
        Self {
            conn,
            turnstile,
            shared,
            held: HashMap::new(),
            failures: 0,
        }
    }

    /// Runs until the intake ends.
    pub(super) fn run(mut self) -> Result<(), Fatal> {
        loop {
            match self.shared.intake.wait() {
                Look::Work => self.turn()?,
                Look::Finished => return self.farewell(),
                Look::Abandoned => return Ok(()),
            }
        }
    }

    /// One transaction, and what follows from how it ended.
    fn turn(&mut self) -> Result<(), Fatal> {
        match self.transact() {
            Ok(done) => {
                if self.failures > 0 {
                    self.failures = 0;
                    self.shared.counters.failing.store(false, Ordering::Release);
                    tracing::info!("the queue commits again");
                }
                self.publish(done);
                Ok(())
            }
            Err(failed) => self.recover(failed),
        }
    }

    /// Enters the turnstile, then takes the batch: what came while it waited is in it, and what waited too long
    /// has been refused and is not.
    fn transact(&mut self) -> Result<Done, Failed> {
        let fail = |error, batch| Failed { error, batch };
        let turn = self.turnstile.enter();
        let turn = turn.map_err(|error| fail(io_error(&error), self.shared.intake.drain().1))?;
        if let Err(error) = self
            .conn
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut s| s.execute([]))
        {
            return Err(fail(error, self.shared.intake.drain().1));
        }
        let (tasks, batch) = self.shared.intake.drain();
        let (asides, tasks): (Vec<_>, Vec<_>) = tasks
            .into_iter()
            .partition(|task| matches!(task.job, Job::RestartWal));
        let (committed, held, answers) = match self.apply(tasks, &batch) {
            Ok(applied) => applied,
            Err(error) => return Err(fail(error, batch)),
        };
        if let Err(error) = self
            .conn
            .prepare_cached("COMMIT")
            .and_then(|mut s| s.execute([]))
        {
            return Err(fail(error, batch));
        }
        if !asides.is_empty() {
            self.restart_wal();
        }
        drop(turn);
        Ok(Done {
            committed,
            held,
            answers,
            batch,
        })
    }

    #[expect(clippy::type_complexity, reason = "three results of one transaction")]
    fn apply(
        &self,
        tasks: Vec<Task>,
        batch: &[Waiting],
    ) -> rusqlite::Result<(
        Committed,
        Vec<HeldChange>,
        Vec<(Option<SyncSender<i64>>, i64)>,
    )> {
        let shared = &self.shared;
        let (now_ms, alone) = (shared.clock.now_ms(), shared.peers.is_empty());
        let mut txn = Txn::new(&self.conn, &shared.own.setup, now_ms, alone);
        let mut answers = Vec::new();
        for task in tasks {
            answers.push((task.answer, self.job(&mut txn, task.job)?));
        }
        for waiting in batch {
            txn.apply(waiting)?;
        }
        let (committed, held) = txn.finish()?;
        Ok((committed, held, answers))
    }

    fn job(&self, txn: &mut Txn<'_>, job: Job) -> rusqlite::Result<i64> {
        let conn = &self.conn;
        match job {
            Job::CreateCanvas(id) => {
                let epoch = Epoch::random().to_string();
                let mut create = conn.prepare_cached(sql::CREATE_CANVAS)?;
                create.execute(params![id.as_str(), epoch, txn.now_ms])?;
                conn.prepare_cached(sql::CANVAS)?
                    .query_row([id.as_str()], |row| row.get(0))
            }
            Job::Beat => self.beat(txn),
            Job::Watermarks(marks) => {
                let own = &self.shared.own.setup.instance_id;
                for (key, position) in &marks {
                    match position {
                        Some(id) => conn
                            .prepare_cached(sql::SET_WATERMARK)?
                            .execute(params![key, own, id, txn.now_ms])?,
                        None => conn
                            .prepare_cached(sql::DELETE_WATERMARK)?
                            .execute(params![key, own])?,
                    };
                }
                Ok(0)
            }
            Job::Reap {
                number,
                silent_since,
            } => {
                let reaped = txn.reap(number, silent_since)?;
                if reaped > 0 {
                    tracing::info!(instance = number, "a dead instance was removed");
                }
                Ok(reaped)
            }
            Job::Sweep => txn.sweep(),
            Job::Clean { after, upto } => {
                let mut delete = conn.prepare_cached(sql::DELETE_EXPIRED)?;
                let deleted = delete.execute(params![after, upto, txn.now_ms])?;
                Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
            }
            Job::Forget => super::cleanup::forget(conn, txn.now_ms),
            Job::Vacuum => {
                conn.execute_batch(super::cleanup::VACUUM)?;
                Ok(0)
            }
            Job::RestartWal => Ok(0),
        }
    }

    /// Says that this instance lives. If a peer has taken it for dead (it was stopped for a while), it comes back
    /// under its old number, since that is in its connections' numbers, and its clients take their places again.
    fn beat(&self, txn: &mut Txn<'_>) -> rusqlite::Result<i64> {
        let own = &self.shared.own;
        let number = own.setup.number;
        let mut beat = self.conn.prepare_cached(sql::BEAT)?;
        if beat.execute(params![number, txn.now_ms])? > 0 {
            return Ok(1);
        }
        tracing::warn!(
            "this instance was taken for dead by a peer: was it stopped? It registers again"
        );
        own.insert(&self.conn, Some(number), txn.now_ms)?;
        for ((key, _), held) in &self.held {
            txn.retake(*key, held)?;
        }
        self.shared.tail.forget_watermarks();
        Ok(0)
    }

    /// Tells peers, rooms and whoever waits, in the order of who is farthest.
    fn publish(&mut self, done: Done) {
        let Done {
            committed,
            held,
            answers,
            batch,
        } = done;
        let shared = &self.shared;
        let now = Instant::now();
        let frames = WAL_FRAMES.get();
        shared.counters.wal_frames.store(frames, Ordering::Relaxed);
        let last_id = committed.last_id;
        let rows = last_id > 0;
        if rows && !shared.peers.is_empty() && !shared.peers.ring(&keys(&committed.steps), frames) {
            shared.nudge.ring();
        }
        let logged = committed
            .steps
            .iter()
            .filter(|step| matches!(step, Step::Log(_)))
            .count();
        let from_memory = shared.config.local_broadcast;
        if let Err(error) = shared.tail.publish(&self.conn, committed, from_memory) {
            tracing::warn!(%error, "rows before this process's own could not be read; the poller will");
        }
        if rows && shared.tail.rooms() > 0 && shared.tail.position() < last_id {
            shared.peers.poke();
        }
        for (answer, value) in answers {
            if let Some(answer) = answer {
                // Whoever asked may have given up.
                let _ = answer.try_send(value);
            }
        }
        for change in held {
            self.hold(change);
        }
        let counters = &self.shared.counters;
        counters.commits.fetch_add(1, Ordering::Relaxed);
        counters
            .committed
            .fetch_add(logged as u64, Ordering::Relaxed);
        counters
            .write
            .record(batch.iter().map(|w| now.saturating_duration_since(w.since)));
    }

    fn hold(&mut self, change: HeldChange) {
        match change {
            HeldChange::Take(key, held) => {
                self.held.insert((key, held.author.client.clone()), held);
            }
            HeldChange::Drop(key, client, conn) => {
                let place = (key, client);
                if self
                    .held
                    .get(&place)
                    .is_some_and(|held| held.author.conn == conn)
                {
                    self.held.remove(&place);
                }
            }
        }
    }

    /// Nothing of the transaction happened: its ops are refused and held, and the writer pauses.
    fn recover(&mut self, failed: Failed) -> Result<(), Fatal> {
        let Failed { error, batch } = failed;
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
            && !self.conn.is_autocommit()
        {
            return Err(Fatal(format!(
                "a failed transaction could not be rolled back: {error}"
            )));
        }
        if let Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =
            error.sqlite_error_code()
        {
            return Err(Fatal(format!(
                "the queue file is damaged: {error}; run `scumble doctor`"
            )));
        }
        self.shared.counters.failing.store(true, Ordering::Release);
        self.failures += 1;
        if self.failures == 1 {
            tracing::error!(%error, "the queue cannot commit: messages are refused until it can");
        }
        let answers = self
            .shared
            .intake
            .refuse(batch, &format!("the queue cannot commit: {error}"));
        self.shared
            .counters
            .overloaded
            .fetch_add(answers.len() as u64, Ordering::Relaxed);
        self.shared.tail.answer(answers);
        let backoff = Duration::from_millis(10 << self.failures.min(7));
        self.shared.intake.pause(backoff.min(MAX_BACKOFF));
        Ok(())
    }

    /// Starts the write-ahead log from its beginning: the turnstile keeps other writers out meanwhile.
    fn restart_wal(&self) {
        let restart = || {
            self.conn.busy_timeout(RESTART_WAIT)?;
            let result = self
                .conn
                .query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
            self.conn.busy_timeout(limits::BUSY_TIMEOUT)?;
            result
        };
        match restart() {
            Ok(()) => WAL_FRAMES.set(0),
            Err(error) => tracing::debug!(%error, "the write-ahead log could not be restarted yet"),
        }
    }

    /// The last transaction: this instance goes, its clients are away until they are back elsewhere, and the last
    /// one to go marks the file as cleanly closed.
    fn farewell(&mut self) -> Result<(), Fatal> {
        let fatal = |e: &dyn std::fmt::Display| Fatal(format!("could not leave the registry: {e}"));
        let _turn = self.turnstile.enter().map_err(|e| fatal(&e))?;
        // The mark promises that everything before it is on the disk.
        self.conn
            .pragma_update(None, "synchronous", "FULL")
            .map_err(|e| fatal(&e))?;
        let committed = self.leave().map_err(|e| fatal(&e))?;
        self.shared.peers.ring(&keys(&committed.steps), 0);
        self.shared.peers.hello();
        Ok(())
    }

    fn leave(&self) -> rusqlite::Result<Committed> {
        let own = &self.shared.own.setup;
        let tx = self.conn.unchecked_transaction()?;
        let mut txn = Txn::new(&tx, own, self.shared.clock.now_ms(), false);
        tx.execute("DELETE FROM instances WHERE number = ?1", [own.number])?;
        txn.lose_all(&own.instance_id)?;
        let (committed, _) = txn.finish()?;
        tx.execute(
            "UPDATE meta SET value = '1' WHERE key = 'clean' AND NOT EXISTS (SELECT 1 FROM instances)",
            [],
        )?;
        tx.commit()?;
        Ok(committed)
    }
}

/// The canvases that got rows.
fn keys(steps: &[Step]) -> Vec<i64> {
    let mut keys: Vec<i64> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Log(logged) => Some(logged.key),
            Step::Row { key, .. } => Some(*key),
            Step::Answer { .. } => None,
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn io_error(error: &std::io::Error) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some(format!("the turnstile: {error}")))
}
