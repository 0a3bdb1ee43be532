//! The tables of the work queue. All their keys have one hash tag, so that a commit over several of them is one script.

use std::collections::HashMap;

use futures::FutureExt as _;
use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use super::sound::set_aside;
use super::{RedisLog, done, replicas_have, script};
use crate::log::{AtMoment, Committed, Fault, KeyedRow, Reply, RowCommit, RowRange, Tables};
use crate::protocol::ids::CanvasId;

script!(COMMIT, "jobs_commit");
script!(LOCK, "jobs_lock");
script!(RANGE, "jobs_range");
script!(READ, "jobs_read");
script!(DISPATCHED, "dispatched");
script!(UNDISPATCHED, "undispatched");

fn unexpected(error: &ParsingError) -> Fault {
    Fault::Link(error.to_string())
}

/// The next of an answer's values.
fn next<T: FromRedisValue>(values: &mut impl Iterator<Item = Value>) -> Result<T, Fault> {
    let value = values.next().unwrap_or(Value::Nil);
    T::from_redis_value(value).map_err(|error| unexpected(&error))
}

impl Tables for RedisLog {
    fn last_commit(&self) -> Reply<'_, (String, i64)> {
        async move {
            let mut read = self.call(&READ);
            read.key(self.state()).arg("");
            self.sound([], done(&read, &self.short).await).await
        }
        .boxed()
    }

    fn row<'a>(
        &'a self,
        by: &'a str,
        table: usize,
        key: &'a [u8],
    ) -> Reply<'a, AtMoment<Option<Vec<u8>>>> {
        async move {
            let [rows, _] = self.table(table);
            let mut read = self.call(&READ);
            read.key(self.state()).key(rows).arg(by).arg(key);
            let answer = done(&read, &self.short).await;
            let answer: Vec<Value> = self.sound([table], answer).await?;
            let mut answer = answer.into_iter();
            let commit: String = next(&mut answer)?;
            let row = next(&mut answer)?;
            Ok((commit == by).then_some(row))
        }
        .boxed()
    }

    fn rows<'a>(&'a self, by: &'a str, range: RowRange<'a>) -> Reply<'a, AtMoment<Vec<KeyedRow>>> {
        async move {
            let [rows, keys] = self.table(range.table);
            let mut read = self.call(&RANGE);
            read.key(self.state()).key(rows).key(keys);
            read.arg(by).arg(range.from).arg(range.to);
            read.arg(if range.downwards { "down" } else { "up" });
            read.arg(range.limit);
            let answer = done(&read, &self.short).await;
            let answer: Vec<Value> = self.sound([range.table], answer).await?;
            let mut answer = answer.into_iter();
            let commit: String = next(&mut answer)?;
            if commit != by {
                return Ok(None);
            }
            let keys: Vec<Vec<u8>> = next(&mut answer)?;
            let rows: Option<Vec<Option<Vec<u8>>>> = next(&mut answer)?;
            let rows = rows.unwrap_or_default();
            Ok(Some(keys.into_iter().zip(rows).collect()))
        }
        .boxed()
    }

    fn commit_rows<'a>(&'a self, commit: RowCommit<'a>) -> Reply<'a, Committed> {
        async move {
            let name = uuid::Uuid::new_v4().simple().to_string();
            let mut call = self.call(&COMMIT);
            call.key(self.state());
            call.arg(commit.by).arg(&name).arg(&self.me.token);
            call.arg(commit.at_ms);
            call.arg(self.keys.of_jobs(&self.relay));
            call.arg(commit.message);
            let hooks = commit.hooks.map(|version| version.to_string());
            call.arg(hooks.unwrap_or_default())
                .arg(commit.dispatched.len());
            for canvas in commit.dispatched {
                call.arg(canvas.canvas.as_str())
                    .arg(canvas.from)
                    .arg(canvas.upto);
            }
            let mut places = HashMap::new();
            // Deletions come first: they work where memory is full, and after them the rest does.
            for deletes in [true, false] {
                for ((table, key), row) in commit.changes {
                    if row.is_none() != deletes {
                        continue;
                    }
                    let next = 3 + 2 * places.len();
                    let place = *places.entry(*table).or_insert_with(|| {
                        let [rows, keys] = self.table(*table);
                        call.key(rows).key(keys);
                        next
                    });
                    call.arg(if deletes { "d" } else { "p" }).arg(place);
                    call.arg(key).arg(row.as_deref().unwrap_or_default());
                }
            }
            let committed = done::<Value>(&call, &self.short).await;
            Ok(match self.sound(places.into_keys(), committed).await? {
                Value::Int(1) => Committed::Done(name),
                Value::Int(0) => Committed::Moved,
                Value::Int(_) => Committed::Locked,
                conflict => {
                    let (at, upto) = from_redis_value(conflict).map_err(|e| unexpected(&e))?;
                    Committed::DispatchedBefore(at, upto)
                }
            })
        }
        .boxed()
    }

    fn lock_rows(&self, milliseconds: i64) -> Reply<'_, bool> {
        async move {
            let mut lock = self.call(&LOCK);
            lock.key(self.state()).arg(&self.me.token).arg(milliseconds);
            let locked = done::<i64>(&lock, &self.short).await;
            Ok(self.sound([], locked).await? == 1)
        }
        .boxed()
    }

    fn undispatched(&self, from: u64) -> Reply<'_, (u64, Vec<String>)> {
        async move {
            let mut call = self.call(&UNDISPATCHED);
            call.key(self.keys.instances());
            call.arg(self.keys.instance_prefix()).arg(from);
            done(&call, &self.short).await
        }
        .boxed()
    }

    fn all_dispatched<'a>(&'a self, canvases: &'a [(CanvasId, u64)]) -> Reply<'a, ()> {
        async move {
            let mut call = self.call(&DISPATCHED);
            for (canvas, n) in canvases {
                call.arg(canvas.as_str()).arg(n);
            }
            done(&call, &self.short).await
        }
        .boxed()
    }

    fn rows_replicated(&self, replicas: u32) -> Reply<'_, ()> {
        replicas_have(&self.short, replicas).boxed()
    }
}

impl RedisLog {
    fn state(&self) -> String {
        self.keys.jobs("state")
    }

    /// Where a step failed since somebody has overwritten a key of the queue, that is set aside: the next step finds
    /// nothing there.
    async fn sound<T>(
        &self,
        tables: impl IntoIterator<Item = usize>,
        done: Result<T, Fault>,
    ) -> Result<T, Fault> {
        let Err(Fault::Canvas(why)) = done else {
            return done;
        };
        let mut all = vec![(self.state(), "hash")];
        for table in tables {
            let [rows, keys] = self.table(table);
            all.extend([(rows, "hash"), (keys, "zset")]);
        }
        let short = &mut self.short.clone();
        match set_aside(&self.keys, self.number, &self.hooks, all, short).await? {
            true => Err(Fault::NotNow(why)),
            false => Err(Fault::Canvas(why)),
        }
    }

    fn table(&self, table: usize) -> [String; 2] {
        let keys = &self.keys;
        [
            keys.jobs(&format!("rows:{table}")),
            keys.jobs(&format!("keys:{table}")),
        ]
    }
}
