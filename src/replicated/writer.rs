//! The writer commits waiting entries. Everything that came during the last commit is committed together, canvas by
//! canvas.
//!
//! If the result of a commit is unknown (the connection broke), it is sent again unchanged until it is known to be
//! there. Its batches have numbers, so they are applied once however often they come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::link::Session;
use super::{Asked, Shared};
use crate::backplane::intake::{Budget, Look, Waiting, decided};
use crate::backplane::{CanvasKey, Entry};
use crate::canvas::Command;
use crate::canvas::codec::encode_ephemeral;
use crate::limits::{BATCH_ENTRIES, READ_RETRY};
use crate::log::{Appended, Asks, Fault, How, Piece};
use crate::protocol::ids::CanvasId;
use crate::time;

/// The longest pause before what the engine did not take is offered again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A piece, and what is in it: that waits where the engine does not take it.
pub(super) struct Pending {
    pub(super) piece: Piece,
    pub(super) commands: Vec<Command>,
    /// The batch's number among this instance's; 0 for what is told only.
    pub(super) serial: u64,
    pub(super) within: Within,
}

/// What there has to be room in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    /// In the logs.
    pub(super) logs: bool,
    /// In what is kept of all canvases.
    pub(super) total: bool,
}

/// Where there has to be room at first.
const ALL: Within = Within {
    logs: true,
    total: true,
};

/// What is committed at once.
#[derive(Default)]
struct Commit {
    pieces: Vec<Pending>,
    since: Vec<Instant>,
    /// Who waits for the commit of that canvas.
    committed: Vec<(CanvasId, oneshot::Sender<()>)>,
}

/// Commits for as long as the instance lives. Ends with the reason if it can't go on.
pub(super) async fn run(shared: Arc<Shared>) -> String {
    loop {
        let asked = shared.take_asked();
        if asked.is_empty() {
            match shared.intake.look() {
                Some(Look::Work) => {}
                Some(Look::Abandoned) => return std::future::pending().await,
                Some(Look::Finished) | None => {
                    shared.work.notified().await;
                    continue;
                }
            }
        }
        shared.busy.store(true, Ordering::Release);
        let waiting = shared.within_budget(shared.intake.drain_entries());
        let commit = shared.gather(waiting, asked);
        shared.commit(commit).await;
        shared.intake.hands_free();
        shared.busy.store(false, Ordering::Release);
    }
}

impl Shared {
    fn take_asked(&self) -> Vec<Asked> {
        let mut asked = self.asked.lock();
        let count = asked.len().min(BATCH_ENTRIES);
        asked.drain(..count).collect()
    }

    /// As much of it as a batch may do, by what our copies say that it will be; every copy has to do it. The rest goes back.
    fn within_budget(&self, waiting: Vec<Waiting>) -> Vec<Waiting> {
        let mut budget = Budget::default();
        let mut open = HashMap::<CanvasKey, HashSet<String>>::new();
        let mut now = Vec::with_capacity(waiting.len());
        let mut later = Vec::new();
        for waiting in waiting {
            if !budget.takes(waiting.key) {
                later.push(waiting);
                continue;
            }
            let open = open.entry(waiting.key).or_default();
            let replica = self.canvases.get(waiting.key);
            let work = replica.map_or(0, |replica| {
                let inner = replica.inner.lock();
                let state = inner.state.as_ref();
                state.map_or(0, |state| state.work_of(&waiting.entry, open))
            });
            budget.spent(waiting.key, work);
            now.push(waiting);
        }
        self.intake.charge(budget.charges());
        self.intake.give_back(later);
        now
    }

    /// By canvas, each in the order it came.
    fn gather(&self, waiting: Vec<Waiting>, asked: Vec<Asked>) -> Commit {
        let mut commit = Commit::default();
        let mut places: HashMap<CanvasId, usize> = HashMap::new();
        let mut canvases: Vec<(CanvasId, Vec<Command>, Vec<Entry>)> = Vec::new();
        let mut place = |id: CanvasId, canvases: &mut Vec<_>| {
            *places.entry(id).or_insert_with_key(|id| {
                canvases.push((id.clone(), Vec::new(), Vec::new()));
                canvases.len() - 1
            })
        };
        for Waiting {
            canvas,
            entry,
            since,
            ..
        } in waiting
        {
            commit.since.push(since);
            let at = place(canvas, &mut canvases);
            let (_, commands, ephemeral) = &mut canvases[at];
            match entry {
                Entry::Signal { .. }
                | Entry::Cursors { .. }
                | Entry::Kick { .. }
                | Entry::Post { .. } => ephemeral.push(entry),
                kept => commands.push(Command::Entry(kept)),
            }
        }
        for asked in asked {
            let at = place(asked.canvas, &mut canvases);
            canvases[at].1.push(asked.command);
            let heard = asked.committed.map(|heard| (canvases[at].0.clone(), heard));
            commit.committed.extend(heard);
        }
        for (canvas, commands, ephemeral) in canvases {
            let (commands, _) = self.unparked(&canvas, commands);
            if !commands.is_empty() {
                let pending = self.pending(canvas.clone(), commands, ALL);
                commit.pieces.push(pending);
            }
            if !ephemeral.is_empty() {
                let bytes = encode_ephemeral(self.number(), &ephemeral);
                let kept = false;
                commit.pieces.push(Pending {
                    piece: Piece {
                        canvas,
                        kept,
                        bytes,
                        asks: Asks::default(),
                    },
                    commands: Vec::new(),
                    serial: 0,
                    within: ALL,
                });
            }
        }
        // What waits for its canvas to be put back is not committed with the others.
        let pieces = &commit.pieces;
        let goes = |id: &CanvasId| {
            let mut pieces = pieces.iter().map(|pending| &pending.piece);
            pieces.any(|piece| piece.canvas == *id && piece.kept)
        };
        commit.committed.retain(|(canvas, _)| goes(canvas));
        commit
    }

