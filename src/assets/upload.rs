//! One upload: bytes are hashed and written as they come. The asset exists once the index has it.

use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};

use super::blobs::{BlobError, BlobName};
use super::kinds::Kind;
use super::places::Writing;
use super::{Asset, AssetError, Assets, unexpected};
use crate::jobs::assets::{AssetAnswer, AssetOp, NewAsset};
use crate::limits::ASSET_CHUNK;
use crate::protocol::ids::CanvasId;

/// An upload under way. Dropped before its end, nothing of it stays.
pub struct Upload<'a> {
    assets: &'a Assets,
    canvas: CanvasId,
    sha256: String,
    kind: Kind,
    blob: BlobName,
    /// `None`: the bytes are there already, and these are only looked at.
    writing: Option<Writing>,
    /// The bytes of an asset that are known to be lost.
    lost: Option<String>,
    hasher: Option<Sha256>,
    waiting: Vec<u8>,
    bytes: u64,
}

/// How an upload ended.
#[derive(Debug)]
pub struct Uploaded {
    /// As it is kept.
    pub asset: Asset,
    /// It was not there before.
    pub new: bool,
}

impl Assets {
    /// Begins an upload.
    ///
    /// # Errors
    /// [`AssetError`]
    pub async fn upload(
        &self,
        canvas: &CanvasId,
        sha256: &str,
        kind: Kind,
    ) -> Result<Upload<'_>, AssetError> {
        let blobs = &self.begun().await?.blobs;
        let refresh = AssetOp::Refresh {
            canvas: canvas.to_string(),
            sha256: sha256.to_owned(),
        };
        let AssetAnswer::Found(there) = self.change(refresh).await? else {
            return Err(unexpected().into());
        };
        // Somebody may have removed files behind the relay's back: an upload brings them again.
        let mut lost = None;
        if let Some(there) = there.map(Asset::from) {
            if !self.noted(blobs.has(&there.blob).await)? {
                lost = Some(there.blob.file);
            }
        } else {
            lost = Some(String::new());
        }
        let blob = BlobName::new(canvas, sha256);
        let writing = match &lost {
            Some(_) => Some(self.noted_if_bad(blobs.write(&blob).await)?),
            None => None,
        };
        Ok(Upload {
            assets: self,
            canvas: canvas.clone(),
            sha256: sha256.to_owned(),
            kind,
            blob,
            writing,
            lost: lost.filter(|blob| !blob.is_empty()),
            hasher: Some(Sha256::new()),
            waiting: Vec::new(),
            bytes: 0,
        })
    }
}

impl Upload<'_> {
    /// Takes some bytes.
    ///
    /// # Errors
    /// [`AssetError`]; then it is to be dropped.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), AssetError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.assets.max_bytes() {
            return Err(AssetError::TooLarge(self.assets.max_bytes()));
        }
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= ASSET_CHUNK {
            self.write().await?;
        }
        Ok(())
    }

    /// Hashes and writes what waits, on a thread that may wait.
    async fn write(&mut self) -> Result<(), AssetError> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut hasher = self.hasher.take().unwrap_or_default();
        let hashed = super::folder::aside(move || {
            hasher.update(&waiting);
            Ok((hasher, waiting))
        });
        let (hasher, waiting) = hashed.await?;
        self.hasher = Some(hasher);
        if let Some(writing) = self.writing.take() {
            let pushed = writing.push(waiting).await;
            self.writing = Some(self.assets.noted_if_bad(pushed)?);
        }
        Ok(())
    }

    /// All bytes are here: they are checked and kept.
    ///
    /// # Errors
    /// [`AssetError`]; then nothing of it stays.
    pub async fn finish(mut self) -> Result<Uploaded, AssetError> {
        self.write().await?;
        let hash = self.hasher.take().unwrap_or_default().finalize();
        let got: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        if got != self.sha256 {
            let wanted = self.sha256.clone();
            return Err(AssetError::OtherHash { got, wanted });
        }
        let Some(writing) = self.writing.take() else {
            return self.refreshed().await;
        };
        self.assets.noted(writing.finish().await)?;
        match self.register().await {
            Ok(uploaded) => {
                if uploaded.asset.blob != self.blob {
                    // Another upload of the same came first.
                    self.remove_blob().await;
                }
                Ok(uploaded)
            }
            // What is not known to have failed may be done yet: then the sweep looks whether anybody has it.
            Err(error @ AssetError::Index(_)) if is_refused(&error) => {
                self.remove_blob().await;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// What was there when the upload began. Had it gone since, the upload is to be made again.
    async fn refreshed(&self) -> Result<Uploaded, AssetError> {
        let found = self.assets.find(&self.canvas, &self.sha256).await?;
        let asset = found.ok_or(BlobError::Gone)?;
        Ok(Uploaded { asset, new: false })
    }

    async fn register(&self) -> Result<Uploaded, AssetError> {
        let settings = &self.assets.settings;
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let new = NewAsset {
            canvas: self.canvas.to_string(),
            sha256: self.sha256.clone(),
            blob: self.blob.file.clone(),
            kind: self.kind.name.to_owned(),
            bytes: signed(self.bytes),
            canvas_bytes: signed(settings.canvas_bytes),
            total_bytes: settings.total_bytes.map(signed),
            lost: self.lost.clone(),
        };
        let AssetAnswer::Found(Some(row)) = self.assets.change(AssetOp::Add(Box::new(new))).await?
        else {
            return Err(unexpected().into());
        };
        let asset = Asset::from(row);
        let new = asset.blob == self.blob;
        if new {
            self.assets.counts.uploads.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Uploaded { asset, new })
    }

    async fn remove_blob(&self) {
        let Ok(begun) = self.assets.begun().await else {
            return;
        };
        if let Err(error) = begun.blobs.remove(&self.blob).await {
            tracing::debug!(%error, "what an upload left could not be removed; the sweep does that");
        }
    }
}

/// Whether the index has answered that it does not take it.
fn is_refused(error: &AssetError) -> bool {
    matches!(error, AssetError::Index(refused) if refused.status < 500)
}
