//! Decides which instance tells hooks of a canvas: the lowest one with clients there, or another if that one does not
//! in time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::oneshot;

use super::outbox::Next;
use crate::backplane::CanvasKey;
use crate::canvas::CanvasState;
use crate::config::Step;
use crate::jobs::dispatch::{Dispatch, Part};
use crate::jobs::op::{Answer, Op};
use crate::log::Fault;
use crate::protocol::ids::CanvasId;
use crate::replicated::Shared;
use crate::replicated::link::Session;
use crate::replicated::loading::opening;
use crate::replicated::replica::{Replica, rebuilt};
use crate::time;

/// Canvases whose events are on their way at a time.
const UNDER_WAY: usize = 64;
/// How long whoever is to tell may take until the others do.
const LATE: Duration = Duration::from_secs(1);
/// How often it is looked for what is late, and for canvases that nobody has.
const LOOK: Duration = Duration::from_millis(500);
/// After what could not be told, before it is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// Canvases of one request, and requests of one look.
const CANVASES: usize = 256;
const REQUESTS: usize = 8;

/// Tells hooks for as long as the instance lives. Ends with the reason if it can't go on.
pub(in crate::replicated) async fn run(shared: Arc<Shared>) -> String {
    tokio::select! {
        biased;
        reason = dispatch_all(&shared) => reason,
        reason = look_around(&shared) => reason,
    }
}

async fn dispatch_all(shared: &Arc<Shared>) -> String {
    let mut under_way = FuturesUnordered::new();
    loop {
        let session = shared.link.session().await;
        for replica in shared.to_dispatch(UNDER_WAY - under_way.len()) {
            under_way.push(dispatch(shared.clone(), session.clone(), replica).boxed());
        }
        wait(shared, &mut under_way).await;
        // Whatever is ready at once, again and again, leaves the others their turns.
        tokio::task::coop::consume_budget().await;
    }
}

/// What is noted as undispatched, and what an engine lost that began anew.
async fn look_around(shared: &Arc<Shared>) -> String {
    let mut place = 0;
    let mut era = shared.link.session().await.log.era().clone();
    loop {
        let session = shared.link.session().await;
        if *session.log.era() != era {
            era = session.log.era().clone();
            // The same number may mean other hooks now.
            shared.dispatcher.versions.lock().clear();
            shared.dispatcher.changed.notify_one();
            recall_all(shared, &session).await;
        }
        if let Err(fault) = look(shared, &session, &mut place).await {
            shared.link.failed(session.id, &fault);
        }
        time::sleep(LOOK).await;
    }
}

async fn wait(shared: &Shared, under_way: &mut FuturesUnordered<BoxFuture<'_, ()>>) {
    tokio::select! {
        biased;
        _ = under_way.next(), if !under_way.is_empty() => {}
        () = shared.dispatcher.work.notified(), if under_way.len() < UNDER_WAY => {}
        () = time::sleep(LOOK) => {}
    }
}

impl Shared {
    /// Copies with something to tell that it is this instance's turn to tell. Those without anything are looked at no more.
    fn to_dispatch(&self, most: usize) -> Vec<Arc<Replica>> {
        let waiting = &self.dispatcher.waiting;
        let keys: Vec<CanvasKey> = waiting.lock().iter().copied().collect();
        let own = self.number();
        let mut found = Vec::new();
        for key in keys {
            if found.len() >= most {
                break;
            }
            let Some(replica) = self.canvases.get(key) else {
                waiting.lock().remove(&key);
                continue;
            };
            let mut inner = replica.inner.lock();
            let outbox = &inner.outbox;
            let Some(since) = outbox.since() else {
                waiting.lock().remove(&key);
                continue;
            };
            let first = inner.state.as_ref().and_then(CanvasState::lowest_instance);
            let ours = first.is_none_or(|first| first == own) || time::since(since) >= LATE;
            if !outbox.under_way && ours && !inner.stale {
                inner.outbox.under_way = true;
                drop(inner);
                found.push(replica);
            }
        }
        found
    }
}

/// Tells what waits of one canvas, as much as one commit takes.
async fn dispatch(shared: Arc<Shared>, session: Session, replica: Arc<Replica>) {
    let (next, canvas) = {
        let inner = replica.inner.lock();
        (inner.outbox.next(inner.n), inner.outbox.canvas())
    };
    let told = match next {
        Some(next) => dispatch_next(&shared, &session, canvas, next).await,
        None => Dispatched::Done(0),
    };
    let lost = {
        let mut inner = replica.inner.lock();
        let outbox = &mut inner.outbox;
        outbox.under_way = false;
        let (upto, lost) = match told {
            Dispatched::Done(upto) => (upto, false),
            // It is less than was known: the engine lost it.
            Dispatched::Before(upto) => (upto, upto < outbox.dispatched()),
            Dispatched::Not => (0, false),
        };
        let freed = outbox.dispatched_upto(upto);
        shared.dispatcher.take_bytes(freed);
        lost
    };
    match told {
        Dispatched::Before(_) if lost => recall(&shared, &session, &replica).await,
        Dispatched::Not => time::sleep(PAUSE).await,
        Dispatched::Done(_) | Dispatched::Before(_) => {}
    }
}

