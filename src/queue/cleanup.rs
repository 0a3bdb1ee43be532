//! What is expired goes, a chunk at a time, so that no writer waits long. One instance does it at a time.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::jobs::Job;
use super::schema::millis;
use super::{Shared, sql, tail};
use crate::limits;

/// Gives up to 2 MiB back to the file system.
pub(super) const VACUUM: &str = "PRAGMA incremental_vacuum(512)";
/// Free pages that are worth giving back: 1 MiB; fewer will be used again soon.
const FREE_PAGES: i64 = 256;
/// How long one round of chunks may keep the maintenance thread from its other work.
const ROUND: Duration = Duration::from_millis(50);
/// How long the writer may take over a chunk before the round is given up.
const CHUNK_WAIT: Duration = Duration::from_secs(1);
/// Clients are remembered for days: looking for old ones once an hour is enough.
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// A watermark of an instance that is not in the registry.
const FORGET: [&str; 2] = [
    "DELETE FROM canvas_clients WHERE (canvas_id, client) IN
     (SELECT canvas_id, client FROM canvas_clients WHERE used_at < ?1 LIMIT 1000)",
    "DELETE FROM canvas_watermarks WHERE ?1 IS NOT NULL AND server_instance_id NOT IN
     (SELECT instance_id FROM instances)",
];

/// Where cleaning up is.
#[derive(Debug)]
pub(super) struct Cleanup {
    /// When the next pass begins.
    next: Instant,
    /// The row after which the pass goes on; `None` between passes.
    after: Option<i64>,
    forget: Instant,
}

impl Cleanup {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            next: now,
            after: None,
            forget: now,
        }
    }

    /// Whether there is more to do at once.
    pub(super) fn busy(&self) -> bool {
        self.after.is_some()
    }

    /// Does a round, if one is due. `idle`: nobody is writing.
    pub(super) fn round(
        &mut self,
        conn: &Connection,
        shared: &Shared,
        idle: bool,
    ) -> rusqlite::Result<()> {
        let started = Instant::now();
        if self.after.is_none() {
            if started < self.next {
                return Ok(());
            }
            self.next = started + shared.config.cleanup_interval;
            self.after = first_id(conn)?.map(|id| id - 1);
        }
        while let Some(after) = self.after.filter(|_| started.elapsed() < ROUND) {
            self.after = chunk(conn, shared, after)?;
            if self.after.is_none() {
                self.end(conn, shared, idle)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, conn: &Connection, shared: &Shared, idle: bool) -> rusqlite::Result<()> {
        super::instances::remove_orphans(conn, &shared.own)?;
        if self.forget <= Instant::now() {
            self.forget = Instant::now() + FORGET_INTERVAL;
            shared.intake.submit(Job::Forget, None);
        }
        let free: i64 = conn.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if idle && free > FREE_PAGES {
            shared.intake.submit(Job::Vacuum, None);
            self.next = self.next.min(Instant::now() + Duration::from_secs(1));
        }
        Ok(())
    }
}

fn first_id(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    conn.query_row("SELECT min(id) FROM message_queue", [], |row| row.get(0))
}

/// Looks at one range of ids, and has its expired rows deleted. Gives where to go on; `None` at rows that are too
/// young to be expired.
fn chunk(conn: &Connection, shared: &Shared, after: i64) -> rusqlite::Result<Option<i64>> {
    let now = shared.clock.now_ms();
    let youngest = now - millis(shared.config.message_ttl.min(shared.config.cursor_ttl));
    let next: Option<(i64, i64)> = conn
        .prepare_cached(
            "SELECT id, created_at FROM message_queue WHERE id > ?1 ORDER BY id LIMIT 1",
        )?
        .query_row([after], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((first, _)) = next.filter(|(_, created_at)| *created_at <= youngest) else {
        return Ok(None);
    };
    let (after, upto) = (first - 1, first - 1 + i64::from(limits::CLEANUP_CHUNK));
    // Looking costs no lock: rows that wait for a longer TTL are passed over without a transaction.
    let expired: i64 = conn
        .prepare_cached(sql::COUNT_EXPIRED)?
        .query_row(params![after, upto, now], |row| row.get(0))?;
    if expired > 0 {
        let (answer, deleted) = sync_channel(1);
        let reply = Box::new(move |count| {
            // A round that was given up does not listen any more.
            let _ = answer.try_send(count);
        });
        let taken = shared
            .intake
            .submit(Job::Clean { after, upto }, Some(reply));
        if !taken || deleted.recv_timeout(CHUNK_WAIT).is_err() {
            return Ok(None);
        }
    }
    Ok((upto < tail::last_id(conn)?).then_some(upto))
}

/// Forgets clients past their age and watermarks of instances that are gone.
pub(super) fn forget(conn: &Connection, now_ms: i64) -> rusqlite::Result<i64> {
    let old = now_ms - millis(limits::CLIENT_MEMORY);
    let mut forgotten = 0;
    for sql in FORGET {
        forgotten += conn.execute(sql, [old])?;
    }
    Ok(i64::try_from(forgotten).unwrap_or(i64::MAX))
}
