//! The engine's side of a link.

use std::collections::BTreeSet;

use futures::FutureExt as _;

use super::super::{
    ANOTHER_CANVAS, Appended, Batches, CanvasHead, Fault, How, Log, LogEnd, LoggedBatch, Looked,
    MessageChunk, Opening, Parting, Piece, Published, Reply, Snapshots, StoredSnapshot, Summaries,
    Summary, Why,
};
use super::state::Canvas;
use super::{MemoryLog, World, batch, deliver};
use crate::protocol::ids::{CanvasId, InstanceNumber};

type Outgoing = super::Outgoing;

impl MemoryLog {
    /// One step, of this link's era. What it publishes is delivered after it.
    pub(super) fn step<'a, T: Send + 'a>(
        &'a self,
        step: impl FnOnce(&mut World, i64) -> Result<(T, Outgoing), Fault> + Send + 'a,
    ) -> Reply<'a, T> {
        async move {
            // Others come in between, as they would.
            tokio::task::yield_now().await;
            let (answer, outgoing) = {
                let mut world = self.engine.world.lock();
                let broken = || Fault::Link("the link is broken".to_owned());
                let link = world.links.get_mut(&self.key).ok_or_else(broken)?;
                let late = link.take_late();
                if link.lossy {
                    world.links.remove(&self.key);
                    return Err(broken());
                }
                if world.state.era != self.era {
                    return Err(Fault::Link("the relay began anew".to_owned()));
                }
                let now_ms = world
                    .state
                    .clock(self.engine.now_ms(), self.me.clock.now_ms());
                let (answer, mut outgoing) = step(&mut world, now_ms)?;
                world.written();
                outgoing.extend(late);
                (answer, outgoing)
            };
            deliver(outgoing);
            Ok(answer)
        }
        .boxed()
    }

    /// A step that publishes nothing.
    pub(super) fn ask<'a, T: Send + 'a>(
        &'a self,
        step: impl FnOnce(&mut World, i64) -> T + Send + 'a,
    ) -> Reply<'a, T> {
        self.step(move |world, now_ms| Ok((step(world, now_ms), Outgoing::new())))
    }

    pub(super) fn grace_ends_ms(&self) -> i64 {
        self.me.clock.now_ms() + self.me.presence_grace_ms
    }
}

impl Log for MemoryLog {
    fn number(&self) -> InstanceNumber {
        self.number
    }

    fn era(&self) -> &std::sync::Arc<str> {
        &self.era
    }

    fn place(&self) -> &str {
        "this process"
    }

    fn ping(&self) -> Reply<'_, ()> {
        self.ask(|_, _| ())
    }
}

fn gone() -> Appended {
    Appended::Refused("it is gone".to_owned())
}

