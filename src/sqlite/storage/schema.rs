//! Opens the file: its settings, its tables, its version, and what a start after a power cut must do.

mod found;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::built;
use super::clock::{self, Clock};
use super::files::{Files, modes};
use super::generation::Generation;
use super::hosts;
use super::locks;
use super::migrations;
use super::rules;
use super::start_error::StartError;
use super::store_error::MayBeDamage as _;
use super::tables;
use super::turnstile::Turnstile;
use crate::config::{SqliteConfig, Synchronous};
use crate::limits;
use crate::time::{millis, wall_ms};
use found::Found;

/// The version of `schema.sql`, in `PRAGMA user_version`.
pub const VERSION: i64 = 8;

/// What another process may take to let this one in at start.
const START_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// A file that is ready to be used.
pub(in crate::sqlite) struct Prepared {
    pub(in crate::sqlite) conn: Connection,
    pub(in crate::sqlite) files: Files,
    pub(in crate::sqlite) turnstile: Turnstile,
    pub(in crate::sqlite) clock: Clock,
    pub(in crate::sqlite) generation: Generation,
}

/// Opens the file, creating and filling it if need be. Two processes may do so at the same moment.
pub(in crate::sqlite) fn prepare(config: &SqliteConfig) -> Result<Prepared, StartError> {
    check_sqlite(rusqlite::version_number())?;
    let mut files = Files::of(&config.file.db)?;
    files.are_whole()?;
    files.are_ours()?;
    refuse_strangers(&files)?;
    files.are_guarded()?;
    let turnstile = Turnstile::open(&files.lock).map_err(|error| StartError::Io {
        path: files.lock.clone(),
        error,
    })?;
    let io = |error| StartError::Io {
        path: files.lock.clone(),
        error,
    };
    let boot_id = clock::boot_id().map_err(io)?;
    let generation = Generation::open(&files.lock).map_err(io)?;
    let turn = turnstile.enter_within(START_WAIT).map_err(io)?;
    let turn = turn.ok_or_else(|| StartError::Locked(files.lock.clone()))?;

    files.are_whole()?;
    modes::make_private(&files.db).map_err(|error| StartError::Io {
        path: files.db.clone(),
        error,
    })?;
    let sqlite = |error| files.failed(error);
    let mut conn = open(&files.db).map_err(sqlite)?;
    for (what, todo) in built::faults(&conn).map_err(sqlite)? {
        tracing::warn!("{what}: {todo}");
    }
    create(&mut conn, &files)?;
    if let Some(neighbour) = hosts::neighbour(&conn, &boot_id).map_err(sqlite)? {
        return Err(StartError::OtherHost {
            path: files.db.clone(),
            neighbour,
        });
    }
    // Whatever the mode, the mark that says "in use" must be on the disk before anything is acked.
    conn.pragma_update(None, "synchronous", "FULL")
        .map_err(sqlite)?;
    let put_back = generation.was_put_back(&conn, &files.db).map_err(sqlite)?;
    let Begun { clock, user } =
        mark_in_use(&mut conn, config, &boot_id, put_back).map_err(sqlite)?;
    generation.settle(&conn, &files.db).map_err(sqlite)?;
    if let Some(user) = user {
        check_rules(&conn, config, user, &files)?;
    }
    set_synchronous(&conn, config.file.synchronous).map_err(sqlite)?;
    drop(turn);
    files.share_mode(None);
    files.note_opened();
    Ok(Prepared {
        conn,
        files,
        turnstile,
        clock,
        generation,
    })
}

/// Whether those who use the file do so by the same flags.
pub(in crate::sqlite) fn check_rules(
    conn: &Connection,
    config: &SqliteConfig,
    user: String,
    files: &Files,
) -> Result<(), StartError> {
    match rules::differing(conn, config).map_err(|error| files.failed(error))? {
        None => Ok(()),
        Some(differ) => Err(StartError::Rules {
            path: files.db.clone(),
            user,
            differ,
        }),
    }
}

