//! Snapshots, the messages beside them, and canvases that are given up.

use futures::FutureExt as _;

use super::counting::or_empty;
use super::{RedisLog, aside, done, script};
use crate::limits::CLIENT_MEMORY;
use crate::log::{Left, MessageChunk, Parting, Reply, Snapshots, StoredSnapshot, Why};
use crate::protocol::ids::CanvasId;
use crate::time::millis;

script!(PART, "piece");
script!(MESSAGES, "rows");
script!(SAVE, "save");
script!(RELEASE, "leave", counts);
script!(RESTORE, "mend", counts);

impl Snapshots for RedisLog {
    fn part<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a str,
        which: usize,
    ) -> Reply<'a, Option<Vec<u8>>> {
        async move {
            let mut get = redis::cmd("HGET");
            get.arg(self.keys.snapshots(canvas) + snapshot).arg(which);
            Ok(get.query_async(&mut self.bulk.clone()).await?)
        }
        .boxed()
    }

    fn put_part<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a str,
        which: usize,
        bytes: &'a [u8],
    ) -> Reply<'a, ()> {
        async move {
            let mut put = self.call(&PART);
            put.key(self.keys.snapshots(canvas) + snapshot);
            put.arg(which).arg(bytes);
            done(&put, &self.bulk).await
        }
        .boxed()
    }

    fn save<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a StoredSnapshot,
        summary: &'a str,
        all: bool,
    ) -> Reply<'a, ()> {
        async move {
            let keys = &self.keys;
            let mut save = self.call(&SAVE);
            save.key(keys.canvas(canvas))
                .key(keys.log(canvas))
                .key(keys.snapshots(canvas))
                .arg(snapshot.n)
                .arg(&snapshot.name)
                .arg(snapshot.parts)
                .arg(&snapshot.whole)
                .arg(keys.channel(&self.relay, canvas))
                .arg(&self.me.canvas_rules)
                .arg(summary)
                .arg(if all { "all" } else { "" });
            done(&save, &self.bulk).await
        }
        .boxed()
    }

    fn messages_after<'a>(
        &'a self,
        canvas: &'a CanvasId,
        seq: u64,
        max_bytes: usize,
    ) -> Reply<'a, Vec<(u64, Vec<u8>)>> {
        async move {
            let stream = self.keys.rows(canvas);
            let from = format!("{}-0", seq + 1);
            let chunks: Vec<(String, Vec<Vec<u8>>)> = self.read(stream, from, max_bytes).await?;
            let chunk = |(id, fields): (String, Vec<Vec<u8>>)| {
                let seq = id.split('-').next()?.parse().ok()?;
                Some((seq, fields.into_iter().nth(1)?))
            };
            Ok(chunks.into_iter().filter_map(chunk).collect())
        }
        .boxed()
    }

    fn put_messages<'a>(
        &'a self,
        canvas: &'a CanvasId,
        chunk: &'a MessageChunk,
    ) -> Reply<'a, String> {
        async move {
            let mut rows = self.call(&MESSAGES);
            rows.key(self.keys.canvas(canvas))
                .key(self.keys.rows(canvas))
                .arg(&chunk.after)
                .arg(chunk.end())
                .arg(chunk.last_seq)
                .arg(&chunk.bytes)
                .arg(chunk.first_seq)
                .arg(self.me.message_ttl_ms);
            done(&rows, &self.bulk).await
        }
        .boxed()
    }

    fn restore<'a>(
        &'a self,
        canvas: &'a CanvasId,
        copy: &'a StoredSnapshot,
        epoch: &'a str,
        why: Why<'a>,
    ) -> Reply<'a, Option<u64>> {
        async move {
            let keys = &self.keys;
            let mut restore = self.call(&RESTORE);
            restore
                .key(keys.canvas(canvas))
                .key(keys.log(canvas))
                .key(keys.rows(canvas))
                .key(keys.totals())
                .key(keys.names())
                .arg(copy.n)
                .arg(&copy.name)
                .arg(copy.parts)
                .arg(&copy.whole)
                .arg(&self.me.canvas_rules)
                .arg(aside())
                .arg(match why {
                    Why::Lost => "-",
                    Why::Behind => "<",
                    Why::Unreadable(name) => name,
                })
                .arg(canvas.as_str())
                .arg(epoch);
            let restored: u64 = done(&restore, &self.bulk).await?;
            Ok(Some(restored).filter(|n| *n > 0))
        }
        .boxed()
    }

    fn release<'a>(&'a self, canvas: &'a CanvasId, parting: Parting) -> Reply<'a, ()> {
        async move {
            let keys = &self.keys;
            let counts = parting.counts;
            let left = match parting.left {
                Left::Nothing => "nothing",
                Left::Deleted => "deleted",
                Left::Much => "much",
            };
            let mut release = self.call(&RELEASE);
            release
                .key(keys.canvas(canvas))
                .key(keys.log(canvas))
                .key(keys.rows(canvas))
                .key(keys.canvases_of(self.own_number()))
                .key(keys.instances())
                .key(keys.leaving())
                .key(keys.totals())
                .key(keys.names())
                .key(keys.due())
                .arg(canvas.as_str())
                .arg(parting.n)
                .arg(left)
                .arg(self.own_number())
                .arg(keys.instance_prefix())
                .arg(millis(CLIENT_MEMORY))
                .arg(or_empty(parting.away_until_ms))
                .arg(or_empty(parting.log_ends_ms))
                .arg(counts.log)
                .arg(counts.stored)
                .arg(counts.charged)
                .arg(counts.grown);
            done(&release, &self.short).await
        }
        .boxed()
    }

    fn report_unreadable<'a>(&'a self, canvas: &'a CanvasId, snapshot: &'a str) -> Reply<'a, ()> {
        async move {
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(self.keys.channel(&self.relay, canvas));
            publish.arg(format!("m{snapshot}"));
            Ok(publish.query_async::<()>(&mut self.short.clone()).await?)
        }
        .boxed()
    }

    fn report_gone<'a>(&'a self, canvas: &'a CanvasId, word: &'a str) -> Reply<'a, ()> {
        // No snapshot has such a name.
        async move { self.report_unreadable(canvas, &format!("-{word}")).await }.boxed()
    }
}
