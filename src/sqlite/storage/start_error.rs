//! Why a queue could not be started, and what to do about it.

use std::path::PathBuf;

use thiserror::Error;

use super::schema::VERSION;
use super::store_error::StoreError;

/// Why a queue could not be started. The message says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The linked SQLite can lose committed rows when the write-ahead log is reset.
    #[error(
        "SQLite {0} has a known fault in resetting its log; build with 3.51.3, or 3.53.0 and later"
    )]
    OldSqlite(String),
    /// The file has tables, but not those of this version, and can't be brought to it.
    #[error(
        "{path}: schema version {found}, this scumble reads {VERSION}; use another --db, the scumble that made it, or \
         the backup from before the upgrade"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: i64,
    },
    /// The file has tables, but no queue.
    #[error("{0} is a database of another program; use another --db")]
    Stranger(PathBuf),
    /// What is there is a file of something else.
    #[error("{0} is no SQLite file. It was not changed. Use another --db")]
    NotSqlite(PathBuf),
    /// A file belongs to somebody else.
    #[error(
        "{path} belongs to user {owner} and has mode {mode:o}. This process runs as user {own} and can't use it. Give it to \
         that user (chown {own}), or run as its owner. Don't delete it: it may have the latest commits"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permissions.
        mode: u32,
        /// Who runs this.
        own: u32,
    },
    /// Somebody else could hold the lock, or hear what processes tell each other.
    #[error(
        "{path} belongs to user {owner} and has mode {mode:o}: users that may not write the database could use it. Stop \
         all relays of this database, remove it (a relay makes it again), and start as user {own} in a folder of its own"
    )]
    Unguarded {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permissions.
        mode: u32,
        /// Who runs this.
        own: u32,
    },
    /// What is there is no file.
    #[error("{0} is no file. Use the path of a file that exists or can be created")]
    NoFile(PathBuf),
    /// The file has another name.
    #[error(
        "{0} is a hard link, one of several names of the file: a process that opened it by another name would use another \
         log. Remove the other names, or make a copy"
    )]
    Linked(PathBuf),
    /// The file is of an older version, and processes of that version use it.
    #[error(
        "{path}: schema version {found} is to become {VERSION}, but {user} uses the file: stop all processes of the \
         older version first"
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: i64,
        /// One that uses it.
        user: String,
    },
    /// Another kernel uses the file.
    #[error(
        "{path}: another host uses this file: instance {neighbour}. One file is for the processes of one host; give \
         each host a --db of its own"
    )]
    OtherHost {
        /// The file.
        path: PathBuf,
        /// The instance, and what its lock file says.
        neighbour: String,
    },
    /// Live processes decide about shared rows by other flags.
    #[error(
        "{path}: instance {user} uses this file with other flags: {differ}. All processes of a relay must have the same \
         values: give this process the same, or end the others first to change them"
    )]
    Rules {
        /// The file.
        path: PathBuf,
        /// One that uses it.
        user: String,
        /// Which flags, there and here.
        differ: String,
    },
    /// A live process has this name.
    #[error("an instance named {0:?} is running on this file; choose another --instance-id")]
    NameTaken(String),
    /// The database is not there, but its write-ahead log is: SQLite would begin anew and delete it.
    #[error(
        "{path} is missing or empty, but {wal} beside it has what was committed last: put the file back, or the last \
         backup in its place; to start empty, move {wal} away"
    )]
    HalfGone {
        /// The database.
        path: PathBuf,
        /// Its write-ahead log.
        wal: PathBuf,
    },
    /// The turnstile was not passed in time.
    #[error(
        "{0}: another process holds the write lock for too long. If it is stopped or stuck, end it: fuser {0} finds it"
    )]
    Locked(PathBuf),
    /// A file beside the database could not be used.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The connections that only read can't be had.
    #[error("{path}: {error}")]
    Readers {
        /// The file.
        path: PathBuf,
        /// Why.
        error: r2d2::Error,
    },
    /// The file is damaged, or is none of SQLite's.
    #[error("{path}: {}", damage(.error))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        error: StoreError,
    },
    /// SQLite refused.
    #[error("{path}: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
}

/// What to do about it.
pub(in crate::sqlite) fn damage(error: &impl std::fmt::Display) -> String {
    format!(
        "the queue file is damaged: {error}. Stop all processes of the relay, move the file and those named after it away, put the \
         last backup in its place, and start again; `scumble doctor --thorough` shows the damage"
    )
}
