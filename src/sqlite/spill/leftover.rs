//! The spill files of processes that died: a process that starts commits them before it accepts clients.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::TransactionBehavior;
use rustix::fs::{FlockOperation, flock};

use super::record::{self, Record};
use crate::backplane::intake::Waiting;
use crate::limits::{BATCH_ENTRIES, CLIENT_MEMORY};
use crate::protocol::ids::CanvasId;
use crate::sqlite::apply::{Setup, Txn};
use crate::sqlite::storage::locks;
use crate::sqlite::storage::schema::Prepared;
use crate::sqlite::storage::start_error::StartError;
use crate::sqlite::storage::store_error::{StoreError, StoreResult};
use crate::time::millis;

/// How long to wait for one's turn.
const TURN_WAIT: Duration = Duration::from_secs(10);

/// Commits what stands in the files of that folder that no living process holds, and removes them. Ops that were
/// committed another way meanwhile are duplicates. A damaged file is committed up to the damage, and kept under
/// another name.
///
/// # Errors
/// When it can't be committed: the files stay.
pub(in crate::sqlite) fn commit_leftovers(
    dir: &Path,
    prepared: &mut Prepared,
    setup: &Setup,
) -> Result<(), StartError> {
    let entries = std::fs::read_dir(dir).map_err(|error| StartError::Io {
        path: dir.to_owned(),
        error,
    })?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|ending| ending == "spill") {
            commit_file(&path, prepared, setup)?;
        }
    }
    Ok(())
}

fn commit_file(path: &Path, prepared: &mut Prepared, setup: &Setup) -> Result<(), StartError> {
    let io = |error| StartError::Io {
        path: path.to_owned(),
        error,
    };
    let Ok(file) = File::options().read(true).write(true).open(path) else {
        // Another process has just done it.
        return Ok(());
    };
    let held = flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
    if held || file.metadata().map_err(io)?.nlink() == 0 {
        return Ok(());
    }
    let mut from = BufReader::new(&file);
    match record::is_of(&mut from, &prepared.files.db) {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(path = %path.display(), "a spill file is damaged where it names its database; it was not changed");
            return Ok(());
        }
        Err(error) => return Err(io(error)),
    }
    let mut read = 0;
    let mut committed = 0;
    let mut damaged = false;
    loop {
        let mut batch = Vec::new();
        while batch.len() < BATCH_ENTRIES && !damaged {
            match record::read(&mut from) {
                Ok(Some(record)) => batch.push(record),
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => damaged = true,
                Err(error) => return Err(io(error)),
            }
        }
        if batch.is_empty() {
            break;
        }
        read += batch.len();
        let commit = commit(&batch, prepared, setup);
        committed += commit.map_err(|error| prepared.files.failed(error))?;
    }
    if read > 0 {
        tracing::info!(path = %path.display(), read, committed, "messages of a spill file were committed; the others had been already");
    }
    if damaged {
        let aside = path.with_extension("damaged");
        tracing::error!(kept = %aside.display(), "a spill file is damaged: what stands behind the damage is not \
            committed, and only its authors can send it again");
        return std::fs::rename(path, aside).map_err(io);
    }
    locks::remove(path);
    Ok(())
}

/// One transaction; gives how many took a place.
fn commit(batch: &[Record], prepared: &mut Prepared, setup: &Setup) -> StoreResult<usize> {
    let turn = prepared.turnstile.enter_within(TURN_WAIT);
    let _turn = turn.map_err(StoreError::Turnstile)?;
    let now_ms = prepared.clock.now_ms();
    let tx = prepared
        .conn
        .transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut txn = Txn::new(&tx, setup, now_ms);
    for record in batch {
        // Whose clients may be forgotten can't be told from a duplicate any more.
        if now_ms - record.at_ms > millis(CLIENT_MEMORY / 2) {
            tracing::warn!(
                canvas = record.canvas,
                "a spilled message is too old to be committed safely, and dropped"
            );
            continue;
        }
        let author = record.author();
        let (Ok(id), Ok(author)) = (CanvasId::parse(&record.canvas), author) else {
            continue;
        };
        let Ok(entry) = record.entry(author) else {
            continue;
        };
        let key = txn.sure_canvas(&id)?;
        txn.apply(&Waiting {
            key,
            canvas: id,
            entry,
            since: Instant::now(),
        })?;
    }
    let (committed, _) = txn.finish()?;
    tx.commit()?;
    Ok(committed.logged())
}
