//! The turnstile that writers of all processes pass one by one, in the order they came.
//!
//! SQLite's own busy handler sleeps up to 100 ms between tries, and a sleeping process is overtaken: with four writers
//! the worst wait was 3 s. A `flock` on a file of its own queues in the kernel, and the kernel frees it when its holder
//! dies. It only makes the order fair: SQLite's locks stay the authority.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// One thread's own way into the turnstile.
#[derive(Debug)]
pub(in crate::sqlite) struct Turnstile {
    file: File,
}

/// A turn. Ends when it is dropped.
#[derive(Debug)]
pub(in crate::sqlite) struct Turn<'a>(&'a File);

impl Turnstile {
    /// Opens the file, creating it if need be.
    pub(in crate::sqlite) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        Ok(Self { file })
    }

    /// Waits for its turn, however long the others take: what waits behind the writer is refused by
    /// another thread when it is too old.
    pub(in crate::sqlite) fn enter(&self) -> io::Result<Turn<'_>> {
        loop {
            match flock(&self.file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Turn(&self.file)),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Waits at most `limit`; `None` when the turn did not come.
    pub(in crate::sqlite) fn enter_within(&self, limit: Duration) -> io::Result<Option<Turn<'_>>> {
        let until = Instant::now() + limit;
        loop {
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Turn(&self.file))),
                Err(Errno::INTR | Errno::WOULDBLOCK) => {}
                Err(e) => return Err(e.into()),
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Unlocking a lock that is held cannot fail; closing the file would free it too.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}
