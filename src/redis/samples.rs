//! Samples of the instances: a hash of their latest state, and a sorted set for each series, by the beginning of each
//! span.

use futures::FutureExt as _;

use super::{RedisLog, done, script};
use crate::log::{Reply, Sampled, Samples};
use crate::protocol::ids::InstanceNumber;

script!(PUT, "samples");

/// How long what instances said about themselves is kept when all are gone.
const NOW_ENDS_IN_MS: i64 = 86_400_000;

impl Samples for RedisLog {
    fn put_samples<'a>(&'a self, sampled: &'a Sampled) -> Reply<'a, ()> {
        async move {
            let mut put = self.call(&PUT);
            put.key(self.keys.samples("now"));
            put.arg(&self.me.instance_id);
            put.arg(sampled.at_ms).arg(&sampled.now);
            put.arg(sampled.silent_since_ms).arg(NOW_ENDS_IN_MS);
            for span in &sampled.spans {
                put.key(self.keys.samples(&span.series.to_string()));
                // Its beginning is part of it: a set has each member once.
                let member = format!("{}:{}:{}", self.own_number(), span.at_ms, span.text);
                put.arg(span.at_ms).arg(member);
                put.arg(span.kept_since_ms).arg(span.most);
                put.arg(span.ends_in_ms);
            }
            done(&put, &self.short).await
        }
        .boxed()
    }

    fn samples_now(&self) -> Reply<'_, Vec<(String, String)>> {
        async move {
            let mut ask = redis::cmd("HGETALL");
            ask.arg(self.keys.samples("now"));
            let all: Vec<(String, String)> = ask.query_async(&mut self.short.clone()).await?;
            let said = |(name, text): (String, String)| {
                let (_, said) = text.split_once(' ')?;
                Some((name, said.to_owned()))
            };
            Ok(all.into_iter().filter_map(said).collect())
        }
        .boxed()
    }

    fn samples_since(
        &self,
        series: i64,
        since_ms: i64,
    ) -> Reply<'_, Vec<(i64, InstanceNumber, String)>> {
        async move {
            let mut ask = redis::cmd("ZRANGEBYSCORE");
            ask.arg(self.keys.samples(&series.to_string()));
            ask.arg(since_ms).arg("+inf");
            // A day of many instances is no short answer.
            let all: Vec<String> = ask.query_async(&mut self.bulk.clone()).await?;
            Ok(all.iter().filter_map(|member| parse(member)).collect())
        }
        .boxed()
    }
}

fn parse(member: &str) -> Option<(i64, InstanceNumber, String)> {
    let mut parts = member.splitn(3, ':');
    let number = InstanceNumber(parts.next()?.parse().ok()?);
    let at_ms = parts.next()?.parse().ok()?;
    Some((at_ms, number, parts.next()?.to_owned()))
}
