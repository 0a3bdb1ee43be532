//! A file's relay, moved into a Redis where no relay is yet.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use futures::future::try_join_all;
use tokio::runtime::Runtime;

use super::redis_tool::{NoListener, config, leave, runtime, unreachable};
use super::{Carried, in_rows, stopped};
use crate::canvas::{CanvasState, Rules};
use crate::config::RedisSettings;
use crate::jobs::copy::copy;
use crate::jobs::dispatch::{self, Dispatch, Part};
use crate::jobs::store::Store as _;
use crate::jobs::work::Work;
use crate::limits::JobLimits;
use crate::log::{Engine as _, Log};
use crate::protocol::ids::{CanvasId, Epoch};
use crate::redis::{Found, Redis};
use crate::replicated::tools;
use crate::replicated::tools::rows::{self, Failed, ToolRows};
use crate::sqlite::export::{Export, hold};

/// For messages, where the file does not say how long they are kept.
const MESSAGE_TTL: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(10);
/// Canvases that are written at a time, and the bytes of their objects.
const AT_ONCE: usize = 16;
const BYTES: usize = 8 * 1024 * 1024;

/// Moves everything. With `dry`, it is only read. The file is begun to be read once nobody can write to it.
///
/// # Errors
/// Where somebody uses one of the two, the Redis is not empty, or something can't be read or written. Then nobody can use what is in
/// Redis, and another try begins anew.
pub(crate) fn to_redis(
    begin: impl FnOnce() -> anyhow::Result<Export>,
    db: &Path,
    settings: &RedisSettings,
    dry: bool,
) -> anyhow::Result<Carried> {
    let _held = match dry {
        true => None,
        false => Some(hold(db)?.with_context(|| {
            format!(
                "{}: somebody keeps the turn to write: stop all processes on it",
                db.display()
            )
        })?),
    };
    let export = begin()?;
    if let Some(user) = export.user()? {
        bail!(
            "{}: the process {user} runs on it: stop all of them first",
            db.display()
        );
    }
    let rules = rules_of(&export)?;
    let me = tools::introduction("migrate", &rules, None);
    let clock = me.clock.clone();
    let redis = Redis::for_moving(&config(settings), me).map_err(|why| anyhow!(why))?;
    let runtime = runtime()?;
    empty(&redis, &runtime, settings, dry)?;
    let mut moving = Moving {
        export: &export,
        rules,
        anew: export.begins_anew(db)?,
        target: None,
    };
    if dry {
        return moving.all();
    }
    let next = export.next_instance()?;
    let entered = runtime.block_on(redis.connect(2, Some(next), Arc::new(NoListener)));
    let log = entered.map_err(|error| unreachable(settings, &error))?;
    moving.target = Some(Target {
        log: log.clone(),
        runtime: runtime.clone(),
        now_ms: clock.now_ms(),
    });
    let moved = moving.all();
    leave(&runtime, &log);
    match moved {
        Ok(carried) => {
            let done = runtime.block_on(redis.moved_in());
            done.map_err(|error| unreachable(settings, &error))?;
            Ok(carried)
        }
        Err(error) => {
            // If that fails too, the mark stays: the next try does it.
            let _ = runtime.block_on(redis.clear_unfinished());
            Err(error)
        }
    }
}

/// Makes sure that nothing is there.
fn empty(
    redis: &Redis,
    runtime: &Runtime,
    settings: &RedisSettings,
    dry: bool,
) -> anyhow::Result<()> {
    let place = format!("{} --redis-prefix {}", settings.url, settings.prefix);
    let found = runtime.block_on(redis.found());
    match found.map_err(|error| unreachable(settings, &error))? {
        Found::Nothing => Ok(()),
        Found::Unfinished if dry => Ok(()),
        Found::Unfinished => {
            let cleared = runtime.block_on(redis.clear_unfinished());
            cleared.map_err(|error| unreachable(settings, &error))
        }
        Found::Moving => bail!("{place}: another migration into it runs"),
        Found::Something(key) => bail!(
            "{place}: it is not empty (there is {key}): name another --redis-prefix or database"
        ),
    }
}

