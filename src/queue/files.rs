//! The files of one queue: where they are, and whether they still are what was opened.
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Fatal;
use super::migrations::Stays;
use super::schema::{StartError, is_damage};

/// Device and inode.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// The files of one queue.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The database.
    pub(super) db: PathBuf,
    /// The turnstile.
    pub(super) lock: PathBuf,
    /// Sockets and locks of instances.
    pub(super) wake: PathBuf,
    /// SQLite's files as they were opened: device and inode.
    opened: Vec<(PathBuf, (u64, u64))>,
}

impl Files {
    /// Where they are. The path is made canonical first: two names of one file must lead to one turnstile.
    pub(super) fn of(db: &Path) -> Result<Self, StartError> {
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
            db,
        })
    }

    /// # Errors
    /// When the database is missing or empty, but not its write-ahead log.
    pub(super) fn are_whole(&self) -> Result<(), StartError> {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        // The log first: whoever makes a new file now writes into the database before there is a log.
        let wal = self.wal();
        if bytes(&wal) > 0 && bytes(&self.db) == 0 {
            let path = self.db.clone();
            return Err(StartError::HalfGone { path, wal });
        }
        Ok(())
    }

    /// Notes which files SQLite has opened.
    pub(super) fn note_opened(&mut self) {
        for ending in ["", "-wal", "-shm"] {
            let mut path = OsString::from(&self.db);
            path.push(ending);
            let path = PathBuf::from(path);
            self.opened.extend(identity(&path).map(|id| (path, id)));
        }
    }

    /// Whether they are still where they were. SQLite would go on writing into a file that was moved away or deleted,
    /// and what it says is committed would be gone with the last process.
    ///
    /// # Errors
    /// An I/O error that says which file is not there.
    pub(super) fn check(&self) -> rusqlite::Result<()> {
        match self
            .opened
            .iter()
            .find(|(path, id)| identity(path) != Some(*id))
        {
            None => Ok(()),
            Some((path, _)) => {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
                let text = format!("{} was moved away or deleted: put it back", path.display());
                Err(rusqlite::Error::SqliteFailure(code, Some(text)))
            }
        }
    }

    /// # Errors
    /// When another file is in the database's place: the one that is open will not come back.
    pub(super) fn replaced(&self) -> Result<(), Fatal> {
        match (self.opened.first(), identity(&self.db)) {
            (Some((_, id)), Some(found)) if *id != found => Err(Fatal(format!(
                "{} is not the file that was opened: start again to use it",
                self.db.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Why a file stays in its older version.
    pub(super) fn stays(&self, stays: Stays, found: i64) -> StartError {
        let path = self.db.clone();
        match stays {
            Stays::NoWay => StartError::Version { path, found },
            Stays::InUse(user) => StartError::InUse { path, found, user },
            Stays::Failed(error) => self.failed(error),
        }
    }

    /// Why a start failed.
    pub(super) fn failed(&self, error: rusqlite::Error) -> StartError {
        let path = self.db.clone();
        if is_damage(&error) {
            return StartError::Damaged { path, error };
        }
        StartError::Sqlite { path, error }
    }

    /// The write-ahead log, to be looked at and never opened: closing it would drop SQLite's locks.
    pub(super) fn wal(&self) -> PathBuf {
        let mut name = OsString::from(&self.db);
        name.push("-wal");
        PathBuf::from(name)
    }
}
