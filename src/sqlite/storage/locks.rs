//! The lock that an instance holds for as long as it lives: others see from it whether it does.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::files::wake_folder;
use super::sql;
use crate::limits;
use crate::time::millis;

/// What a lock file says of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The kernel holds the lock for it.
    Alive,
    /// The lock is free.
    Dead,
    /// There is no such file, or it can't be looked at: heartbeats must tell.
    Unknown,
}

/// Looks at a lock file.
pub(crate) fn look(lock_path: &Path) -> Sign {
    let Ok(file) = File::open(lock_path) else {
        return Sign::Unknown;
    };
    // A shared lock, so that two who look do not take each other for the owner.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Sign::Dead,
        Err(Errno::WOULDBLOCK) => Sign::Alive,
        Err(_) => Sign::Unknown,
    }
}

/// Removes a lock and the socket beside it, which has its name. The lock goes last: by it the socket is found.
pub(in crate::sqlite) fn remove_with_socket(lock_path: &Path) {
    remove(&lock_path.with_extension("sock"));
    remove(lock_path);
}

/// Removes a file that may be gone.
pub(in crate::sqlite) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %path.display(), %error, "a file stays behind");
    }
}

/// An instance that uses the file, as far as locks and heartbeats tell.
pub(in crate::sqlite) fn user(conn: &Connection, now_ms: i64) -> rusqlite::Result<Option<String>> {
    let folder = wake_folder(conn);
    let mut statement = conn.prepare(sql::INSTANCES)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, lock): (String, String) = (row.get(1)?, row.get(4)?);
        let silent = row.get::<_, i64>(5)? < now_ms - millis(limits::HEARTBEAT_STALE);
        match look(&folder.join(lock)) {
            Sign::Dead => {}
            Sign::Unknown if silent => {}
            Sign::Alive | Sign::Unknown => return Ok(Some(name)),
        }
    }
    Ok(None)
}
