//! A room's task: it takes all waiting events, lets [`State`] decide, carries out the effects, and flushes once a
//! round.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::cursors::Flusher;
use super::inbox::{Event, Inbox, Retry};
use super::parts::{Parts, Wanted};
use super::registry::Handle;
use super::state::{About, Effect, State};
use super::{Link, Settings};
use crate::backplane::{Beginnings, Canvas, Carrier, Entry, Snapshot, Unavailable};
use crate::limits::{CATCH_UP_BYTES, READ_RETRY, SNAPSHOT_REUSE};
use crate::protocol::features::Features;
use crate::protocol::ids::{ConnId, Position};
use crate::protocol::server_message::{ErrorCode, snapshot_parts};
use crate::time;

/// Bytes of objects that are framed without going to another thread.
const AT_ONCE: usize = 256 * 1024;

/// What a room needs besides its state.
pub struct Actor<L> {
    /// The room as others hold it.
    pub handle: Arc<Handle<L>>,
    /// Where messages go and come from.
    pub backplane: Arc<dyn Carrier>,
    /// Ticks cursors.
    pub flusher: Arc<Flusher<L>>,
    /// Told in `welcome`, among others.
    pub settings: Arc<Settings>,
    /// Who makes canvases, if that is bounded.
    pub beginnings: Option<Arc<Beginnings>>,
}

impl<L: Link> Actor<L> {
    /// Runs until `may_end` says so, which it asks whenever nobody is left.
    pub async fn run(self, may_end: impl Fn() -> bool + Send) {
        let inbox = self.handle.inbox.clone();
        let instance = self.backplane.new_conn().instance();
        let mut state = State::new(self.settings.clone(), instance);
        let mut reads = JoinSet::new();
        // When to try it, and whether it is being tried.
        let mut due = Some(Duration::ZERO);
        let mut opening = false;
        loop {
            inbox.ready().await;
            // A room that always has something to do must not keep its thread from looking at the sockets.
            tokio::task::coop::consume_budget().await;
            let now = time::now();
            for event in inbox.take() {
                if let Event::Opened(opened) = &event {
                    opening = false;
                    match opened {
                        Ok(opened) => self.handle.opened(opened.canvas.clone()),
                        Err(failed) => due = Some(pause_after(failed)),
                    }
                }
                state.absorb(event, now);
            }
            state.settle(now);
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
            if let Some(pause) = due.filter(|_| !opening)
                && let Some(maker) = state.opener()
            {
                due = None;
                opening = true;
                self.open(&mut reads, pause, maker);
            }
        }
        if let Some(canvas) = self.handle.canvas() {
            let sink: Arc<dyn crate::backplane::Sink> = inbox;
            self.backplane.close(canvas, &sink);
        }
    }

    /// Opens the canvas after a pause, for that member.
    fn open(&self, reads: &mut JoinSet<()>, pause: Duration, maker: String) {
        let handle = self.handle.clone();
        let backplane = self.backplane.clone();
        let beginnings = self.beginnings.clone();
        reads.spawn(async move {
            if !pause.is_zero() {
                time::sleep(pause).await;
            }
            let admitted = match &beginnings {
                Some(beginnings) => beginnings.admit(&handle.id, &maker).await,
                None => Ok(()),
            };
            let opened = match admitted {
                Ok(()) => backplane.open(&handle.id, handle.inbox.clone()).await,
                Err(unavailable) => Err(unavailable),
            };
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
                    Effect::ReadFor(conn, after, understood) => {
                        self.read_for(reads, conn, (after, understood));
                    }
                    Effect::Snapshot(wanted) => self.snapshot(reads, wanted),
                    Effect::Members => self.members(reads),
                    Effect::Retry(retry) => self.retry(reads, retry),
                    Effect::Forget => self.forget(reads),
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

    fn read_for(&self, reads: &mut JoinSet<()>, conn: ConnId, asked: (Position, Features)) {
        self.ask(reads, move |backplane, canvas, inbox| async move {
            let read = backplane.read_for(&canvas, asked, CATCH_UP_BYTES).await;
            inbox.put(Event::ReadDone(Some(conn), read));
        });
    }

    fn snapshot(&self, reads: &mut JoinSet<()>, wanted: Wanted) {
        let whole = self.settings.snapshots;
        self.ask(reads, move |backplane, canvas, inbox| async move {
            let parts = match backplane.snapshot(&canvas).await {
                Ok(snapshot) => made(snapshot, whole, wanted).await,
                Err(unavailable) => Err(unavailable),
            };
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
            time::sleep(READ_RETRY).await;
            inbox.put(Event::Retry(retry));
        });
    }

    fn forget(&self, reads: &mut JoinSet<()>) {
        let inbox = self.handle.inbox.clone();
        reads.spawn(async move {
            time::sleep(SNAPSHOT_REUSE).await;
            inbox.put(Event::Forget);
        });
    }

    /// Runs a read beside the room; its answer comes through the inbox like everything else.
    fn ask<F: Future<Output = ()> + Send + 'static>(
        &self,
        reads: &mut JoinSet<()>,
        read: impl FnOnce(Arc<dyn Carrier>, Canvas, Arc<Inbox<L>>) -> F,
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

/// How long until a canvas that was not opened is asked for again. Others may still have what one member has used up.
fn pause_after(failed: &Unavailable) -> Duration {
    match failed {
        Unavailable::Full(refusal) if refusal.code == ErrorCode::RateLimited => Duration::ZERO,
        Unavailable::Full(_) | Unavailable::NotNow(_) => READ_RETRY,
    }
}

/// With snapshots off only the place is told.
fn framed(snapshot: &Snapshot, whole: bool, wanted: &Wanted) -> Parts {
    if whole {
        return Parts::of_snapshot(snapshot, wanted);
    }
    let at = snapshot.at;
    Parts::new(at, snapshot_parts(at.epoch, at.seq, &[], &[]))
}

/// The same with all that is needed for these forms. What takes milliseconds does not keep the event loop.
async fn made(snapshot: Snapshot, whole: bool, wanted: Wanted) -> Result<Arc<Parts>, Unavailable> {
    let plain = wanted.forms.iter().all(|form| form.index() == 0);
    let bytes: usize = snapshot.objects.iter().map(|object| object.len()).sum();
    let make = move || {
        let parts = framed(&snapshot, whole, &wanted);
        wanted.forms.iter().for_each(|form| parts.make(*form));
        Arc::new(parts)
    };
    if plain && bytes < AT_ONCE {
        return Ok(make());
    }
    let made = tokio::task::spawn_blocking(make).await;
    made.map_err(|error| Unavailable::NotNow(error.to_string()))
}
