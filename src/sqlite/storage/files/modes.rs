//! Permissions of the files beside the database: only users that may read and write the database may do so with them.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::Files;
use crate::sqlite::storage::start_error::StartError;

/// Of a mode, who may read, write and execute.
const EVERYBODY: u32 = 0o777;
const MAY_WRITE: u32 = 0o222;

/// The mode of a file whose content is the database's too. One that is not there yet has none.
pub(crate) fn of(db: &Path) -> io::Result<u32> {
    Ok(fs::metadata(db)?.mode() & EVERYBODY)
}

/// Gives a file this mode, if it has another one.
pub(crate) fn set(path: &Path, mode: u32) -> io::Result<()> {
    if of(path)? != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Makes a database that is not there, for its owner alone: what people draw is nobody else's unless the owner says so.
pub(crate) fn make_private(db: &Path) -> io::Result<()> {
    let mut new = File::options();
    match new.create_new(true).write(true).mode(0o600).open(db) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Of a lock: to open it is enough to hold it, so only those may do so that may write the database.
fn of_lock(db: u32) -> u32 {
    let writers = db & MAY_WRITE;
    writers | writers << 1
}

impl Files {
    /// Gives what is beside the database its mode. SQLite does that when it makes a file, not when the mode changes later,
    /// and does not know the lock and the spill.
    pub(in crate::sqlite) fn share_mode(&self, spill: Option<&Path>) {
        let Ok(mode) = of(&self.db) else {
            return;
        };
        let beside = [self.wal(), self.beside("-shm")];
        let all = beside.iter().map(|path| (path.as_path(), mode));
        let all = all.chain([(self.lock.as_path(), of_lock(mode))]);
        for (path, mode) in all.chain(spill.map(|path| (path, mode))) {
            // Of another user who shares the file: that one's process does it.
            if let Err(error) = set(path, mode)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(path = %path.display(), %error, "its mode stays");
            }
        }
    }

    /// # Errors
    /// When the lock or the folder of sockets, found or made, are somebody's who is neither the database's owner nor this
    /// process's user, or are open to more users than the database: they could hold the lock, or read what is told.
    pub(in crate::sqlite) fn are_guarded(&self) -> Result<(), StartError> {
        let own = rustix::process::geteuid().as_raw();
        let database = fs::metadata(&self.db).ok();
        let owner = database.as_ref().map_or(own, MetadataExt::uid);
        let writers = database.map_or(0o200, |found| found.mode()) & MAY_WRITE;
        for path in [&self.lock, &self.wake] {
            let Ok(found) = fs::symlink_metadata(path) else {
                continue;
            };
            let strange = ![own, owner].contains(&found.uid()) || found.is_symlink();
            let open = found.is_dir() && found.mode() & MAY_WRITE & !writers != 0;
            if strange || open {
                return Err(StartError::Unguarded {
                    path: path.clone(),
                    owner: found.uid(),
                    mode: found.mode() & 0o7777,
                    own,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_open_to_those_who_may_write() {
        for (db, lock) in [
            (0o644, 0o600),
            (0o600, 0o600),
            (0o660, 0o660),
            (0o664, 0o660),
        ] {
            assert_eq!(of_lock(db), lock, "{db:o}");
        }
    }
}