/// The connection's `PRAGMA synchronous`.
pub(in crate::sqlite) fn set_synchronous(
    conn: &Connection,
    mode: Synchronous,
) -> rusqlite::Result<()> {
    let mode = match mode {
        Synchronous::Normal => "NORMAL",
        Synchronous::Full => "FULL",
    };
    conn.pragma_update(None, "synchronous", mode)
}

/// <https://sqlite.org/wal.html>, "The WAL-reset bug": fixed in 3.51.3 and from 3.53.0 on.
fn check_sqlite(version: i32) -> Result<(), StartError> {
    let fixed = version >= 3_053_000 || (3_051_003..3_052_000).contains(&version);
    if fixed {
        Ok(())
    } else {
        Err(StartError::OldSqlite(rusqlite::version().to_owned()))
    }
}

/// A connection that writes.
pub(in crate::sqlite) fn open(db: &Path) -> rusqlite::Result<Connection> {
    // Each connection has one thread at a time: SQLite need not lock it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(db, flags)?;
    tune(&conn)?;
    conn.set_prepared_statement_cache_capacity(192);
    // Auto-vacuum can be chosen only before the first page is written, so it comes before the journal mode.
    // Checkpoints stay out of commits: one instance runs them aside.
    conn.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 33554432;
         PRAGMA mmap_size = 0;
         PRAGMA foreign_keys = OFF;
         PRAGMA cache_size = -4096;",
    )?;
    Ok(conn)
}

/// What all connections have.
fn tune(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(limits::BUSY_TIMEOUT)?;
    // Otherwise a statement whose plan might depend on a value is planned anew for each one: a fifth of a poll's time.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// A connection that only reads.
pub(in crate::sqlite) fn tune_reader(conn: &Connection) -> rusqlite::Result<()> {
    tune(conn)?;
    conn.execute_batch(
        "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA mmap_size = 0;
         PRAGMA cache_size = -512;",
    )
}

/// Opens a connection that only reads.
pub(in crate::sqlite) fn open_reader(db: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(db, flags)?;
    tune_reader(&conn)?;
    Ok(conn)
}

/// Looks at a file that is there before anything is changed in it: opening it to write changes its journal mode for good.
fn refuse_strangers(files: &Files) -> Result<(), StartError> {
    let found = match std::fs::metadata(&files.db) {
        Ok(found) => found,
        // There is none yet.
        Err(_) => return Ok(()),
    };
    let path = files.db.clone();
    if !found.is_file() {
        return Err(StartError::NoFile(path));
    }
    if found.nlink() > 1 {
        return Err(StartError::Linked(path));
    }
    let look = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&files.db, flags)?;
        conn.busy_timeout(limits::BUSY_TIMEOUT)?;
        // Another process may be making the tables: all answers are of one moment.
        let moment = conn.unchecked_transaction()?;
        Found::within(&moment)
    };
    match look() {
        Ok(found) if found.is_empty() => Ok(()),
        Ok(found) if !found.queue => Err(StartError::Stranger(path)),
        Ok(Found { version, .. }) if !(1..=VERSION).contains(&version) => {
            let found = version;
            Err(StartError::Version { path, found })
        }
        Err(error) if error.is_damage() => Err(files.failed(error)),
        // What is in the way of reading, such as a journal to be played back first, whoever opens it to write meets, too.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn create(conn: &mut Connection, files: &Files) -> Result<(), StartError> {
    let sqlite = |error| files.failed(error);
    let found = Found::within(conn).map_err(sqlite)?;
    if found.is_empty() {
        return make_tables(conn).map_err(sqlite);
    }
    match found.version {
        VERSION => Ok(()),
        older if (1..VERSION).contains(&older) => {
            migrations::migrate(conn, older, VERSION, migrations::STEPS)
                .map_err(|stays| files.stays(stays, older))
        }
        found => Err(StartError::Version {
            path: files.db.clone(),
            found,
        }),
    }
}

/// Makes the tables in an empty file.
pub(in crate::sqlite) fn make_tables(conn: &Connection) -> rusqlite::Result<()> {
    let canvases = tables::CANVASES;
    let jobs = tables::JOBS;
    let hooks = tables::HOOKS;
    let analytics = tables::ANALYTICS;
    conn.execute_batch(&format!(
        "BEGIN IMMEDIATE;\n{canvases}\n{jobs}\n{hooks}\n{analytics}\nPRAGMA user_version = {VERSION};\nCOMMIT;"
    ))
}

