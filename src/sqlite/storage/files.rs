//! The files of one queue: where they are, whether they still are those that were opened, and whether they can be read.

pub(crate) mod modes;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::ErrorCode;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::migrations::Stays;
use super::start_error::{StartError, damage};
use super::stopped::{Fatal, Stopped};
use super::store_error::{MayBeDamage, StoreError};

/// How long a file is read to find out whether it can be.
const READ_THROUGH: Duration = Duration::from_secs(2);
/// Bytes that are read at once for that.
const READ_BYTES: usize = 256 * 1024;
/// After the disk could not be read, no damage is believed for so long.
const DISK_TROUBLE: Duration = Duration::from_secs(10);

/// Device and inode.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// [`Files::are_whole`], for those who only look; gives the path as [`plain`] does.
pub(crate) fn are_whole(db: &Path) -> Result<PathBuf, StartError> {
    let files = Files::of(db)?;
    files.are_whole()?;
    Ok(files.db)
}

/// The folder of sockets and locks of the database that this connection has open.
pub(crate) fn wake_folder(conn: &rusqlite::Connection) -> PathBuf {
    let mut name = OsString::from(conn.path().unwrap_or_default());
    name.push(".wake");
    PathBuf::from(name)
}

/// What an error in opening it means for somebody who only looks.
pub(crate) fn unreadable(db: &Path, error: rusqlite::Error) -> StartError {
    match Files::of(db) {
        Ok(files) => files.failed(error),
        Err(error) => error,
    }
}

/// The path of a database as SQLite is to be given it: absolute, so that no name is taken for a URI or for `:memory:`.
pub(crate) fn plain(db: &Path) -> Result<PathBuf, StartError> {
    Files::of(db).map(|files| files.db)
}

/// Those beside a database that whoever uses it must be able to use.
pub(crate) const SIDECARS: [&str; 5] = ["", "-wal", "-shm", ".lock", ".wake"];

/// The files of one queue.
#[derive(Debug)]
pub(in crate::sqlite) struct Files {
    /// The database.
    pub(in crate::sqlite) db: PathBuf,
    /// The turnstile.
    pub(in crate::sqlite) lock: PathBuf,
    /// Sockets and locks of instances.
    pub(in crate::sqlite) wake: PathBuf,
    /// SQLite's files as they were opened: device and inode.
    opened: Vec<(PathBuf, (u64, u64))>,
    disk: Disk,
}

/// What is known of the disk.
#[derive(Debug, Default)]
struct Disk {
    /// The database and its write-ahead log. Never closed: closing any descriptor of a file gives up all of the process's locks on
    /// it, SQLite's too.
    to_read: [OnceLock<ManuallyDrop<File>>; 2],
    /// When it could not be read.
    failed: Mutex<Option<Instant>>,
}

impl Files {
    /// Where they are. The path is made canonical first: two names of one file must lead to one turnstile.
    pub(in crate::sqlite) fn of(db: &Path) -> Result<Self, StartError> {
        let io = |error| StartError::Io {
            path: db.to_owned(),
            error,
        };
        let db = if db.exists() {
            db.canonicalize().map_err(io)?
        } else {
            let parent = db.parent().filter(|p| !p.as_os_str().is_empty());
            let parent = parent
                .unwrap_or(Path::new("."))
                .canonicalize()
                .map_err(io)?;
            let name = db
                .file_name()
                .ok_or_else(|| io(std::io::ErrorKind::InvalidInput.into()))?;
            parent.join(name)
        };
        let beside = |suffix: &str| {
            let mut name = OsString::from(&db);
            name.push(suffix);
            PathBuf::from(name)
        };
        Ok(Self {
            lock: beside(".lock"),
            wake: beside(".wake"),
            opened: Vec::new(),
            disk: Disk::default(),
            db,
        })
    }

    /// # Errors
    /// When the database is missing or empty, but not its write-ahead log.
    pub(in crate::sqlite) fn are_whole(&self) -> Result<(), StartError> {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        // The log first: whoever makes a new file now writes into the database before there is a log.
        let wal = self.wal();
        if bytes(&wal) > 0 && bytes(&self.db) == 0 {
            let path = self.db.clone();
            return Err(StartError::HalfGone { path, wal });
        }
        Ok(())
    }

    /// # Errors
    /// When one of them is there and can't be read and written: SQLite would only say that something is read-only.
    pub(in crate::sqlite) fn are_ours(&self) -> Result<(), StartError> {
        for suffix in SIDECARS {
            let path = self.beside(suffix);
            let Ok(found) = std::fs::metadata(&path) else {
                continue;
            };
            let wanted = Access::READ_OK | Access::WRITE_OK;
            if accessat(CWD, &path, wanted, AtFlags::EACCESS) == Err(Errno::ACCESS) {
                return Err(StartError::Foreign {
                    path,
                    owner: found.uid(),
                    mode: found.mode() & 0o7777,
                    own: rustix::process::geteuid().as_raw(),
                });
            }
        }
        Ok(())
    }

