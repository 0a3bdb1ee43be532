//! A relay in Redis, looked at by a tool.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::runtime::{Builder, Runtime};

use crate::canvas::Rules;
use crate::config::RedisSettings;
use crate::limits::HEARTBEAT_STALE;
use crate::log::{
    ConnectError, Engine, Fault, Listener, Log, LogEnd, Proof, Published, Registered,
};
use crate::protocol::ids::CanvasId;
use crate::redis::{Redis, RedisConfig, Relay};
use crate::replicated::tools::{self, Copy, rows};

/// For messages, where a relay does not say how long it keeps them.
const MESSAGE_TTL: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of batches of one request.
const PART: usize = 64 * 1024;
/// Names of one request.
const NAMES: usize = 512;
/// How long it is waited until it is clear whether Redis lost something.
const PROOF_STEPS: u32 = 200;
const PROOF_STEP: Duration = Duration::from_millis(25);

/// A message of a canvas, as it is followed.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its place.
    pub seq: u64,
    /// Which of the five.
    pub kind: &'static str,
    /// Its author.
    pub client: String,
    /// When it was committed, ms since the epoch.
    pub at_ms: i64,
    /// The sender's fields, a JSON object.
    pub payload: String,
}

/// A relay that is looked at. Nothing of it is changed, but by [`RedisTool::enter`].
pub struct RedisTool {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) relay: Relay,
    clock: Arc<crate::log::Clock>,
}

/// Does not listen.
pub(crate) struct NoListener;

impl Listener for NoListener {
    fn received(&self, _: u64, _: &str, _: Published) {}
    fn received_rows(&self, _: u64, _: &[u8]) {}
    fn broke(&self, _: u64, _: &str) {}
}

pub(crate) fn runtime() -> anyhow::Result<Arc<Runtime>> {
    let built = Builder::new_current_thread().enable_all().build();
    Ok(Arc::new(built.context("the event loop")?))
}

pub(crate) fn config(settings: &RedisSettings) -> RedisConfig {
    RedisConfig {
        url: settings.url.clone(),
        prefix: settings.prefix.clone(),
        tls: settings.tls.clone(),
    }
}

/// Why Redis can't be used, with where it is.
pub(crate) fn unreachable(settings: &RedisSettings, error: &ConnectError) -> anyhow::Error {
    let place = &settings.url;
    match error {
        ConnectError::Now(why) => anyhow!("Redis can't be reached at {place}: {why}"),
        ConnectError::ForGood(why) => anyhow!("{place}: {why}"),
    }
}

pub(crate) fn failed(fault: &Fault) -> anyhow::Error {
    anyhow!("Redis: {fault}")
}

impl RedisTool {
    /// Connects, and looks whether there is a relay.
    ///
    /// # Errors
    /// Where there is none, it can't be reached, or it is of another format.
    pub fn open(settings: &RedisSettings, tool: &str) -> anyhow::Result<Self> {
        let rules = tools::rules_with(MESSAGE_TTL, GRACE);
        let me = tools::introduction(&name(tool), &rules, None);
        let clock = me.clock.clone();
        let redis = Redis::new(&config(settings), me).map_err(|why| anyhow!(why))?;
        let runtime = runtime()?;
        let relay = runtime.block_on(redis.look());
        let relay = relay.map_err(|error| unreachable(settings, &error))?;
        Ok(Self {
            runtime,
            relay,
            clock,
        })
    }

