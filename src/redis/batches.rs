//! A canvas's batches: appended, published, read.

use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use super::counting::{asked, or_empty};
use super::replies::{Entry, Head, appended, message_of, of_each};
use super::{RedisLog, aside, done, replicas_have, script};
use crate::log::{
    Appended, Batches, CanvasHead, Fault, How, LogEnd, LoggedBatch, Looked, Opening, Piece, Reply,
    when,
};
use crate::protocol::ids::CanvasId;

script!(APPEND, "append", counts);
script!(DROP, "drop", counts);
script!(OPEN, "open", counts);
script!(PUBLISH, "publish");
script!(READ, "read");

impl Batches for RedisLog {
    fn append<'a>(&'a self, pieces: &'a [&'a Piece], how: How) -> Reply<'a, (u64, Vec<Appended>)> {
        async move {
            let keys = &self.keys;
            let mut append = self.call(&APPEND);
            append.key(keys.instances()).key(keys.totals());
            append.arg(self.own_number());
            append.arg(if how.even_if_full { "full" } else { "" });
            append.arg(if how.publish { "tell" } else { "keep" });
            self.with_quotas(&mut append);
            for piece in pieces {
                append
                    .key(keys.canvas(&piece.canvas))
                    .key(keys.log(&piece.canvas))
                    .arg(keys.channel(&self.relay, &piece.canvas))
                    .arg(if piece.kept { "b" } else { "e" })
                    .arg(&piece.bytes)
                    .arg(asked(&piece.asks));
            }
            let ends: Vec<Value> = done(&append, &self.commits).await?;
            let mut ends = ends.into_iter();
            let commits = ends.next().unwrap_or(Value::Nil);
            let read = || {
                Ok((
                    from_redis_value(commits)?,
                    ends.map(appended).collect::<Result<_, _>>()?,
                ))
            };
            let (commits, ends): (u64, Vec<Appended>) =
                read().map_err(|error: ParsingError| Fault::Link(error.to_string()))?;
            for end in &ends {
                if let Appended::At(_, _, hooks) = end {
                    self.hooks.store(*hooks, Ordering::Relaxed);
                }
            }
            Ok((commits, ends))
        }
        .boxed()
    }

    fn replicated(&self, replicas: u32) -> Reply<'_, ()> {
        replicas_have(&self.commits, replicas).boxed()
    }

    fn publish<'a>(
        &'a self,
        pieces: &'a [&'a Piece],
        ends: &'a [Appended],
    ) -> Reply<'a, Vec<bool>> {
        async move {
            let keys = &self.keys;
            let mut publish = self.call(&PUBLISH);
            let mut told = vec![true; pieces.len()];
            let mut places = Vec::new();
            for (place, (piece, end)) in pieces.iter().zip(ends).enumerate() {
                if let Appended::At(n, at_ms, hooks) = end {
                    let when = when(*at_ms, *hooks);
                    publish
                        .key(keys.canvas(&piece.canvas))
                        .key(keys.log(&piece.canvas))
                        .arg(keys.channel(&self.relay, &piece.canvas))
                        .arg(*n)
                        .arg(&when)
                        .arg(message_of(*n, &when, &piece.bytes));
                    places.push(place);
                }
            }
            if places.is_empty() {
                return Ok(told);
            }
            let done: Vec<bool> = done(&publish, &self.commits).await?;
            for (place, done) in places.into_iter().zip(done) {
                told[place] = done;
            }
            Ok(told)
        }
        .boxed()
    }

    fn subscribe<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()> {
        async move {
            let channel = |id| self.keys.channel(&self.relay, id);
            let channels: Vec<String> = canvases.iter().map(channel).collect();
            Ok(self.channels.clone().subscribe(channels).await?)
        }
        .boxed()
    }

    fn unsubscribe<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()> {
        async move {
            let channel = self.keys.channel(&self.relay, canvas);
            Ok(self.channels.clone().unsubscribe(channel).await?)
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        canvas: &'a CanvasId,
        opening: Opening,
        whole: bool,
    ) -> Reply<'a, CanvasHead> {
        async move {
            let keys = &self.keys;
            let mut open = self.call(&OPEN);
            open.key(keys.canvas(canvas))
                .key(keys.log(canvas))
                .key(keys.canvases_of(self.own_number()))
                .key(keys.instances())
                .key(keys.totals())
                .key(keys.names())
                .arg(canvas.as_str())
                .arg(opening.epoch.to_string())
                .arg(opening.anew)
                .arg(keys.channel(&self.relay, canvas))
                .arg(&self.me.canvas_rules)
                .arg(aside())
                .arg(if whole { "whole" } else { "head" })
                .arg(or_empty(self.me.quotas.canvases))
                .arg(keys.instance_prefix());
            let Head(head) = done(&open, &self.bulk).await?;
            Ok(head)
        }
        .boxed()
    }

    fn look<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, Option<Looked>> {
        self.look_at(canvas).boxed()
    }

    fn ends<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<LogEnd>> {
        async move {
            let mut ask = redis::pipe();
            for canvas in canvases {
                let canvas = self.keys.canvas(canvas);
                ask.cmd("HMGET").arg(canvas);
                ask.arg(&["n", "h", "epoch", "replaced"]);
            }
            type Found = (Option<u64>, Option<String>, Option<String>, Option<String>);
            let found: Vec<Option<Found>> = of_each(&mut ask, &self.short).await?;
            let end = |(n, chain, epoch, replaced)| LogEnd {
                n,
                chain,
                epoch,
                replaced,
            };
            let ends = found
                .into_iter()
                .map(|one| one.map(end).unwrap_or_default());
            Ok(ends.collect())
        }
        .boxed()
    }

    fn batches_after<'a>(
        &'a self,
        canvas: &'a CanvasId,
        n: u64,
        max_bytes: usize,
    ) -> Reply<'a, Vec<LoggedBatch>> {
        async move {
            let from = format!("{}-0", n + 1);
            let found: Vec<Entry> = self.read(self.keys.log(canvas), from, max_bytes).await?;
            Ok(found.into_iter().map(|Entry(batch)| batch).collect())
        }
        .boxed()
    }

    fn remove<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()> {
        async move {
            let keys = &self.keys;
            let mut drop = self.call(&DROP);
            drop.key(keys.canvas(canvas))
                .key(keys.log(canvas))
                .key(keys.rows(canvas))
                .key(keys.totals())
                .key(keys.names())
                .key(keys.due())
                .arg(canvas.as_str());
            done(&drop, &self.short).await
        }
        .boxed()
    }
}

impl RedisLog {
    /// Entries of a stream from an id on.
    pub(super) async fn read<T: FromRedisValue>(
        &self,
        stream: String,
        from: String,
        max_bytes: usize,
    ) -> Result<Vec<T>, Fault> {
        let mut read = self.call(&READ);
        read.key(stream).arg(from).arg(max_bytes);
        done(&read, &self.bulk).await
    }
}
