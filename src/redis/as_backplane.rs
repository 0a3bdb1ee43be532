//! The backplane over Redis as rooms see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::RedisBackplane;
use crate::backplane::{
    Answer, Author, Backplane, Canvas, Entry, Found, Member, Opened, Outcome, Read, Refusal, Sink,
    Snapshot, Stats, Unavailable,
};
use crate::machine::CanvasState;
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, ConnId, InstanceId, Position};

impl RedisBackplane {
    async fn open_canvas(&self, id: &CanvasId, sink: Arc<dyn Sink>) -> Result<Opened, Unavailable> {
        self.shared.check_open()?;
        loop {
            let replica = self.shared.ensure(id).await?;
            let mut inner = replica.inner.lock();
            let Some((head, (presence_version, members))) =
                inner.state.as_ref().map(|s| (s.head(), s.members()))
            else {
                // Given up this moment.
                continue;
            };
            inner.sink = Some(sink);
            return Ok(Opened {
                canvas: replica.canvas(),
                head,
                presence_version,
                members,
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
            if let Some(state) = &replica.inner.lock().state {
                return Ok(then(state));
            }
        }
    }
}

impl Backplane for RedisBackplane {
    fn instance_id(&self) -> &InstanceId {
        &self.shared.config.instance_id
    }

    fn new_conn(&self) -> ConnId {
        ConnId::new(
            self.shared.number(),
            self.conns.fetch_add(1, Ordering::Relaxed),
        )
    }

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
            inner.used = Instant::now();
            self.shared.canvases.watch(&replica);
        }
    }

    fn append(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        let taken = self.append_more(canvas, entry);
        self.appended();
        taken
    }

    fn append_more(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        let taken = self.shared.intake.append(canvas, entry);
        if taken.is_err() {
            self.shared
                .counters
                .overloaded
                .fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn appended(&self) {
        self.shared.work.notify_one();
    }

    fn read<'a>(
        &'a self,
        canvas: &'a Canvas,
        after: Position,
        max_bytes: usize,
    ) -> Answer<'a, Read> {
        self.look(canvas, move |state| state.read(after, max_bytes))
            .boxed()
    }

    fn snapshot<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Snapshot> {
        self.look(canvas, CanvasState::snapshot).boxed()
    }

    fn members<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, (u64, Vec<Member>)> {
        self.look(canvas, CanvasState::members).boxed()
    }

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

    fn publish<'a>(
        &'a self,
        canvas: &'a Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> Answer<'a, Outcome> {
        self.publish_message(canvas, author, message).boxed()
    }

    fn delete<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Position> {
        self.delete_canvas(canvas).boxed()
    }

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
