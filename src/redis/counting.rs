//! How much canvases take of what all share.

use std::time::Duration;

use futures::FutureExt as _;
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value, from_redis_value};

use super::replies::of_each;
use super::{RedisLog, done, script};
use crate::limits::{LOG_SHARE, TOMBSTONE};
use crate::log::{Asks, Counting, Counts, Fault, Recount, Recounted, Reply, Taken, Totals};
use crate::protocol::ids::CanvasId;
use crate::time::millis;

script!(DUE, "due", counts);
script!(RECOUNT, "recount", counts);

/// Who is told to empty a canvas has that to itself for so long.
const EMPTYING: Duration = Duration::from_secs(60);
/// A count is good for so long.
const RECOUNT_AFTER: Duration = Duration::from_secs(3_600);
/// Keys that are looked at in one step of a count: some milliseconds.
const RECOUNT_STEP: u32 = 500;

/// What a piece asks for: see `append.lua`. The numbers are as Lua has them, so that they cost it little.
pub(super) fn asked(asks: &Asks) -> Vec<u8> {
    let none = -1.0;
    let [n, log, stored, charged, grown] = asks.counts.map_or([none, 0.0, 0.0, 0.0, 0.0], counted);
    let numbers = [
        real(asks.charge),
        real(asks.last),
        real(asks.growth),
        asks.idle_at.map_or(none, real),
        n,
        log,
        stored,
        charged,
        grown,
    ];
    let flags = [asks.within_logs, asks.within_total, asks.uses, asks.empties];
    let numbers = numbers.into_iter().flat_map(f64::to_be_bytes);
    let epoch = asks.epoch.iter().flat_map(|epoch| epoch.bytes());
    let flags = flags.map(u8::from).into_iter();
    numbers.chain(flags).chain(epoch).collect()
}

fn counted(counts: Counts) -> [f64; 5] {
    let Counts {
        n,
        log,
        stored,
        charged,
        grown,
    } = counts;
    [n, log, stored, charged, grown].map(real)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes and batches stay below 2^53"
)]
fn real(number: u64) -> f64 {
    number as f64
}

/// What a canvas takes, as `count.lua` keeps it: nine numbers. Gives the log's, the objects', and when it was used.
fn kept(takes: &[u8]) -> Option<(u64, u64, i64)> {
    let (numbers, rest) = takes.as_chunks::<8>();
    let whole = |at: usize| numbers.get(at).copied().map(f64::from_be_bytes).map(whole);
    if !rest.is_empty() {
        return None;
    }
    let log = whole(0)?;
    let stored = whole(1)?;
    let used_at = whole(5)?;
    Some((log, stored, used_at.cast_signed()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is a whole number that is not negative"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// An argument that may be missing.
pub(super) fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// An answer of `recount.lua`.
enum Step {
    No,
    Yes(u64),
    Ended(i64, i64),
}

impl FromRedisValue for Step {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        if let Value::Array(_) = value {
            let (log, stored) = from_redis_value(value)?;
            return Ok(Self::Ended(log, stored));
        }
        Ok(match from_redis_value(value)? {
            0 => Self::No,
            walk => Self::Yes(walk),
        })
    }
}

impl Counting for RedisLog {
    fn totals(&self) -> Reply<'_, Totals> {
        async move {
            let mut ask = redis::pipe();
            ask.cmd("HMGET").arg(self.keys.totals());
            ask.arg(&["log", "stored"]);
            ask.cmd("ZCARD").arg(self.keys.names());
            type Found = ((Option<u64>, Option<u64>), u64);
            let ((log, stored), canvases): Found = ask.query_async(&mut self.short.clone()).await?;
            Ok(Totals {
                log: log.unwrap_or_default(),
                stored: stored.unwrap_or_default(),
                canvases,
            })
        }
        .boxed()
    }

    fn names_after<'a>(&'a self, after: &'a str, limit: usize) -> Reply<'a, Vec<String>> {
        async move {
            let mut range = redis::cmd("ZRANGE");
            range.arg(self.keys.names());
            range.arg(format!("({after}")).arg("+").arg("BYLEX");
            range.arg("LIMIT").arg(0).arg(limit);
            Ok(range.query_async(&mut self.short.clone()).await?)
        }
        .boxed()
    }

    fn taken<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<Option<Taken>>> {
        async move {
            let mut ask = redis::pipe();
            for canvas in canvases {
                let canvas = self.keys.canvas(canvas);
                ask.cmd("HMGET").arg(canvas);
                ask.arg(&["epoch", "takes", "t"]);
            }
            type Found = (Option<String>, Option<Vec<u8>>, Option<i64>);
            let found: Vec<Option<Found>> = of_each(&mut ask, &self.short).await?;
            let taken = |(epoch, takes, at_ms): Found| {
                let at_ms = at_ms?;
                let kept = takes.as_deref().and_then(kept);
                let (log, stored, used_at_ms) = kept.unwrap_or((0, 0, at_ms));
                Some(Taken {
                    epoch: epoch.unwrap_or_default(),
                    log,
                    stored,
                    used_at_ms,
                })
            };
            Ok(found.into_iter().map(|one| one.and_then(taken)).collect())
        }
        .boxed()
    }

    fn end_due(&self) -> Reply<'_, Vec<String>> {
        async move {
            let keys = &self.keys;
            let mut due = self.call(&DUE);
            due.key(keys.instances())
                .key(keys.totals())
                .key(keys.names())
                .key(keys.due())
                .key(keys.leaving())
                .arg(keys.instance_prefix())
                .arg(keys.canvas_prefix())
                .arg(keys.log_prefix())
                .arg(keys.rows_prefix())
                .arg(keys.snapshot_prefix())
                .arg(self.me.message_ttl_ms)
                .arg(or_empty(self.me.quotas.idle_ttl.map(millis)))
                .arg(millis(EMPTYING));
            done(&due, &self.short).await
        }
        .boxed()
    }

    fn recount(&self, at: Option<Recount>) -> Reply<'_, Recounted> {
        async move {
            match at {
                None => self.begin_to_count().await,
                Some(at) => self.count_some(at).await,
            }
        }
        .boxed()
    }
}

