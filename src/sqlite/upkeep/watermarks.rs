//! How far behind each instance is, from the watermarks that instances write.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, params};

use crate::backplane::intake::Intake;
use crate::backplane::{InstanceStats, Stats};
use crate::limits;
use crate::sqlite::command::Task;
use crate::sqlite::delivery::stats::Counters;
use crate::sqlite::delivery::tail::{self, Tail};
use crate::sqlite::membership::instances::Registration;
use crate::sqlite::spill::Spill;
use crate::sqlite::storage::clock::Clock;
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::sql;
use crate::time::millis;

/// Lag is counted up to this: far into "critical", and a bound on the cost of asking.
const MAX_LAG: u32 = 20_000;
/// Up to so many rows are counted one by one: it is asked every two seconds.
const EXACT_ROWS: i64 = 5_000;

/// Rows on an instance's canvases that it has not processed, and when the first was written. Watermarks are written lazily, so
/// rows younger than that say nothing.
const LAG: &str = "SELECT count(*), min(created_at) FROM
     (SELECT created_at FROM message_queue WHERE id > ?1 AND created_at <= ?3 AND expires_at > ?4
      AND canvas_id IN (SELECT canvas_id FROM canvas_watermarks WHERE server_instance_id = ?2)
      ORDER BY id LIMIT ?5)";

/// What the numbers are taken from, beside the file.
pub(in crate::sqlite) struct Parts {
    pub(in crate::sqlite) clock: Clock,
    pub(in crate::sqlite) own: Arc<Registration>,
    pub(in crate::sqlite) files: Arc<Files>,
    pub(in crate::sqlite) intake: Arc<Intake<Task>>,
    pub(in crate::sqlite) spill: Option<Arc<Spill>>,
    pub(in crate::sqlite) tail: Arc<Tail>,
    pub(in crate::sqlite) counters: Arc<Counters>,
}

/// The backplane in numbers.
pub(in crate::sqlite) fn stats(conn: &Connection, parts: &Parts) -> rusqlite::Result<Stats> {
    let now = parts.clock.now_ms();
    let mut instances = Vec::new();
    let mut queue_size = 0;
    let mut oldest = None;
    let registered: Vec<(String, u32, i64)> = conn
        .prepare_cached(sql::INSTANCES)?
        .query_map([], |row| Ok((row.get(1)?, row.get(2)?, row.get(5)?)))?
        .collect::<Result<_, _>>()?;
    for (instance_id, pid, heartbeat_at) in registered {
        let own = instance_id == parts.own.setup.instance_id;
        let (lag, first) = lag(conn, &parts.tail, &instance_id, own, now)?;
        queue_size = queue_size.max(lag);
        oldest = oldest.into_iter().chain(first).min();
        let heartbeat_age_ms = u64::try_from(now - heartbeat_at).unwrap_or(0);
        instances.push(InstanceStats {
            instance_id,
            pid,
            heartbeat_age_ms,
            lag,
        });
    }
    let oldest_unprocessed_ms = oldest.map_or(0, |at: i64| u64::try_from(now - at).unwrap_or(0));
    let counters = &parts.counters;
    let write = counters.write.quantiles_ms();
    let poll = counters.poll.quantiles_ms();
    let bytes = |path| std::fs::metadata(path).map_or(0, |file| file.len());
    Ok(Stats {
        queue_size,
        oldest_unprocessed_ms,
        queue_health: health(queue_size, oldest_unprocessed_ms),
        rows: rows(conn)?,
        writer_depth: parts.intake.depth() as u64,
        spilled: parts.spill.as_ref().map_or(0, |spill| spill.len() as u64),
        committed: counters.committed.load(Ordering::Relaxed),
        commits: counters.commits.load(Ordering::Relaxed),
        overloaded: counters.overloaded.load(Ordering::Relaxed),
        log_full: counters.full.load(Ordering::Relaxed),
        copies_diverged: 0,
        copies: 0,
        copies_bytes: 0,
        log_bytes: log_bytes(conn)?,
        max_log_bytes: parts.own.setup.quotas.log_bytes,
        polls: counters.polls.load(Ordering::Relaxed),
        poll_p50_ms: poll.p50,
        poll_p95_ms: poll.p95,
        poll_p99_ms: poll.p99,
        poll_max_ms: poll.max,
        write_p50_ms: write.p50,
        write_p99_ms: write.p99,
        delivery: parts.tail.delivery.buckets(),
        commit: counters.write.buckets(),
        poll: counters.poll.buckets(),
        active_poll_tasks: parts.tail.rooms() as u64,
        wal_bytes: bytes(parts.files.wal()),
        db_bytes: bytes(parts.files.db.clone()),
        trouble: counters.trouble.lock().clone(),
        remedy: "see that the disk has space and works, and that the files are where they were; `scumble doctor` examines them",
        instances,
    })
}

/// This instance knows exactly how far it is; of the others the table knows.
fn lag(
    conn: &Connection,
    tail: &Tail,
    instance_id: &str,
    own: bool,
    now: i64,
) -> rusqlite::Result<(u64, Option<i64>)> {
    let (position, written_before) = if own {
        if tail.rooms() == 0 {
            return Ok((0, None));
        }
        (Some(tail.position()), now)
    } else {
        let sql =
            "SELECT max(last_processed_id) FROM canvas_watermarks WHERE server_instance_id = ?1";
        let known = conn
            .prepare_cached(sql)?
            .query_row([instance_id], |row| row.get(0))?;
        (known, now - 2 * millis(limits::WATERMARK_INTERVAL))
    };
    let Some(position) = position else {
        return Ok((0, None));
    };
    let mut statement = conn.prepare_cached(LAG)?;
    let bound = params![position, instance_id, written_before, now, MAX_LAG];
    let (count, first): (i64, _) =
        statement.query_row(bound, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((count.cast_unsigned(), first))
}

/// Rows there are. Ids have no holes but those that cleanup made, so for many rows their span is near enough.
fn rows(conn: &Connection) -> rusqlite::Result<u64> {
    let first: Option<i64> = conn
        .prepare_cached("SELECT min(id) FROM message_queue")?
        .query_row([], |row| row.get(0))?;
    let span = first.map_or(0, |first| {
        tail::last_id(conn).map_or(0, |last| last + 1 - first)
    });
    if span > EXACT_ROWS {
        return Ok(span.cast_unsigned());
    }
    let count: i64 = conn
        .prepare_cached("SELECT count(*) FROM message_queue")?
        .query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

fn log_bytes(conn: &Connection) -> rusqlite::Result<u64> {
    let mut statement = conn.prepare_cached(sql::TOTALS)?;
    let bytes: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(bytes.unwrap_or(0).cast_unsigned())
}

/// The thresholds that `docs/OPERATIONS.md` explains.
fn health(size: u64, oldest_ms: u64) -> &'static str {
    match (size, oldest_ms) {
        (5_001.., _) | (_, 30_001..) => "critical",
        (1_000.., _) | (_, 10_000..) => "warning",
        _ => "healthy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_follows_its_thresholds() {
        for (size, age, expected) in [
            (999, 9_999, "healthy"),
            (1_000, 0, "warning"),
            (5_000, 0, "warning"),
            (5_001, 0, "critical"),
            (0, 10_000, "warning"),
            (0, 30_001, "critical"),
        ] {
            assert_eq!(health(size, age), expected, "{size} {age}");
        }
    }
}
