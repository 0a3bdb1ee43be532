//! The other instances: which of them live, and the clients of those that died.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Shared;
use super::link::Session;
use super::replica::Inner;
use super::start::StartError;
use crate::canvas::Command;
use crate::canvas::codec::encode_batch;
use crate::limits::HEARTBEAT_STALE;
use crate::log::{Fault, OtherInstance, Registered};
use crate::protocol::ids::{CanvasId, InstanceNumber};
use crate::time;

/// Looks in a row that find an instance's connection gone until it counts as dead: one that lost it comes back sooner.
const LOOKS: u32 = 2;
/// Canvases on which that is done in one step: no longer than a commit takes.
const AT_ONCE: usize = 64;

/// What is known of another instance.
pub(super) struct Peer {
    beat: i64,
    /// When that heartbeat was first seen, on our clock: after a break of the link nobody is dead at once.
    since: Instant,
    silent: u32,
}

/// Instances that died, for the reaper.
#[derive(Default)]
pub(super) struct Dead {
    /// Each with the last heartbeat that is known of it.
    numbers: Mutex<HashMap<InstanceNumber, i64>>,
    wakeup: Notify,
}

impl Shared {
    pub(super) async fn beat(
        &self,
        session: &Session,
        peers: &mut HashMap<InstanceNumber, Peer>,
        dead: &Dead,
    ) -> Result<(), Fault> {
        let sent_ms = self.now_ms();
        let copies = self.canvases.all();
        let copies = copies.iter().filter(|replica| replica.has_copy()).count();
        let beaten = session.log.beat().await?;
        self.saw_commits(beaten.commits);
        self.saw_others(&beaten.others);
        if let Some(behind_ms) = self.clock.observe(sent_ms, beaten.now_ms) {
            tracing::warn!(
                behind_ms,
                "the clock of {}'s host stepped: the relay's does not",
                self.engine()
            );
            let skew_ms = beaten.skew_ms + behind_ms;
            session.log.correct_clock(beaten.skew_ms, skew_ms).await?;
        }
        let tick = encode_batch(None, 0, None, &[Command::Tick]);
        session.log.pass_time(&tick).await?;
        if !beaten.known {
            tracing::warn!("this instance was taken for dead, and goes on");
        }
        // Who removed its list by hand has left nobody to say whose clients are to be turned away when it dies.
        if !beaten.known || beaten.held < copies {
            self.list(session).await?;
        }
        let known =
            |number: &InstanceNumber| beaten.others.iter().any(|other| other.number == *number);
        peers.retain(|number, _| known(number));
        for other in &beaten.others {
            let number = other.number;
            let beat = other.beat;
            let new = || Peer {
                beat,
                since: time::now(),
                silent: 0,
            };
            let peer = peers.entry(number).or_insert_with(new);
            if peer.beat != beat {
                peer.beat = beat;
                peer.since = time::now();
            }
            peer.silent = if other.connected { 0 } else { peer.silent + 1 };
            if peer.silent >= LOOKS || time::since(peer.since) > HEARTBEAT_STALE {
                dead.numbers.lock().insert(number, beat);
                dead.wakeup.notify_one();
            }
        }
        Ok(())
    }

    fn saw_others(&self, others: &[OtherInstance]) {
        let connected = others.iter().filter(|other| other.connected).count();
        self.others.store(connected, Ordering::Relaxed);
    }

    /// Says which canvases this instance has, for whoever will have to turn its clients away. What is being read counts: it was opened
    /// already.
    async fn list(&self, session: &Session) -> Result<(), Fault> {
        let mut all = self.canvases.all();
        all.retain(|replica| replica.has_copy() || replica.loading.try_lock().is_err());
        let canvases: Vec<CanvasId> = all.iter().map(|replica| replica.id.clone()).collect();
        session.log.holds(&canvases).await
    }
}

/// Turns the clients of dead instances away, wherever they are.
pub(super) async fn reap_all(shared: &Arc<Shared>, dead: &Dead) -> String {
    loop {
        dead.wakeup.notified().await;
        loop {
            let next = dead
                .numbers
                .lock()
                .iter()
                .next()
                .map(|(n, beat)| (*n, *beat));
            let Some((number, beat)) = next else { break };
            if let Some(session) = shared.link.now()
                && let Err(fault) = reap(&session, number, beat).await
            {
                shared.link.failed(session.id, &fault);
            }
            // If it is still there, the next look finds it again.
            dead.numbers.lock().remove(&number);
        }
    }
}

async fn reap(session: &Session, number: InstanceNumber, beat: i64) -> Result<(), Fault> {
    if !session.log.lease(number).await? {
        return Ok(());
    }
    let names = session.log.canvases_of(number).await?;
    let canvases = names.len();
    tracing::warn!(
        instance = number.0,
        canvases,
        "an instance died: its clients are away"
    );
    let gone = [Command::InstanceGone {
        instance: number,
        died: true,
    }];
    let gone = encode_batch(None, 0, None, &gone);
    for some in names.chunks(AT_ONCE) {
        for canvas in session.log.reap(number, some, &gone).await? {
            // Whoever reads it, if it can be read again, finds its ghosts.
            tracing::warn!(
                instance = number.0,
                canvas,
                "the clients of a dead instance stay on a canvas that accepts no changes"
            );
        }
    }
    session.log.leave(number, Some(beat)).await
}

/// Whether another instance that lives has this one's name.
pub(super) async fn name_taken(shared: &Shared) -> Result<bool, StartError> {
    let Some(session) = shared.link.now() else {
        return Ok(false);
    };
    let found = async { Ok((session.log.beat().await?, session.log.members().await?)) };
    let found: Result<_, Fault> = found.await;
    let (beaten, members) =
        found.map_err(|fault| StartError::unreachable(shared, fault.to_string()))?;
    shared.saw_others(&beaten.others);
    let name = shared.config.instance_id.as_str();
    let mut live = beaten.others.iter().filter(|other| other.connected);
    Ok(live.any(|other| {
        let named = |member: &&Registered| member.number == other.number;
        let member = members.iter().find(named);
        member.is_some_and(|member| member.name.as_deref() == Some(name))
    }))
}

/// Leaves the registry, if the engine answers.
pub(super) async fn unregister(shared: &Shared) {
    if let Some(session) = shared.link.now()
        && let Err(error) = session.log.leave(shared.number(), None).await
    {
        tracing::warn!(%error, "this instance could not leave the registry: the others will take it out");
    }
}

impl Inner {
    /// Clients whose instance is not in the registry are away: it died while this could not be read, or its list was lost.
    pub(super) fn turn_ghosts_away(
        &self,
        canvas: &CanvasId,
        registered: &[InstanceNumber],
        shared: &Shared,
    ) {
        let Some(state) = &self.state else { return };
        let here = state
            .members()
            .members
            .into_iter()
            .filter(|member| !member.away);
        let of: BTreeSet<InstanceNumber> = here.map(|member| member.conn.instance()).collect();
        let own = shared.number();
        for instance in of {
            if instance != own && !registered.contains(&instance) {
                let died = true;
                shared.ask(canvas.clone(), Command::InstanceGone { instance, died });
            }
        }
    }
}
