//! What waits is committed: all that came while the last commit was under way goes together, canvas by canvas.
//!
//! A commit whose end is not known (the connection broke) is sent again, as it was, until it is known to be there. Its batches
//! have numbers, so that they are applied once however often they come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;

use super::scripts::{self, Piece};
use super::{Asked, Shared};
use crate::backplane::Entry;
use crate::backplane::intake::{Look, Waiting};
use crate::limits::{BATCH_ENTRIES, READ_RETRY};
use crate::machine::Command;
use crate::machine::codec::{encode_batch, encode_ephemeral};
use crate::protocol::ids::CanvasId;

/// What is committed at once.
#[derive(Default)]
struct Commit {
    pieces: Vec<Piece>,
    since: Vec<Instant>,
    heard: Vec<oneshot::Sender<()>>,
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
        let commit = shared.gather(shared.intake.drain_entries(), asked);
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
                Entry::Signal { .. } | Entry::Cursors { .. } | Entry::Kick { .. } => {
                    ephemeral.push(entry)
                }
                kept => commands.push(Command::Entry(kept)),
            }
        }
        for asked in asked {
            let at = place(asked.canvas, &mut canvases);
            canvases[at].1.push(asked.command);
            commit.heard.extend(asked.committed);
        }
        for (canvas, commands, ephemeral) in canvases {
            if !commands.is_empty() {
                let bytes = encode_batch(self.number(), self.next_serial(), &commands);
                let canvas = canvas.clone();
                commit.pieces.push(Piece {
                    canvas,
                    kept: true,
                    bytes,
                });
            }
            if !ephemeral.is_empty() {
                let bytes = encode_ephemeral(self.number(), &ephemeral);
                commit.pieces.push(Piece {
                    canvas,
                    kept: false,
                    bytes,
                });
            }
        }
        commit
    }

    async fn commit(&self, mut commit: Commit) {
        if commit.pieces.is_empty() {
            return;
        }
        loop {
            let session = self.link.session().await;
            let began = Instant::now();
            match scripts::append(&session, self.number(), &commit.pieces).await {
                Ok(()) => {
                    let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.counters.last_commit_us.store(took, Ordering::Relaxed);
                    self.counters.commits.fetch_add(1, Ordering::Relaxed);
                    let now = Instant::now();
                    self.counters
                        .write
                        .record(commit.since.iter().map(|since| now - *since));
                    for heard in commit.heard {
                        // Whoever asked may have given up.
                        let _ = heard.send(());
                    }
                    return;
                }
                Err(error) => self.link.broke(session.id, &error.to_string()),
            }
            // What may be lost is not told late.
            commit.pieces.retain(|piece| piece.kept);
            if commit.pieces.is_empty() {
                return;
            }
            tokio::time::sleep(READ_RETRY).await;
        }
    }
}
