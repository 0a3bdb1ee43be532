//! Requests from outside of a room, and the figures.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::link::Session;
use super::replica::Replica;
use super::{ReplicatedBackplane, Shared};
use crate::backplane::{
    Author, Canvas, Carrier, Entry, Found, InstanceStats, Outcome, Stats, Unavailable,
};
use crate::canvas::codec::encode_batch;
use crate::canvas::{CanvasState, Command};
use crate::limits::PUBLISH_WAIT;
use crate::log::{Appended, Fault, How, NOBODY, Piece};
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, Epoch, Position};
use crate::time;

/// Canvases of which notes are read at once.
const NOTES: usize = 512;
/// How long a list waits for notes that are not the latest, and how often it looks. On a busy canvas none ever is.
const NOTE_WAIT: Duration = Duration::from_millis(300);
const NOTE_LOOK: Duration = Duration::from_millis(5);
const UNAVAILABLE: &str = "it is not known whether the message was committed: send it again";

/// What was noted of a canvas, and whether that is how it is now.
struct Noted {
    found: Option<Found>,
    exact: bool,
}

/// A note as [`super::replica::Inner::note`] makes it. The canvas has no key here.
fn read_note(id: &CanvasId, note: &str) -> Option<Found> {
    let mut words = note.split(' ').skip(1);
    let epoch = Epoch::parse(words.next()?)?;
    let mut number = || words.next()?.parse().ok();
    let seq = number()?;
    let (objects, members) = (number()?, number()?);
    let (id, key) = (id.clone(), 0);
    Some(Found {
        canvas: Canvas { id, key },
        head: Position { epoch, seq },
        objects,
        members,
        usage: None,
    })
}

impl Replica {
    fn found(&self) -> Option<Found> {
        let inner = self.inner.lock();
        let state = inner.state.as_ref().filter(|_| !inner.stale)?;
        Some(Found {
            canvas: self.canvas(),
            head: state.head(),
            objects: state.objects(),
            members: state.members().members.len() as u64,
            usage: None,
        })
    }

    pub(super) fn canvas(&self) -> Canvas {
        Canvas {
            id: self.id.clone(),
            key: self.key,
        }
    }
}

impl ReplicatedBackplane {
    pub(super) async fn find_canvas(&self, id: &CanvasId) -> Result<Option<Found>, Unavailable> {
        self.shared.check_open()?;
        if let Some(found) = self.found_here(id) {
            return Ok(Some(found));
        }
        let session = self.shared.link.session_soon().await?;
        let noted = self.noted(&session, std::slice::from_ref(id)).await;
        let noted = noted.map_err(|fault| self.shared.link.without(&fault))?;
        match noted.into_iter().next().flatten() {
            None => Ok(None),
            Some(Noted {
                found: Some(found),
                exact: true,
            }) => Ok(Some(found)),
            // What was noted is not the latest.
            Some(_) => Ok(self.shared.ensure(id).await?.found()),
        }
    }

    fn found_here(&self, id: &CanvasId) -> Option<Found> {
        let replica = self.shared.canvases.named(id.as_str())?;
        replica.found()
    }

    /// What was noted of canvases: nothing is loaded for it. `None` for those that there are not.
    async fn noted(
        &self,
        session: &Session,
        ids: &[CanvasId],
    ) -> Result<Vec<Option<Noted>>, Fault> {
        let summaries = session.log.summaries(ids).await?;
        let noted = |(id, summary): (&CanvasId, Option<(u64, String)>)| {
            let (n, note) = summary?;
            let found = read_note(id, &note);
            let exact = note.split(' ').next() == Some(n.to_string().as_str());
            Some(Noted { found, exact })
        };
        Ok(ids.iter().zip(summaries).map(noted).collect())
    }

