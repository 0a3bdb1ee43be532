//! `scumble backup`: a copy of the file at one moment, while relays use it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::file;
use crate::config::BackupArgs;
use crate::sqlite::modes;

/// Copies the file through SQLite's backup interface, all pages in one read transaction: writers go on
/// meanwhile, and the copy is what was committed at its begin.
///
/// # Errors
/// When the file can't be read, or the copy is there already or can't be written.
pub fn run(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let source = file::open_current(&args.db)?;
    ensure!(
        !args.to.exists(),
        "--to {}: is there already; name a new file",
        args.to.display()
    );
    ensure!(
        !is_taken(&args.db, &args.to).with_context(|| format!("--to {}", args.to.display()))?,
        "--to {}: SQLite and the relay use this name beside {}; name another",
        args.to.display(),
        args.db.display()
    );
    let partial = file::beside(&args.to, ".partial");
    ensure!(
        !partial.exists(),
        "{}: is left of a backup that did not end; delete it first",
        partial.display()
    );
    let copied = copy(&source, &args.db, &partial).and_then(|canvases| {
        fs::rename(&partial, &args.to)?;
        sync_folder(&args.to)?;
        Ok(canvases)
    });
    // Half a copy is of no use; after a success there is nothing left to delete.
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(file::beside(&partial, suffix));
    }
    let canvases = copied.with_context(|| format!("--to {}", args.to.display()))?;
    let bytes = fs::metadata(&args.to)?.len();
    writeln!(
        std::io::stdout(),
        "{}: {canvases} canvases, {bytes} bytes, checked. Each canvas has a new epoch in it, so that after a \
         restore no client resumes onto reissued numbers.",
        args.to.display()
    )?;
    Ok(ExitCode::SUCCESS)
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

fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
