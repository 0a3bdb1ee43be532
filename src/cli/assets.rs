//! Images and files, as tools look at them: whether all that a relay's list names are where they should be.

use std::collections::HashMap;
use std::fmt;

use anyhow::{Context, anyhow, bail, ensure};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::runtime::{Builder, Runtime};

use crate::assets::{Blobs, SHELVES};
use crate::config::AssetPlace;
use crate::transfer::assets::Listed;

/// For a tool that asks a folder or a bucket now and then.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    let built = Builder::new_current_thread().enable_all().build();
    built.context("the event loop")
}

/// The list of a relay in a file; `None` if it never had one.
pub(super) fn of_file(conn: &Connection) -> rusqlite::Result<Option<Listed>> {
    let totals = conn
        .query_row("SELECT relay, bytes FROM asset_totals", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((relay, charged)) = totals else {
        return Ok(None);
    };
    let mut statement = conn.prepare("SELECT blob, bytes FROM assets ORDER BY blob")?;
    let blobs = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    Ok(Some(Listed {
        relay,
        charged,
        blobs: blobs.collect::<Result<_, _>>()?,
    }))
}

/// A place, as it is told, and as `serve` is given it.
pub(super) struct Told<'a>(pub(super) &'a AssetPlace);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AssetPlace::Folder(folder) => write!(f, "{}", folder.display()),
            AssetPlace::Bucket(bucket) => write!(f, "{}", bucket.url),
            AssetPlace::Off | AssetPlace::Nowhere | AssetPlace::Temporary => f.write_str("off"),
        }
    }
}

impl Told<'_> {
    /// The flag that says so.
    pub(super) fn flag(&self) -> String {
        match self.0 {
            AssetPlace::Bucket(_) => format!("--assets-url {self}"),
            _ => format!("--assets-dir {self}"),
        }
    }
}

/// How many are named.
pub(super) fn counted(listed: &Listed) -> String {
    let noun = match listed.blobs.len() {
        1 => "asset",
        _ => "assets",
    };
    format!("{} {noun} ({} bytes)", listed.blobs.len(), listed.bytes())
}

/// Those that are not there, or not whole; `None`: there is no place to look at.
///
/// # Errors
/// Where it can't be looked at.
pub(super) fn missing(listed: &Listed, place: &AssetPlace) -> anyhow::Result<Option<Vec<String>>> {
    let Some(blobs) = Blobs::of(place, &listed.relay)? else {
        return Ok(None);
    };
    let runtime = runtime()?;
    let mut missing = Vec::new();
    let mut at = 0;
    for shelf in SHELVES {
        let begin = format!("{shelf:02x}");
        let named = listed.blobs[at..].iter();
        let named = named.take_while(|(name, _)| name.starts_with(&begin));
        let until = at + named.count();
        let named = &listed.blobs[at..until];
        at = until;
        // A bucket may refuse the keys also when it has nothing.
        let asked = shelf == *SHELVES.start() && matches!(place, AssetPlace::Bucket(_));
        if named.is_empty() && !asked {
            continue;
        }
        let found = runtime.block_on(blobs.shelf(shelf))?.into_iter();
        let found: HashMap<String, u64> =
            found.map(|found| (found.name.file, found.bytes)).collect();
        let named = named.iter();
        let gone = named.filter(|(name, bytes)| found.get(name) != Some(bytes));
        missing.extend(gone.map(|(name, _)| name.clone()));
    }
    ensure!(
        at == listed.blobs.len(),
        "the list of assets is damaged ({}); run `scumble doctor` on the source",
        listed.blobs[at].0
    );
    Ok(Some(missing))
}

/// Where the relay's assets are is not said, and it has some.
pub(super) fn not_said(listed: &Listed) -> anyhow::Error {
    anyhow!(
        "the relay has {}: say where they are, with --assets-dir or --assets-url as serve has it, or leave them out with --assets-dir off",
        counted(listed)
    )
}

/// Makes sure that a tool is told where a relay's assets are, and that they are there.
///
/// # Errors
/// When it is not told, or some are not there.
pub(super) fn found(listed: &Listed, place: &AssetPlace) -> anyhow::Result<()> {
    let told = Told(place);
    let counted = counted(listed);
    if *place == AssetPlace::Nowhere {
        return Err(not_said(listed));
    }
    if let Some(missing) = missing(listed, place)?
        && let Some(first) = missing.first()
    {
        bail!(
            "the relay has {counted}, and {} of them are not in {told}, or not whole, such as {first}: give --assets-dir or \
             --assets-url as serve has it, or leave all out with --assets-dir off",
            missing.len()
        );
    }
    Ok(())
}