/// What became of it.
#[derive(Clone, Copy)]
enum Dispatched {
    /// It is told up to that batch.
    Done(u64),
    /// Somebody else told it up to that batch.
    Before(u64),
    Not,
}

async fn dispatch_next(
    shared: &Arc<Shared>,
    session: &Session,
    canvas: Arc<str>,
    next: Next,
) -> Dispatched {
    let mut parts = Vec::with_capacity(next.parts.len());
    for (version, what) in next.parts {
        let Some(hooks) = shared.hooks_of(session, version).await else {
            return Dispatched::Not;
        };
        parts.push(Part { hooks, what });
    }
    shared.fail_points.note(Step::BeforeTell);
    let (answer, told) = oneshot::channel();
    let from = next.from;
    let upto = next.upto;
    let tell = Dispatch {
        canvas,
        from,
        upto,
        parts,
    };
    if shared.jobs.hand_over(Op::Dispatch(tell), answer).is_err() {
        return Dispatched::Not;
    }
    let told = told.await;
    shared.fail_points.note(Step::AfterTell);
    match told {
        Ok(Answer::Dispatched { dropped }) => {
            shared.dispatcher.count_dropped(dropped);
            Dispatched::Done(upto)
        }
        Ok(Answer::DispatchedBefore(upto)) => Dispatched::Before(upto),
        // If it was done, the next try finds that.
        _ => Dispatched::Not,
    }
}

/// What time brings: what is late is told by the others, and what nobody has is read by somebody.
async fn look(shared: &Arc<Shared>, session: &Session, place: &mut u64) -> Result<(), Fault> {
    let keys: Vec<CanvasKey> = shared.dispatcher.noted.lock().drain().collect();
    let mut told: Vec<(CanvasId, u64)> = Vec::new();
    for key in keys {
        let Some(replica) = shared.canvases.get(key) else {
            continue;
        };
        let inner = replica.inner.lock();
        if inner.outbox.is_dispatched(u64::MAX) && !inner.stale {
            told.push((replica.id.clone(), inner.n));
        } else {
            shared.dispatcher.note(key);
        }
    }
    for some in told.chunks(CANVASES) {
        shared.all_dispatched(session, some).await?;
    }
    for _ in 0..REQUESTS {
        let (next, names) = session.log.undispatched(*place).await?;
        *place = next;
        for name in &names {
            let Ok(id) = CanvasId::parse(name) else {
                continue;
            };
            // What can't be read now is found again.
            if let Ok(replica) = shared.find_or_read(&id).await {
                shared.dispatcher.note(replica.key);
            }
        }
        if next == 0 || !names.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The engine may have lost how far hooks were told, and has what happened after that.
async fn recall_all(shared: &Arc<Shared>, session: &Session) {
    for replica in shared.canvases.all() {
        if replica.inner.lock().outbox.dispatched() > 0 {
            recall(shared, session, &replica).await;
        }
    }
}

async fn recall(shared: &Arc<Shared>, session: &Session, replica: &Arc<Replica>) {
    let read = async {
        let head = session.log.open(&replica.id, opening(), false).await?;
        if head.dispatched >= replica.inner.lock().outbox.dispatched() {
            return Ok(());
        }
        let parts = shared.read_parts(session, replica, false).await?;
        let rules = shared.rules;
        let interest = shared.interest(replica);
        let dispatched = parts.head.dispatched;
        let n = parts.head.n;
        let building = tokio::task::spawn_blocking(move || rebuilt(parts, rules, &interest));
        let built = building.await.map_err(|e| Fault::NotNow(e.to_string()))?;
        let built = built.map_err(Fault::Canvas)?;
        let mut inner = replica.inner.lock();
        inner
            .outbox
            .recall((dispatched, n), built.events, &shared.dispatcher);
        drop(inner);
        shared.dispatcher.wake(replica.key);
        shared.dispatcher.note(replica.key);
        Ok(())
    };
    let read: Result<(), Fault> = read.await;
    if let Err(fault) = read {
        shared.link.failed(session.id, &fault);
    }
}
