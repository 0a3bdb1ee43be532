//! Checks the owners of the files: a relay can't start over files that its user can't write.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::checks::registered;
use super::{Patient, Verdict};
use crate::cli::file::beside;
use crate::sqlite::{SIDECARS, plain};

const TODO: &str = "give it to the owner of the database (chown, chgrp); never delete a -wal, it may have what was committed last. \
                    Run tools as the relay's user";

const RUN_AS_OWNER: &str = "end it, give the database and all files beside it to the user that the relay is to run as (chown USER: DB*), \
                            and start the relay as that user: what it makes as another user, the next start may not be able to use";

/// Whoever owns the database can write what lies beside it.
pub(super) fn files(patient: &Patient<'_>) -> anyhow::Result<Vec<Verdict>> {
    let db = plain(&patient.args.source.db)?;
    let owner = fs::metadata(&db)?;
    let found: Vec<_> = SIDECARS
        .iter()
        .filter_map(|suffix| {
            let path = beside(&db, suffix);
            let found = fs::metadata(&path).ok()?;
            (!may_write(&owner, &found)).then(|| foreign(&path, &found, owner.uid()))
        })
        .collect();
    let mut found = found;
    found.extend(strangers(patient, &owner));
    Ok(if found.is_empty() {
        vec![Verdict::Fine(format!("all of user {}", owner.uid()))]
    } else {
        found
    })
}

/// Processes that run as another user than the owner of the database: their sockets tell whose they are.
fn strangers(patient: &Patient<'_>, owner: &Metadata) -> Vec<Verdict> {
    // Without a table of instances the schema check has the finding.
    let instances = registered(patient).unwrap_or_default();
    let running = instances.iter().filter(|instance| instance.lives());
    let strangers = running.filter_map(|instance| {
        let user = fs::metadata(&instance.wake_path).ok()?.uid();
        (user != owner.uid()).then(|| {
            let what = format!(
                "{} (pid {}) runs as user {user}, and the database belongs to user {}",
                instance.id,
                instance.pid,
                owner.uid()
            );
            Verdict::finding(what, RUN_AS_OWNER)
        })
    });
    strangers.collect()
}

/// Whether the owner of the database may write that, as far as owner, group and mode tell.
fn may_write(owner: &Metadata, other: &Metadata) -> bool {
    let mode = other.mode();
    owner.uid() == 0
        || other.uid() == owner.uid() && mode & 0o200 != 0
        || other.uid() != owner.uid() && other.gid() == owner.gid() && mode & 0o020 != 0
        || other.uid() != owner.uid() && other.gid() != owner.gid() && mode & 0o002 != 0
}

fn foreign(path: &Path, found: &Metadata, owner: u32) -> Verdict {
    let what = format!(
        "{} belongs to user {} and has mode {:o}: a relay of user {owner}, who owns the database, can't write it",
        path.display(),
        found.uid(),
        found.mode() & 0o7777,
    );
    Verdict::finding(what, TODO)
}
