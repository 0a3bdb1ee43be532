//! The in-process backplane as rooms see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::MemoryBackplane;
use crate::backplane::{
    Answer, Author, Backplane, Canvas, Entry, Found, InstanceStats, Member, Opened, Outcome, Read,
    Refusal, Sink, Snapshot, Stats, Unavailable,
};
use crate::machine::CanvasState;
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, ConnId, InstanceId, Position};

impl Backplane for MemoryBackplane {
    fn instance_id(&self) -> &InstanceId {
        &self.instance_id
    }

    fn new_conn(&self) -> ConnId {
        ConnId::new(self.number, self.conns.fetch_add(1, Ordering::Relaxed))
    }

    fn open<'a>(&'a self, id: &'a CanvasId, sink: Arc<dyn Sink>) -> Answer<'a, Opened> {
        async move {
            let (key, cell) = self.relay.find_or_create(id);
            let mut live = cell.lock();
            // Under the lock: a sink must not come in behind a shutdown.
            self.check_open()?;
            live.sweep(self.relay.clock.now_ms());
            live.sinks.retain(|(number, _)| *number != self.number);
            live.sinks.push((self.number, sink));
            let (presence_version, members) = live.state.members();
            let canvas = Canvas {
                id: id.clone(),
                key,
            };
            Ok(Opened {
                canvas,
                head: live.state.head(),
                presence_version,
                members,
            })
        }
        .boxed()
    }

    fn close(&self, canvas: &Canvas, sink: &Arc<dyn Sink>) {
        if let Some(cell) = self.relay.cell(canvas) {
            let mut live = cell.lock();
            live.sinks
                .retain(|(number, open)| *number != self.number || !Arc::ptr_eq(open, sink));
        }
    }

    fn append(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        self.apply(canvas, entry, |_| ())
    }

    fn find<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Option<Found>> {
        async move { self.find_canvas(id) }.boxed()
    }

    fn create<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Canvas> {
        async move {
            self.check_open()?;
            let (key, _) = self.relay.find_or_create(id);
            let id = id.clone();
            Ok(Canvas { id, key })
        }
        .boxed()
    }

    fn active<'a>(&'a self, after: &'a str, limit: u32) -> Answer<'a, Vec<Found>> {
        async move { self.active_canvases(after, limit) }.boxed()
    }

    fn publish<'a>(
        &'a self,
        canvas: &'a Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> Answer<'a, Outcome> {
        let ended = self.publish_message(canvas, author, message);
        std::future::ready(ended).boxed()
    }

    fn delete<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Position> {
        async move { self.delete_canvas(canvas) }.boxed()
    }

    fn read<'a>(
        &'a self,
        canvas: &'a Canvas,
        after: Position,
        max_bytes: usize,
    ) -> Answer<'a, Read> {
        async move { self.with_canvas(canvas, |state| state.read(after, max_bytes)) }.boxed()
    }

    fn snapshot<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Snapshot> {
        async move { self.with_canvas(canvas, CanvasState::snapshot) }.boxed()
    }

    fn members<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, (u64, Vec<Member>)> {
        async move { self.with_canvas(canvas, CanvasState::members) }.boxed()
    }

    fn ready<'a>(&'a self) -> Answer<'a, ()> {
        async move {
            self.check_open()?;
            if self.sweeper.has_ended() {
                return Err(Unavailable("its sweeper has ended".to_owned()));
            }
            Ok(())
        }
        .boxed()
    }

    fn stats<'a>(&'a self) -> Answer<'a, Stats> {
        async move {
            let rows: usize = self
                .relay
                .cells()
                .iter()
                .map(|c| c.lock().state.retained())
                .sum();
            let committed = self.relay.committed.load(Ordering::Relaxed);
            let instance = |name: &InstanceId| InstanceStats {
                instance_id: name.to_string(),
                pid: std::process::id(),
                heartbeat_age_ms: 0,
                lag: 0,
            };
            Ok(Stats {
                queue_health: "healthy",
                rows: rows as u64,
                committed,
                commits: committed,
                overloaded: self.relay.refused.load(Ordering::Relaxed),
                instances: self
                    .relay
                    .instances
                    .lock()
                    .live
                    .values()
                    .map(instance)
                    .collect(),
                ..Stats::default()
            })
        }
        .boxed()
    }

    fn shutdown<'a>(&'a self) -> BoxFuture<'a, ()> {
        async move {
            if self.closed.swap(true, Ordering::AcqRel) {
                return;
            }
            for cell in self.relay.cells() {
                let mut live = cell.lock();
                let mut out = Vec::new();
                live.state.remove_instance(self.number, &mut out);
                live.deliver(out);
                live.sinks.retain(|(number, _)| *number != self.number);
            }
            let mut instances = self.relay.instances.lock();
            instances.live.remove(&self.number);
            if instances.live.is_empty() {
                self.sweeper.stop();
            }
        }
        .boxed()
    }
}
