//! Deletes expired rows, a chunk at a time, so that no writer waits long. One instance does it at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use crate::backplane::CanvasKey;
use crate::backplane::intake::Intake;
use crate::limits;
use crate::sqlite::command::{Command, Place, Task};
use crate::sqlite::delivery::stats::{Counters, PASSIVE_FRAMES};
use crate::sqlite::delivery::tail;
use crate::sqlite::membership::instances::Registration;
use crate::sqlite::storage::clock::Clock;
use crate::sqlite::storage::sql;
use crate::time::millis;

/// Free pages that are worth giving back: 1 MiB; fewer will be used again soon.
const FREE_PAGES: i64 = 256;
/// How long one round of chunks may keep the upkeep thread from its other work.
const ROUND: Duration = Duration::from_millis(50);
/// How long the writer may take over a chunk before the round is given up.
const CHUNK_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked whether a log is full, and expired rows are waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Who is refused tries again well within this.
const FULL_MEMORY: Duration = Duration::from_secs(10);
/// Clients are remembered for days: looking for old ones once an hour is enough.
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// What cleaning up works with.
pub(in crate::sqlite) struct Parts {
    pub(in crate::sqlite) clock: Clock,
    pub(in crate::sqlite) own: Arc<Registration>,
    pub(in crate::sqlite) intake: Arc<Intake<Task>>,
    pub(in crate::sqlite) counters: Arc<Counters>,
    /// From one pass to the next.
    pub(in crate::sqlite) interval: Duration,
    /// No row expires before this.
    pub(in crate::sqlite) shortest_ttl: Duration,
}

/// Where cleaning up is.
pub(in crate::sqlite) struct Cleanup {
    parts: Parts,
    /// When the next pass begins.
    next: Instant,
    /// The canvas after which the walk over idle ones goes on.
    idle_after: CanvasKey,
    /// When to look whether somebody waits for room.
    look: Instant,
    /// The row after which the pass goes on; `None` between passes.
    after: Option<i64>,
    forget: Instant,
    /// When to look for free pages; `None` until a pass has ended.
    shrink: Option<Instant>,
    /// The client after which the walk over all of them goes on; `None` between walks.
    clients: Option<Place>,
}

impl Cleanup {
    pub(in crate::sqlite) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        Self {
            parts,
            next: now,
            idle_after: CanvasKey::BEFORE_ALL,
            look: now,
            after: None,
            forget: now,
            shrink: None,
            clients: None,
        }
    }

    /// Whether there is more to do at once.
    pub(in crate::sqlite) fn busy(&self) -> bool {
        self.after.is_some() || self.clients.is_some()
    }

    /// Does a round, if one is due. `idle`: nobody is writing.
    pub(in crate::sqlite) fn round(
        &mut self,
        conn: &Connection,
        idle: bool,
    ) -> rusqlite::Result<()> {
        let started = Instant::now();
        if started >= self.look && self.after.is_none() {
            self.look = started + LOOK_INTERVAL;
            if is_full(conn, self.parts.clock)? {
                self.next = started;
            }
            self.ends(conn)?;
        }
        if self.after.is_none() && started >= self.next {
            self.next = started + self.parts.interval;
            self.after = first_id(conn)?.map(|id| id - 1);
            if self.after.is_none() {
                self.end(conn)?;
            }
        }
        while let Some(after) = self.after.filter(|_| started.elapsed() < ROUND) {
            self.after = chunk(conn, &self.parts, after)?;
            if self.after.is_none() {
                self.end(conn)?;
            }
        }
        while let Some(after) = self.clients.take_if(|_| started.elapsed() < ROUND) {
            self.clients = old_clients(conn, &self.parts, after)?;
        }
        if self.shrink.is_some_and(|at| at <= Instant::now()) {
            self.give_back(conn, idle)?;
        }
        Ok(())
    }

    /// Canvases whose time has come go, and those that nobody used for too long are emptied.
    fn ends(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let began = Instant::now();
        let parts = &self.parts;
        let now_ms = parts.clock.now_ms();
        let mut ending = conn.prepare_cached(sql::ENDING)?;
        // Those that somebody is on have another time afterwards.
        while began.elapsed() < ROUND && ending.exists(params![now_ms, 1])? {
            if !done(parts, Command::EndCanvases) {
                return Ok(());
            }
        }
        // A piece is as much as a writer waits for; between them others commit.
        let mut sweeps = conn.prepare_cached(sql::NEXT_SWEEP)?;
        while began.elapsed() < ROUND && sweeps.exists([])? {
            if !done(parts, Command::SweepContent) {
                return Ok(());
            }
        }
        let Some(ttl) = parts.own.setup.quotas.idle_ttl else {
            return Ok(());
        };
        let before = now_ms - millis(ttl);
        let mut next = conn.prepare_cached(sql::NEXT_CANVASES)?;
        let mut rows = next.query(params![self.idle_after, limits::CLEANUP_CHUNK])?;
        self.idle_after = CanvasKey::BEFORE_ALL;
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            if began.elapsed() > ROUND {
                break;
            }
            if row.get::<_, i64>(1)? <= before && row.get(2)? {
                done(parts, Command::EmptyIdle { key, before });
            }
            self.idle_after = key;
        }
        Ok(())
    }

    fn end(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        crate::sqlite::membership::instances::remove_orphans(conn, &self.parts.own)?;
        if self.forget <= Instant::now() {
            self.forget = Instant::now() + FORGET_INTERVAL;
            self.clients = Some((CanvasKey::BEFORE_ALL, String::new()));
            let intake = &self.parts.intake;
            intake.submit(Command::ForgetWatermarks, None);
        }
        self.shrink = Some(Instant::now());
        Ok(())
    }

    /// Gives free pages back at a moment when nobody writes, again each second for as long as there are many.
    fn give_back(&mut self, conn: &Connection, idle: bool) -> rusqlite::Result<()> {
        let free: i64 = conn.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let many = free > FREE_PAGES;
        if many && idle && done(&self.parts, Command::Vacuum) {
            // The file gets shorter when the log is copied into it. This little would not be enough to have it copied.
            let frames = &self.parts.counters.wal_frames;
            frames.fetch_max(PASSIVE_FRAMES, Ordering::Relaxed);
        }
        self.shrink = many.then(|| Instant::now() + Duration::from_secs(1));
        Ok(())
    }
}

