//! A link to Redis: connected, and entered as an instance.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value};

use super::keys::JOBS;
use super::registry::Entered;
use super::replies::published;
use super::{Redis, RedisLog};
use crate::log::{ConnectError, FORMAT, Listener, differing};
use crate::protocol::ids::InstanceNumber;
use crate::time;

/// For a connection to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// For an answer. A snapshot of the largest canvas takes a fraction of it.
const ANSWER: Duration = Duration::from_secs(5);
/// Requests that may wait for the connection; those who ask then wait.
const PIPELINE: usize = 64;

/// Without it a restart of Redis, which may have lost something, could not be told from a lost connection.
const NO_RUN_ID: &str =
    "Redis does not say which run it is (run_id in INFO server): this user must be allowed INFO";
/// A script of the relay has keys of several slots.
const CLUSTER: &str = "is a node of a Redis Cluster, over which scumble does not run: \
                       --redis (and --from and --to of `scumble migrate`) need a server with cluster-enabled no";
/// Redis forgot that the number was given away, and gave it away again.
const NUMBER_TAKEN: &str =
    "another process was given this one's number, since Redis had lost it: restart this process";

impl From<RedisError> for ConnectError {
    fn from(error: RedisError) -> Self {
        Self::Now(super::fault::words(&error))
    }
}

/// Instances of different versions do not share a relay.
pub(super) fn other_format(theirs: &str) -> String {
    if theirs.starts_with(super::looking::MOVING) {
        return "a relay is being moved into this Redis, or `scumble migrate` was ended halfway: \
                run it again, which begins anew, or use another database or --redis-prefix"
            .to_owned();
    }
    let older = match theirs.parse::<u32>() {
        Ok(theirs) if theirs < FORMAT => "what is there was written by an older scumble",
        Ok(_) => "this scumble is the older one",
        Err(_) => "it is not known which is the older one",
    };
    format!(
        "the relay in this Redis is of format {theirs}, this program's is {FORMAT}: {older}; \
         run the same version everywhere, or use another database or --redis-prefix"
    )
}

/// What comes through a connection, and to whom.
pub(super) struct Subscription {
    pub(super) link: u64,
    pub(super) listener: Arc<dyn Listener>,
    /// What the channels' names begin with; known once the relay is.
    pub(super) prefix: Arc<std::sync::OnceLock<String>>,
}

impl Subscription {
    /// Called by the connection for each message, in its order: must not block.
    fn received(&self, info: &PushInfo) {
        match info.kind {
            PushKind::Disconnection => self.listener.broke(self.link, "it was closed"),
            PushKind::Message => {
                if let [Value::BulkString(channel), Value::BulkString(message)] = &info.data[..]
                    && let Some(prefix) = self.prefix.get()
                    && let Some(name) = channel.strip_prefix(prefix.as_bytes())
                    && let Ok(name) = std::str::from_utf8(name)
                {
                    if name == JOBS {
                        self.listener.received_rows(self.link, message);
                    } else if let Some(published) = published(message) {
                        self.listener.received(self.link, name, published);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Redis {
    /// Connects and enters.
    pub(super) async fn link(
        &self,
        link: u64,
        number: Option<InstanceNumber>,
        listener: Arc<dyn Listener>,
    ) -> Result<RedisLog, ConnectError> {
        let prefix = Arc::new(std::sync::OnceLock::new());
        let subscription = Arc::new(Subscription {
            link,
            listener,
            prefix: prefix.clone(),
        });
        let (client, place) = self.address.client().await.map_err(ConnectError::Now)?;
        let dial = || self.dial(&client, subscription.clone());
        let (commits, mut short, bulk, mut channels) =
            tokio::try_join!(dial(), dial(), dial(), dial())?;
        let servers = [&commits.1, &short.1, &bulk.1, &channels.1];
        let run_id = run_id(&servers, &place)?;
        super::sound::set_aside(&self.keys, number, &self.hooks, Vec::new(), &mut short.0).await?;
        let asked = time::now();
        let entered = self.enter(&mut short.0, &run_id, number).await?;
        let (relay, era, number) = match entered {
            Entered::In {
                relay,
                era,
                number,
                now_ms,
            } => {
                self.me.clock.begin(now_ms, time::since(asked));
                (relay, era, number)
            }
            Entered::Format(theirs) => return Err(ConnectError::ForGood(other_format(&theirs))),
            Entered::Rules(theirs) => {
                let (theirs, ours) = differing(&theirs, &self.me.relay_rules);
                return Err(ConnectError::ForGood(format!(
                    "other processes of this relay run with {theirs}, this one with {ours}: \
                     give all the same flags"
                )));
            }
            Entered::Taken => return Err(ConnectError::ForGood(NUMBER_TAKEN.to_owned())),
        };
        if link == 1 {
            advise(&short.1);
        }
        // It is set once.
        let _ = prefix.set(self.keys.channels(&relay));
        let sign = self.keys.sign_of_life(&relay, number);
        channels.0.subscribe(sign).await?;
        channels.0.subscribe(self.keys.of_jobs(&relay)).await?;
        Ok(RedisLog {
            commits: commits.0,
            short: short.0,
            bulk: bulk.0,
            channels: channels.0,
            place,
            relay,
            era: era.into(),
            number: Some(number),
            host: self.host.clone(),
            keys: self.keys.clone(),
            me: self.me.clone(),
            hooks: self.hooks.clone(),
        })
    }

    /// One connection, and what its server says of itself.
    pub(super) async fn dial(
        &self,
        client: &Client,
        subscription: Arc<Subscription>,
    ) -> Result<(MultiplexedConnection, String), ConnectError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_pipeline_buffer_size(PIPELINE)
            .set_push_sender(move |info: PushInfo| {
                subscription.received(&info);
                Ok::<(), redis::aio::SendError>(())
            });
        let mut conn = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        // So that an operator knows whose connection it is.
        let mut named = redis::cmd("CLIENT");
        named
            .arg("SETNAME")
            .arg(format!("scumble:{}", self.me.instance_id));
        named.query_async::<()>(&mut conn).await?;
        let server: String = redis::cmd("INFO").query_async(&mut conn).await?;
        Ok((conn, server))
    }
}

/// Names the run of the server that all connections lead to, also while an address moves to another.
pub(super) fn run_id(servers: &[&String], place: &str) -> Result<String, ConnectError> {
    let run = |server: &str| info(server, "run_id").unwrap_or_default().to_owned();
    let run_id = run(servers[0]);
    if run_id.is_empty() {
        return Err(ConnectError::ForGood(NO_RUN_ID.to_owned()));
    }
    if info(servers[0], "redis_mode") == Some("cluster") {
        return Err(ConnectError::ForGood(format!("{place} {CLUSTER}")));
    }
    if info(servers[0], "role").is_some_and(|role| role != "master") {
        let why = format!("the Redis at {place} is a replica");
        return Err(ConnectError::Now(why));
    }
    if servers.iter().any(|server| run(server) != run_id) {
        return Err(ConnectError::Now(
            "the address led to two servers".to_owned(),
        ));
    }
    Ok(run_id)
}

/// A field of what `INFO` says.
pub(super) fn info<'a>(server: &'a str, field: &str) -> Option<&'a str> {
    server
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
}

/// Says once what of the server's settings does not go with the promises.
fn advise(server: &str) {
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