    /// Keeps everybody from entering, until this one leaves or ends: while something runs, it is refused.
    ///
    /// # Errors
    /// Where a process runs; the message names it.
    pub fn enter(self, settings: &RedisSettings, tool: &str) -> anyhow::Result<Self> {
        let live = self.live()?;
        if let Some(one) = live.first() {
            bail!(
                "{}: {} processes run on it, such as {}: stop all of them first",
                settings.url,
                live.len(),
                told(one)
            );
        }
        let rules = &self.relay.rules;
        let me = tools::introduction(&name(tool), &self.rules(), Some(rules));
        let clock = me.clock.clone();
        let redis = Redis::new(&config(settings), me).map_err(|why| anyhow!(why))?;
        let entered = self
            .runtime
            .block_on(redis.connect(2, None, Arc::new(NoListener)));
        let log = entered.map_err(|error| unreachable(settings, &error))?;
        let entered = Self {
            relay: Relay {
                last_instance: Some(log.number()).max(self.relay.last_instance),
                log,
                rules: self.relay.rules.clone(),
                server: self.relay.server.clone(),
                overwritten: self.relay.overwritten.clone(),
            },
            clock,
            runtime: self.runtime.clone(),
        };
        match entered.prove() {
            Ok(()) => Ok(entered),
            Err(error) => {
                entered.leave();
                Err(error)
            }
        }
    }

    /// Whether Redis lost something since its relay was there is clear after this.
    fn prove(&self) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            for _ in 0..PROOF_STEPS {
                let proof = self.log().prove(true, 0).await;
                if proof.map_err(|fault| failed(&fault))? != Proof::Pending {
                    return Ok(());
                }
                tokio::time::sleep(PROOF_STEP).await;
            }
            bail!("Redis does not say whether it lost something: try again")
        })
    }

    /// Others may enter.
    pub fn leave(&self) {
        leave(&self.runtime, &self.relay.log);
    }

    pub(crate) fn log(&self) -> &dyn Log {
        &*self.relay.log
    }

    /// The rules of its canvases.
    pub(crate) fn rules(&self) -> Rules {
        let known = tools::rules_of(&self.relay.rules);
        known.unwrap_or_else(|| tools::rules_with(MESSAGE_TTL, GRACE))
    }

    /// The processes in its registry.
    ///
    /// # Errors
    /// Where Redis does not say.
    pub fn instances(&self) -> anyhow::Result<Vec<Registered>> {
        let members = self.runtime.block_on(self.log().members());
        members.map_err(|fault| failed(&fault))
    }

    /// Those that were heard of lately.
    ///
    /// # Errors
    /// Where Redis does not say.
    pub fn live(&self) -> anyhow::Result<Vec<Registered>> {
        let mut members = self.instances()?;
        members.retain(|one| !self.is_silent(one));
        Ok(members)
    }

    /// Whether others take it for dead.
    #[must_use]
    pub fn is_silent(&self, instance: &Registered) -> bool {
        let stale = i64::try_from(HEARTBEAT_STALE.as_millis()).unwrap_or(i64::MAX);
        self.now_ms() - instance.beat > stale
    }

    /// The relay's time, ms since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The names of all canvases, in order.
    ///
    /// # Errors
    /// Where Redis does not say.
    pub fn canvases(&self) -> anyhow::Result<Vec<CanvasId>> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let names = self
                .runtime
                .block_on(self.log().names_after(&after, NAMES))
                .map_err(|fault| failed(&fault))?;
            let Some(last) = names.last() else {
                return Ok(all);
            };
            after.clone_from(last);
            all.extend(names.iter().filter_map(|name| CanvasId::parse(name).ok()));
        }
    }

    /// Reads a canvas; `None` if it is gone.
    pub(crate) fn canvas(&self, id: &CanvasId) -> anyhow::Result<Option<Copy>> {
        let read = self.runtime.block_on(tools::read(self.log(), id));
        read.map_err(|fault| anyhow!("the canvas {id}: {fault}"))
    }

    /// Keys of the relay that somebody has overwritten, in words.
    #[must_use]
    pub fn overwritten(&self) -> &[String] {
        &self.relay.overwritten
    }

    /// The rules that its processes agreed on, in the words of the flags.
    #[must_use]
    pub fn relay_rules(&self) -> &str {
        &self.relay.rules
    }

    /// Reads a canvas as a process does that opens it.
    ///
    /// # Errors
    /// What can't be read of it.
    pub fn check(&self, id: &CanvasId) -> anyhow::Result<()> {
        self.canvas(id).map(drop)
    }

    /// Those of the canvases that are not there.
    ///
    /// # Errors
    /// Where Redis does not say.
    pub fn missing(&self, names: &[CanvasId]) -> anyhow::Result<Vec<CanvasId>> {
        let mut missing = Vec::new();
        for names in names.chunks(NAMES) {
            let ends = self.runtime.block_on(self.log().ends(names));
            let ends = ends.map_err(|fault| failed(&fault))?;
            let gone = names.iter().zip(ends).filter(|(_, end)| end.n.is_none());
            missing.extend(gone.map(|(id, _)| id.clone()));
        }
        Ok(missing)
    }

    /// The rows of the work queue, of one moment. `hold`: others wait with theirs meanwhile.
    pub(crate) fn rows(&self, hold: bool) -> anyhow::Result<rows::ToolRows> {
        let log = self.relay.log.clone();
        let runtime = self.runtime.clone();
        rows::rows(log, runtime, self.now_ms(), hold).map_err(|trouble| super::in_rows(&trouble))
    }

    /// What Redis says of itself: a field of `INFO`.
    #[must_use]
    pub fn info(&self, field: &str) -> Option<&str> {
        let lines = self.relay.server.lines();
        let mut found = lines.filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found.next()
    }
}

