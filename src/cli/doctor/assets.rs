//! Checks that all images and files that the database names are there.

use std::fs;

use crate::assets::{BlobName, Folder};
use crate::config::AssetPlace;

use super::{Patient, Verdict};

/// Looks for each file.
pub(super) fn files(patient: &Patient<'_>) -> anyhow::Result<Vec<Verdict>> {
    let totals = "SELECT relay, assets, bytes FROM asset_totals";
    let mut totals = patient.conn.prepare(totals)?;
    let mut rows = totals.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(vec![Verdict::Fine("none".to_owned())]);
    };
    let (relay, assets, bytes): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let counted = format!("{assets}, of {bytes} bytes as quotas count");
    let folder = match patient.args.assets.place(&patient.args.source.db) {
        AssetPlace::Folder(folder) => folder,
        _ => return Ok(vec![Verdict::Fine(counted)]),
    };
    let blobs = Folder::new(&folder, &relay);
    let mut missing = 0;
    let mut first = None;
    let mut statement = patient.conn.prepare("SELECT blob, bytes FROM assets")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (file, bytes): (String, i64) = (row.get(0)?, row.get(1)?);
        let path = BlobName::parse(&file).map(|name| blobs.path(&name));
        let there = path.and_then(|path| fs::metadata(path).ok());
        if there.is_none_or(|there| there.len() != bytes.cast_unsigned()) {
            missing += 1;
            first.get_or_insert(file);
        }
    }
    Ok(vec![match first {
        None => Verdict::Fine(format!("{counted}; all files are in {}", folder.display())),
        Some(first) => Verdict::finding(
            format!(
                "{missing} of {assets} are not in {}, or not whole: {first}",
                folder.display()
            ),
            "give the folder that serve has as --assets-dir; if it is the one, copy the files back from a backup, \
             or have clients upload them again",
        ),
    }])
}