impl Batches for MemoryLog {
    fn append<'a>(&'a self, pieces: &'a [&'a Piece], how: How) -> Reply<'a, (u64, Vec<Appended>)> {
        let appended = self.step(move |world, now_ms| {
            let stale = || Fault::Link("this instance was taken for dead".to_owned());
            let me = world.state.instances.get_mut(&self.number);
            me.ok_or_else(stale)?.beat = now_ms;
            world.state.commits += 1;
            let mut ends = Vec::new();
            let mut outgoing = Outgoing::new();
            for piece in pieces {
                let name = piece.canvas.as_str();
                if !piece.kept {
                    outgoing
                        .extend(world.publish(name, &Published::Ephemeral(piece.bytes.clone())));
                    ends.push(Appended::Published);
                    continue;
                }
                let others = world.state.totals_without(name);
                let Some(canvas) = world.state.canvases.get_mut(name) else {
                    ends.push(gone());
                    continue;
                };
                let asks = &piece.asks;
                let epoch = asks.epoch.as_deref().unwrap_or_default();
                if !canvas.end().is_of(epoch) {
                    ends.push(Appended::Refused(ANOTHER_CANVAS.to_owned()));
                    continue;
                }
                if asks.counts.is_some_and(|counts| counts.n > canvas.n) {
                    ends.push(gone());
                    continue;
                }
                let at = (others, canvas.n);
                if let Some(not) = canvas.takes.ask(asks, at, &self.me.quotas, now_ms) {
                    ends.push(not);
                    continue;
                }
                let Some(kept) = world.state.keep(name, now_ms, &piece.bytes) else {
                    ends.push(gone());
                    continue;
                };
                if how.publish {
                    outgoing.extend(world.publish(name, &batch(kept, &piece.bytes)));
                }
                let (n, at_ms, hooks) = kept;
                ends.push(Appended::At(n, at_ms, hooks));
            }
            Ok(((world.state.commits, ends), outgoing))
        });
        async move {
            let ends = appended.await?;
            let mut world = self.engine.world.lock();
            let forget = world.trouble.forget;
            if world.happens(forget) {
                world.links.remove(&self.key);
                return Err(Fault::Link("the answer was lost".to_owned()));
            }
            Ok(ends)
        }
        .boxed()
    }

    fn replicated(&self, replicas: u32) -> Reply<'_, ()> {
        self.step(move |world, _| world.replicas_have(replicas))
    }

    fn publish<'a>(
        &'a self,
        pieces: &'a [&'a Piece],
        ends: &'a [Appended],
    ) -> Reply<'a, Vec<bool>> {
        self.step(move |world, _| {
            let mut outgoing = Outgoing::new();
            let mut told = Vec::new();
            for (piece, end) in pieces.iter().zip(ends) {
                let Appended::At(n, at_ms, hooks) = end else {
                    told.push(true);
                    continue;
                };
                let name = piece.canvas.as_str();
                let canvas = world.state.canvases.get(name);
                let kept = canvas.and_then(|canvas| canvas.batches.get(n));
                let there = kept.is_some_and(|kept| kept.bytes == piece.bytes);
                if there {
                    let published = batch((*n, *at_ms, *hooks), &piece.bytes);
                    outgoing.extend(world.publish(name, &published));
                }
                told.push(there);
            }
            Ok((told, outgoing))
        })
    }

    fn subscribe<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            if let Some(link) = world.links.get_mut(&self.key) {
                link.canvases
                    .extend(canvases.iter().map(CanvasId::to_string));
            }
        })
    }

    fn unsubscribe<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            if let Some(link) = world.links.get_mut(&self.key) {
                link.canvases.remove(canvas.as_str());
            }
        })
    }

    fn open<'a>(
        &'a self,
        canvas: &'a CanvasId,
        opening: Opening,
        whole: bool,
    ) -> Reply<'a, CanvasHead> {
        let opened = self.step(move |world, now_ms| {
            let rules = &self.me.canvas_rules;
            let canvases = &world.state.canvases;
            let there = canvases.len() as u64;
            let max = self.me.quotas.canvases;
            if !canvases.contains_key(canvas.as_str()) && max.is_some_and(|max| there >= max) {
                return Err(Fault::Many(there, format!("there are {there} canvases")));
            }
            if !canvases.contains_key(canvas.as_str()) {
                let gone = || Fault::Canvas("it is gone".to_owned());
                let missed = world.state.missed(canvas, self.number, whole, now_ms);
                if missed.ok_or_else(gone)? {
                    let outgoing = world.publish(canvas.as_str(), &Published::Gone(String::new()));
                    return Ok((
                        Err(Fault::NotNow("another puts it back".to_owned())),
                        outgoing,
                    ));
                }
            }
            let opened = world
                .state
                .open(canvas, self.number, &opening, rules, now_ms);
            let (mut head, began) = opened;
            let mut outgoing = Outgoing::new();
            if let Some(kept) = began {
                outgoing = world.publish(canvas.as_str(), &batch(kept, &opening.anew));
            }
            if !whole {
                head.whole.clear();
            }
            Ok((Ok(head), outgoing))
        });
        async move { opened.await? }.boxed()
    }

    fn look<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, Option<Looked>> {
        self.ask(move |world, _| {
            let (head, lost) = world.state.look(canvas.as_str())?;
            Some(Looked { head, lost })
        })
    }

    fn ends<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<LogEnd>> {
        self.ask(move |world, _| {
            let ends = canvases.iter().map(|id| {
                let canvas = world.state.canvases.get(id.as_str());
                canvas.map(Canvas::end).unwrap_or_default()
            });
            ends.collect()
        })
    }

    fn batches_after<'a>(
        &'a self,
        canvas: &'a CanvasId,
        n: u64,
        max_bytes: usize,
    ) -> Reply<'a, Vec<LoggedBatch>> {
        self.ask(move |world, _| {
            let canvas = world.state.canvases.get(canvas.as_str());
            canvas.map_or_else(Vec::new, |canvas| canvas.batches_after(n, max_bytes))
        })
    }

    fn remove<'a>(&'a self, canvas: &'a CanvasId) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            world.state.canvases.remove(canvas.as_str());
        })
    }
}

