//! The queue as rooms see it. Requests that wait for nothing are done here, the others are passed on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::SqliteBackplane;
use super::reader;
use crate::backplane::{
    Answer, Author, Canvas, Carrier, Directory, Entry, Found, Instance, Lifecycle, Opened, Outcome,
    Post, PresenceTable, Read, Reader, Refusal, SEAL_BYTES, Sink, Snapshot, Stats,
};
use crate::protocol::client_message::Durable;
use crate::protocol::features::Features;
use crate::protocol::ids::{CanvasId, ConnId, InstanceId, InstanceNumber, Position};
use crate::sqlite::upkeep::watermarks;

impl Instance for SqliteBackplane {
    fn instance_id(&self) -> &InstanceId {
        &self.instance_id
    }

    fn new_conn(&self) -> ConnId {
        ConnId::new(
            self.own.setup.number,
            self.conns.fetch_add(1, Ordering::Relaxed),
        )
    }

    fn number(&self) -> InstanceNumber {
        self.own.setup.number
    }

    fn seal(&self, what: &[u8]) -> [u8; SEAL_BYTES] {
        self.peers.sealed(what)
    }
}

impl Reader for SqliteBackplane {
    fn read<'a>(
        &'a self,
        canvas: &'a Canvas,
        after: Position,
        max_bytes: usize,
    ) -> Answer<'a, Read> {
        let key = canvas.key;
        let clock = self.clock;
        self.reader
            .read(move |conn| reader::log(conn, key, after, max_bytes, clock.now_ms()))
            .boxed()
    }

    fn read_for<'a>(
        &'a self,
        canvas: &'a Canvas,
        (after, understood): (Position, Features),
        max_bytes: usize,
    ) -> Answer<'a, Read> {
        let key = canvas.key;
        let clock = self.clock;
        self.reader
            .read(move |conn| {
                reader::log_for(conn, key, (after, understood), max_bytes, clock.now_ms())
            })
            .boxed()
    }

    fn snapshot<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, Snapshot> {
        let key = canvas.key;
        self.reader
            .read(move |conn| reader::snapshot(conn, key))
            .boxed()
    }

    fn members<'a>(&'a self, canvas: &'a Canvas) -> Answer<'a, PresenceTable> {
        let key = canvas.key;
        self.reader
            .read(move |conn| reader::members(conn, key))
            .boxed()
    }
}

impl Carrier for SqliteBackplane {
    fn open<'a>(&'a self, canvas: &'a CanvasId, sink: Arc<dyn Sink>) -> Answer<'a, Opened> {
        self.open(canvas, sink).boxed()
    }

    fn close(&self, canvas: &Canvas, sink: &Arc<dyn Sink>) {
        self.tail.close(canvas.key, sink);
    }

    fn put(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        let taken = self.intake.append(canvas, entry);
        if taken.is_err() {
            self.counters.overloaded.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn wake_writer(&self) {
        self.intake.notify();
    }

    fn forward<'a>(&'a self, canvas: &'a CanvasId, conn: ConnId, post: Post) -> Answer<'a, bool> {
        self.forward_post(canvas, conn, post).boxed()
    }
}

impl Directory for SqliteBackplane {
    fn find<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Option<Found>> {
        self.find_canvas(id).boxed()
    }

    fn create<'a>(&'a self, id: &'a CanvasId) -> Answer<'a, Canvas> {
        self.create_canvas(id).boxed()
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

impl Lifecycle for SqliteBackplane {
    fn last_commit(&self) -> Duration {
        Duration::from_micros(self.counters.last_commit_us.load(Ordering::Relaxed))
    }

    fn ready<'a>(&'a self) -> Answer<'a, ()> {
        self.ready().boxed()
    }

    fn stats<'a>(&'a self) -> Answer<'a, Stats> {
        let parts = self.numbers.clone();
        self.reader
            .read(move |conn| watermarks::stats(conn, &parts))
            .boxed()
    }

    fn shutdown<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.stop().boxed()
    }
}
