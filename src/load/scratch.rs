//! The queue file of a load that was given none: in a folder of its own, gone at the end.

use std::path::{Path, PathBuf};

use anyhow::Context;

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
            return Ok(Self { db, temporary: None });
        }
        let folder = std::env::temp_dir().join(format!("scumble-load-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self { db: folder.join("queue.db"), temporary: Some(folder) })
    }

    /// Where the queue is.
    pub fn db(&self) -> &Path {
        &self.db
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_goes_and_a_named_one_stays() {
        let scratch = Scratch::new(None).unwrap();
        std::fs::write(scratch.db(), "x").unwrap();
        let folder = scratch.db().parent().unwrap().to_owned();
        drop(scratch);
        assert!(!folder.exists());

        let named = tempfile::NamedTempFile::new().unwrap();
        drop(Scratch::new(Some(named.path().to_owned())).unwrap());
        assert!(named.path().exists());
    }
}
