//! One file, one host. SQLite's locks and shared memory work within one kernel. Two hosts on one file (on a network
//! disk, or a disk that two machines share) would both write, and ruin it.
//!
//! A kernel has a name for each of its boots. The file says under which boot it is used, and each lock file names its
//! host, boot and process. A process can't ask for another kernel's locks. So if it finds another boot's name, it
//! watches the heartbeats for a while: only a living process moves them.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};

use super::clock;
use super::files::wake_folder;
use crate::limits::HEARTBEAT;

/// How long to watch: a heartbeat comes within its interval, and a busy file may delay it.
const WATCH: Duration = HEARTBEAT.saturating_mul(2);
/// How often to look.
const LOOK: Duration = Duration::from_millis(100);

/// Says in a lock file whose it is.
pub(in crate::sqlite) fn sign(mut lock: &File) -> io::Result<()> {
    let name = rustix::system::uname();
    let host = name.nodename().to_string_lossy();
    let boot = clock::boot_id()?;
    writeln!(lock, "host {host} boot {boot} pid {}", std::process::id())
}

/// The instance of another kernel that uses the file, as its lock file names it; `None` if there is none.
///
/// Takes [`WATCH`] where the file was last used under another boot and instances are left in it.
pub(in crate::sqlite) fn neighbour(
    conn: &Connection,
    boot_id: &str,
) -> rusqlite::Result<Option<String>> {
    if used_under(conn)?.is_none_or(|boot| boot == boot_id) {
        return Ok(None);
    }
    let first = heartbeats(conn)?;
    let until = Instant::now() + WATCH;
    while !first.is_empty() && Instant::now() < until {
        std::thread::park_timeout(LOOK);
        let moved = heartbeats(conn)?
            .into_iter()
            .find(|beat| !first.contains(beat));
        if let Some((instance, lock_path, _)) = moved {
            let whose =
                std::fs::read_to_string(wake_folder(conn).join(&lock_path)).unwrap_or_default();
            return Ok(Some(format!("{instance} ({})", whose.trim())));
        }
    }
    Ok(None)
}

/// The boot that the file is used under; `None` if it was never used.
pub(in crate::sqlite) fn used_under(conn: &Connection) -> rusqlite::Result<Option<String>> {
    conn.query_row("SELECT value FROM meta WHERE key = 'boot_id'", [], |row| {
        row.get(0)
    })
    .optional()
}

fn heartbeats(conn: &Connection) -> rusqlite::Result<Vec<(String, String, i64)>> {
    let mut statement =
        conn.prepare_cached("SELECT instance_id, lock_path, heartbeat_at FROM instances")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}
