//! The composition root: starts the parts, watches over them, ends them in steps with a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::BoxFuture;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::auth::Gate;
use crate::backplane::Backplane;
use crate::backplane::object_bounds::ObjectBounds;
use crate::config::Config;
use crate::http::{self, HttpState, Monitor, RelayStatus, listener, upgrade};
use crate::limits::{GOAWAY_SPREAD, LAG_INTERVAL, MIN_HTTP_CONNECTIONS};
use crate::memory::{MemoryBackplane, MemoryConfig};
use crate::protocol::close_code::CloseCode;
use crate::protocol::server_message::Limits;
use crate::queue::SqliteQueue;
use crate::redis::{RedisBackplane, RedisConfig};
use crate::room::cursors::Flusher;
use crate::room::registry::Registry;
use crate::room::{Link, Settings};
use crate::socket::connection::{Hub, Peer};
use crate::tasks::Spawner;

/// Runs one relay process until it is told to end.
///
/// # Errors
/// When it can't start, or when a part of it ends that must not.
pub async fn run(config: Config) -> anyhow::Result<()> {
    raise_file_limit();
    let config = Arc::new(config);
    // Both before anything else: a signal during the start must find someone.
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
    let (backplane, failed) = start_backplane(&config).await?;
    let relay = Relay::new(config.clone(), backplane)?;
    let mut parts = JoinSet::new();
    relay.start(&mut parts, failed)?;
    if config.security.is_open_at(config.listen) {
        tracing::warn!(
            "--auth none: whoever reaches {} may read and write every canvas; see --auth-secret-file",
            config.listen
        );
    }
    let unexpected = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = parts.join_next() => Some(ended),
    };
    if let Some(ended) = unexpected {
        let part = ended.and_then(Result::ok).unwrap_or("a part");
        tracing::error!(part, "ended unexpectedly: the process ends");
        anyhow::bail!("{part} ended unexpectedly");
    }
    tracing::info!("draining");
    if tokio::time::timeout(config.drain_timeout, relay.drain())
        .await
        .is_err()
    {
        tracing::warn!("the drain took longer than --drain-timeout: ending anyway");
    }
    Ok(())
}

/// The queue, and what is to be run beside it; ends if it fails.
type Started = (Arc<dyn Backplane>, BoxFuture<'static, String>);

async fn start_backplane(config: &Config) -> anyhow::Result<Started> {
    let bounds = ObjectBounds {
        max_objects: config.max_objects,
        max_bytes: config.max_canvas_bytes,
    };
    if config.in_memory {
        let memory = MemoryConfig {
            message_ttl: config.queue.message_ttl,
            presence_grace: config.queue.presence_grace,
            bounds,
        };
        let memory = MemoryBackplane::start(config.queue.instance_id.clone(), &memory)?;
        return Ok((memory, Box::pin(std::future::pending())));
    }
    if let Some(url) = &config.redis {
        let redis = RedisConfig {
            url: url.clone(),
            instance_id: config.queue.instance_id.clone(),
            message_ttl: config.queue.message_ttl,
            presence_grace: config.queue.presence_grace,
            bounds,
        };
        let (redis, failed) = RedisBackplane::start(redis).await?;
        return Ok((redis, Box::pin(failed)));
    }
    let (queue, failed) = SqliteQueue::start_on_loop(config.queue.clone())?;
    Ok((queue, Box::pin(failed)))
}

/// Open files are connections: as many as the system lets us.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(e) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(error = %e, "the limit of open files stays as it is");
    }
}

struct Relay {
    config: Arc<Config>,
    backplane: Arc<dyn Backplane>,
    hub: Arc<Hub>,
    registry: Arc<Registry<Peer>>,
    flusher: Arc<Flusher<Peer>>,
    spawner: Spawner,
    /// Microseconds.
    lag: Arc<AtomicU64>,
}

impl Relay {
    fn new(config: Arc<Config>, backplane: Arc<dyn Backplane>) -> anyhow::Result<Self> {
        let security = &config.security;
        let gate = Gate::new(security.keys.clone(), security.revoked_file.clone())
            .context("--revoked-file")?;
        let flusher = Arc::new(Flusher::new(
            config.cursor_flush_min,
            config.cursor_flush_max,
        ));
        let spawner = Spawner::default();
        let settings = Arc::new(settings(&config));
        let registry = Registry::new(
            backplane.clone(),
            flusher.clone(),
            settings,
            spawner.clone(),
        );
        let hub = Hub::new(registry.clone(), backplane.clone(), config.clone(), gate);
        Ok(Self {
            config,
            backplane,
            hub,
            registry,
            flusher,
            spawner,
            lag: Arc::default(),
        })
    }

