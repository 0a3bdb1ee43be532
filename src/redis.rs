//! Redis as the engine of a relay of several hosts (see [`crate::log`]): processes share one server, found at its
//! address or by sentinels.
//!
//! - [`connect`]: the connections of a link, and what a server must be to be used; [`address`]: where it is.
//! - [`batches`], [`snapshots`], [`summaries`], [`counting`], [`registry`], [`tables`], [`samples`]: the requests, each
//!   step one script in `lua/`.
//! - [`sound`]: keys that somebody has overwritten.
//! - [`looking`]: a relay from outside, and one that is moved in.
//! - [`keys`]: the names of keys and channels; [`replies`]: the form of answers and messages; [`fault`]: what an error
//!   means to its caller.
//!
//! If Redis itself loses something (in a crash between two syncs of its file, or in a failover to a replica that was
//! behind), that is lost. Each run of a server has an era of its own, so that instances notice.

mod address;
mod batches;
mod connect;
mod counting;
mod fault;
mod keys;
mod looking;
mod registry;
mod replies;
mod samples;
mod snapshots;
mod sound;
mod summaries;
mod tables;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Script, ScriptInvocation};

use crate::config::{RedisTls, RedisUrl};
use crate::log::{ConnectError, Engine, FORMAT, Fault, Introduction, Listener, Log, Reply};
use crate::protocol::ids::InstanceNumber;
use address::Address;
use keys::Keys;
pub use looking::{Found, Relay};

/// Where Redis is, and what the relay is called there.
#[derive(Clone)]
pub struct RedisConfig {
    /// Its address.
    pub url: RedisUrl,
    /// What all keys and channels begin with.
    pub prefix: String,
    /// For an encrypted connection.
    pub tls: RedisTls,
}

/// A Redis server, or whichever the sentinels say.
pub struct Redis {
    address: Address,
    url: RedisUrl,
    host: String,
    keys: Arc<Keys>,
    me: Arc<Introduction>,
    /// Of all that is kept there. Only who moves a relay in says another one.
    format: String,
    /// The version of the hooks, as it was heard last: for a relay that somebody removed.
    hooks: Arc<AtomicU64>,
}

impl Redis {
    /// Does not connect yet.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn new(config: &RedisConfig, me: Introduction) -> Result<Self, String> {
        let address = Address::new(&config.url, &config.tls).map_err(|why| {
            format!(
                "--redis must be like redis://127.0.0.1:6379 or redis+unix:///run/redis.sock: {why}"
            )
        })?;
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            address,
            url: config.url.clone(),
            host,
            keys: Arc::new(Keys::new(&config.prefix)),
            me: Arc::new(me),
            format: FORMAT.to_string(),
            hooks: Arc::default(),
        })
    }
}

impl Engine for Redis {
    fn name(&self) -> &'static str {
        "Redis"
    }

    fn place(&self) -> String {
        self.url.to_string()
    }

    fn remedy(&self) -> &'static str {
        "see that Redis runs, that this host reaches it, and that it has memory and disk"
    }

    fn connect<'a>(
        &'a self,
        link: u64,
        number: Option<InstanceNumber>,
        listener: Arc<dyn Listener>,
    ) -> BoxFuture<'a, Result<Arc<dyn Log>, ConnectError>> {
        async move {
            let log = self.link(link, number, listener).await?;
            Ok(Arc::new(log) as Arc<dyn Log>)
        }
        .boxed()
    }

    fn moved<'a>(&'a self, log: &'a Arc<dyn Log>) -> BoxFuture<'a, String> {
        self.address.left(log.place()).boxed()
    }
}

/// A link to Redis: four connections, for commits, for other short commands, for what is large, and for what is published. So a canvas that
/// is read holds no commit up, and the bound that Redis has for subscribers does not count what is read.
struct RedisLog {
    commits: MultiplexedConnection,
    short: MultiplexedConnection,
    bulk: MultiplexedConnection,
    /// Subscribed; what is published comes through it.
    channels: MultiplexedConnection,
    /// The server's address.
    place: String,
    relay: String,
    era: Arc<str>,
    /// `None` where the relay is only looked at: nothing is written then.
    number: Option<InstanceNumber>,
    host: String,
    keys: Arc<Keys>,
    me: Arc<Introduction>,
    hooks: Arc<AtomicU64>,
}

impl Log for RedisLog {
    fn number(&self) -> InstanceNumber {
        self.own_number()
    }

    fn era(&self) -> &Arc<str> {
        &self.era
    }

    fn place(&self) -> &str {
        &self.place
    }

    fn ping(&self) -> Reply<'_, ()> {
        async move {
            let ping = redis::cmd("PING");
            ping.query_async::<String>(&mut self.short.clone()).await?;
            Ok(())
        }
        .boxed()
    }
}

impl RedisLog {
    fn own_number(&self) -> InstanceNumber {
        self.number
            .expect("whoever only looks writes nothing in its name")
    }

    /// A call of a script that is of an era.
    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.key(self.keys.relay());
        call.arg(&*self.era).arg(self.me.clock.now_ms());
        call
    }
}

async fn done<T: FromRedisValue>(
    call: &ScriptInvocation<'_>,
    conn: &MultiplexedConnection,
) -> Result<T, Fault> {
    Ok(call.invoke_async(&mut conn.clone()).await?)
}

/// How long one wait for replicas takes at most, in milliseconds. Then it is said, and waited again.
const REPLICAS_WAIT_MS: u64 = 1_000;

/// Waits until so many replicas have what was written on this connection.
async fn replicas_have(conn: &MultiplexedConnection, wanted: u32) -> Result<(), Fault> {
    let mut wait = redis::cmd("WAIT");
    wait.arg(wanted).arg(REPLICAS_WAIT_MS);
    let have: u32 = wait.query_async(&mut conn.clone()).await?;
    if have < wanted {
        let few = format!("{have} of {wanted} replicas have it");
        return Err(Fault::NotNow(few));
    }
    Ok(())
}

/// A name to set something aside under.
fn aside() -> String {
    format!(":aside:{}", uuid::Uuid::new_v4().simple())
}

/// A script that looks at the era first; with `counts`, one that changes what canvases take.
macro_rules! script {
    ($name:ident, $file:literal) => {
        script!($name, $file, "");
    };
    ($name:ident, $file:literal, counts) => {
        script!(
            $name,
            $file,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/redis/lua/count.lua"
            ))
        );
    };
    ($name:ident, $file:literal, $between:expr) => {
        static $name: std::sync::LazyLock<redis::Script> = std::sync::LazyLock::new(|| {
            let era = include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/redis/lua/era.lua"
            ));
            let script = include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/redis/lua/",
                $file,
                ".lua"
            ));
            redis::Script::new(&[era, $between, script].concat())
        });
    };
}
use script;
