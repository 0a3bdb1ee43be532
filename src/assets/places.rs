//! Where blobs are: in a folder, or in a bucket. Both give and take the same.

use std::time::{Duration, SystemTime};

use super::blobs::{BlobError, BlobName, Chunks, Found};
use super::bucket::{self, Bucket};
use super::folder::{self, Folder};
use crate::config::AssetPlace;

/// The blobs of a relay.
#[derive(Debug, Clone)]
pub enum Blobs {
    /// In a folder.
    Folder(Folder),
    /// In a bucket.
    Bucket(Bucket),
}

/// A blob that is being written. Dropped before its end, nothing of it stays.
#[derive(Debug)]
pub enum Writing {
    /// Into a folder.
    Folder(folder::Writing),
    /// Into a bucket.
    Bucket(bucket::Writing),
}

impl Blobs {
    /// The blobs of that relay; `None` where there are none that outlive a process.
    ///
    /// # Errors
    /// When what is in the variables about a bucket is wrong.
    pub fn of(place: &AssetPlace, relay: &str) -> Result<Option<Self>, BlobError> {
        Ok(match place {
            AssetPlace::Folder(root) => Some(Self::Folder(Folder::new(root, relay))),
            AssetPlace::Bucket(bucket) => Some(Self::Bucket(Bucket::new(bucket, relay)?)),
            AssetPlace::Off | AssetPlace::Nowhere | AssetPlace::Temporary => None,
        })
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn write(&self, name: &BlobName) -> Result<Writing, BlobError> {
        Ok(match self {
            Self::Folder(folder) => Writing::Folder(folder.write(name).await?),
            Self::Bucket(bucket) => Writing::Bucket(bucket.write(name)),
        })
    }

    /// The bytes from `from` to before `to`, which must be in it.
    ///
    /// # Errors
    /// [`BlobError`], also in the stream.
    pub async fn read(&self, name: &BlobName, from: u64, to: u64) -> Result<Chunks, BlobError> {
        match self {
            Self::Folder(folder) => folder.read(name, from, to).await,
            Self::Bucket(bucket) => bucket.read(name, from, to).await,
        }
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn has(&self, name: &BlobName) -> Result<bool, BlobError> {
        match self {
            Self::Folder(folder) => folder.has(name).await,
            Self::Bucket(bucket) => bucket.has(name).await,
        }
    }

    /// Removes it; it may be gone already.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn remove(&self, name: &BlobName) -> Result<(), BlobError> {
        match self {
            Self::Folder(folder) => folder.remove(name).await,
            Self::Bucket(bucket) => bucket.remove(name).await,
        }
    }

    /// What is on one of the [`SHELVES`](super::blobs::SHELVES).
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn shelf(&self, shelf: u8) -> Result<Vec<Found>, BlobError> {
        match self {
            Self::Folder(folder) => folder.shelf(shelf).await,
            Self::Bucket(bucket) => bucket.shelf(shelf).await,
        }
    }

    /// Those of it that were written longer ago than that, by the clock of who has them.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn older(&self, shelf: u8, than: Duration) -> Result<Vec<BlobName>, BlobError> {
        let before = SystemTime::now().checked_sub(than);
        let found = self.shelf(shelf).await?.into_iter();
        let old = found.filter(|found| before.is_some_and(|before| found.written < before));
        Ok(old.map(|found| found.name).collect())
    }

    /// Removes what uploads have left that did not end, if nobody has written to it for so long. A bucket does that by itself.
    ///
    /// # Errors
    /// [`BlobError`]
    pub async fn tidy(&self, than: Duration) -> Result<usize, BlobError> {
        match self {
            Self::Folder(folder) => folder.tidy(than).await,
            Self::Bucket(_) => Ok(0),
        }
    }
}

impl Writing {
    /// Writes some more.
    ///
    /// # Errors
    /// [`BlobError`]; then it is gone.
    pub async fn push(self, bytes: Vec<u8>) -> Result<Self, BlobError> {
        Ok(match self {
            Self::Folder(writing) => Self::Folder(writing.push(bytes).await?),
            Self::Bucket(writing) => Self::Bucket(writing.push(bytes).await?),
        })
    }

    /// It is whole: from here on it can be read.
    ///
    /// # Errors
    /// [`BlobError`]; then nothing of it stays.
    pub async fn finish(self) -> Result<(), BlobError> {
        match self {
            Self::Folder(writing) => writing.finish().await,
            Self::Bucket(writing) => writing.finish().await,
        }
    }
}