/// Whether what is expired is to go at once: there is much of what is kept for seconds only, or messages were refused a moment ago for
/// want of room.
fn is_full(conn: &Connection, clock: Clock) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached(sql::TOTALS)?;
    let read = statement.query_row([], |row| Ok((row.get(1)?, row.get(5)?)));
    let read: Option<(i64, i64)> = read.optional()?;
    let recently = clock.now_ms() - millis(FULL_MEMORY);
    Ok(read.is_some_and(|(full_at, ephemeral)| {
        full_at >= recently || ephemeral.cast_unsigned() > limits::EPHEMERAL_TIDY_BYTES
    }))
}

fn first_id(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    conn.query_row("SELECT min(id) FROM message_queue", [], |row| row.get(0))
}

/// Looks at one range of ids, and has its expired rows deleted. Gives where to go on; `None` at rows that are too
/// young to be expired.
fn chunk(conn: &Connection, parts: &Parts, after: i64) -> rusqlite::Result<Option<i64>> {
    let now = parts.clock.now_ms();
    let youngest = now - millis(parts.shortest_ttl);
    let next: Option<(i64, i64)> = conn
        .prepare_cached(
            "SELECT id, created_at FROM message_queue WHERE id > ?1 ORDER BY id LIMIT 1",
        )?
        .query_row([after], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((first, _)) = next.filter(|(_, created_at)| *created_at <= youngest) else {
        return Ok(None);
    };
    let after = first - 1;
    let upto = first - 1 + i64::from(limits::CLEANUP_CHUNK);
    // Looking costs no lock: rows that wait for a longer TTL are passed over without a transaction.
    let expired: i64 = conn
        .prepare_cached(sql::COUNT_EXPIRED)?
        .query_row(params![after, upto, now], |row| row.get(0))?;
    if expired > 0 && !done(parts, Command::Clean { after, upto }) {
        return Ok(None);
    }
    Ok((upto < tail::last_id(conn)?).then_some(upto))
}

/// Looks at the next clients in the table's order, and has those past their age forgotten. Gives where to go on; `None`
/// at the end.
fn old_clients(conn: &Connection, parts: &Parts, after: Place) -> rusqlite::Result<Option<Place>> {
    let old = parts.clock.now_ms() - millis(limits::CLIENT_MEMORY);
    let mut next = conn.prepare_cached(sql::NEXT_CLIENTS)?;
    let mut rows = next.query(params![after.0, after.1, limits::CLEANUP_CHUNK])?;
    let mut last = None;
    let mut seen = 0;
    let mut any_old = false;
    while let Some(row) = rows.next()? {
        last = Some((row.get(0)?, row.get(1)?));
        any_old |= row.get::<_, i64>(2)? < old;
        seen += 1;
    }
    let Some(upto) = last else { return Ok(None) };
    let more = (seen == limits::CLEANUP_CHUNK).then(|| upto.clone());
    if any_old && !done(parts, Command::ForgetClients { after, upto, old }) {
        return Ok(None);
    }
    Ok(more)
}

/// Has the writer do a command; `false` if it is not done in time, and the round is to be given up.
fn done(parts: &Parts, command: Command) -> bool {
    let (answer, done) = sync_channel(1);
    let reply = Box::new(move || {
        // A round that was given up does not listen any more.
        let _ = answer.try_send(());
    });
    parts.intake.submit(command, Some(reply)) && done.recv_timeout(CHUNK_WAIT).is_ok()
}
