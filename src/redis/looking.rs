//! A relay in Redis from outside: tools that are no instance look at it, or move a new one in.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue as _, Value};

use super::connect::{Subscription, other_format, run_id};
use super::replies::Head;
use super::sound::overwritten;
use super::{Redis, RedisConfig, RedisLog, done, script};
use crate::log::{ConnectError, FORMAT, Fault, Introduction, Listener, Log, Looked, Published};
use crate::protocol::ids::{CanvasId, InstanceNumber};

script!(LOOK, "look", counts);

/// What stands in the place of the format until all that is moved in is there: every instance refuses it.
pub(super) const MOVING: &str = "moving";
/// Keys of one step of a walk over all keys.
const STEP: u32 = 1_000;
/// Steps in which names of other relays are looked for.
const STEPS: u32 = 200;

/// What is under a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No key.
    Nothing,
    /// A relay, or keys of somebody else: such as that one.
    Something(String),
    /// A part of what was to be moved in; whoever did that has ended.
    Unfinished,
    /// The same, and it goes on.
    Moving,
}

/// A relay that is looked at.
pub struct Relay {
    /// All that can be read of it.
    pub log: Arc<dyn Log>,
    /// The rules of its processes, in the words of the flags.
    pub rules: String,
    /// The highest number that an instance ever had, if there was one.
    pub last_instance: Option<InstanceNumber>,
    /// What Redis says of itself.
    pub server: String,
    /// Keys that somebody has overwritten, in words.
    pub overwritten: Vec<String>,
}

/// Nothing is subscribed to.
struct Deaf;

impl Listener for Deaf {
    fn received(&self, _: u64, _: &str, _: Published) {}
    fn received_rows(&self, _: u64, _: &[u8]) {}
    fn broke(&self, _: u64, _: &str) {}
}

impl Redis {
    /// For whoever moves a relay in: nobody else can enter until [`Redis::moved_in`].
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn for_moving(config: &RedisConfig, me: Introduction) -> Result<Self, String> {
        let mut redis = Self::new(config, me)?;
        redis.format = format!("{MOVING} {FORMAT}");
        Ok(redis)
    }

