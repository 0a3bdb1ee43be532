//! The backplane as rooms see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::ReplicatedBackplane;
use crate::backplane::{
    Answer, Author, Canvas, Carrier, Directory, Entry, Found, Instance, Lifecycle, Opened, Outcome,
    Post, PresenceTable, Read, Reader, Refusal, SEAL_BYTES, Sink, Snapshot, Stats, Unavailable,
    seal,
};
use crate::canvas::CanvasState;
use crate::protocol::client_message::Durable;
use crate::protocol::features::Features;
use crate::protocol::ids::{CanvasId, ConnId, InstanceId, InstanceNumber, Position};
use crate::time;

impl ReplicatedBackplane {
    async fn open_canvas(&self, id: &CanvasId, sink: Arc<dyn Sink>) -> Result<Opened, Unavailable> {
        self.shared.check_open()?;
        loop {
            let replica = self.shared.ensure(id).await?;
            let mut inner = replica.inner.lock();
            let state = inner.state.as_ref().filter(|_| !inner.stale);
            let Some((head, presence)) = state.map(|state| (state.head(), state.members())) else {
                // Given up this moment.
                continue;
            };
            inner.sink = Some(sink);
            return Ok(Opened {
                canvas: replica.canvas(),
                head,
                presence,
            });
        }
    }

    /// Asks the copy.
    async fn look<T>(
        &self,
        canvas: &Canvas,
        then: impl Fn(&CanvasState) -> T + Send,
    ) -> Result<T, Unavailable> {
        self.shared.check_open()?;
        loop {
            let replica = self.shared.ensure(&canvas.id).await?;
            let inner = replica.inner.lock();
            if let Some(state) = inner.state.as_ref().filter(|_| !inner.stale) {
                return Ok(then(state));
            }
        }
    }
}

impl Instance for ReplicatedBackplane {
    fn instance_id(&self) -> &InstanceId {
        &self.shared.config.instance_id
    }

    fn new_conn(&self) -> ConnId {
        ConnId::new(
            self.shared.number(),
            self.conns.fetch_add(1, Ordering::Relaxed),
        )
    }

    fn number(&self) -> InstanceNumber {
        self.shared.number()
    }

    /// The era's name is the key: it is drawn at random, and only who may read the log knows it.
    fn seal(&self, what: &[u8]) -> [u8; SEAL_BYTES] {
        seal(self.shared.canvases.era().as_bytes(), what)
    }
}

impl Reader for ReplicatedBackplane {
    fn read<'a>(
        &'a self,
        canvas: &'a Canvas,
        after: Position,
        max_bytes: usize,
    ) -> Answer<'a, Read> {
        self.look(canvas, move |state| state.read(after, max_bytes))
            .boxed()
    }

    fn read_for<'a>(
        &'a self,
        canvas: &'a Canvas,
        (after, understood): (Position, Features),
        max_bytes: usize,
    ) -> Answer<'a, Read> {
        self.look(canvas, move |state| {
            state.read_for(after, understood, max_bytes)
        })
        .boxed()
    }

    fn snapshot<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Snapshot> {
        self.look(canvas, CanvasState::snapshot).boxed()
    }

    fn members<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, PresenceTable> {
        self.look(canvas, CanvasState::members).boxed()
    }
}

impl Carrier for ReplicatedBackplane {
    fn open<'a>(&'a self, canvas: &'a CanvasId, sink: Arc<dyn Sink>) -> Answer<'a, Opened> {
        self.open_canvas(canvas, sink).boxed()
    }

    fn close(&self, canvas: &Canvas, sink: &Arc<dyn Sink>) {
        let Some(replica) = self.shared.canvases.named(canvas.id.as_str()) else {
            return;
        };
        let mut inner = replica.inner.lock();
        if inner
            .sink
            .as_ref()
            .is_some_and(|open| Arc::ptr_eq(open, sink))
        {
            inner.sink = None;
            inner.used = time::now();
            self.shared.canvases.watch(&replica);
        }
    }

    fn put(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        let room = self.shared.room_for_client(canvas.key, &entry);
        let taken = room.and_then(|()| self.shared.intake.append(canvas, entry));
        if taken.is_err() {
            self.shared
                .counters
                .overloaded
                .fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn wake_writer(&self) {
        self.shared.work.notify_one();
    }

    /// The canvas need not be loaded for it: what is told goes by its name.
    fn forward<'a>(&'a self, id: &'a CanvasId, conn: ConnId, post: Post) -> Answer<'a, bool> {
        let here = self.shared.canvases.named(id.as_str());
        let canvas = here.map_or_else(
            || Canvas {
                id: id.clone(),
                key: self.shared.canvases.elsewhere,
            },
            |replica| replica.canvas(),
        );
        let taken = self.append(&canvas, Entry::Post { conn, post });
        let taken = taken.map(|()| true).map_err(Unavailable::Full);
        std::future::ready(taken).boxed()
    }
}

impl Directory for ReplicatedBackplane {
    fn find<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Option<Found>> {
        self.find_canvas(id).boxed()
    }

    fn create<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Canvas> {
        async move {
            self.shared.check_open()?;
            Ok(self.shared.ensure(id).await?.canvas())
        }
        .boxed()
    }

    fn active<'a>(&'a self, after: &'a str, limit: u32) -> Answer<'a, Vec<Found>> {
        self.active_canvases(after, limit).boxed()
    }

    fn all<'a>(&'a self, after: &'a str, limit: u32) -> Answer<'a, Vec<Found>> {
        self.all_canvases(after, limit).boxed()
    }

    fn publish<'a>(
        &'a self,
        canvas: &'a Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> Answer<'a, Outcome> {
        self.publish_message(canvas, author, message).boxed()
    }

    fn kick(&self, canvas: &Canvas, conn: ConnId) -> Result<(), Refusal> {
        self.append(canvas, Entry::Kick { conn })
    }

    fn delete<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Position> {
        self.delete_canvas(canvas).boxed()
    }
}

impl Lifecycle for ReplicatedBackplane {
    fn last_commit(&self) -> Duration {
        Duration::from_micros(self.shared.counters.last_commit_us.load(Ordering::Relaxed))
    }

    fn ready<'a>(&'a self) -> Answer<'a, ()> {
        async move {
            self.shared.check_open()?;
            self.shared.link.ping().await
        }
        .boxed()
    }

    fn stats<'a>(&'a self) -> Answer<'a, Stats> {
        self.figures().boxed()
    }

    fn shutdown<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.stop().boxed()
    }
}
