//! Canvases in lists and lookups. The instances that have a canvas note in the engine what is on it, and the engine
//! counts what it takes. So a list loads no canvas.

use std::ops::Bound;
use std::time::Duration;

use super::ReplicatedBackplane;
use super::canvases::Canvases;
use super::link::Session;
use super::replica::Replica;
use crate::backplane::{Found, Unavailable, Usage};
use crate::log::{Fault, Taken};
use crate::protocol::ids::{CanvasId, Epoch, Position};
use crate::time;

/// Canvases of which notes are read at once.
const NOTES: usize = 512;
/// How long a list waits for notes that are not the latest, and how often it looks. On a busy canvas none ever is.
const NOTE_WAIT: Duration = Duration::from_millis(300);
const NOTE_LOOK: Duration = Duration::from_millis(5);

/// What was noted of a canvas, and whether that is how it is now.
struct Noted {
    found: Option<Found>,
    exact: bool,
}

/// A note as [`super::replica::Inner::note`] makes it.
fn read_note(canvases: &Canvases, id: &CanvasId, note: &str) -> Option<Found> {
    let mut words = note.split(' ').skip(1);
    let epoch = Epoch::parse(words.next()?)?;
    let mut number = || words.next()?.parse().ok();
    let seq = number()?;
    let objects = number()?;
    let members = number()?;
    Some(Found {
        canvas: canvases.without_copy(id),
        head: Position { epoch, seq },
        objects,
        members,
        usage: None,
    })
}

/// A canvas of which nothing was noted yet: nothing is known but that it began.
fn begun(canvases: &Canvases, id: &CanvasId, taken: &Taken) -> Option<Found> {
    let epoch = Epoch::parse(&taken.epoch)?;
    let seq = 0;
    Some(Found {
        canvas: canvases.without_copy(id),
        head: Position { epoch, seq },
        objects: 0,
        members: 0,
        usage: None,
    })
}

fn usage(taken: &Taken) -> Usage {
    Usage {
        stored_bytes: taken.stored,
        log_bytes: taken.log,
        used_at_ms: taken.used_at_ms,
    }
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
            usage: Some(Usage {
                stored_bytes: state.stored_bytes(),
                log_bytes: state.log_bytes(),
                used_at_ms: inner.used_at_ms,
            }),
        })
    }
}

impl ReplicatedBackplane {
    pub(super) async fn find_canvas(&self, id: &CanvasId) -> Result<Option<Found>, Unavailable> {
        self.shared.check_open()?;
        if let Some(found) = self.found_here(id) {
            return Ok(Some(found));
        }
        let session = self.shared.link.session_soon().await?;
        let ids = std::slice::from_ref(id);
        let noted = self.noted(&session, ids).await;
        let noted = noted.map_err(|fault| self.shared.link.without(&fault))?;
        match noted.into_iter().next().flatten() {
            None => Ok(None),
            Some(Noted {
                found: Some(found),
                exact: true,
            }) => {
                let taken = self.taken(&session, ids).await?.into_iter().next();
                let usage = taken.flatten().as_ref().map(usage);
                Ok(Some(Found { usage, ..found }))
            }
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
            let found = read_note(&self.shared.canvases, id, &note);
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
        let mut late = Vec::new();
        let mut asked = Vec::new();
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
        let limit = limit as usize;
        let mut active = Vec::new();
        for ids in ids.chunks(NOTES) {
            // One that can't be read is not listed, and keeps none from being so.
            let noted = match self.noted_now(&session, ids).await {
                Err(Fault::Canvas(_)) => ids.iter().map(|_| None).collect(),
                noted => noted.map_err(without)?,
            };
            let taken = self.taken(&session, ids).await?;
            let found = ids.iter().zip(noted).zip(taken);
            let found = found.filter_map(|((id, noted), taken)| {
                let noted = noted.and_then(|noted| noted.found);
                let usage = taken.as_ref().map(usage);
                let noted = noted.map(|noted| Found { usage, ..noted });
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

    /// All canvases. What is on them was noted; none is loaded for it.
    pub(super) async fn all_canvases(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found>, Unavailable> {
        self.shared.check_open()?;
        let link = &self.shared.link;
        let limit = limit as usize;
        let session = link.now().ok_or_else(|| link.unavailable())?;
        let mut all = Vec::new();
        let mut after = after.to_owned();
        while all.len() < limit {
            let names = session.log.names_after(&after, NOTES.min(limit)).await;
            let names = names.map_err(|fault| link.without(&fault))?;
            let Some(last) = names.last() else { break };
            after.clone_from(last);
            let ids = names.iter().filter_map(|name| CanvasId::parse(name).ok());
            let ids: Vec<CanvasId> = ids.collect();
            let noted = match self.noted_now(&session, &ids).await {
                Err(Fault::Canvas(_)) => ids.iter().map(|_| None).collect(),
                noted => noted.map_err(|fault| link.without(&fault))?,
            };
            let taken = self.taken(&session, &ids).await?;
            let found = ids.iter().zip(noted).zip(taken);
            all.extend(found.filter_map(|((id, noted), taken)| {
                let taken = taken?;
                let noted = noted.and_then(|noted| noted.found);
                let noted = noted.or_else(|| begun(&self.shared.canvases, id, &taken));
                let usage = Some(usage(&taken));
                let noted = noted.map(|noted| Found { usage, ..noted });
                self.found_here(id).or(noted)
            }));
        }
        all.truncate(limit);
        Ok(all)
    }

    /// What canvases take. Of one that can't be read nothing is known, and keeps nobody from knowing of the others.
    async fn taken(
        &self,
        session: &Session,
        ids: &[CanvasId],
    ) -> Result<Vec<Option<Taken>>, Unavailable> {
        match session.log.taken(ids).await {
            Err(Fault::Canvas(_)) => Ok(ids.iter().map(|_| None).collect()),
            taken => taken.map_err(|fault| self.shared.link.without(&fault)),
        }
    }
}
