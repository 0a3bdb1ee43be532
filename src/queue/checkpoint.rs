//! Checkpoints stay out of commits: the leader copies the log into the database aside, while others write.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::Shared;
use super::intake::Job;
use crate::limits;

/// Bytes of a page in the log, its header included.
const FRAME_BYTES: u64 = 4_096 + 24;
/// A log below 1 MiB is left alone.
const PASSIVE_FRAMES: u32 = 256;

/// Copies what can be copied without anybody waiting. When the log has grown too long all the same, the writer is asked
/// to start it anew, which keeps all writers out for a moment. `true` if the log is being written fast.
pub(super) fn round(conn: &Connection, shared: &Shared) -> rusqlite::Result<bool> {
    let frames = &shared.counters.wal_frames;
    let seen = frames.load(Ordering::Relaxed);
    if seen < PASSIVE_FRAMES {
        return Ok(false);
    }
    let (log, copied): (i64, i64) =
        conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(1)?, row.get(2)?))
        })?;
    if log == copied {
        // The next commit begins the log anew, unless a reader is in it; then its writer says how long it is.
        let _ = frames.compare_exchange(seen, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
    if u64::try_from(log).unwrap_or(0) * FRAME_BYTES > limits::WAL_RESTART_BYTES {
        shared.intake.submit(Job::RestartWal, None);
    }
    Ok(true)
}
