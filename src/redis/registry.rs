//! The instances of the relay, and its era.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ParsingError, RedisResult, Script, Value, from_redis_value};

use super::sound::set_aside;
use super::{Redis, RedisLog, done, script};
use crate::log::{FORMAT, Fault, Heartbeat, OtherInstance, Proof, Registered, Registry, Reply};
use crate::protocol::ids::{CanvasId, InstanceNumber};

static ENTER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/enter.lua")));
static REMOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/remove.lua")));

script!(BEAT, "beat");
script!(STEP, "step");
script!(PROVE, "prove");
script!(REAP, "reap");
script!(SETTLE, "settle");

/// How long an instance of the era before is waited for that has not said whether what it knows is there.
const PROOF_MS: i64 = 1_500;
/// So long after the end of a grace, time is let pass where nobody looks.
const GRACE_LATE_MS: i64 = 250;
/// Nobody else turns the clients of a dead instance away for so long.
const REAPING_MS: u64 = 10_000;

/// How a request to come in ended.
#[derive(Debug)]
pub(super) enum Entered {
    In {
        relay: String,
        era: String,
        number: InstanceNumber,
        now_ms: i64,
    },
    /// The relay is of another format.
    Format(String),
    /// Others run with other rules.
    Rules(String),
    /// Another process has this one's number.
    Taken,
}

impl FromRedisValue for Entered {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(items) = value else {
            return Err("an array was expected".into());
        };
        let mut items = items.into_iter();
        let mut next = || items.next().unwrap_or(Value::Nil);
        let word: String = from_redis_value(next())?;
        Ok(match word.as_str() {
            "in" => Self::In {
                relay: from_redis_value(next())?,
                era: from_redis_value(next())?,
                number: from_redis_value(next())?,
                now_ms: from_redis_value(next())?,
            },
            "format" => Self::Format(from_redis_value(next())?),
            "rules" => Self::Rules(from_redis_value(next())?),
            _ => Self::Taken,
        })
    }
}

impl Redis {
    /// Comes in, or comes back.
    pub(super) async fn enter(
        &self,
        conn: &mut MultiplexedConnection,
        run_id: &str,
        number: Option<InstanceNumber>,
    ) -> RedisResult<Entered> {
        let new = || uuid::Uuid::new_v4().simple().to_string();
        let keys = &self.keys;
        ENTER
            .key(keys.relay())
            .key(keys.instances())
            .key(keys.instance_prefix())
            .key(keys.awaited())
            .arg(run_id)
            .arg(number.map_or(0, |number| number.0))
            .arg(&self.me.token)
            .arg(&self.me.instance_id)
            .arg(std::process::id())
            .arg(&self.host)
            .arg(&self.me.relay_rules)
            .arg(&self.format)
            .arg(new())
            .arg(new())
            .arg(keys.all())
            .arg(self.hooks.load(Ordering::Relaxed))
            .invoke_async(conn)
            .await
    }
}