/// How a start found the file.
struct Begun {
    /// The one that all processes of this boot share.
    clock: Clock,
    /// An instance that uses it.
    user: Option<String>,
}

/// Marks the file as in use under this boot.
fn mark_in_use(
    conn: &mut Connection,
    config: &SqliteConfig,
    boot_id: &str,
    put_back: bool,
) -> rusqlite::Result<Begun> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let meta = |key: &str| {
        tx.query_row("SELECT value FROM meta WHERE key = ?1", [key], |r| {
            r.get::<_, String>(0)
        })
        .optional()
    };
    let same_boot = meta("boot_id")?.as_deref() == Some(boot_id);
    let stored = meta("clock_offset_ms")?.and_then(|text| text.parse().ok());
    let offset_ms = match stored {
        Some(offset) if same_boot => offset,
        _ => wall_ms() - clock::since_boot_ms(),
    };
    let was_clean = meta("clean")?.is_none_or(|clean| clean == "1");
    let was_full = meta("synchronous")?.as_deref() == Some("full");
    let clock = Clock::new(offset_ms);
    let user = if same_boot {
        locks::user(&tx, clock.now_ms())?
    } else {
        None
    };
    if !same_boot {
        begin_boot(&tx, config, clock)?;
    }
    if !same_boot && !was_clean && !was_full {
        let why = "the host stopped while the queue was in use, and the last moments' messages may be gone";
        begin_epochs(&tx, why)?;
    } else if user.is_none() && put_back {
        let why = "the file is not as its relay left it: it was put back from a copy, moved, or parted from its .lock file";
        begin_epochs(&tx, why)?;
    }
    keep_wake_key(&tx)?;
    if user.is_none() {
        Generation::begin(&tx)?;
        rules::keep(&tx, config)?;
    }
    // One instance in normal mode is enough for acked messages to be at risk, until a clean end.
    let full = config.file.synchronous == Synchronous::Full && (was_clean || was_full);
    for (key, value) in [
        ("boot_id", boot_id),
        ("clock_offset_ms", &offset_ms.to_string()),
        ("clean", "0"),
        ("synchronous", if full { "full" } else { "normal" }),
    ] {
        tx.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
            [key, value],
        )?;
    }
    tx.commit()?;
    Ok(Begun { clock, user })
}

/// Has the file keep a key for the seals of wakes, if it has none yet.
fn keep_wake_key(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT OR IGNORE INTO meta (key, value) VALUES ('wake_key', lower(hex(randomblob(32))))",
        [],
    )?;
    Ok(())
}

/// What clients hold is not to be continued.
fn begin_epochs(conn: &Connection, why: &str) -> rusqlite::Result<()> {
    let canvases = conn.execute("UPDATE canvases SET epoch = lower(hex(randomblob(8)))", [])?;
    if canvases > 0 {
        tracing::warn!(
            canvases,
            "{why}: every canvas begins a new epoch, so clients take a snapshot instead of resuming"
        );
    }
    Ok(())
}

/// The clock may have been wrong before this boot: nothing may be kept longer than it would be from now on.
fn begin_boot(conn: &Connection, config: &SqliteConfig, clock: Clock) -> rusqlite::Result<()> {
    let now = clock.now_ms();
    let ttl = millis(config.rules.message_ttl.max(config.file.cursor_ttl));
    conn.execute(
        "UPDATE message_queue SET expires_at = ?1 WHERE expires_at > ?1",
        params![now + ttl],
    )?;
    conn.execute("UPDATE presence SET away_at = ?1 WHERE away_at > ?1", [now])?;
    conn.execute(
        "UPDATE canvas_clients SET used_at = ?1 WHERE used_at > ?1",
        [now],
    )?;
    conn.execute(
        "UPDATE canvases SET used_at = min(used_at, ?1), ends_at = min(ends_at, ?2) WHERE used_at > ?1 OR ends_at > ?2",
        [now, now + millis(limits::TOMBSTONE)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