    /// The same; whoever has a canvas of which the note is not the latest is asked for it.
    async fn noted_now(
        &self,
        session: &Session,
        ids: &[CanvasId],
    ) -> Result<Vec<Option<Noted>>, Fault> {
        let mut noted = self.noted(session, ids).await?;
        let here = |id: &CanvasId| self.found_here(id).is_some();
        let (mut late, mut asked) = (Vec::new(), Vec::new());
        for (place, id) in ids.iter().enumerate() {
            if !here(id) && noted[place].as_ref().is_some_and(|noted| !noted.exact) {
                asked.push(id.clone());
                late.push(place);
            }
        }
        if late.is_empty() {
            return Ok(noted);
        }
        session.log.ask_for_summaries(&asked).await?;
        let until = time::now() + NOTE_WAIT;
        while !late.is_empty() && time::now() < until {
            time::sleep(NOTE_LOOK).await;
            let left: Vec<CanvasId> = late.iter().map(|place| ids[*place].clone()).collect();
            let again = self.noted(session, &left).await?;
            let mut still = Vec::new();
            for (place, news) in late.into_iter().zip(again) {
                if news.as_ref().is_some_and(|news| !news.exact) {
                    still.push(place);
                }
                noted[place] = news;
            }
            late = still;
        }
        Ok(noted)
    }

    pub(super) async fn active_canvases(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found>, Unavailable> {
        self.shared.check_open()?;
        let shared = &self.shared;
        let session = shared.link.now();
        let session = session.ok_or_else(|| shared.link.unavailable())?;
        let without = |fault| shared.link.without(&fault);
        let names = session.log.names_in_use().await.map_err(without)?;
        let after = (Bound::Excluded(after), Bound::Unbounded);
        let ids = names.range::<str, _>(after);
        let ids: Vec<CanvasId> = ids.filter_map(|name| CanvasId::parse(name).ok()).collect();
        let (limit, mut active) = (limit as usize, Vec::new());
        for ids in ids.chunks(NOTES) {
            // One that can't be read is not listed, and keeps none from being so.
            let noted = match self.noted_now(&session, ids).await {
                Err(Fault::Canvas(_)) => ids.iter().map(|_| None).collect(),
                noted => noted.map_err(without)?,
            };
            let found = ids.iter().zip(noted);
            let found = found.filter_map(|(id, noted)| {
                let noted = noted.and_then(|noted| noted.found);
                self.found_here(id).or(noted)
            });
            active.extend(found.filter(|found| found.members > 0));
            if active.len() >= limit {
                break;
            }
        }
        active.truncate(limit);
        Ok(active)
    }

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
        let trouble = shared
            .link
            .trouble()
            .or_else(|| instances.as_ref().err().map(ToString::to_string));
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
            copies_diverged: counters.diverged.load(Ordering::Relaxed),
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
    async fn delete(&self, id: &CanvasId) -> Result<Position, Unavailable> {
        let session = self.link.session_soon().await?;
        let deleted = self.delete_through(&session, id).await;
        deleted.map_err(|fault| self.link.without(&fault))
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
        let epoch = Epoch::random();
        let piece = Piece {
            canvas: id.clone(),
            kept: true,
            bytes: encode_batch(NOBODY, 0, None, &[Command::Restart { epoch }]),
        };
        let how = How {
            even_if_full: true,
            publish: true,
        };
        let (_, ends) = session.log.append(&[&piece], how).await?;
        let n = match ends.into_iter().next() {
            Some(Appended::At(n, ..)) => n,
            Some(Appended::Refused(why)) => return Err(Fault::NotNow(why)),
            Some(Appended::Published) | None => {
                return Err(Fault::NotNow("there was no answer".to_owned()));
            }
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
        self.save(session, &replica, true).await?;
        Ok(head)
    }

    async fn instances(&self) -> Result<Vec<InstanceStats>, Unavailable> {
        let session = self.link.now().ok_or_else(|| self.link.unavailable())?;
        let members = session.log.members().await;
        let members = members.map_err(|fault| self.link.without(&fault))?;
        let now_ms = self.now_ms();
        let stats = members.into_iter().map(|member| InstanceStats {
            instance_id: member.name.unwrap_or_else(|| member.number.to_string()),
            pid: member.pid,
            heartbeat_age_ms: u64::try_from(now_ms - member.beat).unwrap_or(0),
            lag: 0,
        });
        Ok(stats.collect())
    }
}
