//! Summaries of canvases, for lists of them.

use std::collections::BTreeSet;

use futures::FutureExt as _;

use super::replies::of_each;
use super::{RedisLog, done, script};
use crate::log::{Reply, Summaries, Summary};
use crate::protocol::ids::{CanvasId, InstanceNumber};

script!(NOTE, "note", counts);

impl Summaries for RedisLog {
    fn put_summaries<'a>(&'a self, summaries: &'a [Summary]) -> Reply<'a, ()> {
        async move {
            let mut note = self.call(&NOTE);
            note.key(self.keys.totals());
            for summary in summaries {
                let counts = &summary.counts;
                note.key(self.keys.canvas(&summary.canvas))
                    .arg(summary.n)
                    .arg(&summary.text)
                    .arg(counts.log)
                    .arg(counts.stored)
                    .arg(counts.charged)
                    .arg(counts.grown);
            }
            done(&note, &self.short).await
        }
        .boxed()
    }

    fn summaries<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<Option<(u64, String)>>> {
        async move {
            let mut ask = redis::pipe();
            for canvas in canvases {
                let canvas = self.keys.canvas(canvas);
                ask.cmd("HMGET").arg(canvas).arg(&["n", "note"]);
            }
            type Found = (Option<u64>, Option<String>);
            let found: Vec<Option<Found>> = of_each(&mut ask, &self.short).await?;
            let summary = |(n, text): Found| Some((n?, text.unwrap_or_default()));
            Ok(found.into_iter().map(|one| one.and_then(summary)).collect())
        }
        .boxed()
    }

    fn ask_for_summaries<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()> {
        async move {
            let mut ask = redis::pipe();
            for canvas in canvases {
                let channel = self.keys.channel(&self.relay, canvas);
                ask.cmd("PUBLISH").arg(channel).arg("n").ignore();
            }
            Ok(ask.query_async::<()>(&mut self.short.clone()).await?)
        }
        .boxed()
    }

    fn names_in_use(&self) -> Reply<'_, BTreeSet<String>> {
        async move {
            let conn = &mut self.short.clone();
            let mut numbers = redis::cmd("ZRANGE");
            numbers.arg(self.keys.instances()).arg(0).arg(-1);
            let numbers: Vec<InstanceNumber> = numbers.query_async(conn).await?;
            let mut ask = redis::pipe();
            ask.cmd("ZRANGE").arg(self.keys.leaving()).arg(0).arg(-1);
            ask.cmd("SUNION");
            for number in &numbers {
                ask.arg(self.keys.canvases_of(*number));
            }
            // One's own set always counts: an instance that others took for dead is not in the list.
            ask.arg(self.keys.canvases_of(self.own_number()));
            let (mut names, loaded): (BTreeSet<String>, BTreeSet<String>) =
                ask.query_async(conn).await?;
            names.extend(loaded);
            Ok(names)
        }
        .boxed()
    }
}
