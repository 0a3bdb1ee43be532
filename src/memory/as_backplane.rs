//! The in-process backplane as rooms see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::MemoryBackplane;
use crate::backplane::{
    Answer, Author, Canvas, Carrier, Directory, Entry, Found, Instance, InstanceStats, Lifecycle,
    Opened, Outcome, Post, PresenceTable, Read, Reader, Refusal, SEAL_BYTES, Sink, Snapshot, Stats,
    Unavailable, seal,
};
use crate::canvas::CanvasState;
use crate::protocol::client_message::Durable;
use crate::protocol::features::Features;
use crate::protocol::ids::{CanvasId, ConnId, InstanceId, InstanceNumber, Position};

impl Instance for MemoryBackplane {
    fn instance_id(&self) -> &InstanceId {
        &self.instance_id
    }

    fn new_conn(&self) -> ConnId {
        ConnId::new(self.number, self.conns.fetch_add(1, Ordering::Relaxed))
    }

    fn number(&self) -> InstanceNumber {
        self.number
    }

    fn seal(&self, what: &[u8]) -> [u8; SEAL_BYTES] {
        seal(&self.relay.seal_key, what)
    }
}

impl Reader for MemoryBackplane {
    fn read<'a>(
        &'a self,
        canvas: &'a Canvas,
        after: Position,
        max_bytes: usize,
    ) -> Answer<'a, Read> {
        async move { self.with_canvas(canvas, |state| state.read(after, max_bytes)) }.boxed()
    }

    fn read_for<'a>(
        &'a self,
        canvas: &'a Canvas,
        (after, understood): (Position, Features),
        max_bytes: usize,
    ) -> Answer<'a, Read> {
        async move { self.with_canvas(canvas, |state| state.read_for(after, understood, max_bytes)) }.boxed()
    }

    fn snapshot<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Snapshot> {
        async move { self.with_canvas(canvas, CanvasState::snapshot) }.boxed()
    }

    fn members<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, PresenceTable> {
        async move { self.with_canvas(canvas, CanvasState::members) }.boxed()
    }
}

impl Carrier for MemoryBackplane {
    fn open<'a>(&'a self, id: &'a CanvasId, sink: Arc<dyn Sink>) -> Answer<'a, Opened> {
        async move {
            let (mut key, mut cell) = self.relay.find_or_create(id)?;
            if cell.lock().ended {
                // It has just gone.
                (key, cell) = self.relay.find_or_create(id)?;
            }
            let mut live = cell.lock();
            if live.ended {
                return Err(Unavailable::NotNow("the canvas has just ended".to_owned()));
            }
            // Under the lock: a sink must not come in behind a shutdown.
            self.check_open()?;
            live.sweep(&self.relay, self.relay.clock.now_ms());
            live.sinks.retain(|(number, _)| *number != self.number);
            live.sinks.push((self.number, sink));
            let canvas = Canvas {
                id: id.clone(),
                key,
            };
            Ok(Opened {
                canvas,
                head: live.state.head(),
                presence: live.state.members(),
            })
        }
        .boxed()
    }

    fn close(&self, canvas: &Canvas, sink: &Arc<dyn Sink>) {
        if let Some(cell) = self.relay.cell(canvas) {
            let mut live = cell.lock();
            live.sinks
                .retain(|(number, open)| *number != self.number || !Arc::ptr_eq(open, sink));
            drop(live);
            self.relay.end(canvas);
        }
    }

    fn put(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        self.apply(canvas, entry, |_| ())
    }

    fn forward<'a>(&'a self, id: &'a CanvasId, conn: ConnId, post: Post) -> Answer<'a, bool> {
        async move {
            let Some(found) = self.find_canvas(id)? else {
                return Ok(false);
            };
            self.append(&found.canvas, Entry::Post { conn, post })
                .map_err(Unavailable::Full)?;
            Ok(true)
        }
        .boxed()
    }
}

impl Directory for MemoryBackplane {
    fn find<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Option<Found>> {
        async move { self.find_canvas(id) }.boxed()
    }

    fn create<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Canvas> {
        async move {
            self.check_open()?;
            let (key, _) = self.relay.find_or_create(id)?;
            let id = id.clone();
            Ok(Canvas { id, key })
        }
        .boxed()
    }

    fn active<'a>(&'a self, after: &'a str, limit: u32) -> Answer<'a, Vec<Found>> {
        async move { self.canvases(after, limit, 1) }.boxed()
    }

    fn all<'a>(&'a self, after: &'a str, limit: u32) -> Answer<'a, Vec<Found>> {
        async move { self.canvases(after, limit, 0) }.boxed()
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

    fn kick(&self, canvas: &Canvas, conn: ConnId) -> Result<(), Refusal> {
        self.append(canvas, Entry::Kick { conn })
    }

    fn delete<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Position> {
        async move { self.delete_canvas(canvas) }.boxed()
    }
}

impl Lifecycle for MemoryBackplane {
    fn ready<'a>(&'a self) -> Answer<'a, ()> {
        async move {
            self.check_open()?;
            if self.sweeper.has_ended() {
                return Err(Unavailable::NotNow("its sweeper has ended".to_owned()));
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
                log_full: self.relay.full.load(Ordering::Relaxed),
                log_bytes: self.relay.log_bytes.load(Ordering::Relaxed),
                max_log_bytes: self.relay.quotas.log_bytes,
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
                live.state
                    .lose_instance(self.number, false, self.relay.clock.now_ms(), &mut out);
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
