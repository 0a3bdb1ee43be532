//! `scumble migrate`: a relay moves from a file into Redis, or from Redis into a new file. No process may run on either.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{bail, ensure};

use super::{backup, file};
use crate::config::{MigrateArgs, Place, RedisSettings};
use crate::sqlite::export::Export;
use crate::sqlite::plain;
use crate::transfer::Carried;
use crate::transfer::outside::Outside;
use crate::transfer::to_file::{Epochs, to_file};
use crate::transfer::to_redis::to_redis;

/// Moves it, or says what would be moved.
///
/// # Errors
/// Where a process runs on one of the two, the target is not empty, or something can't be read or written. The source is never changed.
pub fn run(args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let at = |url| {
        let settings = args.place.at(url);
        settings.unwrap_or_else(|error| error.into_usage_error().exit())
    };
    let (carried, from, to) = match (&args.from, &args.to) {
        (Place::File(db), Place::Redis(url)) => {
            let settings = at(url);
            let carried = into_redis(db, &settings, args.dry_run)?;
            (carried, db.display().to_string(), named(&settings))
        }
        (Place::Redis(url), Place::File(to)) => {
            let settings = at(url);
            let carried = into_file(&settings, to, args.dry_run)?;
            (carried, named(&settings), to.display().to_string())
        }
        _ => bail!("--from and --to: one is a file, and the other is in Redis (redis://…)"),
    };
    let mut out = std::io::stdout();
    match args.dry_run {
        true => writeln!(
            out,
            "would move from {from} to {to}: {carried}. Nothing was changed."
        )?,
        false => writeln!(
            out,
            "moved from {from} to {to}: {carried}. Compared, canvas by canvas. What was there is still in {from}: \
             start no process on it any more."
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

fn named(settings: &RedisSettings) -> String {
    format!("{} (--redis-prefix {})", settings.url, settings.prefix)
}

fn into_redis(db: &Path, settings: &RedisSettings, dry: bool) -> anyhow::Result<Carried> {
    let conn = file::open_current(db)?;
    let now_ms = file::now_ms(&conn)?;
    let db = plain(db)?;
    to_redis(|| Ok(Export::begin(conn, now_ms)?), &db, settings, dry)
}

fn into_file(settings: &RedisSettings, to: &Path, dry: bool) -> anyhow::Result<Carried> {
    let outside = Outside::open(settings, "migrate")?;
    backup::is_free(to)?;
    if dry {
        let live = outside.live()?;
        ensure!(
            live.is_empty(),
            "{}: {} processes run on it: stop all of them first",
            settings.url,
            live.len()
        );
        return to_file(&outside, None, Epochs::Same);
    }
    let outside = outside.enter(settings, "migrate")?;
    let moved = backup::made(to, |partial| to_file(&outside, Some(partial), Epochs::Same));
    outside.leave();
    moved
}