impl Snapshots for MemoryLog {
    fn part<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a str,
        which: usize,
    ) -> Reply<'a, Option<Vec<u8>>> {
        self.ask(move |world, _| {
            let canvas = world.state.canvases.get(canvas.as_str());
            canvas.and_then(|canvas| canvas.part(snapshot, which))
        })
    }

    fn put_part<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a str,
        which: usize,
        bytes: &'a [u8],
    ) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            if let Some(canvas) = world.state.canvases.get_mut(canvas.as_str()) {
                canvas.put_part(snapshot, which, bytes);
            }
        })
    }

    fn save<'a>(
        &'a self,
        canvas: &'a CanvasId,
        snapshot: &'a StoredSnapshot,
        summary: &'a str,
        all: bool,
    ) -> Reply<'a, ()> {
        self.step(move |world, _| {
            let rules = &self.me.canvas_rules;
            let kept = world.state.canvases.get_mut(canvas.as_str());
            let saved = kept.is_some_and(|kept| kept.save(snapshot, summary, rules, all));
            let outgoing = match saved {
                true => world.publish(canvas.as_str(), &Published::Saved(snapshot.n)),
                false => Outgoing::new(),
            };
            Ok(((), outgoing))
        })
    }

    fn messages_after<'a>(
        &'a self,
        canvas: &'a CanvasId,
        seq: u64,
        max_bytes: usize,
    ) -> Reply<'a, Vec<(u64, Vec<u8>)>> {
        self.ask(move |world, _| {
            let canvas = world.state.canvases.get(canvas.as_str());
            canvas.map_or_else(Vec::new, |canvas| canvas.messages_after(seq, max_bytes))
        })
    }

    fn put_messages<'a>(
        &'a self,
        canvas: &'a CanvasId,
        chunk: &'a MessageChunk,
    ) -> Reply<'a, String> {
        self.ask(move |world, _| {
            let canvas = world.state.canvases.get_mut(canvas.as_str());
            canvas.map_or_else(String::new, |canvas| canvas.put_messages(chunk))
        })
    }

    fn restore<'a>(
        &'a self,
        canvas: &'a CanvasId,
        copy: &'a StoredSnapshot,
        epoch: &'a str,
        why: Why<'a>,
    ) -> Reply<'a, Option<u64>> {
        self.ask(move |world, now_ms| {
            let rules = &self.me.canvas_rules;
            let state = &mut world.state;
            state.restore(canvas, copy, (epoch, rules), why, now_ms)
        })
    }

    fn release<'a>(&'a self, canvas: &'a CanvasId, parting: Parting) -> Reply<'a, ()> {
        self.ask(move |world, now_ms| {
            world.state.release(canvas, self.number, parting, now_ms);
        })
    }

    fn report_unreadable<'a>(&'a self, canvas: &'a CanvasId, snapshot: &'a str) -> Reply<'a, ()> {
        self.step(move |world, _| {
            let published = Published::Unreadable(snapshot.to_owned());
            Ok(((), world.publish(canvas.as_str(), &published)))
        })
    }

    fn report_gone<'a>(&'a self, canvas: &'a CanvasId, word: &'a str) -> Reply<'a, ()> {
        self.step(move |world, _| {
            let published = Published::Gone(word.to_owned());
            Ok(((), world.publish(canvas.as_str(), &published)))
        })
    }
}

impl Summaries for MemoryLog {
    fn put_summaries<'a>(&'a self, summaries: &'a [Summary]) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            for summary in summaries {
                let name = summary.canvas.as_str();
                let Some(canvas) = world.state.canvases.get_mut(name) else {
                    continue;
                };
                canvas.takes.settle(summary.counts);
                let known = canvas.summary.split(' ').next();
                let known: Option<u64> = known.and_then(|n| n.parse().ok());
                if known.is_none_or(|known| known < summary.n) {
                    canvas.summary.clone_from(&summary.text);
                }
            }
        })
    }

    fn summaries<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, Vec<Option<(u64, String)>>> {
        self.ask(move |world, _| {
            let summaries = canvases.iter().map(|id| {
                let canvas = world.state.canvases.get(id.as_str())?;
                Some((canvas.n, canvas.summary.clone()))
            });
            summaries.collect()
        })
    }

    fn ask_for_summaries<'a>(&'a self, canvases: &'a [CanvasId]) -> Reply<'a, ()> {
        self.step(move |world, _| {
            let mut outgoing = Outgoing::new();
            for id in canvases {
                outgoing.extend(world.publish(id.as_str(), &Published::SummaryWanted));
            }
            Ok(((), outgoing))
        })
    }

    fn names_in_use(&self) -> Reply<'_, BTreeSet<String>> {
        self.ask(|world, _| {
            let state = &world.state;
            let held = state.instances.values();
            let held = held.flat_map(|instance| instance.canvases.iter().cloned());
            held.chain(state.leaving.keys().cloned()).collect()
        })
    }
}
