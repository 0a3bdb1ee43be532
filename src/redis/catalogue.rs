//! What is asked by those who are not in a room, and the figures.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::replica::Replica;
use super::{RedisBackplane, Shared, keys};
use crate::backplane::{
    Author, Backplane, Canvas, Entry, Found, InstanceStats, Outcome, Stats, Unavailable,
};
use crate::limits::PUBLISH_WAIT;
use crate::machine::Command;
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, Epoch, Position};

const UNAVAILABLE: &str = "it is not known whether the message was committed: send it again";

fn unavailable(error: &redis::RedisError) -> Unavailable {
    Unavailable(format!("Redis: {error}"))
}

impl Replica {
    fn found(&self) -> Option<Found> {
        let inner = self.inner.lock();
        let state = inner.state.as_ref()?;
        Some(Found {
            canvas: self.canvas(),
            head: state.head(),
            objects: state.objects(),
            members: state.members().1.len() as u64,
        })
    }

    pub(super) fn canvas(&self) -> Canvas {
        Canvas {
            id: self.id.clone(),
            key: self.key,
        }
    }
}

impl RedisBackplane {
    pub(super) async fn find_canvas(&self, id: &CanvasId) -> Result<Option<Found>, Unavailable> {
        self.shared.check_open()?;
        if let Some(found) = self
            .shared
            .canvases
            .named(id.as_str())
            .and_then(|replica| replica.found())
        {
            return Ok(Some(found));
        }
        let mut session = self.shared.link.session_soon().await?;
        let ask = redis::cmd("EXISTS").arg(keys::canvas(id)).to_owned();
        let there: bool = ask
            .query_async(&mut session.conn)
            .await
            .map_err(|e| unavailable(&e))?;
        if !there {
            return Ok(None);
        }
        Ok(self.shared.ensure(id).await?.found())
    }

    pub(super) async fn active_canvases(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found>, Unavailable> {
        self.shared.check_open()?;
        let names = self
            .shared
            .names_in_use()
            .await
            .map_err(|e| unavailable(&e))?;
        let mut active = Vec::new();
        for name in
            names.range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
        {
            if active.len() >= limit as usize {
                break;
            }
            let Ok(id) = CanvasId::parse(name) else {
                continue;
            };
            active.extend(
                self.find_canvas(&id)
                    .await?
                    .filter(|found| found.members > 0),
            );
        }
        Ok(active)
    }

    /// The append is done at once where the canvas is here, so that who calls twice is committed in that order.
    pub(super) fn publish_message(
        &self,
        canvas: &Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> impl Future<Output = Result<Outcome, Unavailable>> + Send + use<'_> {
        let ended = self.shared.waiters.wait_for(author.conn);
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
                .ok_or_else(|| Unavailable(UNAVAILABLE.to_owned()))
        }
    }

    pub(super) async fn delete_canvas(&self, canvas: &Canvas) -> Result<Position, Unavailable> {
        self.shared.check_open()?;
        let replica = self.shared.ensure(&canvas.id).await?;
        let epoch = Epoch::random();
        let head = |replica: &Replica| {
            let inner = replica.inner.lock();
            inner.state.as_ref().map(crate::machine::CanvasState::head)
        };
        let before = head(&replica).map(|head| head.epoch);
        let command = Command::Restart { epoch };
        let mut committed = self.shared.ask_and_hear(canvas.id.clone(), command);
        let begun = async {
            let mut done = false;
            loop {
                done = done || committed.try_recv().is_ok();
                let moved = replica.moved.notified();
                // Its epoch may have been another's before anybody looked, where two delete at a time.
                let begun =
                    |head: &Position| head.epoch == epoch || (done && Some(head.epoch) != before);
                if let Some(head) = head(&replica).filter(begun) {
                    return head;
                }
                // What moves between the look and the wait is looked at a moment later.
                let _ = tokio::time::timeout(Duration::from_millis(20), moved).await;
            }
        };
        let begun = tokio::time::timeout(PUBLISH_WAIT, begun).await;
        begun.map_err(|_| {
            Unavailable("it is not known whether the canvas was deleted: try again".to_owned())
        })
    }

