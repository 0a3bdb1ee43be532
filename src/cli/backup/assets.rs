//! Images and files in a backup: those that the copy of the file names, in a folder beside the copy.

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use futures::TryStreamExt as _;
use rusqlite::{Connection, params};

use crate::assets::{BlobError, BlobName, Folder};
use crate::cli::assets::{counted, not_said, of_file, runtime};
use crate::config::AssetPlace;

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    assets: u64,
    bytes: u64,
    /// Were named by the file, and not there.
    missing: u64,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.assets == 1 { "asset" } else { "assets" };
        write!(f, "{} {noun}, {} bytes", self.assets, self.bytes)?;
        if self.missing > 0 {
            write!(
                f,
                "; {} more were not there and are taken off the copy's list: they ended meanwhile, or somebody removed their files",
                self.missing
            )?;
        }
        Ok(())
    }
}

/// Copies what the file `db`, itself a copy, names; what to tell of it. What is in a bucket stays there.
///
/// # Errors
/// When it is not said where they are, or something can't be read or written. What was written then stays.
pub(super) fn copy(db: &Path, place: &AssetPlace, to: &Path) -> anyhow::Result<Option<String>> {
    let conn = Connection::open(std::path::absolute(db)?)?;
    let Some(listed) = of_file(&conn)?.filter(|listed| !listed.blobs.is_empty()) else {
        return Ok(None);
    };
    let from = match place {
        AssetPlace::Folder(folder) => Folder::new(folder, &listed.relay),
        AssetPlace::Bucket(bucket) => {
            return Ok(Some(format!(
                "{}: {} stay there; the copy names them. Have the bucket keep what is deleted for as long as you keep copies",
                bucket.url,
                counted(&listed)
            )));
        }
        AssetPlace::Nowhere => return Err(not_said(&listed)),
        AssetPlace::Off | AssetPlace::Temporary => return Ok(None),
    };
    let copied = runtime()?.block_on(all(&conn, &from, &Folder::new(to, &listed.relay)))?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(Some(format!("{}: {copied}", to.display())))
}

async fn all(conn: &Connection, from: &Folder, to: &Folder) -> anyhow::Result<Copied> {
    let mut copied = Copied::default();
    let mut missing = Vec::new();
    let mut rows = conn.prepare("SELECT blob, bytes FROM assets")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (file, bytes): (String, i64) = (row.get(0)?, row.get(1)?);
        let Some(name) = BlobName::parse(&file) else {
            bail!("the list of assets is damaged ({file}); run `scumble doctor` on the source");
        };
        let one = one(from, to, &name, bytes.cast_unsigned()).await;
        match one {
            Ok(()) => {
                copied.assets += 1;
                copied.bytes += bytes.cast_unsigned();
            }
            Err(BlobError::Gone) => missing.push(name),
            Err(error) => return Err(error).with_context(|| format!("the asset {file}")),
        }
    }
    copied.missing = missing.len() as u64;
    take_off(conn, &missing)?;
    Ok(copied)
}

async fn one(from: &Folder, to: &Folder, name: &BlobName, bytes: u64) -> Result<(), BlobError> {
    if bytes == 0 && !from.has(name).await? {
        return Err(BlobError::Gone);
    }
    let mut chunks = from.read(name, 0, bytes).await?;
    let mut writing = to.write(name).await?;
    while let Some(chunk) = chunks.try_next().await? {
        writing = writing.push(chunk.to_vec()).await?;
    }
    writing.finish().await
}

/// A list that names what is not there would have uploads of it refused as known.
fn take_off(conn: &Connection, missing: &[BlobName]) -> rusqlite::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    for name in missing {
        let sql = "DELETE FROM assets WHERE canvas = ?1 AND sha256 = ?2";
        conn.execute(sql, params![name.canvas, name.sha256])?;
    }
    conn.execute_batch(&format!(
        "UPDATE asset_canvases SET
             assets = (SELECT count(*) FROM assets AS a WHERE a.canvas = asset_canvases.canvas),
             bytes = (SELECT coalesce(sum(max(a.bytes, {charge})), 0) FROM assets AS a
                      WHERE a.canvas = asset_canvases.canvas);
         DELETE FROM asset_canvases WHERE assets = 0;
         UPDATE asset_totals SET
             assets = (SELECT coalesce(sum(assets), 0) FROM asset_canvases),
             bytes = (SELECT coalesce(sum(bytes), 0) FROM asset_canvases);",
        charge = crate::limits::ASSET_CHARGE
    ))
}
