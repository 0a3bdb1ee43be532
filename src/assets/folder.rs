//! Blobs in a folder: `{relay}/{first byte of the hash}/{name}`. Unfinished ones are in `{relay}/tmp`.
//!
//! Everything that touches the disk runs on a thread that may wait. A file gets its name once the disk has all of it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use uuid::Uuid;

use super::blobs::{BlobError, BlobName, Chunks, Found};
use crate::limits::ASSET_CHUNK;

/// What is being written.
const TEMPORARY: &str = "tmp";

/// See the module's head.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

/// A blob that is being written. Dropped before its end, nothing of it stays.
#[derive(Debug)]
pub struct Writing {
    file: File,
    /// Deleted when this is dropped, unless it has its name by then.
    temporary: Temporary,
    to: PathBuf,
}

#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It has its name, or is not needed. If it can't be deleted now, it is once it is old.
        let _ = fs::remove_file(&self.0);
    }
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full(error.to_string())
            }
            ErrorKind::NotFound => Self::Gone,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// On a thread that may wait.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BlobError::Failed(error.to_string()))?
}

impl Folder {
    /// The blobs of that relay in `root`. Nothing is made before something is written.
    #[must_use]
    pub fn new(root: &Path, relay: &str) -> Self {
        let root = root.join(relay);
        Self { root }
    }

    /// Where that blob is.
    #[must_use]
    pub fn path(&self, name: &BlobName) -> PathBuf {
        self.root.join(name.shelf()).join(&name.file)
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn write(&self, name: &BlobName) -> Result<Writing, BlobError> {
        let folder = self.root.join(TEMPORARY);
        let to = self.path(name);
        aside(move || {
            make(&folder)?;
            let path = folder.join(Uuid::new_v4().simple().to_string());
            let mut options = OpenOptions::new();
            let file = options
                .create_new(true)
                .write(true)
                .mode(0o640)
                .open(&path)?;
            let temporary = Temporary(path);
            Ok(Writing {
                file,
                temporary,
                to,
            })
        })
        .await
    }

    /// The bytes from `from` to before `to`, which must be in it.
    ///
    /// # Errors
    /// [`BlobError`], also in the stream.
    pub async fn read(&self, name: &BlobName, from: u64, to: u64) -> Result<Chunks, BlobError> {
        let path = self.path(name);
        let file = aside(move || {
            let file = File::open(path)?;
            if file.metadata()?.len() < to {
                return Err(BlobError::Failed(
                    "the file of an asset is shorter than it was".to_owned(),
                ));
            }
            Ok(file)
        });
        let file = file.await?;
        let chunks = stream::try_unfold((file, from), move |(file, at)| async move {
            if at >= to {
                return Ok(None);
            }
            aside(move || {
                let left = usize::try_from(to - at).unwrap_or(ASSET_CHUNK);
                let mut chunk = vec![0; left.min(ASSET_CHUNK)];
                file.read_exact_at(&mut chunk, at)?;
                let next = at + chunk.len() as u64;
                Ok(Some((Bytes::from(chunk), (file, next))))
            })
            .await
        });
        Ok(chunks.boxed())
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn has(&self, name: &BlobName) -> Result<bool, BlobError> {
        let path = self.path(name);
        aside(move || Ok(path.try_exists()?)).await
    }

    /// Removes it; it may be gone already.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn remove(&self, name: &BlobName) -> Result<(), BlobError> {
        let path = self.path(name);
        aside(move || match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        })
        .await
    }

    /// What is on one of the [`SHELVES`](super::blobs::SHELVES).
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn shelf(&self, shelf: u8) -> Result<Vec<Found>, BlobError> {
        let folder = self.root.join(format!("{shelf:02x}"));
        aside(move || {
            let files = files(&folder)?.into_iter();
            let found = files.filter_map(|(path, bytes, written)| {
                let name = BlobName::parse(path.file_name()?.to_str()?)?;
                Some(Found {
                    name,
                    bytes,
                    written,
                })
            });
            Ok(found.collect())
        })
        .await
    }

    /// Removes what uploads have left that did not end, if nobody has written to it for so long.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn tidy(&self, than: Duration) -> Result<usize, BlobError> {
        let folder = self.root.join(TEMPORARY);
        aside(move || {
            let mut old = files(&folder)?;
            let before = SystemTime::now().checked_sub(than);
            old.retain(|(.., written)| before.is_some_and(|before| *written < before));
            for (path, ..) in &old {
                // Somebody else may tidy, too.
                let _ = fs::remove_file(path);
            }
            Ok(old.len())
        })
        .await
    }
}

