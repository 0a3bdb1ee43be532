//! Images and files: whether all that the list names are there.

use super::{Patient, Verdict};
use crate::cli::assets::{Told, missing, of_file};
use crate::config::AssetPlace;
use crate::transfer::assets::Listed;

/// Of a relay in a file.
pub(super) fn files(patient: &Patient<'_>) -> anyhow::Result<Vec<Verdict>> {
    let place = patient.args.assets.place(Some(&patient.args.source.db))?;
    listed(of_file(&patient.conn)?, &place)
}

/// Looks for each.
pub(super) fn listed(listed: Option<Listed>, place: &AssetPlace) -> anyhow::Result<Vec<Verdict>> {
    let Some(listed) = listed else {
        return Ok(vec![Verdict::Fine("none".to_owned())]);
    };
    let assets = listed.blobs.len();
    let told = Told(place);
    let counted = format!("{assets}, of {} bytes as quotas count", listed.charged);
    let verdict = match missing(&listed, place) {
        Err(error) => Verdict::finding(
            format!("{told} can't be looked at: {error:#}"),
            "see that the folder or the bucket is there, and may be read; until then uploads get 503, and pictures don't load",
        ),
        Ok(None) if assets == 0 || *place == AssetPlace::Off => Verdict::Fine(counted),
        Ok(None) => Verdict::Fine(format!(
            "{counted}; without --assets-dir or --assets-url their files are not looked for"
        )),
        Ok(Some(missing)) => match missing.first() {
            None => Verdict::Fine(format!("{counted}; all files are in {told}")),
            Some(first) => Verdict::finding(
                format!(
                    "{} of {assets} are not in {told}, or not whole: {first}",
                    missing.len()
                ),
                "give --assets-dir or --assets-url as serve has it; if that is the one, copy the files back from a backup, \
                 or have clients upload them again",
            ),
        },
    };
    Ok(vec![verdict])
}