    async fn commit(&self, mut commit: Commit) {
        let mut pause = READ_RETRY;
        let mut unknown = false;
        while !commit.pieces.is_empty() {
            let session = self.link.session().await;
            if unknown {
                self.leave_out_received(&mut commit);
            }
            self.park_stale(&mut commit.pieces);
            let began = time::now();
            match self.append_and_publish(&session, &commit.pieces).await {
                Ok(ends) => {
                    self.link.commits(None);
                    let took = u64::try_from(time::since(began).as_micros()).unwrap_or(u64::MAX);
                    self.counters.last_commit_us.store(took, Ordering::Relaxed);
                    self.committed(&mut commit, ends);
                    continue;
                }
                Err(fault @ Fault::Link(_)) => {
                    self.link.failed(session.id, &fault);
                    pause = READ_RETRY;
                    unknown = true;
                    // It may be there already. Then it has its room.
                    for asks in commit.pieces.iter_mut().map(|p| &mut p.piece.asks) {
                        asks.within_logs = false;
                        asks.within_total = false;
                    }
                }
                // Nothing was done: it is the same commit the next time.
                Err(fault) => {
                    self.link.commits(Some(&fault));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            // What may be lost is not told late.
            commit.pieces.retain(|pending| pending.piece.kept);
            if !commit.pieces.is_empty() {
                time::sleep(pause).await;
            }
        }
    }

    /// What the copy here has heard was committed, and its clients have their answers. Where the engine has lost it since, they were told
    /// that, too. If it were committed again, they would be answered twice.
    fn leave_out_received(&self, commit: &mut Commit) {
        let heard = |pending: &mut Pending| {
            let replica = self.canvases.named(pending.piece.canvas.as_str());
            let heard = replica.map_or(0, |replica| replica.inner.lock().own_serial);
            pending.piece.kept && pending.serial <= heard
        };
        for done in commit.pieces.extract_if(.., heard) {
            decided(done.commands.iter().filter_map(Command::entry));
            let of_this = |(canvas, _): &mut (CanvasId, _)| *canvas == done.piece.canvas;
            for (_, heard) in commit.committed.extract_if(.., of_this) {
                // Whoever asked may have given up.
                let _ = heard.send(());
            }
        }
    }

    /// Commits. Where replicas are waited for, it is published once they have it; they have all that came before it, too.
    async fn append_and_publish(
        &self,
        session: &Session,
        pending: &[Pending],
    ) -> Result<Vec<Appended>, Fault> {
        let pieces: Vec<&Piece> = pending.iter().map(|pending| &pending.piece).collect();
        // Of what is told only, a replica keeps nothing.
        let kept = pieces.iter().any(|piece| piece.kept);
        let replicas = if kept { self.config.wait_replicas } else { 0 };
        let how = How {
            even_if_full: false,
            publish: replicas == 0,
        };
        let (commits, mut ends) = session.log.append(&pieces, how).await?;
        self.saw_commits(commits);
        let at = |end: &Appended| matches!(end, Appended::At(..));
        if replicas > 0 && ends.iter().any(at) {
            while let Err(fault) = session.log.replicated(replicas).await {
                let Fault::NotNow(_) = fault else {
                    return Err(fault);
                };
                self.link.commits(Some(&fault));
            }
            let told = session.log.publish(&pieces, &ends).await?;
            for (end, _) in ends.iter_mut().zip(told).filter(|(_, told)| !told) {
                *end = Appended::Refused("it was put back without its last batch".to_owned());
            }
        }
        Ok(ends)
    }

    /// What the engine took is committed; a canvas of which it took nothing harms itself only. What there was no room for is left, as
    /// it goes again.
    fn committed(&self, commit: &mut Commit, ends: Vec<Appended>) {
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        let now = time::now();
        let since = std::mem::take(&mut commit.since);
        self.counters
            .write
            .record(since.iter().map(|since| now - *since));
        let mut again = Vec::new();
        for (pending, end) in std::mem::take(&mut commit.pieces).into_iter().zip(ends) {
            match end {
                Appended::Refused(why) => {
                    let of_this = |canvas: &CanvasId| *canvas == pending.piece.canvas;
                    commit.committed.retain(|(canvas, _)| !of_this(canvas));
                    self.put_back(pending, &why);
                }
                Appended::LogFull(logs) => again.extend(self.without_room(pending, logs)),
                Appended::Tight(left) => again.push(self.with_room(pending, left)),
                // Each op is answered: one that was refused when it came again is not waited for.
                Appended::At(..) => decided(pending.commands.iter().filter_map(Command::entry)),
                Appended::Published | Appended::InUse => {}
            }
        }
        let waits = |id: &CanvasId| {
            again
                .iter()
                .any(|pending: &Pending| pending.piece.canvas == *id)
        };
        let committed = std::mem::take(&mut commit.committed);
        let (waiting, done): (Vec<_>, Vec<_>) =
            committed.into_iter().partition(|(id, _)| waits(id));
        for (_, heard) in done {
            // Whoever asked may have given up.
            let _ = heard.send(());
        }
        commit.pieces = again;
        commit.committed = waiting;
    }
}
