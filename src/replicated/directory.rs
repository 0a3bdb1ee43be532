//! Requests from outside of a room, and the statistics.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::link::Session;
use super::replica::Replica;
use super::{ReplicatedBackplane, Shared};
use crate::backplane::{
    Author, Canvas, Carrier, Entry, InstanceStats, Outcome, Stats, Unavailable,
};
use crate::canvas::codec::encode_batch;
use crate::canvas::{CanvasState, Command};
use crate::limits::PUBLISH_WAIT;
use crate::log::{Appended, Asks, Fault, How, Piece, Totals};
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, Epoch, Position};
use crate::time;

const UNAVAILABLE: &str = "it is not known whether the message was committed: send it again";

impl Replica {
    pub(super) fn canvas(&self) -> Canvas {
        Canvas {
            id: self.id.clone(),
            key: self.key,
        }
    }
}

impl ReplicatedBackplane {
    /// The append is done at once where the canvas is here, so that who calls twice is committed in that order.
    pub(super) fn publish_message(
        &self,
        canvas: &Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> impl Future<Output = Result<Outcome, Unavailable>> + Send + use<'_> {
        let ended = self
            .shared
            .waiters
            .wait_for(author.conn, message.ops().len());
        let entry = Entry::Durable { author, message };
        let here = self
            .shared
            .canvases
            .get(canvas.key)
            .is_some_and(|replica| replica.touch());
        let (taken, later) = if here {
            (Some(self.append(canvas, entry)), None)
        } else {
            (None, Some((canvas.clone(), entry)))
        };
        async move {
            let taken = match later {
                Some((canvas, entry)) => {
                    let replica = self.shared.ensure(&canvas.id).await?;
                    self.append(&replica.canvas(), entry)
                }
                None => taken.unwrap_or(Ok(())),
            };
            if let Err(refusal) = taken {
                return Ok(Outcome::Refused(refusal));
            }
            ended
                .within(PUBLISH_WAIT)
                .await
                .ok_or_else(|| Unavailable::NotNow(UNAVAILABLE.to_owned()))
        }
    }

    /// It is done in nobody's name and past the writer: also where the engine's memory is full, and it takes nothing else.
    pub(super) async fn delete_canvas(&self, canvas: &Canvas) -> Result<Position, Unavailable> {
        self.shared.check_open()?;
        let deleted = self.shared.delete(&canvas.id);
        let deleted = time::timeout(PUBLISH_WAIT, deleted).await;
        deleted.unwrap_or_else(|_| {
            let why = "it is not known whether the canvas was deleted: try again";
            Err(Unavailable::NotNow(why.to_owned()))
        })
    }

    pub(super) async fn figures(&self) -> Result<Stats, Unavailable> {
        let shared = &self.shared;
        let instances = shared.instances().await;
        let totals = shared.totals().await.unwrap_or_default();
        let trouble = shared
            .link
            .trouble()
            .or_else(|| instances.as_ref().err().map(ToString::to_string));
        let counters = &shared.counters;
        let write = counters.write.quantiles_ms();
        let mut held = Held::default();
        for replica in shared.canvases.all() {
            held.add(&replica);
        }
        Ok(Stats {
            queue_health: if trouble.is_some() {
                "critical"
            } else {
                "healthy"
            },
            rows: held.messages,
            copies: held.copies,
            copies_bytes: held.bytes,
            writer_depth: shared.intake.depth() as u64,
            committed: counters.committed.load(Ordering::Relaxed),
            commits: counters.commits.load(Ordering::Relaxed),
            overloaded: counters.overloaded.load(Ordering::Relaxed),
            copies_diverged: counters.diverged.load(Ordering::Relaxed),
            log_full: counters.full.load(Ordering::Relaxed),
            log_bytes: totals.log,
            max_log_bytes: shared.config.rules.quotas.log_bytes,
            commit: counters.write.buckets(),
            delivery: counters.delivery.buckets(),
            write_p50_ms: write.p50,
            write_p99_ms: write.p99,
            trouble,
            remedy: shared.engine.remedy(),
            instances: instances.unwrap_or_default(),
            ..Stats::default()
        })
    }
}

/// What this process has copies of.
#[derive(Default)]
struct Held {
    copies: u64,
    bytes: u64,
    messages: u64,
}

impl Held {
    fn add(&mut self, replica: &Replica) {
        if let Some(state) = &replica.inner.lock().state {
            self.copies += 1;
            self.bytes += state.stored_bytes();
            self.messages += state.retained() as u64;
        }
    }
}

impl Shared {
    async fn delete(&self, id: &CanvasId) -> Result<Position, Unavailable> {
        let session = self.link.session_soon().await?;
        let deleted = self.delete_through(&session, id).await;
        deleted.map_err(|fault| self.without_canvas(&fault))
    }

    async fn delete_through(&self, session: &Session, id: &CanvasId) -> Result<Position, Fault> {
        let replica = match self.find_or_read(id).await {
            // It can't be read, and need not be.
            Err(Fault::Canvas(_)) => {
                session.log.remove(id).await?;
                self.find_or_read(id).await?
            }
            found => found?,
        };
        let restarted = self.restart(session, &replica, None).await?;
        restarted.ok_or_else(|| Fault::NotNow("there was no answer".to_owned()))
    }

    /// Empties a canvas. `idle_at`: only if that is its last batch, and nobody has used it for too long; otherwise there is no answer.
    pub(super) async fn restart(
        &self,
        session: &Session,
        replica: &Replica,
        idle_at: Option<u64>,
    ) -> Result<Option<Position>, Fault> {
        let epoch = Epoch::random();
        let piece = Piece {
            canvas: replica.id.clone(),
            kept: true,
            bytes: encode_batch(None, 0, None, &[Command::Restart { epoch }]),
            asks: Asks {
                empties: true,
                idle_at,
                ..Asks::default()
            },
        };
        let how = How {
            even_if_full: true,
            publish: true,
        };
        let (_, ends) = session.log.append(&[&piece], how).await?;
        let n = match ends.into_iter().next() {
            Some(Appended::At(n, ..)) => n,
            Some(Appended::Refused(why)) => return Err(Fault::NotNow(why)),
            _ => return Ok(None),
        };
        let head = loop {
            let moved = replica.moved.notified();
            let head = {
                let inner = replica.inner.lock();
                let state = inner.state.as_ref();
                state.filter(|_| inner.n >= n).map(CanvasState::head)
            };
            if let Some(head) = head {
                break head;
            }
            // What moves between the look and the wait is looked at a moment later.
            let _ = time::timeout(Duration::from_millis(20), moved).await;
        };
        // What was there is of no use any more.
        self.save(session, replica, true).await?;
        Ok(Some(head))
    }

    async fn totals(&self) -> Result<Totals, Unavailable> {
        let session = self.link.now().ok_or_else(|| self.link.unavailable())?;
        let totals = session.log.totals().await;
        totals.map_err(|fault| self.link.without(&fault))
    }

    async fn instances(&self) -> Result<Vec<InstanceStats>, Unavailable> {
        let session = self.link.now().ok_or_else(|| self.link.unavailable())?;
        let members = session.log.members().await;
        let members = members.map_err(|fault| self.link.without(&fault))?;
        let now_ms = self.now_ms();
        let stats = members.into_iter().map(|member| InstanceStats {
            instance_id: member.name.unwrap_or_else(|| member.number.to_string()),
            pid: member.pid.unwrap_or(0),
            heartbeat_age_ms: u64::try_from(now_ms - member.beat).unwrap_or(0),
            lag: 0,
        });
        Ok(stats.collect())
    }
}
