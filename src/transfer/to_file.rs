//! A relay in Redis, copied into a new file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};

use super::redis_tool::RedisTool;
use super::{Carried, in_rows, stopped};
use crate::canvas::{CanvasState, Contents};
use crate::jobs::copy::copy;
use crate::jobs::dispatch::kept::KeptHooks;
use crate::protocol::ids::{CanvasId, Epoch};
use crate::replicated::tools::rows::ToolRows;
use crate::sqlite::export::Export;
use crate::sqlite::import::Import;

/// Which epochs the canvases have in the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epochs {
    /// Theirs: nobody writes to the original any more.
    Same,
    /// New ones: clients may be ahead of what the copy has.
    New,
}

/// Copies everything into a file that is not there yet, and compares what is in it then. `None`: only reads.
///
/// # Errors
/// What can't be read, or written. What is left of the file then is the caller's.
pub fn to_file(redis: &RedisTool, file: Option<&Path>, epochs: Epochs) -> anyhow::Result<Carried> {
    let ttl_ms = redis.rules().message_ttl_ms;
    let mut import = match file {
        Some(file) => {
            let mut made = File::options();
            made.create_new(true).write(true).mode(0o600).open(file)?;
            Some(Import::begin(file, ttl_ms)?)
        }
        None => None,
    };
    let mut carried = Carried::default();
    let mut hashes = Vec::new();
    for id in redis.canvases()? {
        let Some(copy) = redis.canvas(&id)? else {
            continue;
        };
        let mut contents = copy.state.contents();
        if copy.lost || epochs == Epochs::New {
            contents.at.epoch = Epoch::random();
        }
        carried.add(&Carried::of(&contents));
        if let Some(import) = &mut import {
            import.put(&id, &contents, copy.used_at_ms)?;
            hashes.push((id, hash(contents, redis)?));
        }
    }
    // After the canvases: so the events of all that was said there are in it.
    let hooks = rows(redis, import.as_ref(), &mut carried)?;
    carried.add_hooks(hooks.as_ref());
    let (Some(import), Some(file)) = (import, file) else {
        return Ok(carried);
    };
    if let Some(hooks) = &hooks {
        import.put_hooks(hooks, redis.now_ms())?;
    }
    import.finish(file, redis.relay.last_instance)?;
    compare(file, hashes, redis)?;
    Ok(carried)
}

fn hash(contents: Contents, redis: &RedisTool) -> anyhow::Result<u64> {
    let state = CanvasState::of_contents(contents, redis.rules());
    Ok(state.context("two of its objects are the same")?.hash())
}

fn rows(
    redis: &RedisTool,
    import: Option<&Import>,
    carried: &mut Carried,
) -> anyhow::Result<Option<KeptHooks>> {
    let mut from = redis.rows(true)?;
    let mut read = |from: &ToolRows| -> anyhow::Result<Option<KeptHooks>> {
        carried.add_queues(from).map_err(|e| in_rows(&e))?;
        if let Some(import) = import {
            copy(from, &mut import.jobs())
                .map_err(|e| stopped(e, |e| in_rows(&e), anyhow::Error::new))?;
        }
        KeptHooks::read(from).map_err(|e| in_rows(&e))
    };
    let hooks = read(&from);
    from.base.let_go();
    hooks
}

/// Reads the file again: every canvas has to be what it was.
fn compare(file: &Path, hashes: Vec<(CanvasId, u64)>, redis: &RedisTool) -> anyhow::Result<()> {
    let export = Export::open(file)?;
    let found = export.canvases()?;
    ensure!(
        found.len() == hashes.len(),
        "{} canvases were written, and {} are there",
        hashes.len(),
        found.len()
    );
    let mut hashes: HashMap<_, _> = hashes.into_iter().collect();
    for (key, id) in found {
        let again = hash(export.canvas(key)?, redis)?;
        let expected = hashes.remove(&id);
        if expected != Some(again) {
            return Err(anyhow!("the canvas {id} is not in the file what it was"));
        }
    }
    Ok(())
}

/// Gives a file that is complete its name, and has the disk know it.
///
/// # Errors
/// The system's.
pub fn give_name(partial: &Path, to: &Path) -> std::io::Result<()> {
    fs::rename(partial, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
