//! The registry of instances: each has a row, a socket to be woken by, and a lock that the kernel frees when it dies.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use rustix::fs::{FlockOperation, flock};

use crate::canvas::Rules;
use crate::config::SqliteConfig;
use crate::limits;
use crate::protocol::ids::InstanceNumber;
use crate::sqlite::apply::{Counted, Setup, Txn};
use crate::sqlite::delivery::wake::Peer;
use crate::sqlite::storage::files::Files;
use crate::sqlite::storage::hosts;
use crate::sqlite::storage::locks::{Sign, look, remove_with_socket};
use crate::sqlite::storage::schema::{Prepared, check_rules};
use crate::sqlite::storage::sql;
use crate::sqlite::storage::start_error::StartError;
use crate::sqlite::storage::store_error::StoreResult;
use crate::time::millis;

/// The longest path of a socket: 108 bytes on Linux with the zero at the end, 104 elsewhere.
const MAX_SOCKET_PATH: usize = 103;

/// A lock file without a row is left alone for this long: its owner may be about to register.
const ORPHAN_AGE: Duration = Duration::from_secs(60);

/// This instance in the registry.
#[derive(Debug)]
pub(in crate::sqlite) struct Registration {
    pub(in crate::sqlite) setup: Setup,
    pub(in crate::sqlite) wake_path: PathBuf,
    pub(in crate::sqlite) lock_path: PathBuf,
    pub(in crate::sqlite) started_at: i64,
    /// The kernel's name for this boot.
    pub(in crate::sqlite) boot_id: String,
    folder: Folder,
    /// Held for as long as this process lives.
    _lock: File,
}

impl Registration {
    /// The row itself; written again should somebody have taken this instance for dead.
    pub(in crate::sqlite) fn insert(&self, conn: &Connection, now_ms: i64) -> rusqlite::Result<()> {
        conn.execute(
            "INSERT INTO instances
             (number, instance_id, pid, wake_path, lock_path, started_at, heartbeat_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                self.setup.number,
                self.setup.instance_id,
                std::process::id(),
                file_name(&self.wake_path),
                file_name(&self.lock_path),
                self.started_at,
                now_ms
            ],
        )?;
        Ok(())
    }
}

/// What a row says of a file in the folder. Other processes may have the folder at another path.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What transactions go by.
fn setup(config: &SqliteConfig, number: InstanceNumber) -> Setup {
    Setup {
        instance_id: config.instance_id.as_str().to_owned(),
        number,
        cursor_ttl_ms: millis(config.file.cursor_ttl),
        rules: Rules::from(&config.rules),
        quotas: config.rules.quotas,
        counted: Counted::default(),
    }
}

/// Makes the socket and the lock, then the row: whoever sees the row can tell whether it lives.
pub(in crate::sqlite) fn register(
    prepared: &mut Prepared,
    config: &SqliteConfig,
) -> Result<(Registration, UnixDatagram), StartError> {
    let wake_dir = prepared.files.wake.clone();
    let io = |error| StartError::Io {
        path: wake_dir.clone(),
        error,
    };
    let random = uuid::Uuid::new_v4().as_fields().0;
    let name = format!("{}.{random:08x}", config.instance_id);
    let folder = Folder::of(&prepared.files).map_err(io)?;
    // Once more: somebody may have been faster.
    prepared.files.are_guarded()?;
    let socket = format!("{name}.sock");
    let wake_path = folder.path.join(&socket);
    let lock_path = folder.path.join(format!("{name}.lock"));
    let lock = own_lock(&lock_path).map_err(io)?;
    let notifier = UnixDatagram::bind(folder.short(&socket)).map_err(io)?;
    notifier.set_nonblocking(true).map_err(io)?;
    let started_at = prepared.clock.now_ms();
    let boot_id = crate::sqlite::storage::clock::boot_id().map_err(io)?;
    let made = lock_path.clone();
    let registration = |number| Registration {
        setup: setup(config, number),
        wake_path,
        lock_path,
        started_at,
        boot_id,
        folder,
        _lock: lock,
    };
    let own = enter(prepared, config, registration).inspect_err(|_| remove_with_socket(&made))?;
    Ok((own, notifier))
}

/// Makes the row, if the file has the same rules and the name is free.
fn enter(
    prepared: &mut Prepared,
    config: &SqliteConfig,
    registration: impl FnOnce(InstanceNumber) -> Registration,
) -> Result<Registration, StartError> {
    let Prepared {
        conn,
        files,
        turnstile,
        clock,
        generation: _,
    } = prepared;
    let turn = turnstile.enter_within(Duration::from_secs(10));
    let turn = turn.map_err(|error| StartError::Io {
        path: files.wake.clone(),
        error,
    })?;
    let _turn = turn.ok_or_else(|| StartError::Locked(files.lock.clone()))?;
    // Somebody may have begun with other flags since this process looked.
    check_rules(conn, config, "another".to_owned(), files)?;
    let claimed =
        claim(conn, registration, clock.now_ms()).map_err(|error| StartError::Sqlite {
            path: files.db.clone(),
            error,
        })?;
    claimed.ok_or_else(|| StartError::NameTaken(config.instance_id.as_str().to_owned()))
}