pub(crate) fn leave(runtime: &Runtime, log: &Arc<dyn Log>) {
    // If it fails, it is taken for dead soon.
    let _ = runtime.block_on(log.leave(log.number(), None));
}

fn name(tool: &str) -> String {
    format!("{tool}-{}", std::process::id())
}

fn told(one: &Registered) -> String {
    let name = one.name.as_deref().unwrap_or("one without a name");
    let pid = one.pid.map(|pid| format!(" (pid {pid})"));
    format!("{name}{}", pid.unwrap_or_default())
}

/// A canvas in Redis that is followed.
pub struct Followed {
    redis: RedisTool,
    id: CanvasId,
    copy: Option<Copy>,
}

impl Followed {
    /// Begins to follow it.
    #[must_use]
    pub fn new(redis: RedisTool, id: CanvasId) -> Self {
        Self {
            redis,
            id,
            copy: None,
        }
    }

    /// Looks for what is new. Whether there was anything.
    ///
    /// # Errors
    /// Where Redis can't be asked any more, or the canvas can't be read.
    pub fn step(&mut self) -> anyhow::Result<bool> {
        let log = self.redis.log();
        let asked = log.ends(std::slice::from_ref(&self.id));
        let ends = self.redis.runtime.block_on(asked);
        let ends = ends.map_err(|fault| failed(&fault))?;
        let Some(LogEnd {
            n: Some(n), chain, ..
        }) = ends.into_iter().next()
        else {
            self.copy = None;
            return Ok(false);
        };
        let follows = match &mut self.copy {
            Some(copy) if copy.n == n && copy.chain == chain.unwrap_or_default() => {
                return Ok(false);
            }
            Some(copy) if copy.n < n => {
                let asked = log.batches_after(&self.id, copy.n, PART);
                let more = self.redis.runtime.block_on(asked);
                let more = more.map_err(|fault| failed(&fault))?;
                let follows = more.first().is_some_and(|first| first.n == copy.n + 1);
                for kept in more.iter().filter(|_| follows) {
                    copy.run(kept);
                }
                follows
            }
            _ => false,
        };
        if !follows {
            self.copy = self.redis.canvas(&self.id)?;
        }
        Ok(true)
    }

    /// Its numbering: the epoch and the last `seq`; `None` while there is no such canvas.
    #[must_use]
    pub fn head(&self) -> Option<(String, u64)> {
        let head = self.copy.as_ref()?.state.head();
        Some((head.epoch.to_string(), head.seq))
    }

    /// Its messages after a `seq`, as far as they are kept.
    #[must_use]
    pub fn messages_after(&self, seq: u64) -> Vec<Message> {
        let copy = self.copy.iter();
        let messages = copy.flat_map(|copy| copy.state.messages_after(seq));
        let told = messages.map(|(seq, message)| Message {
            seq,
            kind: message.kind.as_str(),
            client: message.client.to_string(),
            at_ms: message.at_ms,
            payload: message.body.to_string(),
        });
        told.collect()
    }
}
