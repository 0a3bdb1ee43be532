//! Deletes assets a day after the last object that named them is gone. One process does it at a time, by a lease in the
//! index.
//!
//! A canvas without assets is never looked at. A canvas that has not changed costs one read of its head. Uploads that
//! did not end leave files that the index does not list; these are deleted once they are old.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::blobs::{BlobName, SHELVES};
use super::{Asset, AssetError, Assets, named, unexpected};
use crate::backplane::{Directory, Snapshot};
use crate::jobs::assets::{AssetAnswer, AssetOp, AssetQuery, Judge};
use crate::jobs::rows::AssetCanvas;
use crate::limits::{ASSET_SWEEP, ASSET_UPLOAD};
use crate::protocol::ids::CanvasId;

/// The pause between two canvases: others have the loop and the store meanwhile.
const BETWEEN: Duration = Duration::from_millis(2);
/// A sweep is made so much more often than assets end.
const SWEEPS_PER_TTL: u32 = 4;
/// How soon after the start of a process its first sweep is.
const FIRST: Duration = Duration::from_secs(2);
/// How long whoever sweeps may be silent at least before another does. Two at once do no harm.
const LEASE: Duration = Duration::from_secs(5);
/// Names of files of which it is asked at once whether somebody has them.
const ORPHANS_AT_ONCE: usize = 256;
/// What a canvas that is not there was seen at.
const NO_CANVAS: &str = "-";

/// Looks whether the place of assets can be used, then sweeps, as long as the process runs.
pub async fn run(assets: Arc<Assets>, directory: Arc<dyn Directory>) {
    let every = (assets.settings.ttl / SWEEPS_PER_TTL).min(ASSET_SWEEP);
    if let Err(error) = assets.look().await {
        tracing::error!(%error, "assets can't be kept or read");
    }
    let mut sweeper = Sweeper {
        holder: uuid::Uuid::new_v4().simple().to_string(),
        every,
        orphans_at: Instant::now(),
        orphans_left: false,
        assets,
        directory,
        failing: false,
    };
    tokio::time::sleep(every.min(FIRST)).await;
    loop {
        match sweeper.round().await {
            Ok(()) => sweeper.failing = false,
            // The next one tries again; readiness and the writer report what lasts.
            Err(error) => {
                if !sweeper.failing {
                    tracing::warn!(%error, "unused assets could not be looked for; the next round tries again");
                }
                sweeper.failing = true;
            }
        }
        tokio::time::sleep(every).await;
    }
}

struct Sweeper {
    assets: Arc<Assets>,
    directory: Arc<dyn Directory>,
    holder: String,
    every: Duration,
    orphans_at: Instant,
    /// Blobs of this round could not be removed.
    orphans_left: bool,
    failing: bool,
}

impl Sweeper {
    async fn round(&mut self) -> Result<(), AssetError> {
        if !self.leads().await? {
            return Ok(());
        }
        let mut after = String::new();
        loop {
            let query = AssetQuery::Canvases { after };
            let AssetAnswer::Canvases(canvases) = self.assets.ask(query).await? else {
                return Err(unexpected().into());
            };
            let Some(last) = canvases.last() else { break };
            after = last.canvas.clone();
            for canvas in &canvases {
                self.canvas(canvas).await?;
                tokio::time::sleep(BETWEEN).await;
            }
            if !self.leads().await? {
                return Ok(());
            }
        }
        if self.orphans_left || Instant::now() >= self.orphans_at {
            self.orphans().await?;
            self.orphans_left = false;
            self.orphans_at = Instant::now() + self.assets.settings.ttl;
        }
        Ok(())
    }

    /// Whether it is this process that sweeps, for a while from now on.
    async fn leads(&self) -> Result<bool, AssetError> {
        let ms = (self.every * 2).max(LEASE).as_millis();
        let lease = AssetOp::Lease {
            holder: self.holder.clone(),
            ms: i64::try_from(ms).unwrap_or(i64::MAX),
        };
        match self.assets.change(lease).await? {
            AssetAnswer::Leased(leased) => Ok(leased),
            _ => Err(unexpected().into()),
        }
    }

