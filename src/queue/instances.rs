//! The registry of instances: each has a row, a socket to be woken by, and a lock that the kernel frees when it dies.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::apply::{Setup, Txn};
use super::files::Files;
use super::schema::{Prepared, millis};
use super::start_error::StartError;
use super::wake::Peer;
use super::{hosts, sql};
use crate::backplane::object_bounds::ObjectBounds;
use crate::config::QueueConfig;
use crate::limits;

/// The longest path of a socket: 108 bytes on Linux with the zero at the end, 104 elsewhere.
const MAX_SOCKET_PATH: usize = 103;

/// A lock file without a row is left alone for this long: its owner may be about to register.
const ORPHAN_AGE: Duration = Duration::from_secs(60);

/// This instance in the registry.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) setup: Setup,
    pub(super) wake_path: PathBuf,
    pub(super) lock_path: PathBuf,
    pub(super) started_at: i64,
    /// The kernel's name for this boot.
    pub(super) boot_id: String,
    /// Held for as long as this process lives.
    _lock: File,
}

impl Registration {
    /// The row itself; written again should somebody have taken this instance for dead.
    pub(super) fn insert(
        &self,
        conn: &Connection,
        number: Option<u32>,
        now_ms: i64,
    ) -> rusqlite::Result<i64> {
        conn.execute(
            "INSERT INTO instances
             (number, instance_id, pid, wake_path, lock_path, started_at, heartbeat_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                number,
                self.setup.instance_id,
                std::process::id(),
                self.wake_path.to_string_lossy(),
                self.lock_path.to_string_lossy(),
                self.started_at,
                now_ms
            ],
        )?;
        Ok(conn.last_insert_rowid())
    }

    /// Removes the socket and the lock.
    pub(super) fn remove_files(&self) {
        remove(&self.wake_path);
        remove(&self.lock_path);
    }
}

/// Makes the socket and the lock, then the row: whoever sees the row can tell whether it lives.
pub(super) fn register(
    prepared: &mut Prepared,
    config: &QueueConfig,
) -> Result<(Registration, UnixDatagram), StartError> {
    let Prepared {
        conn,
        files,
        turnstile,
        clock,
    } = prepared;
    let wake_dir = files.wake.clone();
    let io = |error| StartError::Io {
        path: wake_dir.clone(),
        error,
    };
    let name = format!(
        "{}.{:08x}",
        config.instance_id,
        uuid::Uuid::new_v4().as_fields().0
    );
    let dir = folder(files, name.len() + 6).map_err(io)?;
    let (wake_path, lock_path) = (
        dir.join(format!("{name}.sock")),
        dir.join(format!("{name}.lock")),
    );
    let lock = own_lock(&lock_path).map_err(io)?;
    let bell = UnixDatagram::bind(&wake_path).map_err(io)?;
    bell.set_nonblocking(true).map_err(io)?;
    let setup = Setup {
        instance_id: config.instance_id.as_str().to_owned(),
        number: 0,
        message_ttl_ms: millis(config.message_ttl),
        cursor_ttl_ms: millis(config.cursor_ttl),
        grace_ms: millis(config.presence_grace),
        bounds: ObjectBounds {
            max_objects: config.max_objects,
            max_bytes: config.max_canvas_bytes,
        },
    };
    let started_at = clock.now_ms();
    let mut registration = Registration {
        setup,
        wake_path,
        lock_path,
        started_at,
        boot_id: super::clock::boot_id().map_err(io)?,
        _lock: lock,
    };
    let turn = turnstile
        .enter_within(Duration::from_secs(10))
        .map_err(io)?;
    let _turn = turn.ok_or_else(|| StartError::Locked(files.lock.clone()))?;
    match claim(conn, &registration, clock.now_ms()) {
        Ok(Some(number)) => {
            registration.setup.number = number;
            Ok((registration, bell))
        }
        Ok(None) => {
            registration.remove_files();
            Err(StartError::NameTaken(
                config.instance_id.as_str().to_owned(),
            ))
        }
        Err(error) => {
            registration.remove_files();
            Err(StartError::Sqlite {
                path: files.db.clone(),
                error,
            })
        }
    }
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
fn claim(conn: &mut Connection, own: &Registration, now_ms: i64) -> rusqlite::Result<Option<u32>> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
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
        match look(Path::new(&lock_path)) {
            Sign::Dead => {}
            Sign::Unknown if silent => {}
            Sign::Alive | Sign::Unknown => return Ok(None),
        }
        let mut txn = Txn::new(&tx, &own.setup, now_ms);
        txn.reap(number, None)?;
        txn.finish()?;
        lock_left = Some(lock_path);
    }
    let number = own.insert(&tx, None, now_ms)?;
    tx.commit()?;
    if let Some(path) = lock_left {
        remove(Path::new(&path));
        remove(&Path::new(&path).with_extension("sock"));
    }
    Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
}

/// Where sockets and locks live: beside the database, or in a short folder named after it if that path is too long.
fn folder(files: &Files, name_bytes: usize) -> io::Result<PathBuf> {
    if files.wake.as_os_str().len() + name_bytes <= MAX_SOCKET_PATH {
        // Whoever could open a lock in it could hold it, and have its owner taken for alive.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&files.wake)?;
        return Ok(files.wake.clone());
    }
    let mut hasher = DefaultHasher::new();
    files.db.hash(&mut hasher);
    let dir = PathBuf::from(format!("/tmp/scumble-{:016x}", hasher.finish()));
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    // Anybody can make a folder in /tmp: use it only if it is ours.
    let found = fs::symlink_metadata(&dir)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        let message = format!("{} belongs to somebody else", dir.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(dir)
}

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

/// Removes a file that may be gone.
pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %path.display(), %error, "a file stays behind");
    }
}

/// Removes sockets and locks of processes that died before they had a row.
pub(super) fn remove_orphans(conn: &Connection, own: &Registration) -> rusqlite::Result<()> {
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
        if lock && old && look(&path) == Sign::Dead && !known.exists([path.to_string_lossy()])? {
            remove(&path.with_extension("sock"));
            remove(&path);
        }
    }
    Ok(())
}

/// The other instances.
pub(super) fn peers(conn: &Connection, own: u32) -> rusqlite::Result<Vec<Peer>> {
    let mut statement = conn.prepare_cached(sql::INSTANCES)?;
    let mut rows = statement.query([])?;
    let mut peers = Vec::new();
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let wake_path = PathBuf::from(row.get::<_, String>(3)?);
        let Ok(wake) = SocketAddr::from_pathname(&wake_path) else {
            continue;
        };
        let lock_path = PathBuf::from(row.get::<_, String>(4)?);
        if number != i64::from(own) {
            peers.push(Peer {
                number,
                wake,
                lock_path,
                wake_path,
                heartbeat_at: row.get(5)?,
            });
        }
    }
    Ok(peers)
}