impl Registry for RedisLog {
    fn prove(&self, whole: bool, commits: u64) -> Reply<'_, Proof> {
        async move {
            let mut prove = self.call(&PROVE);
            prove
                .key(self.keys.awaited())
                .arg(self.own_number())
                .arg(commits)
                .arg(if whole { "whole" } else { "less" })
                .arg(PROOF_MS);
            let proof: String = done(&prove, &self.short).await?;
            Ok(match proof.as_str() {
                "lost" => Proof::Lost,
                "kept" => Proof::Kept,
                _ => Proof::Pending,
            })
        }
        .boxed()
    }

    fn beat(&self) -> Reply<'_, Heartbeat> {
        async move {
            let short = &mut self.short.clone();
            set_aside(&self.keys, self.number, &self.hooks, Vec::new(), short).await?;
            let mut beat = self.call(&BEAT);
            beat.key(self.keys.instances())
                .key(self.keys.instance(self.own_number()))
                .key(self.keys.canvases_of(self.own_number()))
                .arg(self.own_number())
                .arg(&self.me.token)
                .arg(&self.me.instance_id)
                .arg(std::process::id())
                .arg(&self.host)
                .arg(&self.relay)
                .arg(FORMAT)
                .arg(&self.me.relay_rules);
            type Beaten = (i64, bool, u64, Vec<(InstanceNumber, i64)>, i64, usize, u64);
            let (now_ms, known, commits, mut beats, skew_ms, held, hooks): Beaten =
                done(&beat, short).await?;
            self.hooks.store(hooks, Ordering::Relaxed);
            beats.retain(|(number, _)| *number != self.own_number());
            let numbers: Vec<InstanceNumber> = beats.iter().map(|(number, _)| *number).collect();
            let connected = self.connected(&numbers).await?;
            let others = beats.into_iter().zip(connected);
            let others = others.map(|((number, beat), connected)| OtherInstance {
                number,
                beat,
                connected,
            });
            Ok(Heartbeat {
                now_ms,
                skew_ms,
                known,
                commits,
                held,
                others: others.collect(),
            })
        }
        .boxed()
    }

    fn correct_clock(&self, before_ms: i64, now_ms: i64) -> Reply<'_, ()> {
        async move {
            let mut step = self.call(&STEP);
            step.arg(before_ms).arg(now_ms);
            done(&step, &self.short).await
        }
        .boxed()
    }

    fn pass_time<'a>(&'a self, batch: &'a [u8]) -> Reply<'a, ()> {
        async move {
            let keys = &self.keys;
            let mut settle = self.call(&SETTLE);
            settle
                .key(keys.instances())
                .key(keys.leaving())
                .arg(keys.instance_prefix())
                .arg(batch)
                .arg(keys.canvas_prefix())
                .arg(keys.log_prefix());
            done(&settle, &self.short).await
        }
        .boxed()
    }

    fn holds<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()> {
        async move {
            if canvases.is_empty() {
                return Ok(());
            }
            let names: Vec<&str> = canvases.iter().map(CanvasId::as_str).collect();
            let mut list = redis::cmd("SADD");
            list.arg(self.keys.canvases_of(self.own_number()))
                .arg(names);
            Ok(list.query_async(&mut self.short.clone()).await?)
        }
        .boxed()
    }

    fn holds_not<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()> {
        async move {
            let mut list = redis::cmd("SREM");
            list.arg(self.keys.canvases_of(self.own_number()));
            list.arg(canvas.as_str());
            Ok(list.query_async::<()>(&mut self.short.clone()).await?)
        }
        .boxed()
    }

    fn lease(&self, dead: InstanceNumber) -> Reply<'_, bool> {
        async move {
            let lock = redis::cmd("SET")
                .arg(self.keys.reaping(dead))
                .arg(self.own_number())
                .arg("NX")
                .arg("PX")
                .arg(REAPING_MS)
                .to_owned();
            let conn = &mut self.short.clone();
            let got: Option<String> = lock.query_async(conn).await?;
            if got.is_some() {
                return Ok(true);
            }
            // One without an end gets one. It is not removed: it may be another's by then, who has just taken it.
            let mut ends = redis::cmd("PTTL");
            let ends: i64 = ends.arg(self.keys.reaping(dead)).query_async(conn).await?;
            if ends == -1 {
                let mut end = redis::cmd("PEXPIRE");
                let end = end.arg(self.keys.reaping(dead)).arg(REAPING_MS);
                end.query_async::<()>(conn).await?;
            }
            Ok(false)
        }
        .boxed()
    }

    fn canvases_of(&self, number: InstanceNumber) -> Reply<'_, Vec<String>> {
        async move {
            let mut ask = redis::cmd("SMEMBERS");
            ask.arg(self.keys.canvases_of(number));
            Ok(ask.query_async(&mut self.short.clone()).await?)
        }
        .boxed()
    }

    fn reap<'a>(
        &'a self,
        dead: InstanceNumber,
        names: &'a [String],
        batch: &'a [u8],
    ) -> Reply<'a, Vec<String>> {
        async move {
            let keys = &self.keys;
            let mut reap = self.call(&REAP);
            reap.key(keys.instances())
                .key(keys.leaving())
                .key(keys.due())
                .arg(dead)
                .arg(keys.instance_prefix())
                .arg(self.grace_ends_ms())
                .arg(batch)
                .arg(keys.canvas_prefix())
                .arg(keys.log_prefix())
                .arg(keys.channels(&self.relay))
                .arg(names);
            done(&reap, &self.short).await
        }
        .boxed()
    }

    fn leave(&self, number: InstanceNumber, beat: Option<i64>) -> Reply<'_, ()> {
        async move {
            let keys = &self.keys;
            let mut remove = REMOVE.key(keys.instances());
            remove
                .key(keys.instance(number))
                .key(keys.canvases_of(number))
                .key(keys.leaving())
                .key(keys.due())
                .arg(number)
                .arg(beat.map_or_else(String::new, |beat| beat.to_string()))
                .arg(keys.instance_prefix())
                .arg(self.grace_ends_ms());
            done(&remove, &self.short).await
        }
        .boxed()
    }

    fn members(&self) -> Reply<'_, Vec<Registered>> {
        async move {
            let conn = &mut self.short.clone();
            let mut ask = redis::cmd("ZRANGE");
            ask.arg(self.keys.instances()).arg(0).arg(-1);
            ask.arg("WITHSCORES");
            let beats: Vec<(InstanceNumber, f64)> = ask.query_async(conn).await?;
            if beats.is_empty() {
                return Ok(Vec::new());
            }
            let mut ask = redis::pipe();
            for (number, _) in &beats {
                let instance = self.keys.instance(*number);
                ask.cmd("HMGET").arg(instance).arg(&["name", "pid"]);
            }
            let names: Vec<(Option<String>, Option<u32>)> = ask.query_async(conn).await?;
            let found = beats.into_iter().zip(names);
            let found = found.map(|((number, beat), (name, pid))| Registered {
                number,
                name,
                pid,
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "milliseconds since the epoch"
                )]
                beat: beat as i64,
            });
            Ok(found.collect())
        }
        .boxed()
    }
}

impl RedisLog {
    fn grace_ends_ms(&self) -> i64 {
        self.me.clock.now_ms() + self.me.presence_grace_ms + GRACE_LATE_MS
    }

    /// Whether each of them has a connection.
    async fn connected(&self, numbers: &[InstanceNumber]) -> Result<Vec<bool>, Fault> {
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let sign = |number: &InstanceNumber| self.keys.sign_of_life(&self.relay, *number);
        let channels: Vec<String> = numbers.iter().map(sign).collect();
        let ask = redis::cmd("PUBSUB").arg("NUMSUB").arg(&channels).to_owned();
        let found: HashMap<String, u64> = ask.query_async(&mut self.short.clone()).await?;
        let listens = |channel: &String| found.get(channel).is_some_and(|count| *count > 0);
        Ok(channels.iter().map(listens).collect())
    }
}