    /// Starts everything that runs until the end, under `parts`.
    fn start(
        &self,
        parts: &mut JoinSet<&'static str>,
        failed: BoxFuture<'static, String>,
    ) -> anyhow::Result<()> {
        let listener = listener::bind(self.config.listen)?;
        let address = listener
            .local_addr()
            .context("the listening socket has no address")?;
        let state = self.http_state();
        let upgrade = upgrade::UpgradeState {
            hub: self.hub.clone(),
            spawner: self.spawner.clone(),
        };
        let router = http::router(state.clone()).merge(upgrade::router(upgrade));
        let (flusher, backplane) = (self.flusher.clone(), self.backplane.clone());
        let (spawner, lag) = (self.spawner.clone(), self.lag.clone());
        let patience = listener::Patience {
            head: self.config.deadlines.handshake,
            write: self.config.write_timeout,
        };
        let most = (self.config.limits.max_connections as usize).max(MIN_HTTP_CONNECTIONS);
        parts.spawn(async move {
            let reason = failed.await;
            tracing::error!(reason, "the queue failed");
            "the queue"
        });
        parts.spawn(async move {
            flusher.run(|| backplane.last_commit()).await;
            "the cursor flusher"
        });
        parts.spawn(async move {
            Monitor::run(state).await;
            "the health monitor"
        });
        if self.config.security.revoked_file.is_some() {
            let hub = self.hub.clone();
            // Without a list, SIGHUP ends the process as usual: its terminal is gone.
            let mut hangup = signal(SignalKind::hangup()).context("can't listen for SIGHUP")?;
            parts.spawn(async move {
                while hangup.recv().await.is_some() {
                    hub.reload_revoked();
                }
                "the reader of --revoked-file"
            });
        }
        parts.spawn(async move {
            measure_lag(&lag).await;
            "the lag meter"
        });
        parts.spawn(async move {
            listener::accept(listener, router, spawner, patience, most).await;
            "the listener"
        });
        tracing::info!(
            instance = %self.config.queue.instance_id,
            "ready on http://{address}"
        );
        Ok(())
    }

    fn http_state(&self) -> HttpState {
        HttpState {
            backplane: self.backplane.clone(),
            config: self.config.clone(),
            relay: Arc::new(Status {
                hub: self.hub.clone(),
                registry: self.registry.clone(),
                lag: self.lag.clone(),
            }),
            metrics: crate::telemetry::metrics_recorder(),
            monitor: Arc::default(),
            started: Instant::now(),
        }
    }

    /// Readiness fails, clients are told to come back elsewhere, what was taken is committed and
    /// acknowledged, sockets are closed, the instance leaves the relay.
    async fn drain(&self) {
        self.hub.go_away(GOAWAY_SPREAD);
        let in_flight = || self.hub.peers().iter().any(|peer| peer.in_flight() > 0);
        // Answers come at commit; a queue that can't commit must not hold the rest up.
        let half = Instant::now() + self.config.drain_timeout / 2;
        while in_flight() && Instant::now() < half {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for peer in self.hub.peers() {
            peer.close(CloseCode::Restarting, "this instance is shutting down");
        }
        let quarter = self.config.drain_timeout / 4;
        if tokio::time::timeout(quarter, self.spawner.ended())
            .await
            .is_err()
        {
            tracing::warn!(
                left = self.spawner.len(),
                "some connections did not end in time"
            );
        }
        self.backplane.shutdown().await;
        tracing::info!("ended");
    }
}

fn settings(config: &Config) -> Settings {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Settings {
        instance: config.queue.instance_id.clone(),
        local_broadcast: config.local_broadcast,
        cursor_quiet: config.cursor_flush_min,
        snapshots: config.snapshots,
        limits: Limits {
            max_message_bytes: config.max_message_bytes,
            cursor_interval_ms: ms(config.cursor_flush_min),
            ops_per_s: config.limits.ops_per_s,
            max_objects: config.max_objects,
            max_clients: config.max_clients_per_canvas,
            max_canvas_bytes: config.max_canvas_bytes,
            max_json_depth: config.limits.max_json_depth,
        },
        heartbeat_ms: ms(config.deadlines.ping_interval),
    }
}

/// How late a timer fires tells how long tasks keep the threads from others.
async fn measure_lag(lag: &AtomicU64) {
    loop {
        let due = Instant::now() + LAG_INTERVAL;
        tokio::time::sleep_until(due.into()).await;
        let late = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        lag.store(late, Ordering::Relaxed);
    }
}

struct Status {
    hub: Arc<Hub>,
    registry: Arc<Registry<Peer>>,
    lag: Arc<AtomicU64>,
}

impl RelayStatus for Status {
    fn connections(&self) -> u64 {
        self.hub.connections()
    }

    fn rooms(&self) -> u64 {
        self.registry.len() as u64
    }

    fn draining(&self) -> bool {
        self.hub.draining()
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds of lag are small")]
    fn event_loop_lag_ms(&self) -> f64 {
        self.lag.load(Ordering::Relaxed) as f64 / 1_000.0
    }
}
