//! Checkpoints do not delay commits: the leading instance copies the log into the database while others write.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::backplane::intake::Intake;
use crate::limits::{self, WAL_LONG_FRAMES, WAL_TAIL_FRAMES};
use crate::sqlite::command::{Command, Task};
use crate::sqlite::delivery::stats::{Counters, PASSIVE_FRAMES};
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::stopped::Stopped;

/// Bytes of a page in the log, its header included.
const FRAME_BYTES: u64 = 4_096 + 24;

/// How often a long log is copied again because much was written meanwhile.
const MORE_COPIES: usize = 2;
/// The first pause between two tries to start the log anew; each that changes nothing doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. A try keeps all writers waiting for as long as a reader is given to leave.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// When the log may be started anew next.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Checkpoints {
    next: Option<(Instant, Duration)>,
    /// How often the log had been started anew when that was last looked at.
    restarts: u64,
    /// The last round asked for that.
    asked: bool,
}

impl Checkpoints {
    /// Copies what can be copied without anybody waiting. When the log has grown too long all the same, the writer is
    /// asked to start it anew, which keeps all writers out for a moment. `true` if the log is being written fast.
    pub(in crate::sqlite) fn round(
        &mut self,
        conn: &Connection,
        files: &Files,
        counters: &Counters,
        intake: &Intake<Task>,
    ) -> Result<bool, Stopped> {
        self.asked = false;
        let frames = &counters.wal_frames;
        let seen = frames.load(Ordering::Relaxed);
        if seen < PASSIVE_FRAMES {
            return Ok(false);
        }
        // Beside other files of the same names it would copy what is not theirs.
        files.check()?;
        let (mut log, mut copied) = copy(conn)?;
        for _ in 0..MORE_COPIES {
            // What came meanwhile is what everybody would wait for.
            let now = i64::from(frames.load(Ordering::Relaxed));
            let tail = now.saturating_sub(log);
            if log < i64::from(WAL_LONG_FRAMES) || tail < i64::from(WAL_TAIL_FRAMES) {
                break;
            }
            (log, copied) = copy(conn)?;
        }
        if log == copied {
            // The next commit begins the log anew, unless a reader is in it; then its writer says how long it is.
            let _ = frames.compare_exchange(seen, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        let bytes = u64::try_from(log).unwrap_or(0) * FRAME_BYTES;
        let restarts = counters.wal_restarts.load(Ordering::Relaxed);
        let useful = std::mem::replace(&mut self.restarts, restarts) != restarts;
        if useful || bytes <= limits::WAL_RESTART_BYTES {
            self.next = None;
        }
        if bytes > limits::WAL_RESTART_BYTES && self.is_due(Instant::now()) {
            self.asked = intake.submit(Command::RestartWal, None);
        }
        Ok(true)
    }

    /// The writer is about to start the log anew: what is written before that has to be copied meanwhile.
    pub(super) fn restarts_now(&self) -> bool {
        self.asked
    }

    /// Somebody who reads for long makes each try useless, and each keeps the writers out: they become rare.
    fn is_due(&mut self, now: Instant) -> bool {
        let (due, pause) = self.next.unwrap_or((now, FIRST_PAUSE));
        if now < due {
            return false;
        }
        self.next = Some((now + pause, (pause * 2).min(MAX_PAUSE)));
        true
    }
}

/// Copies what no reader needs any more: how long the log was, and how much of it is copied, in pages.
fn copy(conn: &Connection) -> Result<(i64, i64), Stopped> {
    Ok(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get(1)?, row.get(2)?))
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_that_change_nothing_become_rare() {
        let (start, mut checkpoints) = (Instant::now(), Checkpoints::default());
        let tick = Duration::from_millis(100);
        let due = (0..600).filter(|n| checkpoints.is_due(start + tick * *n));
        assert_eq!(due.count(), 12, "in a minute");
        checkpoints.next = None;
        assert!(checkpoints.is_due(start));
    }
}
