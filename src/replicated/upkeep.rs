//! Upkeep: lets time pass on quiet canvases, stores snapshots, drops copies that nobody uses, and ends the instance. It
//! also decides when heartbeats are sent; [`super::peers`] says what they are for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::link::Session;
use super::peers::{Dead, reap_all, unregister};
use super::replica::{Inner, Replica};
use super::{Shared, ends};
use crate::backplane::CanvasKey;
use crate::backplane::intake::Look;
use crate::canvas::{CanvasState, Command};
use crate::limits::{MAX_QUEUE_WAIT, MEMORY_SWEEP};
use crate::log::{Counts, Fault, Summary};
use crate::protocol::ids::InstanceNumber;
use crate::time;

/// How often an instance says that it lives, and looks whether the others do.
const BEAT: Duration = Duration::from_secs(1);
/// How late time may pass on a quiet canvas: a busy one does it with every batch.
const TICK_LATE_MS: i64 = 200;
/// What one look at all canvases may take before the heart must beat: the others are looked at the next time.
const SWEEP: Duration = Duration::from_millis(500);
/// No second tick of a canvas sooner than this.
const TICK_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of batches after which a snapshot is kept, or half of the last snapshot if that is more.
const SNAPSHOT_AFTER: usize = 256 * 1024;
/// Times as many are needed where it is another instance's turn.
const NOT_OUR_TURN: usize = 3;
/// How long the end waits for hooks to be told: what is left the others tell.
const DISPATCH_TIME: Duration = Duration::from_secs(2);
/// Canvases of which it is noted in one step what is on them.
const NOTES: usize = 256;

/// Does the upkeep for as long as the instance lives. Ends with the reason if it can't go on.
pub(super) async fn run(shared: Arc<Shared>) -> String {
    let dead = Dead::default();
    tokio::select! {
        biased;
        reason = look_around(&shared, &dead) => reason,
        reason = reap_all(&shared, &dead) => reason,
        reason = note_when_asked(&shared) => reason,
        reason = ends::look_after(&shared) => reason,
        reason = ends::count_again(&shared) => reason,
    }
}

/// Somebody lists canvases who has not got those that are here.
async fn note_when_asked(shared: &Shared) -> String {
    loop {
        shared.canvases.notes_wanted.notified().await;
        if let Some(session) = shared.link.now()
            && let Err(fault) = shared.note_changes(&session).await
        {
            shared.link.failed(session.id, &fault);
        }
    }
}

async fn look_around(shared: &Shared, dead: &Dead) -> String {
    let mut peers = HashMap::new();
    let mut ticked = HashMap::new();
    let (mut beaten, mut session_id) = (time::now(), 0);
    loop {
        let idle = shared.canvases.active.lock().is_empty() && shared.intake.depth() == 0;
        time::sleep(if idle { BEAT } else { MEMORY_SWEEP }).await;
        shared.refuse_old();
        let Some(session) = shared.link.now() else {
            continue;
        };
        if session.id != session_id {
            session_id = session.id;
            peers.clear();
        }
        let mut done = shared.sweep(&session, &mut ticked).await;
        if done.is_ok() && time::since(beaten) >= BEAT {
            beaten = time::now();
            done = shared.beat(&session, &mut peers, dead).await;
            if done.is_ok() {
                done = shared.note_changes(&session).await;
            }
        }
        if let Err(fault) = done {
            shared.link.failed(session.id, &fault);
        }
        shared.canvases.try_again();
    }
}

impl Shared {
    /// Who has waited too long is told to come again.
    fn refuse_old(&self) {
        for (key, delivery) in self.intake.refuse_old(MAX_QUEUE_WAIT) {
            self.waiters.answered(&delivery);
            if let Some(replica) = self.canvases.get(key)
                && let Some(sink) = &replica.inner.lock().sink
            {
                sink.deliver(delivery);
            }
        }
    }

    /// Says what is on canvases that changed, for those who list canvases without having them.
    async fn note_changes(&self, session: &Session) -> Result<(), Fault> {
        let keys: Vec<CanvasKey> = self.canvases.active.lock().iter().copied().collect();
        let replicas = keys.into_iter().filter_map(|key| self.canvases.get(key));
        let changed = replicas.filter_map(|replica| {
            let (text, counts) = replica.inner.lock().change(self.number())?;
            Some(Summary {
                canvas: replica.id.clone(),
                n: counts.n,
                text,
                counts,
            })
        });
        let changed: Vec<_> = changed.collect();
        for notes in changed.chunks(NOTES) {
            session.log.put_summaries(notes).await?;
        }
        Ok(())
    }

