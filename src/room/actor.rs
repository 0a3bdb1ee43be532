//! A room's task: takes what waits, lets [`State`] decide, does what it asks for, flushes once a round.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use super::cursors::Flusher;
use super::inbox::{Event, Inbox, Parts, Retry};
use super::registry::Handle;
use super::state::{About, Effect, State};
use super::{Link, Settings};
use crate::backplane::{Backplane, Canvas, Entry, Snapshot};
use crate::limits::{CATCH_UP_BYTES, READ_RETRY};
use crate::protocol::ids::{ConnId, Position};
use crate::protocol::server_message::snapshot_parts;

/// What a room needs besides its state.
pub struct Actor<L> {
    /// The room as others hold it.
    pub handle: Arc<Handle<L>>,
    /// Where messages go and come from.
    pub backplane: Arc<dyn Backplane>,
    /// Ticks cursors.
    pub flusher: Arc<Flusher<L>>,
    /// Told in `welcome`, among others.
    pub settings: Arc<Settings>,
}

impl<L: Link> Actor<L> {
    /// Runs until `may_end` says so, which it asks whenever nobody is left.
    pub async fn run(self, may_end: impl Fn() -> bool + Send) {
        let inbox = self.handle.inbox.clone();
        let instance = self.backplane.new_conn().instance();
        let mut state = State::new(self.settings.clone(), instance);
        let mut reads = JoinSet::new();
        self.open(&mut reads);
        let mut opening = true;
        loop {
            inbox.ready().await;
            // A room that always has something to do must not keep its thread from looking at the sockets.
            tokio::task::coop::consume_budget().await;
            let now = Instant::now();
            let mut open_failed = false;
            for event in inbox.take() {
                if let Event::Opened(opened) = &event {
                    opening = false;
                    match opened {
                        Ok(opened) => self.handle.opened(opened.canvas.clone()),
                        Err(_) => open_failed = true,
                    }
                }
                state.handle(event, now);
            }
            self.run_effects(&mut state, &mut reads, now);
            let mut written = state.flush_after(None);
            while written.is_some() {
                // Other rooms don't wait for a large one.
                tokio::task::yield_now().await;
                written = state.flush_after(written);
            }
            while reads.try_join_next().is_some() {}
            if state.is_empty() && !opening && may_end() {
                break;
            }
            if open_failed {
                opening = true;
                self.retry_open(&mut reads);
            }
        }
        if let Some(canvas) = self.handle.canvas() {
            let sink: Arc<dyn crate::backplane::Sink> = inbox;
            self.backplane.close(canvas, &sink);
        }
    }

    fn open(&self, reads: &mut JoinSet<()>) {
        let (handle, backplane) = (self.handle.clone(), self.backplane.clone());
        reads.spawn(async move {
            let sink = handle.inbox.clone();
            let opened = backplane.open(&handle.id, sink).await;
            handle.inbox.put(Event::Opened(opened));
        });
    }

    fn retry_open(&self, reads: &mut JoinSet<()>) {
        let (handle, backplane) = (self.handle.clone(), self.backplane.clone());
        reads.spawn(async move {
            tokio::time::sleep(READ_RETRY).await;
            let opened = backplane.open(&handle.id, handle.inbox.clone()).await;
            handle.inbox.put(Event::Opened(opened));
        });
    }

    fn run_effects(&self, state: &mut State<L>, reads: &mut JoinSet<()>, now: Instant) {
        // What the backplane refuses at once may ask for more.
        loop {
            let effects = state.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Append(entry) => self.append(state, entry, now),
                    Effect::Read(conn, after) => self.read(reads, conn, after),
                    Effect::Snapshot => self.snapshot(reads),
                    Effect::Members => self.members(reads),
                    Effect::Retry(retry) => self.retry(reads, retry),
                    Effect::CursorTick => self.flusher.tick(self.handle.inbox.clone()),
                }
            }
        }
    }

    fn append(&self, state: &mut State<L>, entry: Entry, now: Instant) {
        let Some(canvas) = self.handle.canvas() else {
            return;
        };
        let about = About::of(&entry);
        if let Err(refusal) = self.backplane.append(canvas, entry) {
            state.not_taken(about, &refusal, now);
        }
    }

    fn read(&self, reads: &mut JoinSet<()>, conn: Option<ConnId>, after: Position) {
        self.ask(reads, move |backplane, canvas, inbox| async move {
            let read = backplane.read(&canvas, after, CATCH_UP_BYTES).await;
            inbox.put(Event::ReadDone(conn, read));
        });
    }

    fn snapshot(&self, reads: &mut JoinSet<()>) {
        let whole = self.settings.snapshots;
        self.ask(reads, move |backplane, canvas, inbox| async move {
            let parts = backplane
                .snapshot(&canvas)
                .await
                .map(|s| Arc::new(framed(&s, whole)));
            inbox.put(Event::SnapshotDone(parts));
        });
    }

    fn members(&self, reads: &mut JoinSet<()>) {
        self.ask(reads, move |backplane, canvas, inbox| async move {
            inbox.put(Event::MembersDone(backplane.members(&canvas).await));
        });
    }

    fn retry(&self, reads: &mut JoinSet<()>, retry: Retry) {
        let inbox = self.handle.inbox.clone();
        reads.spawn(async move {
            tokio::time::sleep(READ_RETRY).await;
            inbox.put(Event::Retry(retry));
        });
    }

    /// Runs a read beside the room; its answer comes through the inbox like everything else.
    fn ask<F: Future<Output = ()> + Send + 'static>(
        &self,
        reads: &mut JoinSet<()>,
        read: impl FnOnce(Arc<dyn Backplane>, Canvas, Arc<Inbox<L>>) -> F,
    ) {
        if let Some(canvas) = self.handle.canvas() {
            reads.spawn(read(
                self.backplane.clone(),
                canvas.clone(),
                self.handle.inbox.clone(),
            ));
        }
    }
}

/// With snapshots off only the place is told.
fn framed(snapshot: &Snapshot, whole: bool) -> Parts {
    let Snapshot { at, objects, chat } = snapshot;
    let parts = if whole {
        snapshot_parts(at.epoch, at.seq, objects, chat)
    } else {
        snapshot_parts(at.epoch, at.seq, &[], &[])
    };
    Parts { at: *at, parts }
}