    pub(super) async fn figures(&self) -> Result<Stats, Unavailable> {
        let shared = &self.shared;
        let instances = shared.instances().await.map_err(|e| unavailable(&e));
        let trouble = shared
            .link
            .trouble()
            .or_else(|| instances.as_ref().err().map(|e| e.0.clone()));
        let counters = &shared.counters;
        let write = counters.write.quantiles_ms();
        Ok(Stats {
            queue_health: if trouble.is_some() {
                "critical"
            } else {
                "healthy"
            },
            rows: shared
                .canvases
                .all()
                .iter()
                .map(|replica| replica.retained())
                .sum(),
            writer_depth: shared.intake.depth() as u64,
            committed: counters.committed.load(Ordering::Relaxed),
            commits: counters.commits.load(Ordering::Relaxed),
            overloaded: counters.overloaded.load(Ordering::Relaxed),
            write_p50_ms: write.p50,
            write_p99_ms: write.p99,
            trouble,
            remedy: "see that Redis runs, that this host reaches it, and that it has memory and disk",
            instances: instances.unwrap_or_default(),
            ..Stats::default()
        })
    }
}

impl Replica {
    fn retained(&self) -> u64 {
        let inner = self.inner.lock();
        inner
            .state
            .as_ref()
            .map_or(0, |state| state.retained() as u64)
    }
}

impl Shared {
    /// The canvases that some live instance has a copy of.
    async fn names_in_use(&self) -> redis::RedisResult<BTreeSet<String>> {
        let Some(mut session) = self.link.now() else {
            return Err((redis::ErrorKind::Io, "there is no connection").into());
        };
        let numbers = self.numbers(&mut session.conn).await?;
        let mut ask = redis::cmd("SUNION");
        for number in &numbers {
            ask.arg(keys::canvases_of(*number));
        }
        // One's own set always counts: an instance that others took for dead is not in the list.
        ask.arg(keys::canvases_of(self.number()));
        ask.query_async(&mut session.conn).await
    }

    pub(super) async fn numbers(
        &self,
        conn: &mut redis::aio::MultiplexedConnection,
    ) -> redis::RedisResult<Vec<u32>> {
        redis::cmd("ZRANGE")
            .arg(keys::INSTANCES)
            .arg(0)
            .arg(-1)
            .query_async(conn)
            .await
    }

    async fn instances(&self) -> redis::RedisResult<Vec<InstanceStats>> {
        let Some(mut session) = self.link.now() else {
            return Err((redis::ErrorKind::Io, "there is no connection").into());
        };
        let ask = redis::cmd("ZRANGE")
            .arg(keys::INSTANCES)
            .arg(0)
            .arg(-1)
            .arg("WITHSCORES")
            .to_owned();
        let beats: Vec<(u32, f64)> = ask.query_async(&mut session.conn).await?;
        let mut ask = redis::pipe();
        for (number, _) in &beats {
            ask.cmd("HMGET")
                .arg(keys::instance(*number))
                .arg(&["name", "pid"]);
        }
        let names: Vec<(Option<String>, Option<u32>)> = ask.query_async(&mut session.conn).await?;
        let now_ms = self.now_ms();
        let stats = beats
            .iter()
            .zip(names)
            .map(|((number, beat), (name, pid))| InstanceStats {
                instance_id: name.unwrap_or_else(|| number.to_string()),
                pid: pid.unwrap_or(0),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "milliseconds since the epoch"
                )]
                heartbeat_age_ms: u64::try_from(now_ms - *beat as i64).unwrap_or(0),
                lag: 0,
            });
        Ok(stats.collect())
    }
}