    /// Looks at the relay without entering it.
    ///
    /// # Errors
    /// Where Redis can't be reached, there is no relay, or it is of another format.
    pub async fn look(&self) -> Result<Relay, ConnectError> {
        let (mut conn, server, place) = self.dial_one().await?;
        let overwritten = self.overwritten(&mut conn).await?;
        let known: Vec<Option<String>> = redis::cmd("HMGET")
            .arg(self.keys.relay())
            .arg(&["id", "format", "era", "rules", "last_instance", "skew"])
            .query_async(&mut conn)
            .await?;
        let [id, format, era, rules, last_instance, skew] =
            <[Option<String>; 6]>::try_from(known).unwrap_or_default();
        let (Some(relay), Some(format)) = (id, format) else {
            return Err(ConnectError::ForGood(self.nothing_there(&mut conn).await?));
        };
        if format != FORMAT.to_string() {
            return Err(ConnectError::ForGood(other_format(&format)));
        }
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut conn).await?;
        let skew: i64 = skew.and_then(|skew| skew.parse().ok()).unwrap_or(0);
        let now_ms = seconds * 1_000 + micros / 1_000 + skew;
        self.me.clock.begin(now_ms, Duration::ZERO);
        let log = RedisLog {
            commits: conn.clone(),
            short: conn.clone(),
            bulk: conn.clone(),
            channels: conn,
            place,
            relay,
            era: era.unwrap_or_default().into(),
            number: None,
            host: self.host.clone(),
            keys: self.keys.clone(),
            me: self.me.clone(),
            hooks: self.hooks.clone(),
        };
        let last: Option<u32> = last_instance.and_then(|number| number.parse().ok());
        Ok(Relay {
            log: Arc::new(log),
            rules: rules.unwrap_or_default(),
            last_instance: last.filter(|number| *number > 0).map(InstanceNumber),
            server,
            overwritten,
        })
    }

    /// What somebody has overwritten. Nothing can be looked at where that is the relay itself.
    async fn overwritten(
        &self,
        conn: &mut MultiplexedConnection,
    ) -> Result<Vec<String>, ConnectError> {
        let numbers = redis::cmd("ZRANGE")
            .arg(self.keys.instances())
            .arg(0)
            .arg(-1)
            .to_owned();
        // It may be what was overwritten.
        let numbers: Vec<InstanceNumber> = numbers.query_async(conn).await.unwrap_or_default();
        let found = overwritten(&self.keys, &numbers, conn).await?;
        let relay = self.keys.relay();
        let words = |(key, is, kind): &(String, String, &str)| {
            format!("the key {key} is a {is} and should be a {kind}: somebody overwrote it")
        };
        if let Some(gone) = found.iter().find(|(key, ..)| *key == relay) {
            return Err(ConnectError::ForGood(format!(
                "{}; start a process: it sets it aside, and the canvases go on",
                words(gone)
            )));
        }
        Ok(found.iter().map(words).collect())
    }

    /// What is under the prefix.
    ///
    /// # Errors
    /// Where Redis can't be reached.
    pub async fn found(&self) -> Result<Found, ConnectError> {
        let (mut conn, _, _) = self.dial_one().await?;
        let mut ask = redis::pipe();
        ask.cmd("HMGET").arg(self.keys.relay());
        ask.arg(&["id", "format"]);
        ask.cmd("ZRANGE").arg(self.keys.instances()).arg(0).arg(-1);
        type Known = ((Option<String>, Option<String>), Vec<InstanceNumber>);
        let ((id, format), instances): Known = ask.query_async(&mut conn).await?;
        if let (Some(id), Some(format)) = (id, format) {
            if !format.starts_with(MOVING) {
                return Ok(Found::Something(self.keys.relay()));
            }
            let signs = instances.iter().map(|n| self.keys.sign_of_life(&id, *n));
            let mut ask = redis::cmd("PUBSUB");
            ask.arg("NUMSUB").arg(signs.collect::<Vec<_>>());
            let heard: HashMap<String, u64> = ask.query_async(&mut conn).await?;
            return Ok(match heard.values().any(|count| *count > 0) {
                true => Found::Moving,
                false => Found::Unfinished,
            });
        }
        let mut first = None;
        self.walk(&mut conn, u32::MAX, |keys| {
            first = keys.into_iter().next();
            first.is_none()
        })
        .await?;
        Ok(first.map_or(Found::Nothing, Found::Something))
    }

    /// Removes what an end halfway has left of a relay that was moved in.
    ///
    /// # Errors
    /// Where Redis can't be reached.
    pub async fn clear_unfinished(&self) -> Result<(), ConnectError> {
        if self.found().await? != Found::Unfinished {
            return Err(ConnectError::ForGood("somebody uses it".to_owned()));
        }
        let (mut conn, _, _) = self.dial_one().await?;
        let mut all = Vec::new();
        self.walk(&mut conn, u32::MAX, |keys| {
            all.extend(keys);
            true
        })
        .await?;
        // The mark goes last: whoever is ended here finds it again.
        let relay = self.keys.relay();
        all.retain(|key| *key != relay);
        for keys in all.chunks(STEP as usize) {
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(keys).query_async::<()>(&mut conn).await?;
        }
        let mut unlink = redis::cmd("UNLINK");
        Ok(unlink.arg(relay).query_async::<()>(&mut conn).await?)
    }

    /// Everything is there: instances may enter.
    ///
    /// # Errors
    /// Where Redis can't be reached.
    pub async fn moved_in(&self) -> Result<(), ConnectError> {
        let (mut conn, _, _) = self.dial_one().await?;
        let mut set = redis::cmd("HSET");
        set.arg(self.keys.relay()).arg("format").arg(FORMAT);
        Ok(set.query_async::<()>(&mut conn).await?)
    }

    async fn dial_one(&self) -> Result<(MultiplexedConnection, String, String), ConnectError> {
        let (client, place) = self.address.client().await.map_err(ConnectError::Now)?;
        let deaf = Arc::new(Subscription {
            link: 0,
            listener: Arc::new(Deaf),
            prefix: Arc::new(OnceLock::new()),
        });
        let (conn, server) = self.dial(&client, deaf).await?;
        run_id(&[&server], &place)?;
        Ok((conn, server, place))
    }

    /// Calls it with the keys under the prefix, some at a time, as long as it wants more.
    async fn walk(
        &self,
        conn: &mut MultiplexedConnection,
        steps: u32,
        more: impl FnMut(Vec<String>) -> bool,
    ) -> Result<(), ConnectError> {
        let pattern = format!("{}*", self.keys.all());
        walk(conn, &pattern, steps, more).await
    }

    /// Says that no relay is there, and which prefixes have one.
    async fn nothing_there(
        &self,
        conn: &mut MultiplexedConnection,
    ) -> Result<String, ConnectError> {
        let mut others = BTreeSet::new();
        walk(conn, "*:relay", STEPS, |keys| {
            let named = keys.into_iter();
            others.extend(named.filter_map(|key| Some(key.strip_suffix(":relay")?.to_owned())));
            true
        })
        .await?;
        let others: Vec<String> = others.into_iter().take(10).collect();
        let all = self.keys.all();
        let prefix = all.trim_end_matches(':');
        Ok(match others.is_empty() {
            true => format!(
                "there is no relay under --redis-prefix {prefix} in this database, and none under another \
                 prefix: is it the right server, and the right number behind its address?"
            ),
            false => format!(
                "there is no relay under --redis-prefix {prefix} in this database; there is one under {}",
                others.join(", ")
            ),
        })
    }
}

async fn walk(
    conn: &mut MultiplexedConnection,
    pattern: &str,
    steps: u32,
    mut more: impl FnMut(Vec<String>) -> bool,
) -> Result<(), ConnectError> {
    let mut cursor = 0_u64;
    for _ in 0..steps {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern);
        scan.arg("COUNT").arg(STEP);
        let (next, keys): (u64, Vec<String>) = scan.query_async(conn).await?;
        cursor = next;
        if !more(keys) || cursor == 0 {
            break;
        }
    }
    Ok(())
}

impl RedisLog {
    pub(super) async fn look_at(&self, canvas: &CanvasId) -> Result<Option<Looked>, Fault> {
        let mut look = self.call(&LOOK);
        look.key(self.keys.canvas(canvas));
        let found: Value = done(&look, &self.bulk).await?;
        let read = Option::from_redis_value(found);
        let read: Option<(Head, u8)> = read.map_err(|e| Fault::Canvas(e.to_string()))?;
        Ok(read.map(|(Head(head), lost)| Looked {
            head,
            lost: lost == 1,
        }))
    }
}