/// The rules of the file, as far as they matter to what is carried.
fn rules_of(export: &Export) -> anyhow::Result<Rules> {
    let kept = export.rules()?.unwrap_or_default();
    let words: Vec<&str> = kept.split(' ').collect();
    let span = |flag: &str| {
        let at = words.iter().position(|word| *word == flag)?;
        humantime::parse_duration(words.get(at + 1)?).ok()
    };
    Ok(tools::rules_with(
        span("--message-ttl").unwrap_or(MESSAGE_TTL),
        span("--presence-grace").unwrap_or(GRACE),
    ))
}

struct Target {
    log: Arc<dyn Log>,
    runtime: Arc<Runtime>,
    now_ms: i64,
}

struct Moving<'a> {
    export: &'a Export,
    rules: Rules,
    /// Clients may know more than the file does.
    anew: bool,
    target: Option<Target>,
}

impl Moving<'_> {
    fn all(&self) -> anyhow::Result<Carried> {
        let mut carried = Carried::default();
        let mut waiting = Vec::new();
        let mut bytes = 0;
        for (key, id) in self.export.canvases()? {
            let mut contents = self.export.canvas(key)?;
            if self.anew {
                contents.at.epoch = Epoch::random();
            }
            let counted = Carried::of(&contents);
            let state = CanvasState::of_contents(contents, self.rules);
            let state = state
                .with_context(|| format!("the canvas {id}: two of its objects are the same"))?;
            // Where nobody ever did anything there is nothing to be kept.
            if state.is_untouched() {
                continue;
            }
            carried.add(&counted);
            bytes += usize::try_from(state.stored_bytes()).unwrap_or(usize::MAX);
            waiting.push((id, state));
            if waiting.len() >= AT_ONCE || bytes >= BYTES {
                self.put(&std::mem::take(&mut waiting))?;
                bytes = 0;
            }
        }
        self.put(&waiting)?;
        self.rows(&mut carried)?;
        Ok(carried)
    }

    /// Writes canvases, and compares what is there then.
    fn put(&self, canvases: &[(CanvasId, CanvasState)]) -> anyhow::Result<()> {
        let Some(target) = &self.target else {
            return Ok(());
        };
        let log = &*target.log;
        let puts = canvases.iter().map(|(id, state)| async move {
            let put = tools::put(log, id, state).await;
            put.map_err(|fault| anyhow!("the canvas {id}: {fault}"))?;
            let read = tools::read(log, id).await;
            let read = read.map_err(|fault| anyhow!("the canvas {id}: {fault}"))?;
            let same = read.is_some_and(|copy| copy.state.hash() == state.hash());
            ensure!(same, "the canvas {id} is not in Redis what it was");
            Ok(())
        });
        target.runtime.block_on(try_join_all(puts))?;
        Ok(())
    }

    /// The work queue and the hooks.
    fn rows(&self, carried: &mut Carried) -> anyhow::Result<()> {
        let from = self.export.jobs();
        carried.add_queues(&from)?;
        let hooks = self.export.hooks()?;
        carried.add_hooks(hooks.as_ref());
        let Some(target) = &self.target else {
            return Ok(());
        };
        let log = target.log.clone();
        let runtime = target.runtime.clone();
        let mut to =
            rows::rows(log, runtime, target.now_ms, false).map_err(|trouble| in_rows(&trouble))?;
        copy(&from, &mut to).map_err(|e| stopped(e, anyhow::Error::new, |e| in_rows(&e)))?;
        if let Some(hooks) = hooks {
            hooks.write(&mut to).map_err(|e| in_rows(&e))?;
            let stored = hooks.stored();
            to.base.set_hooks(match stored.hooks.is_empty() {
                true => 0,
                false => stored.version.cast_unsigned(),
            });
            to.commit().map_err(|e| in_rows(&e))?;
            let tell = |parts| tell(&mut to, parts, target.now_ms).map_err(|e| in_rows(&e));
            self.export.set_aside(stored, tell)?;
        }
        Ok(())
    }
}

/// Puts what was set aside into the queues of hooks.
fn tell(to: &mut ToolRows, parts: Vec<Part>, now_ms: i64) -> Result<(), Failed> {
    // What had room in the file has room here.
    let limits = JobLimits {
        queue_bytes: i64::MAX,
        bytes: i64::MAX,
    };
    let mut random = || *uuid::Uuid::new_v4().as_bytes();
    let mut work = Work::new(to, now_ms, &limits, &mut random);
    let all = Dispatch {
        canvas: "".into(),
        from: 0,
        upto: 0,
        parts,
    };
    dispatch::dispatch(&mut work, &all)?;
    work.flush()?;
    to.commit()
}
