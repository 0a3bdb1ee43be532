//! How an instance starts: its demands on the engine, and its errors if they are not met.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{Notify, watch};

use super::canvases::Canvases;
use super::link::{self, Link};
use super::loading::Turns;
use super::{
    Counters, ReplicatedBackplane, ReplicatedConfig, Shared, dispatch, jobs, peers, rules, samples,
    upkeep, writer,
};
use crate::backplane::Waiters;
use crate::backplane::intake::Intake;
use crate::canvas::Rules;
use crate::config::FailPoints;
use crate::log::{Clock, Engine, Introduction};

/// Why an instance can't begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// The engine says why, or what makes it.
    #[error("{0}")]
    Engine(String),
    /// Nobody answers there, or not as such an engine does.
    #[error("{engine} can't be reached at {place}: {why}")]
    Unreachable {
        /// What engine.
        engine: &'static str,
        /// Where.
        place: String,
        /// What was said.
        why: String,
    },
    /// The name is in use.
    #[error("--instance-id {0} is in use by another process of this relay: give each its own")]
    NameTaken(String),
}

impl StartError {
    pub(super) fn unreachable(shared: &Shared, why: String) -> Self {
        Self::Unreachable {
            engine: shared.engine(),
            place: shared.engine.place(),
            why,
        }
    }
}

impl ReplicatedBackplane {
    /// Connects to the engine that is made for this instance, and registers. The future is its work, to be run as long as it
    /// lives; it ends with the reason if the instance can't go on: the process must go down.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the engine or this process's flags.
    pub async fn start(
        config: ReplicatedConfig,
        engine: impl FnOnce(Introduction) -> Result<Arc<dyn Engine>, String>,
    ) -> Result<(Arc<Self>, impl Future<Output = String> + Send + 'static), StartError> {
        let shared = Arc::new(Shared::new(config, engine)?);
        link::begin(&shared).await?;
        if peers::name_taken(&shared).await? {
            peers::unregister(&shared).await;
            let name = shared.config.instance_id.to_string();
            return Err(StartError::NameTaken(name));
        }
        let parts = shared.clone();
        let work = async move {
            let mut ended = parts.ended.subscribe();
            let ended = async move {
                // Its sender is a field of what `parts` holds.
                let _ = ended.wait_for(|ended| *ended).await;
            };
            tokio::select! {
                // Always in the same order, so that a test can play it again.
                biased;
                reason = link::keep(parts.clone()) => return reason,
                reason = link::follow(parts.clone()) => return reason,
                reason = writer::run(parts.clone()) => return reason,
                reason = upkeep::run(parts.clone()) => return reason,
                reason = jobs::run(parts.clone()) => return reason,
                reason = dispatch::run(parts.clone()) => return reason,
                reason = samples::run(parts.clone()) => return reason,
                reason = parts.fill_all() => return reason,
                () = ended => {}
            }
            std::future::pending().await
        };
        let backplane = Self {
            shared,
            conns: AtomicU64::new(1),
        };
        Ok((Arc::new(backplane), work))
    }
}

impl Shared {
    fn new(
        config: ReplicatedConfig,
        engine: impl FnOnce(Introduction) -> Result<Arc<dyn Engine>, String>,
    ) -> Result<Self, StartError> {
        let quotas = config.rules.quotas;
        let rules = Rules::from(&config.rules);
        let clock = Arc::new(Clock::default());
        let token = uuid::Uuid::new_v4().simple().to_string();
        let engine = engine(Introduction {
            token: token.clone(),
            instance_id: config.instance_id.to_string(),
            relay_rules: rules::of_relay(&rules, config.auth, &quotas),
            canvas_rules: rules::text(&rules),
            message_ttl_ms: rules.message_ttl_ms,
            presence_grace_ms: rules.presence_grace_ms,
            quotas,
            clock: clock.clone(),
        });
        let engine = engine.map_err(StartError::Engine)?;
        let fail_points = FailPoints::new(&config.fail_points);
        Ok(Self {
            rules,
            config,
            number: OnceLock::new(),
            link: Link::new(engine.name()),
            engine,
            token,
            canvases: Canvases::default(),
            intake: Intake::default(),
            work: Notify::new(),
            asked: Mutex::default(),
            busy: AtomicBool::new(false),
            serial: AtomicU64::new(0),
            waiters: Waiters::default(),
            clock,
            turns: Turns::default(),
            jobs: jobs::Lane::default(),
            dispatcher: dispatch::Dispatcher::default(),
            fail_points,
            others: AtomicUsize::new(0),
            samples: samples::Lane::default(),
            commits: AtomicU64::new(0),
            counters: Counters::default(),
            ending: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        })
    }
}
