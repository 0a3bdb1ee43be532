//! Starts the backplane that the configuration names.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::analytics::{self, ring::Ring};
use crate::backplane::Backplane;
use crate::config::{Config, RedisSettings, SqliteSettings, Store};
use crate::hooks::HookStore;
use crate::jobs::dispatch::follower::Follower;
use crate::jobs::{self, Jobs};
use crate::log::Engine;
use crate::memory::MemoryBackplane;
use crate::redis::{Redis, RedisConfig};
use crate::replicated::{self, ReplicatedBackplane, ReplicatedConfig};
use crate::sqlite::{self, SqliteBackplane};

/// The queue, what is in it beside messages, and what is to be run beside it.
pub(super) struct Started {
    pub(super) backplane: Arc<dyn Backplane>,
    pub(super) jobs: Option<Arc<Jobs>>,
    pub(super) hooks: Arc<dyn HookStore>,
    pub(super) samples: Arc<dyn analytics::Store>,
    /// Ends if the queue fails.
    pub(super) failed: BoxFuture<'static, String>,
}

/// Starts what the configuration names.
pub(super) async fn start_backplane(config: &Config) -> anyhow::Result<Started> {
    match &config.store {
        Store::Memory => start_in_memory(config),
        Store::Sqlite(settings) => start_over_file(config, settings),
        Store::Redis(settings) => start_over_redis(config, settings).await,
    }
}

fn start_in_memory(config: &Config) -> anyhow::Result<Started> {
    let memory = MemoryBackplane::start(config.instance_id.clone(), &config.rules)?;
    let jobs = jobs::memory_engine::start(config.jobs);
    let hooks = Follower::new(jobs.clone(), Arc::default(), || true);
    memory.dispatch_to(hooks.clone());
    Ok(Started {
        backplane: memory,
        jobs: Some(jobs),
        hooks,
        samples: Arc::new(Ring::new(config.instance_id.to_string())),
        failed: Box::pin(std::future::pending()),
    })
}

fn start_over_file(config: &Config, settings: &SqliteSettings) -> anyhow::Result<Started> {
    let (queue, failed) = SqliteBackplane::start_on_loop(config.over(settings))?;
    let jobs = sqlite::jobs(&queue);
    let hooks = sqlite::hook_store(&queue);
    Ok(Started {
        samples: sqlite::analytics(&queue),
        backplane: queue,
        jobs: Some(jobs),
        hooks,
        failed: Box::pin(failed),
    })
}

async fn start_over_redis(config: &Config, settings: &RedisSettings) -> anyhow::Result<Started> {
    let redis = RedisConfig {
        url: settings.url.clone(),
        prefix: settings.prefix.clone(),
        tls: settings.tls.clone(),
    };
    let replicated = ReplicatedConfig {
        instance_id: config.instance_id.clone(),
        rules: config.rules,
        auth: config.security.mode(),
        wait_replicas: settings.wait_replicas,
        fail_points: config.fail_points.clone(),
    };
    let engine = |me| Ok(Arc::new(Redis::new(&redis, me)?) as Arc<dyn Engine>);
    let (backplane, failed) = ReplicatedBackplane::start(replicated, engine).await?;
    let (jobs, hooks) = replicated::jobs(&backplane, config.jobs);
    Ok(Started {
        jobs: Some(jobs),
        samples: replicated::samples(&backplane),
        backplane,
        hooks,
        failed: Box::pin(failed),
    })
}