    /// Time passes, snapshots are kept, and copies that nobody uses go.
    async fn sweep(
        &self,
        session: &Session,
        ticked: &mut HashMap<CanvasKey, Instant>,
    ) -> Result<(), Fault> {
        ticked.retain(|_, at| time::since(*at) < TICK_PAUSE);
        let mut keys: Vec<CanvasKey> = self.canvases.active.lock().iter().copied().collect();
        let now_ms = self.now_ms();
        let began = time::now();
        // From another place each time, so that none is left out for good.
        let from = usize::try_from(now_ms).unwrap_or(0) % keys.len().max(1);
        keys.rotate_left(from);
        let mut done = Ok(());
        for key in keys {
            if time::since(began) > SWEEP || done.is_err() {
                break;
            }
            let Some(replica) = self.canvases.get(key) else {
                self.canvases.active.lock().remove(&key);
                continue;
            };
            self.refuse_long_parked(&replica);
            let look = replica.look(now_ms, self.number());
            if look.due && !ticked.contains_key(&key) {
                ticked.insert(key, time::now());
                self.ask(replica.id.clone(), Command::Tick);
            }
            if look.large {
                done = done.and(self.save(session, &replica, false).await.or_else(one_only));
            }
            if !look.open {
                let given_up = self.give_up_unused(session, &replica).await;
                done = done.and(given_up.or_else(one_only));
            } else if look.settled && look.noted {
                self.canvases.active.lock().remove(&key);
            }
        }
        done
    }
}

/// What can't be done for one canvas is done for the others.
fn one_only(fault: Fault) -> Result<(), Fault> {
    match fault {
        Fault::Canvas(_) | Fault::Many(..) => Ok(()),
        fault => Err(fault),
    }
}

/// The end in order. The caller bounds it.
pub(super) async fn farewell(shared: &Arc<Shared>) {
    let committed = || {
        shared.intake.look() == Some(Look::Finished)
            && shared.asked.lock().is_empty()
            && !shared.busy.load(Ordering::Acquire)
    };
    while !committed() {
        time::sleep(Duration::from_millis(5)).await;
    }
    let own = shared.number();
    let all = shared.canvases.all();
    let with_own = all.iter().filter(|replica| replica.has_members_of(own));
    let gone: Vec<_> = with_own
        .map(|replica| {
            shared.ask_and_wait(
                replica.id.clone(),
                Command::InstanceGone {
                    instance: own,
                    died: false,
                },
            )
        })
        .collect();
    for heard in gone {
        // The writer ends after this.
        let _ = heard.await;
    }
    shared.until_all_dispatched(DISPATCH_TIME).await;
    let session = shared.link.session().await;
    for replica in &all {
        if let Err(error) = shared.save(&session, replica, false).await {
            tracing::warn!(%error, "a snapshot could not be stored: the next process that opens the canvas reads its log");
            break;
        }
    }
    if let Err(fault) = shared.note_changes(&session).await {
        tracing::debug!(%fault, "the sizes of canvases could not be reported: they are counted when the canvases are opened");
    }
    unregister(shared).await;
}

/// What a look at a copy found.
struct Found {
    due: bool,
    large: bool,
    open: bool,
    settled: bool,
    noted: bool,
}

impl Replica {
    fn look(&self, now_ms: i64, own: InstanceNumber) -> Found {
        let inner = self.inner.lock();
        let due = inner.state.as_ref().and_then(CanvasState::due_at_ms);
        Found {
            due: due.is_some_and(|due| due + TICK_LATE_MS <= now_ms),
            large: inner.wants_snapshot(own) || inner.held_is_dispatched(),
            open: inner.sink.is_some(),
            settled: due.is_none(),
            noted: inner.noted == inner.n,
        }
    }

    fn has_members_of(&self, instance: InstanceNumber) -> bool {
        let inner = self.inner.lock();
        let members = inner.state.as_ref().map(|state| state.members().members);
        members.is_some_and(|all| all.iter().any(|m| !m.away && m.conn.instance() == instance))
    }
}

impl Inner {
    /// What there is to be noted of it. The lowest instance with members does so.
    fn change(&mut self, own: InstanceNumber) -> Option<(String, Counts)> {
        if self.noted == self.n || self.stale {
            return None;
        }
        let note = self.note()?;
        let counts = self.counts()?;
        self.noted = self.n;
        let first = self.state.as_ref().and_then(CanvasState::lowest_instance);
        let ours = first.is_none_or(|first| first == own);
        ours.then_some((note, counts))
    }

    /// Copies are alike: the lowest instance with members keeps a snapshot, the others only if it does not.
    fn wants_snapshot(&self, own: InstanceNumber) -> bool {
        let enough = SNAPSHOT_AFTER.max(self.snapshot_bytes / 2);
        let Some(state) = self.state.as_ref().filter(|_| self.unsaved >= enough) else {
            return false;
        };
        let first = state.lowest_instance();
        first.is_none_or(|first| first == own) || self.unsaved >= enough * NOT_OUR_TURN
    }
}
