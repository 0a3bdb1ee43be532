//! The thread that reads what other processes wrote.
//!
//! It sleeps until it is told of rows that did not come along with a wake. The safety poll finds rows whose wake was
//! lost. All rooms stand at one position, so one statement, on one thread, reads for all of them.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::refusals::Refusals;
use super::stats::Counters;
use super::tail::{self, Tail};
use super::wake::notifier::{Notifier, WakeHint};
use super::wake::receiver::WakeReceiver;
use crate::limits;
use crate::sqlite::storage::clock::Clock;
use crate::sqlite::storage::ending::Ending;
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::stopped::Fatal;

/// How long the thread sleeps without rooms: it also looks for entries that have waited too long.
const WITHOUT_ROOMS: Duration = Duration::from_secs(1);
/// The longest pause after errors.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// A look that comes this late may have missed rows with a short TTL.
const STOPPED: Duration = Duration::from_secs(2);

/// What the thread works with.
pub(in crate::sqlite) struct Parts {
    pub(in crate::sqlite) clock: Clock,
    pub(in crate::sqlite) files: Arc<Files>,
    pub(in crate::sqlite) ending: Arc<Ending>,
    pub(in crate::sqlite) notifier: Arc<Notifier>,
    pub(in crate::sqlite) tail: Arc<Tail>,
    pub(in crate::sqlite) counters: Arc<Counters>,
    pub(in crate::sqlite) refusals: Refusals,
    /// Until the next safety poll: after activity, and at most.
    pub(in crate::sqlite) interval: Duration,
    pub(in crate::sqlite) idle: Duration,
    /// Rows that are read at once.
    pub(in crate::sqlite) at_once: u32,
}

pub(in crate::sqlite) struct Poller {
    conn: Connection,
    /// Where wakes come, unless they are received elsewhere.
    receiver: Option<(UnixDatagram, WakeReceiver)>,
    parts: Parts,
    interval: Duration,
    /// The last row that was dispatched when it last looked.
    position: i64,
    /// `PRAGMA data_version` at the last look: while it stays, nobody else has committed.
    version: Option<i64>,
    looked: Instant,
    failures: u32,
}

impl Poller {
    pub(in crate::sqlite) fn new(
        conn: Connection,
        receiver: Option<(UnixDatagram, WakeReceiver)>,
        parts: Parts,
    ) -> Self {
        let interval = parts.idle;
        Self {
            conn,
            receiver,
            parts,
            interval,
            position: 0,
            version: None,
            looked: Instant::now(),
            failures: 0,
        }
    }

    /// Runs until the queue stops.
    pub(in crate::sqlite) fn run(mut self) -> Result<(), Fatal> {
        while !self.parts.ending.is_stopping() {
            let limit = if self.parts.tail.rooms() == 0 {
                WITHOUT_ROOMS
            } else {
                self.interval
            };
            let hints = self
                .listen(limit)
                .map_err(|error| Fatal(format!("the wake socket failed: {error}")))?;
            self.refuse_old();
            self.look(&hints)?;
        }
        if let Err(error) = self.finish() {
            tracing::warn!(%error, "the last rows could not be read");
        }
        Ok(())
    }

    fn listen(&mut self, limit: Duration) -> std::io::Result<WakeHint> {
        let notifier = &self.parts.notifier;
        let Some((socket, receiver)) = &mut self.receiver else {
            return notifier.wait(None::<&UnixDatagram>, limit);
        };
        let mut hints = notifier.wait(Some(&*socket), limit)?;
        hints.and(receiver.receive(socket)?);
        Ok(hints)
    }

    /// With local broadcast off, what the writer committed last is told here: everything up to the row that is the last now.
    fn finish(&self) -> rusqlite::Result<()> {
        let tail = &self.parts.tail;
        let limit = self.parts.at_once;
        let last = tail::last_id(&self.conn)?;
        while tail.rooms() > 0 && tail.position() < last {
            if tail.catch_up(&self.conn, self.parts.clock.now_ms(), limit)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The writer may be stuck behind others; this thread never waits for a lock of theirs.
    fn refuse_old(&self) {
        let refusals = &self.parts.refusals;
        let answers = refusals.intake.refuse_old(limits::MAX_QUEUE_WAIT);
        if !answers.is_empty() {
            tracing::warn!(
                entries = answers.len(),
                "entries waited too long for the writer and were refused"
            );
            refusals.answer(answers);
        }
    }

    fn look(&mut self, hints: &WakeHint) -> Result<(), Fatal> {
        if self.parts.tail.rooms() == 0 {
            self.version = None;
            return Ok(());
        }
        let late = self.looked.elapsed() > STOPPED + self.interval;
        self.looked = Instant::now();
        if late {
            self.parts.tail.suspect();
        }
        if *hints == WakeHint::Delivered && !late {
            self.set_interval();
            return Ok(());
        }
        if let WakeHint::Rows(keys) = hints
            && !late
            && !self.parts.tail.wants(keys.iter().copied())
        {
            return Ok(());
        }
        match self.poll(*hints == WakeHint::Nothing && !late) {
            Ok(()) => {
                self.failures = 0;
                self.set_interval();
                Ok(())
            }
            Err(error) => self.back_off(&error),
        }
    }

    /// Until the next safety poll: short after activity, then longer and longer.
    fn set_interval(&mut self) {
        let low = self.parts.interval;
        let high = self.parts.idle;
        let before = std::mem::replace(&mut self.position, self.parts.tail.position());
        self.interval = if self.position != before {
            low
        } else {
            (self.interval * 3 / 2).min(high.max(low))
        };
    }

    /// Reads until there is nothing more.
    fn poll(&mut self, only_if_changed: bool) -> rusqlite::Result<()> {
        if !only_if_changed {
            // Whoever was told of rows need not ask whether there are any; the next safety poll looks once in vain.
            self.version = None;
        } else if !tail::has_changed(&self.conn, &mut self.version)? {
            return Ok(());
        }
        loop {
            let started = Instant::now();
            let now = self.parts.clock.now_ms();
            let limit = self.parts.at_once;
            let read = self.parts.tail.catch_up(&self.conn, now, limit)?;
            let counters = &self.parts.counters;
            counters.polls.fetch_add(1, Ordering::Relaxed);
            counters.poll.record(std::iter::once(started.elapsed()));
            if read < limit as usize || self.parts.ending.is_stopping() {
                return Ok(());
            }
        }
    }

    fn back_off(&mut self, error: &rusqlite::Error) -> Result<(), Fatal> {
        self.parts.files.damaged(error)?;
        self.version = None;
        self.failures += 1;
        if self.failures == 1 {
            tracing::error!(%error, "the queue cannot be read; trying again with longer and longer pauses");
        }
        self.interval = (self.interval * 2).min(MAX_BACKOFF);
        Ok(())
    }
}
