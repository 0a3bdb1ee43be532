//! `scumble migrate`: a relay moves from a file into Redis, or from Redis into a new file. No process may run on either.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{bail, ensure};

use super::assets::{Told, counted, found, of_file};
use super::{backup, file};
use crate::config::{AssetPlace, MigrateArgs, Place, RedisSettings};
use crate::sqlite::export::Export;
use crate::sqlite::plain;
use crate::transfer::Carried;
use crate::transfer::assets::{Listed, of_redis};
use crate::transfer::redis_tool::RedisTool;
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
    let (moved, from, to) = match (&args.from, &args.to) {
        (Place::File(db), Place::Redis(url)) => {
            let settings = at(url);
            let moved = into_redis(db, &settings, args)?;
            (moved, db.display().to_string(), named(&settings))
        }
        (Place::Redis(url), Place::File(to)) => {
            let settings = at(url);
            let moved = into_file(&settings, to, args)?;
            (moved, named(&settings), to.display().to_string())
        }
        _ => bail!("--from and --to: one is a file, and the other is in Redis (redis://…)"),
    };
    let Moved { carried, assets } = moved;
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
    if let Some(assets) = assets {
        writeln!(out, "{assets}")?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Moved {
    carried: Carried,
    /// What to tell of these.
    assets: Option<String>,
}

fn named(settings: &RedisSettings) -> String {
    format!("{} (--redis-prefix {})", settings.url, settings.prefix)
}

/// Bytes of assets are not moved: both processes before and those after find them at the same place, by the list, which is moved.
fn assets(listed: Option<Listed>, place: &AssetPlace) -> anyhow::Result<Option<String>> {
    let Some(listed) = listed.filter(|listed| !listed.blobs.is_empty()) else {
        return Ok(None);
    };
    found(&listed, place)?;
    let counted = counted(&listed);
    Ok(Some(match place {
        AssetPlace::Off => format!("{counted} are named and left out: uploads bring them again."),
        _ => {
            let told = Told(place);
            format!(
                "{counted} stay in {told}: start the processes with {}.",
                told.flag()
            )
        }
    }))
}

fn into_redis(db: &Path, settings: &RedisSettings, args: &MigrateArgs) -> anyhow::Result<Moved> {
    let conn = file::open_current(db)?;
    let assets = assets(of_file(&conn)?, &args.assets.place(Some(db))?)?;
    let now_ms = file::now_ms(&conn)?;
    let db = plain(db)?;
    let carried = to_redis(
        || Ok(Export::begin(conn, now_ms)?),
        &db,
        settings,
        args.dry_run,
    )?;
    Ok(Moved { carried, assets })
}

fn into_file(settings: &RedisSettings, to: &Path, args: &MigrateArgs) -> anyhow::Result<Moved> {
    let place = args.assets.place(None)?;
    let redis = RedisTool::open(settings, "migrate")?;
    backup::is_free(to)?;
    let assets = assets(of_redis(&redis)?, &place)?;
    if args.dry_run {
        let live = redis.live()?;
        ensure!(
            live.is_empty(),
            "{}: {} processes run on it: stop all of them first",
            settings.url,
            live.len()
        );
        let carried = to_file(&redis, None, Epochs::Same)?;
        return Ok(Moved { carried, assets });
    }
    let redis = redis.enter(settings, "migrate")?;
    let moved = backup::made(to, |partial| to_file(&redis, Some(partial), Epochs::Same));
    redis.leave();
    let carried = moved?;
    Ok(Moved { carried, assets })
}