    /// Whether what SQLite can't read is somebody else's file, and not a damaged one of a relay.
    fn is_no_database(&self, error: &rusqlite::Error) -> bool {
        let ours = || {
            [".lock", ".wake", "-wal"]
                .iter()
                .any(|suffix| self.beside(suffix).exists())
        };
        error.sqlite_error_code() == Some(ErrorCode::NotADatabase) && !ours()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.db);
        name.push(suffix);
        PathBuf::from(name)
    }

    /// Notes which files SQLite has opened.
    pub(in crate::sqlite) fn note_opened(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let path = self.beside(suffix);
            self.opened.extend(identity(&path).map(|id| (path, id)));
        }
    }

    /// Whether they are still where they were. SQLite would go on writing into a file that was moved away or deleted,
    /// and what it says is committed would be gone with the last process.
    ///
    /// # Errors
    /// Which file is not there.
    pub(in crate::sqlite) fn check(&self) -> Result<(), Stopped> {
        match self
            .opened
            .iter()
            .find(|(path, id)| identity(path) != Some(*id))
        {
            None => Ok(()),
            Some((path, _)) => {
                let text = format!("{} was moved away or deleted: put it back", path.display());
                Err(Stopped::Around(text))
            }
        }
    }

    /// # Errors
    /// When another file is in the database's place: the one that is open will not come back.
    pub(in crate::sqlite) fn replaced(&self) -> Result<(), Fatal> {
        match (self.opened.first(), identity(&self.db)) {
            (Some((_, id)), Some(found)) if *id != found => Err(Fatal(format!(
                "{} is not the file that was opened: start again to use it",
                self.db.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Whether the error means that the file is damaged: a process that went on would make it worse. SQLite says the same when the
    /// disk could not be read, and that can pass; so the files are read once more, without SQLite.
    ///
    /// # Errors
    /// When it is.
    pub(in crate::sqlite) fn damaged(&self, error: &impl MayBeDamage) -> Result<(), Fatal> {
        if !error.is_damage() {
            return Ok(());
        }
        let readable = self.read_through();
        let mut failed = self.disk.failed.lock();
        match readable {
            Err(disk) => {
                tracing::warn!(%error, %disk, "the disk can't read the queue file");
                *failed = Some(Instant::now());
                Ok(())
            }
            // What SQLite met may have passed meanwhile.
            Ok(()) if failed.is_some_and(|at| at.elapsed() < DISK_TROUBLE) => Ok(()),
            Ok(()) => Err(Fatal(damage(error))),
        }
    }

    fn read_through(&self) -> io::Result<()> {
        let until = Instant::now() + READ_THROUGH;
        let paths = [self.db.clone(), self.wal()];
        for (path, file) in paths.iter().zip(&self.disk.to_read) {
            let file = match file.get() {
                Some(file) => file,
                // Without a log there is nothing to read.
                None if !path.exists() => continue,
                None => {
                    let opened = ManuallyDrop::new(File::open(path)?);
                    file.get_or_init(|| opened)
                }
            };
            read_all(file, until)?;
        }
        Ok(())
    }

    /// Why a file stays in its older version.
    pub(in crate::sqlite) fn stays(&self, stays: Stays, found: i64) -> StartError {
        let path = self.db.clone();
        match stays {
            Stays::NoWay => StartError::Version { path, found },
            Stays::InUse(user) => StartError::InUse { path, found, user },
            Stays::Failed(error) => self.failed(error),
        }
    }

    /// Why a start failed.
    pub(in crate::sqlite) fn failed(&self, error: impl Into<StoreError>) -> StartError {
        let path = self.db.clone();
        let error = error.into();
        if let StoreError::Sqlite(error) = &error
            && self.is_no_database(error)
        {
            return StartError::NotSqlite(path);
        }
        if error.is_damage() {
            return StartError::Damaged { path, error };
        }
        StartError::Sqlite { path, error }
    }

    /// The write-ahead log, to be looked at and never opened: closing it would drop SQLite's locks.
    pub(in crate::sqlite) fn wal(&self) -> PathBuf {
        self.beside("-wal")
    }
}

/// Reads from the beginning to the end, or until then.
fn read_all(file: &File, until: Instant) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0;
    while Instant::now() < until {
        match file.read_at(&mut buffer, at)? {
            0 => break,
            n => at += n as u64,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_told_from_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("relay.db");
        std::fs::write(&db, vec![7; 3 * READ_BYTES + 1]).unwrap();
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        let corrupt = rusqlite::Error::SqliteFailure(code, None);
        let files = Files::of(&db).unwrap();
        assert!(files.damaged(&corrupt).is_err());
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        let busy = rusqlite::Error::SqliteFailure(busy, None);
        assert!(files.damaged(&busy).is_ok());

        // The kernel has nothing to read at the beginning of a process's memory: EIO, as of a bad disk.
        let files = Files::of(&db).unwrap();
        let memory = File::open("/proc/self/mem").unwrap();
        files.disk.to_read[0]
            .set(ManuallyDrop::new(memory))
            .unwrap();
        assert!(files.damaged(&corrupt).is_ok());
    }
}