impl Writing {
    /// Writes some more.
    ///
    /// # Errors
    /// [`BlobError`]; then it is gone.
    pub async fn push(mut self, bytes: Vec<u8>) -> Result<Self, BlobError> {
        aside(move || {
            self.file.write_all(&bytes)?;
            Ok(self)
        })
        .await
    }

    /// It is whole: from here on it can be read, whatever happens to the process or the host.
    ///
    /// # Errors
    /// [`BlobError`]; then nothing of it stays.
    ///
    /// First the bytes, then the name, then the folder that has the name: after a power cut it is whole or not there.
    pub async fn finish(self) -> Result<(), BlobError> {
        aside(move || {
            self.file.sync_all()?;
            let shelf = self.to.parent().unwrap_or(Path::new("."));
            make(shelf)?;
            fs::rename(&self.temporary.0, &self.to)?;
            File::open(shelf)?.sync_all()?;
            Ok(())
        })
        .await
    }
}

/// Makes a folder, and those above it.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(folder)?;
    match folder.parent() {
        Some(above) => File::open(above)?.sync_all(),
        None => Ok(()),
    }
}

/// Files of a folder that may not be there, their bytes, and when they were last written to.
fn files(folder: &Path) -> io::Result<Vec<(PathBuf, u64, SystemTime)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        // It may be gone meanwhile.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_file() {
            found.push((entry.path(), metadata.len(), metadata.modified()?));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::places::Blobs;
    use super::*;
    use crate::protocol::ids::CanvasId;
    use futures::TryStreamExt as _;

    async fn written(folder: &Folder, bytes: &[u8]) -> BlobName {
        let name = BlobName::new(&CanvasId::parse("c").unwrap(), &"0f".repeat(32));
        let writing = folder.write(&name).await.unwrap();
        let writing = writing.push(bytes.to_vec()).await.unwrap();
        writing.finish().await.unwrap();
        name
    }

    async fn read(folder: &Folder, name: &BlobName, from: u64, to: u64) -> Vec<u8> {
        let chunks = folder.read(name, from, to).await.unwrap();
        let chunks: Vec<Bytes> = chunks.try_collect().await.unwrap();
        chunks.concat()
    }

    #[tokio::test]
    async fn what_is_written_is_read_in_pieces_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path(), "relay");
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * ASSET_CHUNK + 7).collect();
        let name = written(&folder, &bytes).await;
        assert_eq!(read(&folder, &name, 0, bytes.len() as u64).await, bytes);
        assert_eq!(read(&folder, &name, 5, 9).await, bytes[5..9]);
        assert!(read(&folder, &name, 9, 9).await.is_empty());
        assert!(folder.has(&name).await.unwrap());
        folder.remove(&name).await.unwrap();
        folder.remove(&name).await.unwrap();
        assert!(!folder.has(&name).await.unwrap());
        let gone = folder.read(&name, 0, 1).await.err();
        assert!(matches!(gone, Some(BlobError::Gone)));
    }

    #[tokio::test]
    async fn what_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path(), "relay");
        let name = BlobName::new(&CanvasId::parse("c").unwrap(), &"0f".repeat(32));
        let writing = folder.write(&name).await.unwrap();
        let writing = writing.push(vec![1; 9]).await.unwrap();
        let temporary = dir.path().join("relay/tmp");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
        drop(writing);
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
        assert!(!folder.has(&name).await.unwrap());
    }

    #[tokio::test]
    async fn what_a_killed_process_left_goes_once_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path(), "relay");
        let name = written(&folder, b"here").await;
        fs::write(dir.path().join("relay/tmp/left"), "half").unwrap();
        fs::write(dir.path().join("relay/0f/notes.txt"), "of somebody").unwrap();
        let hour = Duration::from_secs(3_600);
        assert_eq!(folder.tidy(hour).await.unwrap(), 0);
        let blobs = Blobs::Folder(folder.clone());
        assert!(blobs.older(0x0f, hour).await.unwrap().is_empty());
        let old = SystemTime::now() - 2 * hour;
        for path in ["relay/tmp/left", "relay/0f/notes.txt"] {
            let file = File::options()
                .write(true)
                .open(dir.path().join(path))
                .unwrap();
            file.set_modified(old).unwrap();
        }
        File::options()
            .write(true)
            .open(folder.path(&name))
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(folder.tidy(hour).await.unwrap(), 1);
        assert_eq!(blobs.older(0x0f, hour).await.unwrap(), [name]);
        assert!(blobs.older(0x10, hour).await.unwrap().is_empty());
    }
}