    async fn canvas(&mut self, of: &AssetCanvas) -> Result<(), AssetError> {
        let Ok(canvas) = CanvasId::parse(&of.canvas) else {
            return Ok(());
        };
        let (seen, used) = match self.names(&canvas, &of.seen).await {
            Ok(names) => names,
            Err(error) => {
                // What can't be read names what it names: its turn comes again.
                tracing::debug!(%canvas, error, "a canvas with assets could not be read");
                return Ok(());
            }
        };
        let ttl_ms = i64::try_from(self.assets.settings.ttl.as_millis()).unwrap_or(i64::MAX);
        let mut judge = Judge {
            canvas: of.canvas.clone(),
            seen,
            before: of.seen.clone(),
            used: used.map(Arc::new),
            after: String::new(),
            ttl_ms,
        };
        loop {
            let AssetAnswer::Judged { gone, next } =
                self.assets.change(AssetOp::Judge(judge.clone())).await?
            else {
                return Err(unexpected().into());
            };
            for row in gone {
                self.remove(&Asset::from(row).blob).await;
            }
            let Some(next) = next else { return Ok(()) };
            judge.after = next;
        }
    }

    /// Where a canvas is, and which assets its objects name; `None`: it is where it was.
    async fn names(
        &self,
        canvas: &CanvasId,
        seen: &str,
    ) -> Result<(String, Option<HashSet<String>>), String> {
        let found = self
            .directory
            .find(canvas)
            .await
            .map_err(|e| e.to_string())?;
        let Some(found) = found else {
            let used = (seen != NO_CANVAS).then(HashSet::new);
            return Ok((NO_CANVAS.to_owned(), used));
        };
        let place = |at: crate::protocol::ids::Position| format!("{}:{}", at.epoch, at.seq);
        if place(found.head) == seen {
            return Ok((seen.to_owned(), None));
        }
        let snapshot = self.directory.snapshot(&found.canvas).await;
        let snapshot = snapshot.map_err(|e| e.to_string())?;
        let (at, used) = tokio::task::spawn_blocking(move || names_in(&snapshot))
            .await
            .map_err(|e| e.to_string())?;
        Ok((place(at), Some(used)))
    }

    async fn remove(&mut self, blob: &BlobName) {
        let counts = &self.assets.counts;
        counts.removed.fetch_add(1, Ordering::Relaxed);
        // Where one could not be removed, others would have to wait as long. They are orphans now.
        if self.orphans_left {
            return;
        }
        let Ok(begun) = self.assets.begun().await else {
            return;
        };
        if let Err(error) = self.assets.noted(begun.blobs.remove(blob).await) {
            tracing::warn!(%error, blob = blob.file, "an asset could not be removed; it is tried again");
            self.orphans_left = true;
        }
    }

    /// Files that the index does not know, and that are older than any upload.
    async fn orphans(&self) -> Result<(), AssetError> {
        let blobs = &self.assets.begun().await?.blobs;
        let old = self.assets.settings.ttl.max(ASSET_UPLOAD);
        let tidied = self.assets.noted_if_bad(blobs.tidy(ASSET_UPLOAD).await)?;
        if tidied > 0 {
            tracing::info!(tidied, "uploads that did not end were removed");
        }
        for shelf in SHELVES {
            let files = self.assets.noted(blobs.older(shelf, old).await)?;
            for some in files.chunks(ORPHANS_AT_ONCE) {
                let names = some
                    .iter()
                    .map(|name| (name.canvas.clone(), name.sha256.clone(), name.file.clone()));
                let query = AssetQuery::Orphans(Arc::new(names.collect()));
                let AssetAnswer::Orphans(orphans) = self.assets.ask(query).await? else {
                    return Err(unexpected().into());
                };
                let orphans: HashSet<String> = orphans.into_iter().collect();
                for name in some.iter().filter(|name| orphans.contains(&name.file)) {
                    blobs.remove(name).await?;
                }
            }
            tokio::time::sleep(BETWEEN).await;
        }
        Ok(())
    }
}

fn names_in(snapshot: &Snapshot) -> (crate::protocol::ids::Position, HashSet<String>) {
    let mut used = HashSet::new();
    for object in &snapshot.objects {
        named::collect(object, &mut used);
    }
    (snapshot.at, used)
}
