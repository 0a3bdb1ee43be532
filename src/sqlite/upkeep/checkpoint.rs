//! Checkpoints do not delay commits: the leading instance copies the log into the database while others write.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::backplane::intake::Intake;
use crate::limits;
use crate::sqlite::command::{Command, Task};
use crate::sqlite::delivery::stats::Counters;
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::stopped::Stopped;

/// Bytes of a page in the log, its header included.
const FRAME_BYTES: u64 = 4_096 + 24;
/// A log below 1 MiB is left alone.
pub(in crate::sqlite) const PASSIVE_FRAMES: u32 = 256;

/// The first pause between two tries to start the log anew; each that changes nothing doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. A try keeps all writers waiting for as long as a reader is given to leave.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// When the log may be started anew next.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Checkpoints {
    next: Option<(Instant, Duration)>,
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
        let frames = &counters.wal_frames;
        let seen = frames.load(Ordering::Relaxed);
        if seen < PASSIVE_FRAMES {
            return Ok(false);
        }
        // Beside other files of the same names it would copy what is not theirs.
        files.check()?;
        let (log, copied): (i64, i64) =
            conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get(1)?, row.get(2)?))
            })?;
        if log == copied {
            // The next commit begins the log anew, unless a reader is in it; then its writer says how long it is.
            let _ = frames.compare_exchange(seen, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        let bytes = u64::try_from(log).unwrap_or(0) * FRAME_BYTES;
        if bytes <= limits::WAL_RESTART_BYTES {
            self.next = None;
        } else if self.is_due(Instant::now()) {
            intake.submit(Command::RestartWal, None);
        }
        Ok(true)
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
