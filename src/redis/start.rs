//! How an instance begins: what it asks of the server, and what it says when that is not so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Instant;

use parking_lot::Mutex;
use redis::{Client, IntoConnectionInfo, ProtocolVersion};
use thiserror::Error;
use tokio::sync::{Notify, watch};

use super::canvases::Canvases;
use super::link::{self, Link, info};
use super::{Clock, Counters, RedisBackplane, RedisConfig, Shared, house, millis, peers, writer};
use crate::backplane::Waiters;
use crate::backplane::intake::Intake;
use crate::config::RedisUrl;
use crate::machine::Rules;

/// Why an instance can't begin, or can't go on.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address is none.
    #[error("--redis must be like redis://127.0.0.1:6379 or redis+unix:///run/redis.sock: {0}")]
    Url(String),
    /// Nobody answers there, or not as Redis does.
    #[error("Redis can't be reached at {0}: {1}")]
    Unreachable(RedisUrl, String),
    /// Without it a restart of Redis, which may have lost something, could not be told from a lost connection.
    #[error(
        "Redis does not say which run it is (run_id in INFO server): this user must be allowed INFO"
    )]
    NoRunId,
    /// Written by another version.
    #[error(
        "the relay in this Redis is of format {0}, this program's is {1}: run the same version everywhere, or use another database"
    )]
    Format(String, u32),
    /// Instances of one relay must come to the same results.
    #[error(
        "other processes of this relay run with {theirs}, this one with {ours}: give all the same flags"
    )]
    Rules {
        /// Those of the others.
        theirs: String,
        /// Those of this process.
        ours: String,
    },
    /// Redis forgot that the number was given away, and gave it away again.
    #[error(
        "another process was given this one's number, since Redis had lost it: restart this process"
    )]
    NumberTaken,
    /// The name is in use.
    #[error("--instance-id {0} is in use by another process of this relay: give each its own")]
    NameTaken(String),
}

impl RedisBackplane {
    /// Connects, and registers this instance. The future is its work, to be run as long as it lives; it ends with the
    /// reason if the instance can't go on: the process must go down.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the address, the server or this process's flags.
    pub async fn start(
        config: RedisConfig,
    ) -> Result<(Arc<Self>, impl Future<Output = String> + Send + 'static), StartError> {
        let shared = Arc::new(Shared::new(config)?);
        link::begin(&shared).await?;
        if let Some(name) = peers::name_taken(&shared).await? {
            peers::unregister(&shared).await;
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
                reason = link::keep(parts.clone()) => return reason,
                reason = writer::run(parts.clone()) => return reason,
                reason = house::run(parts.clone()) => return reason,
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
    fn new(config: RedisConfig) -> Result<Self, StartError> {
        let url = |error: redis::RedisError| StartError::Url(error.to_string());
        let address = config.url.reveal().into_connection_info().map_err(url)?;
        let settings = address
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(address.set_redis_settings(settings)).map_err(url)?;
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            rules: Rules {
                message_ttl_ms: millis(config.message_ttl),
                presence_grace_ms: millis(config.presence_grace),
                bounds: config.bounds,
            },
            config,
            token: uuid::Uuid::new_v4().simple().to_string(),
            number: AtomicU32::new(0),
            link: Link::new(client, host),
            canvases: Canvases::default(),
            intake: Intake::default(),
            work: Notify::new(),
            asked: Mutex::default(),
            busy: AtomicBool::new(false),
            serial: AtomicU64::new(0),
            waiters: Waiters::default(),
            clock: Mutex::new(Clock {
                then: Instant::now(),
                then_ms: 0,
            }),
            counters: Counters::default(),
            ending: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        })
    }
}

/// Says once what of the server's settings does not go with the promises.
pub(super) fn advise(server: &str) {
    if info(server, "aof_enabled") == Some("0") {
        tracing::warn!(
            "Redis keeps no append-only file: what was acked since its last dump is lost when it crashes; \
             set appendonly yes, and appendfsync always to lose nothing"
        );
    }
    if let Some(policy) = info(server, "maxmemory_policy").filter(|policy| *policy != "noeviction")
    {
        tracing::warn!(
            policy,
            "Redis may throw canvases away when its memory is full: set maxmemory-policy noeviction"
        );
    }
}
