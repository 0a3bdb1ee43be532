//! A relay's file, read by a tool: read-only, in a process that serves nobody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use rustix::time::{ClockId, clock_gettime};

use crate::sqlite::{VERSION, are_whole, unreadable};
use crate::time::wall_ms;

/// How long a read waits for a lock. Readers hardly ever do, in WAL mode.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens the file for reading.
///
/// # Errors
/// When it is not there, is not a database, or is empty beside a write-ahead log that is not.
pub(super) fn open(db: &Path) -> anyhow::Result<Connection> {
    ensure!(
        db.is_file(),
        "{}: {}; name the relay's with --db",
        db.display(),
        if db.exists() {
            "is no file"
        } else {
            "there is no such file"
        }
    );
    // SQLite deletes the log of an empty database, even when it is asked to read only.
    let plain = are_whole(db)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(&plain, flags)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        // Opening reads nothing yet: only this tells whether it is a database.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(conn)
    };
    let opened = open().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => anyhow::Error::new(unreadable(db, error)),
        _ => anyhow::Error::new(error),
    });
    opened.with_context(|| format!("{}: can't be read", db.display()))
}

/// Opens a file that this scumble's relays use.
///
/// # Errors
/// As [`open`], and when it is another program's, or of another version.
pub(super) fn open_current(db: &Path) -> anyhow::Result<Connection> {
    let conn = open(db)?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    ensure!(
        version == VERSION,
        "{}: schema version {version}, this scumble reads {VERSION}; `scumble doctor` tells more",
        db.display()
    );
    Ok(conn)
}

/// A file beside the database: its name with a suffix.
pub(super) fn beside(db: &Path, suffix: &str) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Now by the relay's clock, in milliseconds since the epoch: the kernel's boot clock plus the offset
/// that the file holds, or the wall clock if the file was last used before this boot.
pub(super) fn now_ms(conn: &Connection) -> rusqlite::Result<i64> {
    let meta = |key: &str| {
        conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
            row.get::<_, String>(0)
        })
        .optional()
    };
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let same_boot =
        boot_id.is_some_and(|id| meta("boot_id").is_ok_and(|m| m.as_deref() == Some(id.trim())));
    let offset_ms = meta("clock_offset_ms")?.and_then(|text| text.parse::<i64>().ok());
    Ok(match offset_ms {
        Some(offset_ms) if same_boot => {
            let boot = clock_gettime(ClockId::Boottime);
            boot.tv_sec * 1_000 + boot.tv_nsec / 1_000_000 + offset_ms
        }
        _ => wall_ms(),
    })
}
