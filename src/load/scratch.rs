//! The queue file of a load without `--db`: in a folder of its own, which is deleted at the end.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::backplane::Backplane;
use crate::config::{Config, SqliteConfig, Store};
use crate::sqlite::SqliteBackplane;

/// A load writes as fast as it can. What its messages take is not what is measured.
const NO_QUOTAS: [&str; 4] = [
    "--max-canvas-log-bytes",
    "1099511627776",
    "--max-log-bytes",
    "1099511627776",
];

/// A queue file, and the temporary folder it is in unless the user named one.
#[derive(Debug)]
pub struct Scratch {
    db: PathBuf,
    temporary: Option<PathBuf>,
}

impl Scratch {
    /// The file that was named, or a fresh one.
    ///
    /// # Errors
    /// When the temporary folder can't be made.
    pub fn new(db: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(db) = db {
            return Ok(Self {
                db,
                temporary: None,
            });
        }
        let folder = std::env::temp_dir().join(format!("scumble-load-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self {
            db: folder.join("queue.db"),
            temporary: Some(folder),
        })
    }

    /// A handle of its own on the queue, as a relay process started with these flags would have it.
    ///
    /// # Errors
    /// When the file can't be opened as a queue.
    pub fn open(&self, flags: &[&str]) -> anyhow::Result<Arc<dyn Backplane>> {
        let queue = SqliteBackplane::start(self.config(flags)?).with_context(|| self.opening())?;
        Ok(queue)
    }

    /// One that hears no wakes for as long as the second value lives: it has to poll.
    ///
    /// # Errors
    /// As above.
    pub fn open_deaf(&self, flags: &[&str]) -> anyhow::Result<(Arc<dyn Backplane>, impl Sized)> {
        let started = SqliteBackplane::start_on_loop(self.config(flags)?);
        // The wakes are left unread.
        let (queue, hearing) = started.with_context(|| self.opening())?;
        Ok((queue, hearing))
    }

    fn config(&self, flags: &[&str]) -> anyhow::Result<SqliteConfig> {
        let db = [OsStr::new("--db"), self.db.as_os_str()];
        // A file that was named has the quotas of its relay.
        let quotas = self.temporary.iter().flat_map(|_| NO_QUOTAS);
        let flags = quotas.chain(flags.iter().copied()).map(OsStr::new);
        let config = Config::from_flags(db.into_iter().chain(flags))?;
        match &config.store {
            Store::Sqlite(file) => Ok(config.over(file)),
            Store::Memory | Store::Redis(_) => anyhow::bail!(
                "this load is for a file: leave out the variables SCUMBLE_REDIS and SCUMBLE_QUEUE"
            ),
        }
    }

    fn opening(&self) -> String {
        format!("opening the queue {}", self.db.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = &self.temporary {
            // A temporary folder that stays behind harms nobody.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// A backplane to try loads on.
#[cfg(test)]
pub fn in_memory() -> Arc<dyn Backplane> {
    in_memory_pair().0
}

/// Two instances of one relay to try loads on.
#[cfg(test)]
pub fn in_memory_pair() -> (Arc<dyn Backplane>, Arc<dyn Backplane>) {
    use crate::limits::{CanvasRules, ObjectBounds};
    use crate::memory::MemoryBackplane;
    use crate::protocol::ids::InstanceId;
    let name = |name| InstanceId::parse(name).expect("a good name");
    let rules = CanvasRules {
        message_ttl: std::time::Duration::from_secs(60),
        presence_grace: std::time::Duration::from_secs(10),
        bounds: ObjectBounds {
            max_objects: 100,
            max_bytes: 1 << 20,
        },
        quotas: crate::limits::Quotas::default(),
    };
    let one = MemoryBackplane::start(name("one"), &rules).expect("a thread");
    let two = one.start_peer(name("two"));
    (one, two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_goes_and_a_named_one_stays() {
        let scratch = Scratch::new(None).unwrap();
        std::fs::write(&scratch.db, "x").unwrap();
        let folder = scratch.db.parent().unwrap().to_owned();
        drop(scratch);
        assert!(!folder.exists());

        let named = tempfile::NamedTempFile::new().unwrap();
        drop(Scratch::new(Some(named.path().to_owned())).unwrap());
        assert!(named.path().exists());
    }
}