/// The lock that this process holds for as long as it lives.
fn own_lock(path: &Path) -> io::Result<File> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    hosts::sign(&lock)?;
    Ok(lock)
}

/// Takes the name; `None` if a live instance has it. One that died with it is reaped first.
fn claim(
    conn: &mut Connection,
    registration: impl FnOnce(InstanceNumber) -> Registration,
    now_ms: i64,
) -> StoreResult<Option<Registration>> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Known before the row is there, so that what is told of the one before is told by this instance.
    let own = registration(next_number(&tx)?);
    let before = tx
        .query_row(
            "SELECT number, lock_path, heartbeat_at FROM instances WHERE instance_id = ?1",
            [&own.setup.instance_id],
            |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)),
        )
        .optional()?;
    let mut lock_left = None;
    if let Some((number, lock_path, heartbeat_at)) = before {
        let silent = heartbeat_at < now_ms - millis(limits::HEARTBEAT_STALE);
        match look(&own.folder.path.join(&lock_path)) {
            Sign::Dead => {}
            Sign::Unknown if silent => {}
            Sign::Alive | Sign::Unknown => return Ok(None),
        }
        let mut txn = Txn::new(&tx, &own.setup, now_ms);
        txn.reap(number, None)?;
        txn.finish()?;
        lock_left = Some(lock_path);
    }
    own.insert(&tx, now_ms)?;
    tx.commit()?;
    if let Some(path) = lock_left {
        remove_with_socket(&own.folder.path.join(path));
    }
    Ok(Some(own))
}

/// The number behind the highest that an instance ever had: connections are named by it.
pub(in crate::sqlite) fn next_number(conn: &Connection) -> rusqlite::Result<InstanceNumber> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'instances'";
    let last: Option<u32> = conn.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(InstanceNumber(last.unwrap_or(0).saturating_add(1)))
}

/// Where sockets and locks live: beside the database, so that whoever has the one finds the others, wherever that is mounted.
#[derive(Debug)]
pub(in crate::sqlite) struct Folder {
    path: PathBuf,
    /// By this its sockets have short names, however long the path is.
    dir: File,
}

impl Folder {
    fn of(files: &Files) -> io::Result<Self> {
        // Whoever could open a lock in it could hold it, and have its owner taken for alive.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&files.wake)?;
        Ok(Self {
            path: files.wake.clone(),
            dir: File::open(&files.wake)?,
        })
    }

    /// A path to the socket that the kernel takes, valid in this process only.
    fn short(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return path;
        }
        Path::new("/proc/self/fd")
            .join(self.dir.as_raw_fd().to_string())
            .join(name)
    }
}

/// Removes sockets and locks of processes that died before they had a row.
pub(in crate::sqlite) fn remove_orphans(
    conn: &Connection,
    own: &Registration,
) -> rusqlite::Result<()> {
    let known = conn.prepare("SELECT lock_path FROM instances WHERE lock_path = ?1");
    let mut known = known?;
    let Some(dir) = own.lock_path.parent() else {
        return Ok(());
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let age = entry
            .metadata()
            .and_then(|m| m.modified())
            .ok()
            .and_then(|at| at.elapsed().ok());
        let lock = path.extension().is_some_and(|ending| ending == "lock");
        let old = age.is_some_and(|age| age > ORPHAN_AGE);
        if lock && old && look(&path) == Sign::Dead && !known.exists([file_name(&path)])? {
            remove_with_socket(&path);
        }
    }
    Ok(())
}

/// The other instances.
pub(in crate::sqlite) fn peers(
    conn: &Connection,
    own: &Registration,
) -> rusqlite::Result<Vec<Peer>> {
    let folder = &own.folder;
    let mut statement = conn.prepare_cached(sql::INSTANCES)?;
    let mut rows = statement.query([])?;
    let mut peers = Vec::new();
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        let (socket, lock): (String, String) = (row.get(3)?, row.get(4)?);
        let Ok(wake) = SocketAddr::from_pathname(folder.short(&socket)) else {
            continue;
        };
        let lock_path = folder.path.join(lock);
        if number != own.setup.number {
            peers.push(Peer {
                number,
                wake,
                lock_path,
                heartbeat_at: row.get(5)?,
            });
        }
    }
    Ok(peers)
}
