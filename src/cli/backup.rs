//! `scumble backup`: a copy of the file at one moment, while relays use it.

mod assets;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{file, redis_of};
use crate::config::{AssetPlace, BackupArgs, RedisSettings};
use crate::sqlite::modes;
use crate::transfer::redis_tool::RedisTool;
use crate::transfer::to_file::{Epochs, give_name, to_file};

/// Copies the file through SQLite's backup interface, all pages in one read transaction: writers go on
/// meanwhile, and the copy is what was committed at its begin.
///
/// # Errors
/// When the file can't be read, or the copy is there already or can't be written.
pub fn run(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    if let Some(settings) = redis_of(&args.source) {
        return of_redis(&settings, args);
    }
    let place = args.assets.place(Some(&args.source.db))?;
    let db = &args.source.db;
    let source = file::open_current(db)?;
    is_free(&args.to)?;
    ensure!(
        !is_taken(db, &args.to).with_context(|| format!("--to {}", args.to.display()))?,
        "--to {}: SQLite and the relay use this name beside {}; name another",
        args.to.display(),
        db.display()
    );
    let (canvases, assets) = with_assets(&args.to, &place, |partial| copy(&source, db, partial))?;
    let bytes = fs::metadata(&args.to)?.len();
    writeln!(
        std::io::stdout(),
        "{}: {canvases} canvases, {bytes} bytes, checked. {NEW_EPOCHS}",
        args.to.display()
    )?;
    told(assets)
}

fn told(assets: Option<String>) -> anyhow::Result<ExitCode> {
    if let Some(assets) = assets {
        writeln!(std::io::stdout(), "{assets}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the copy, and beside it one of the assets that it names; what to tell of these.
fn with_assets<T>(
    to: &Path,
    place: &AssetPlace,
    make: impl FnOnce(&Path) -> anyhow::Result<T>,
) -> anyhow::Result<(T, Option<String>)> {
    let folder = file::beside(to, ".assets");
    ensure!(
        !folder.exists(),
        "{}: is there already, and would be the copy's assets; name another file",
        folder.display()
    );
    let copied = made(to, |partial| {
        let made = make(partial)?;
        Ok((made, assets::copy(partial, place, &folder)?))
    });
    if copied.is_err() {
        // It was not there before.
        let _ = fs::remove_dir_all(&folder);
    }
    copied
}

const NEW_EPOCHS: &str = "Each canvas has a new epoch in it, so that after a restore no client resumes onto reissued numbers.";

/// Copies a relay in Redis into a file that `serve --db` opens: each canvas as it is when it is read, then the work queue as it is at
/// one moment.
fn of_redis(settings: &RedisSettings, args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let place = args.assets.place(None)?;
    let redis = RedisTool::open(settings, "backup")?;
    let to = &args.to;
    is_free(to)?;
    let (carried, assets) = with_assets(to, &place, |partial| {
        to_file(&redis, Some(partial), Epochs::New)
    })?;
    let bytes = fs::metadata(to)?.len();
    writeln!(
        std::io::stdout(),
        "{}: {carried}, {bytes} bytes, checked. {NEW_EPOCHS}",
        to.display()
    )?;
    told(assets)
}

/// Refuses a name that is in use, or that something lies beside which a relay would take for its own.
///
/// # Errors
/// Names what is there.
pub(super) fn is_free(to: &Path) -> anyhow::Result<()> {
    ensure!(
        !to.exists(),
        "--to {}: is there already; name a new file",
        to.display()
    );
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    ensure!(
        folder.is_none_or(Path::is_dir),
        "--to {}: its folder is not there; make it first",
        to.display()
    );
    for suffix in ["-journal", "-wal", "-shm", ".lock"] {
        let beside = file::beside(to, suffix);
        ensure!(
            !beside.exists(),
            "--to {}: {} is left of another file of that name; delete it, or name another",
            to.display(),
            beside.display()
        );
    }
    Ok(())
}

/// Has a file made under another name, which becomes that one once it is complete.
///
/// # Errors
/// What went wrong; nothing is left of it then.
pub(super) fn made<T>(
    to: &Path,
    make: impl FnOnce(&Path) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let partial = file::beside(to, ".partial");
    ensure!(
        !partial.exists(),
        "{}: is left of a copy that did not end; delete it first",
        partial.display()
    );
    let done = make(&partial).and_then(|made| {
        give_name(&partial, to)?;
        Ok(made)
    });
    // Half a copy is of no use; after a success there is nothing left to delete.
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(file::beside(&partial, suffix));
    }
    done.with_context(|| format!("--to {}", to.display()))
}

/// Whether a file of that name would be taken for a part of the source: SQLite plays back, or deletes, what it finds there.
fn is_taken(db: &Path, to: &Path) -> std::io::Result<bool> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
    let to = to.file_name().map(|name| folder.join(name));
    let db = db.canonicalize()?;
    let ours = ["-journal", "-wal", "-shm", ".lock", ".wake"];
    Ok(ours
        .iter()
        .any(|end| to.as_deref() == Some(&*file::beside(&db, end))))
}

/// Copies, and makes the copy ready to be a relay's file; the number of its canvases.
fn copy(source: &Connection, db: &Path, to: &Path) -> anyhow::Result<usize> {
    // What is in it is for those who may read the source, from the first byte on.
    let mode = modes::of(db)? | 0o600;
    let mut made = File::options();
    made.create_new(true).write(true).mode(0o600).open(to)?;
    modes::set(to, mode)?;
    // By its whole path: no name is to be taken for a URI.
    let mut target = Connection::open(std::path::absolute(to)?)?;
    let step = Backup::new(source, &mut target)?.step(-1)?;
    ensure!(step == StepResult::Done, "the file is locked; try again");
    // Clients may be ahead of what a restore brings back.
    let canvases = target.execute("UPDATE canvases SET epoch = lower(hex(randomblob(8)))", [])?;
    // Who runs and who is here is true of the source alone: a copy would go by the locks of live strangers.
    target.execute_batch(
        "DELETE FROM instances; DELETE FROM presence; DELETE FROM canvas_watermarks;",
    )?;
    let check: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    ensure!(
        check == "ok",
        "the copy is damaged ({check}); run `scumble doctor` on the source"
    );
    target.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    target.close().map_err(|(_, error)| error)?;
    File::open(to)?.sync_all()?;
    Ok(canvases)
}
