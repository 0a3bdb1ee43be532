//! Starts all parts of a process, watches over them, and ends them in steps with a deadline.

mod backplane;
mod hooks;
mod settings;
mod status;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::analytics;
use crate::assets::{self, Assets};
use crate::auth::Gate;
use crate::backplane::{Backplane, Beginnings};
use crate::config::{AssetPlace, Config};
use crate::hooks::HookStore;
use crate::http::lobby::Lobby;
use crate::http::{self, HttpState, LongAnswers, Monitor, listener, sampler, upgrade};
use crate::jobs::Jobs;
use crate::protocol::close_code::CloseCode;
use crate::room::Link;
use crate::room::cursors::Flusher;
use crate::room::registry::Registry;
use crate::socket::connection::{Hub, Peer};
use crate::tasks::Spawner;
use crate::telemetry;
use crate::webhooks;
use backplane::{Started, start_backplane};
use settings::settings;
use status::{Status, measure_lag};

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
    let bound = listener::bind(config.listen)?;
    let Started {
        backplane,
        jobs,
        hooks,
        samples,
        failed,
    } = start_backplane(&config).await?;
    let relay = Relay::new(config.clone(), backplane, jobs, hooks, samples)?;
    let mut parts = JoinSet::new();
    // Over Redis nothing is stored without it.
    parts.spawn(async move {
        let reason = failed.await;
        tracing::error!(reason, "the queue failed");
        "the queue"
    });
    relay.hooks_of_file().await;
    relay.start(&mut parts, bound)?;
    if config.security.is_open_at(config.listen) {
        tracing::warn!(
            "--auth none: anyone who reaches {} may read and write every canvas; see --auth-secret-file",
            config.listen
        );
    }
    if config.assets.place == AssetPlace::Nowhere {
        tracing::info!(
            "no assets: over Redis they need --assets-url, a bucket, or --assets-dir, a folder that all hosts share"
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
    jobs: Option<Arc<Jobs>>,
    hooks: Arc<dyn HookStore>,
    assets: Option<Arc<Assets>>,
    samples: Arc<dyn analytics::Store>,
    beginnings: Option<Arc<Beginnings>>,
    hub: Arc<Hub>,
    registry: Arc<Registry<Peer>>,
    flusher: Arc<Flusher<Peer>>,
    spawner: Spawner,
    /// Cancelled when HTTP connections are to end.
    ending: CancellationToken,
    lobby: Arc<Lobby>,
    /// Microseconds.
    lag: Arc<AtomicU64>,
}

impl Relay {
    fn new(
        config: Arc<Config>,
        backplane: Arc<dyn Backplane>,
        jobs: Option<Arc<Jobs>>,
        hooks: Arc<dyn HookStore>,
        samples: Arc<dyn analytics::Store>,
    ) -> anyhow::Result<Self> {
        let security = &config.security;
        let gate = Gate::new(security.keys.clone(), security.revoked_file.clone())
            .context("--revoked-file")?;
        let flusher = Arc::new(Flusher::new(
            config.cursor_flush_min,
            config.cursor_flush_max,
        ));
        let spawner = Spawner::default();
        let settings = Arc::new(settings(&config));
        let per_minute = config.limits.new_canvases_per_minute;
        let beginnings = per_minute.map(|n| Beginnings::new(backplane.clone(), n));
        let registry = Registry::new(
            backplane.clone(),
            flusher.clone(),
            settings,
            spawner.clone(),
            beginnings.clone(),
        );
        let hub = Hub::new(registry.clone(), backplane.clone(), config.clone(), gate);
        let limits = &config.limits;
        let lobby = Lobby::new(
            limits.max_connections,
            limits.max_connections_per_address,
            limits.trusted_proxies.clone(),
        );
        let of_jobs = jobs.clone();
        let assets = of_jobs.and_then(|index| Assets::new(index, &config.assets));
        Ok(Self {
            lobby,
            assets,
            config,
            backplane,
            jobs,
            hooks,
            samples,
            beginnings,
            hub,
            registry,
            flusher,
            spawner,
            ending: CancellationToken::new(),
            lag: Arc::default(),
        })
    }

    /// Starts everything that runs until the end, under `parts`.
    fn start(
        &self,
        parts: &mut JoinSet<&'static str>,
        bound: listener::Bound,
    ) -> anyhow::Result<()> {
        let listener = bound.listen()?;
        let address = listener
            .local_addr()
            .context("the listening socket has no address")?;
        let state = self.http_state();
        let upgrade = upgrade::UpgradeState {
            hub: self.hub.clone(),
            spawner: self.spawner.clone(),
        };
        let router = http::whole(state.clone(), upgrade);
        let flusher = self.flusher.clone();
        let backplane = self.backplane.clone();
        let spawner = self.spawner.clone();
        let lag = self.lag.clone();
        let patience = listener::Patience {
            head: self.config.deadlines.handshake,
            write: self.config.write_timeout,
            ending: self.ending.clone(),
        };
        let lobby = self.lobby.clone();
        parts.spawn(async move {
            flusher.run(|| backplane.last_commit()).await;
            "the cursor flusher"
        });
        let sampled = state.clone();
        parts.spawn(async move {
            sampler::run(sampled).await;
            "the sampler"
        });
        parts.spawn(async move {
            Monitor::run(state).await;
            "the health monitor"
        });
        self.hear_signals(parts)?;
        self.sweep_assets(parts);
        if let Some(jobs) = self.jobs.clone() {
            parts.spawn(async move {
                jobs.run_upkeep().await;
                "the upkeep of jobs"
            });
        }
        let hooks = self.hooks.clone();
        parts.spawn(async move {
            hooks.run().await;
            "the hooks"
        });
        if let Some(jobs) = self.jobs.clone() {
            let hooks = self.hooks.clone();
            let spawner = self.spawner.clone();
            let ending = self.ending.clone();
            parts.spawn(async move {
                webhooks::run(jobs, hooks, spawner, ending.clone()).await;
                // Ends with the process; until then nothing may end.
                std::future::pending::<()>().await;
                "the webhooks"
            });
        }
        parts.spawn(async move {
            measure_lag(&lag).await;
            "the lag meter"
        });
        parts.spawn(async move {
            listener::accept(listener, router, spawner, patience, lobby).await;
            "the listener"
        });
        tracing::info!(
            instance = %self.config.instance_id,
            "ready on http://{address}"
        );
        Ok(())
    }

    fn sweep_assets(&self, parts: &mut JoinSet<&'static str>) {
        let Some(assets) = self.assets.clone() else {
            return;
        };
        let directory = self.backplane.clone();
        parts.spawn(async move {
            assets::sweep::run(assets, directory).await;
            "the sweep of assets"
        });
    }

    /// SIGHUP reads again what may change, SIGUSR1 opens the log file anew. Neither ends the process, whatever its flags are.
    fn hear_signals(&self, parts: &mut JoinSet<&'static str>) -> anyhow::Result<()> {
        let hub = self.hub.clone();
        let hooks = self.hooks.clone();
        let hooks_file = self.config.hooks_file.clone();
        let mut hangup = signal(SignalKind::hangup()).context("can't listen for SIGHUP")?;
        let mut rotate = signal(SignalKind::user_defined1()).context("can't listen for SIGUSR1")?;
        parts.spawn(async move {
            loop {
                tokio::select! {
                    _ = hangup.recv() => {
                        // A list of many names takes a while, and so may the disk.
                        let hub = hub.clone();
                        // It says itself what it could not read.
                        let _ = tokio::task::spawn_blocking(move || hub.reload()).await;
                        if let Some(file) = &hooks_file {
                            hooks::take(&*hooks, file, true).await;
                        }
                    }
                    _ = rotate.recv() => telemetry::reopen_log(),
                }
            }
        });
        Ok(())
    }

    /// Has the hooks of `--hooks` be those of the relay.
    fn hooks_of_file(&self) -> impl Future<Output = ()> + Send + use<> {
        let store = self.hooks.clone();
        let file = self.config.hooks_file.clone();
        async move {
            let Some(file) = file else { return };
            // Others may follow a newer version than this file.
            let over = store.alone();
            hooks::take(&*store, &file, over).await;
        }
    }

    fn http_state(&self) -> HttpState {
        HttpState {
            directory: self.backplane.clone(),
            beginnings: self.beginnings.clone(),
            lifecycle: self.backplane.clone(),
            jobs: self.jobs.clone(),
            jobs_shown: Arc::default(),
            stats: Arc::default(),
            analytics_shown: Arc::default(),
            long_answers: LongAnswers::default(),
            hooks: self.hooks.clone(),
            assets: self.assets.clone(),
            analytics: self.samples.clone(),
            config: self.config.clone(),
            relay: Arc::new(Status {
                hub: self.hub.clone(),
                registry: self.registry.clone(),
                lag: self.lag.clone(),
            }),
            metrics: telemetry::metrics_recorder(),
            monitor: Arc::default(),
            started: Instant::now(),
        }
    }

    /// Readiness fails, clients are told to come back elsewhere, what was taken is committed and
    /// acknowledged, sockets are closed, the instance leaves the relay.
    async fn drain(&self) {
        let jobs_until = Instant::now() + self.config.drain_timeout * 3 / 4;
        if let Some(jobs) = &self.jobs {
            jobs.go_away();
        }
        self.hub.go_away();
        self.ending.cancel();
        let in_flight = || self.hub.peers().iter().any(|peer| peer.in_flight() > 0);
        // Answers come at commit; a queue that can't commit must not hold the rest up.
        let half = Instant::now() + self.config.drain_timeout / 2;
        while in_flight() && Instant::now() < half {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for peer in self.hub.peers() {
            peer.close(CloseCode::Restarting, "this instance is shutting down");
        }
        if let Some(jobs) = &self.jobs
            && tokio::time::timeout_at(jobs_until.into(), jobs.settled())
                .await
                .is_err()
        {
            tracing::info!("some jobs were not acknowledged in time: their leases will run out");
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
        if let Some(assets) = &self.assets {
            assets.end().await;
        }
        tracing::info!("ended");
    }
}