impl RedisLog {
    /// What a commit is held to.
    pub(super) fn with_quotas(&self, append: &mut ScriptInvocation<'_>) {
        let quotas = &self.me.quotas;
        append
            .arg(quotas.canvas_log_bytes)
            .arg(quotas.log_bytes)
            .arg(LOG_SHARE)
            .arg(or_empty(quotas.total_bytes))
            .arg(or_empty(quotas.idle_ttl.map(millis)))
            .arg(millis(TOMBSTONE));
    }

    fn recount_step(&self, what: &str) -> ScriptInvocation<'_> {
        let keys = &self.keys;
        let mut step = self.call(&RECOUNT);
        step.key(keys.totals())
            .key(keys.instances())
            .key(keys.names())
            .key(keys.due())
            .arg(self.own_number())
            .arg(what);
        step
    }

    async fn begin_to_count(&self) -> Result<Recounted, Fault> {
        let mut begin = self.recount_step("begin");
        begin.arg(&self.me.relay_rules).arg(millis(RECOUNT_AFTER));
        Ok(match done(&begin, &self.short).await? {
            Step::Yes(walk) => Recounted::More(Recount {
                walk,
                cursor: 0,
                names: false,
            }),
            Step::No | Step::Ended(..) => Recounted::Nothing,
        })
    }

    /// First all hashes of canvases, then all names, of which some may have none.
    async fn count_some(&self, at: Recount) -> Result<Recounted, Fault> {
        let conn = &mut self.short.clone();
        let prefix = self.keys.canvas_prefix();
        let (cursor, names): (u64, Vec<String>) = if at.names {
            let mut scan = redis::cmd("ZSCAN");
            scan.arg(self.keys.names()).arg(at.cursor);
            scan.arg("COUNT").arg(RECOUNT_STEP);
            let (cursor, pairs): (u64, Vec<(String, f64)>) = scan.query_async(conn).await?;
            (cursor, pairs.into_iter().map(|(name, _)| name).collect())
        } else {
            let mut scan = redis::cmd("SCAN");
            scan.arg(at.cursor).arg("MATCH").arg(format!("{prefix}*"));
            scan.arg("COUNT").arg(RECOUNT_STEP);
            let (cursor, keys): (u64, Vec<String>) = scan.query_async(conn).await?;
            let names = keys.iter().filter_map(|key| key.strip_prefix(&prefix));
            let names = names.filter(|name| !is_aside(name) && CanvasId::parse(name).is_ok());
            (cursor, names.map(str::to_owned).collect())
        };
        let mut step = self.recount_step(if at.names { "names" } else { "count" });
        step.arg(at.walk)
            .arg(self.keys.instance_prefix())
            .arg(&prefix)
            .arg(names);
        if let Step::No = done(&step, &self.short).await? {
            return Ok(Recounted::Nothing);
        }
        if cursor > 0 || !at.names {
            let names = at.names || cursor == 0;
            return Ok(Recounted::More(Recount {
                cursor,
                names,
                ..at
            }));
        }
        let mut end = self.recount_step("end");
        end.arg(at.walk).arg(&self.me.relay_rules);
        Ok(match done(&end, &self.short).await? {
            Step::Ended(log, stored) => Recounted::Done(log, stored),
            Step::No | Step::Yes(_) => Recounted::Nothing,
        })
    }
}

/// Whether something was set aside under that name: see [`super::aside`].
fn is_aside(name: &str) -> bool {
    let end = name.rsplit_once(":aside:").map(|(_, end)| end);
    end.is_some_and(|end| end.len() == 32 && end.bytes().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_nine_numbers_four_flags_and_an_epoch() {
        let none = asked(&Asks::default());
        assert_eq!(none.len(), 9 * 8 + 4);
        assert_eq!(none[24..40], [(-1.0_f64).to_be_bytes(); 2].concat());
        let counts = Counts {
            n: 4,
            log: 5,
            stored: 6,
            charged: 7,
            grown: 8,
        };
        let asks = Asks {
            charge: 3,
            last: 2,
            growth: 1,
            within_logs: true,
            uses: true,
            idle_at: Some(9),
            counts: Some(counts),
            epoch: Some("an epoch".into()),
            ..Asks::default()
        };
        let numbers = [3, 2, 1, 9, 4, 5, 6, 7, 8].map(|n| real(n).to_be_bytes());
        assert_eq!(
            asked(&asks),
            [&numbers.concat()[..], &[1, 0, 1, 0], b"an epoch"].concat()
        );
        // A canvas's numbers begin with its log and its objects, and the sixth is its last use.
        assert_eq!(kept(&numbers.concat()), Some((3, 2, 5)));
        assert_eq!(kept(b"x"), None);
    }

    #[test]
    fn what_was_set_aside_is_no_canvas() {
        assert!(is_aside(&format!("board{}", super::super::aside())));
        assert!(!is_aside("board:aside:x") && !is_aside("board"));
    }
}
