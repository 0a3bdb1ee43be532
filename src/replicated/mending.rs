//! Canvases of which the engine lost something. The engine accepts nothing for such a canvas; others are not affected.
//! An instance that has a copy writes it back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::link::Session;
use super::replica::{Inner, Replica};
use super::writer::Pending;
use crate::backplane::Entry;
use crate::backplane::intake::Waiting;
use crate::canvas::Command;
use crate::canvas::codec::Seen;
use crate::limits::{HEARTBEAT_STALE, MAX_QUEUE_WAIT};
use crate::log::{ANOTHER_CANVAS, Fault, LogEnd, Why};
use crate::protocol::ids::CanvasId;
use crate::time;

/// Commands that wait for a canvas to be put back. More are refused.
const MOST_PARKED: usize = 8_192;

/// What is wrong with a canvas that somebody else did not find.
const HEARSAY: &str = "another process did not find it";
/// How long what was published before is waited for.
const RECEIVE_TIME: Duration = Duration::from_secs(1);
/// How long a copy that lacks something leaves it to others to put theirs back. Who has not done so by then, however busy,
/// is dead.
const OTHERS: Duration = HEARTBEAT_STALE;

/// What waits for a canvas that takes nothing now, in its order.
#[derive(Default)]
pub(super) struct Parked {
    since: Option<Instant>,
    pub(super) commands: Vec<Command>,
}

/// What a copy lacks.
pub(super) enum Needs {
    Nothing,
    /// It counts as here, and is not.
    Leaving,
    /// The engine lacks something that is here.
    Mending,
    /// Batches that were missed.
    Batches,
    /// It is of another era.
    Everything,
}

impl Shared {
    /// A piece was not taken: it waits, and what comes behind it. The canvas is put back meanwhile.
    pub(super) fn put_back(&self, pending: Pending, why: &str) {
        let Some(replica) = self.canvases.named(pending.piece.canvas.as_str()) else {
            return;
        };
        let mut inner = replica.inner.lock();
        let news = inner.damage.replace(why.to_owned()).is_none();
        inner.park(pending.commands);
        drop(inner);
        self.canvases.watch(&replica);
        if news {
            tracing::error!(canvas = %pending.piece.canvas, reason = why, "a canvas's keys in Redis were removed or overwritten");
            self.canvases.fell_behind(replica);
        }
    }

    /// What is to be committed to a canvas now: what waited for it, and this. Nothing while it takes nothing. With it, what the
    /// copy here is.
    pub(super) fn unparked(
        &self,
        id: &CanvasId,
        commands: Vec<Command>,
    ) -> (Vec<Command>, Option<Seen>) {
        let Some(replica) = self.canvases.named(id.as_str()) else {
            return (commands, None);
        };
        let mut inner = replica.inner.lock();
        if inner.takes_commands() {
            let mut all = std::mem::take(&mut inner.parked).commands;
            all.extend(commands);
            return (all, inner.seen());
        }
        inner.park(commands);
        if inner.parked.commands.len() > MOST_PARKED {
            self.refuse_parked(&replica, &mut inner);
        }
        (Vec::new(), None)
    }

    /// A canvas that is read anew gets nothing meanwhile: the answers would come before what everybody there is told first.
    pub(super) fn park_stale(&self, pieces: &mut Vec<Pending>) {
        pieces.retain_mut(|pending| {
            let Some(replica) = self.canvases.named(pending.piece.canvas.as_str()) else {
                return true;
            };
            let mut inner = replica.inner.lock();
            if !inner.stale {
                return true;
            }
            inner.park(std::mem::take(&mut pending.commands));
            false
        });
    }

    /// Who has waited too long for a canvas to be put back is told to come again.
    pub(super) fn refuse_long_parked(&self, replica: &Replica) {
        let mut inner = replica.inner.lock();
        let long = |since: Instant| time::since(since) >= MAX_QUEUE_WAIT;
        if inner.parked.since.is_some_and(long) {
            self.refuse_parked(replica, &mut inner);
        }
    }

    /// Messages and joins are refused, all that wait, so that none overtakes another; what nobody would send again stays.
    fn refuse_parked(&self, replica: &Replica, inner: &mut Inner) {
        let parked = std::mem::take(&mut inner.parked);
        let comes_again = |command: &Command| {
            matches!(
                command,
                Command::Entry(Entry::Durable { .. } | Entry::Join { .. })
            )
        };
        let (refused, stays): (Vec<_>, Vec<_>) = parked.commands.into_iter().partition(comes_again);
        inner.park(stays);
        let refused = refused.into_iter().filter_map(|command| match command {
            Command::Entry(entry) => Some(Waiting {
                key: replica.key,
                canvas: replica.id.clone(),
                entry,
                since: time::now(),
            }),
            _ => None,
        });
        let why = "the canvas's keys in Redis were removed or overwritten";
        for (_, delivery) in self.intake.refuse(refused.collect(), why) {
            self.waiters.answered(&delivery);
            if let Some(sink) = &inner.sink {
                sink.deliver(delivery);
            }
        }
    }

    /// Somebody can't read the snapshot of that name: whoever has a copy puts it back.
    pub(super) fn put_back_snapshot(&self, replica: &Arc<Replica>, name: String) {
        let mut inner = replica.inner.lock();
        if !inner.has_copy() {
            return;
        }
        let why = "its snapshot can't be read".to_owned();
        inner.damage.get_or_insert(why);
        inner.bad_snapshot = Some(name);
        drop(inner);
        self.canvases.watch(replica);
        self.canvases.fell_behind(replica.clone());
    }

    /// Somebody does not find the canvas. Whoever has it puts it back, and whoever has nothing of it says so.
    pub(super) fn receive_gone(&self, replica: Arc<Replica>, word: &str) {
        let mut inner = replica.inner.lock();
        if inner.gone_word.as_deref() == Some(word) {
            inner.gone_word = None;
        }
        let here = inner.has_copy();
        if here && (inner.stale || inner.era != Some(self.canvases.era())) {
            // It is read anew, and then found out.
            drop(inner);
            replica.moved.notify_waiters();
            return;
        }
        inner.asked_in_vain = !here;
        let news = inner.damage.is_none();
        if here {
            inner.damage.get_or_insert_with(|| HEARSAY.to_owned());
        }
        drop(inner);
        replica.moved.notify_waiters();
        if news {
            self.canvases.watch(&replica);
            self.canvases.fell_behind(replica);
        }
    }

    /// Whether another canvas is in the place of this one. Then this one is to be put back.
    pub(super) async fn is_another(
        &self,
        session: &Session,
        replica: &Replica,
    ) -> Result<bool, Fault> {
        let end = self.end(session, replica).await?;
        let another = end.is_some_and(|end| replica.inner.lock().is_not_of(&end));
        Ok(another)
    }

    /// Where the canvas's log ends; `None` where that can't be read.
    async fn end(&self, session: &Session, replica: &Replica) -> Result<Option<LogEnd>, Fault> {
        match session.log.ends(std::slice::from_ref(&replica.id)).await {
            Err(Fault::Canvas(_)) => Ok(None),
            ends => Ok(ends?.into_iter().next()),
        }
    }

    /// Somebody did not find it, or found another one, and it was put back since. Whoever finds that it takes nothing puts it back itself.
    async fn is_there_after_all(
        &self,
        session: &Session,
        replica: &Replica,
    ) -> Result<bool, Fault> {
        if !replica.inner.lock().may_be_there() {
            return Ok(false);
        }
        let end = self.end(session, replica).await?.unwrap_or_default();
        let mut inner = replica.inner.lock();
        let there = end.n.is_some() && end.is_of(&inner.origin) && inner.may_be_there();
        if there {
            inner.damage = None;
            inner.yields_since = None;
        }
        Ok(there)
    }

    /// What others were told of the canvas is to be in the copy that is put back. So all who have it are told that it is
    /// gone. Whoever receives its own word has received what was published before. A copy that lacks something all the
    /// same waits for the others to put theirs back.
    async fn receive_published(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
    ) -> Result<(), Fault> {
        let word = format!("{} {}", self.number(), self.next_serial());
        replica.inner.lock().gone_word = Some(word.clone());
        session.log.report_gone(&replica.id, &word).await?;
        let heard = async {
            loop {
                let moved = replica.moved.notified();
                if replica.inner.lock().gone_word.is_none() {
                    break;
                }
                moved.await;
            }
        };
        let heard = time::timeout(RECEIVE_TIME, heard).await;
        heard.map_err(|_| Fault::NotNow("what was published is late".to_owned()))?;
        let mut inner = replica.inner.lock();
        if inner.lacks_something() {
            let since = *inner.yields_since.get_or_insert_with(time::now);
            if time::since(since) < OTHERS {
                let why = "another process may have more of the canvas";
                return Err(Fault::NotNow(why.to_owned()));
            }
        }
        inner.yields_since = None;
        Ok(())
    }

    /// Another process has put its own copy back: over the canvas that this copy is of, or of the same, and this copy lacks something.
    async fn others_were_faster(
        &self,
        session: &Session,
        replica: &Replica,
    ) -> Result<bool, Fault> {
        let Some(end) = self.end(session, replica).await? else {
            return Ok(false);
        };
        let inner = replica.inner.lock();
        if inner.is_not_of(&end) {
            return Ok(end.replaced.as_deref() == Some(&*inner.origin));
        }
        Ok(inner.lacks_something() && end.n > Some(inner.n))
    }

    /// Puts a canvas back from the copy here, if that is what it needs. The caller holds `loading`.
    pub(super) async fn mend(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
    ) -> Result<(), Fault> {
        if self.is_there_after_all(session, replica).await? {
            self.ask(replica.id.clone(), Command::Tick);
            return Ok(());
        }
        if self.others_were_faster(session, replica).await? {
            return self.take_anew(session, replica).await;
        }
        self.receive_published(session, replica).await?;
        let (n, frozen, bad, current, origin) = {
            let inner = replica.inner.lock();
            let damaged = inner.damage.is_some();
            let Some(state) = inner.state.as_ref().filter(|_| damaged) else {
                return Ok(());
            };
            // Where the engine lost something, what is there goes before what is here.
            let current = !inner.stale && inner.era.as_ref() == Some(session.log.era());
            let bad = inner.bad_snapshot.clone();
            let origin = inner.origin.clone();
            (inner.n, state.freeze(), bad, current, origin)
        };
        // What is in it is not found out again.
        self.until_dispatched(replica, n, MAX_QUEUE_WAIT).await;
        let copy = self.put(session, replica, n, frozen).await?;
        let why = match &bad {
            Some(name) => Why::Unreadable(name),
            None if current => Why::Behind,
            None => Why::Lost,
        };
        let restored = session.log.restore(&replica.id, &copy, &origin, why);
        if let Some(at) = restored.await? {
            tracing::warn!(canvas = %replica.id, at, "a canvas was put back from the copy here");
        }
        self.take_anew(session, replica).await
    }

    /// Reads what was put back: the canvas goes on from another place now.
    async fn take_anew(&self, session: &Session, replica: &Arc<Replica>) -> Result<(), Fault> {
        {
            let mut inner = replica.inner.lock();
            inner.damage = None;
            inner.bad_snapshot = None;
            inner.yields_since = None;
            inner.stale = true;
        }
        self.reload(session, replica).await?;
        // What waits goes before this.
        self.ask(replica.id.clone(), Command::Tick);
        Ok(())
    }
}

impl Inner {
    /// What has to be done before it is a copy of what the log has.
    pub(super) fn needs(&mut self) -> Needs {
        match () {
            () if !self.has_copy() && std::mem::take(&mut self.asked_in_vain) => Needs::Leaving,
            () if !self.has_copy() => Needs::Nothing,
            () if self.damage.is_some() => Needs::Mending,
            () if self.stale => Needs::Everything,
            () if self.is_behind() => Needs::Batches,
            () => Needs::Nothing,
        }
    }

    /// Whether what ends so is another canvas than this copy is of.
    pub(super) fn is_not_of(&self, end: &LogEnd) -> bool {
        self.has_copy() && !end.is_of(&self.origin)
    }

    /// Whether what is wrong may have been put right by others.
    fn may_be_there(&self) -> bool {
        let damage = self.damage.as_deref();
        damage.is_some_and(|why| [HEARSAY, ANOTHER_CANVAS].contains(&why))
    }

    /// Another canvas is in the place of this one.
    pub(super) fn was_replaced(&mut self) {
        self.damage.get_or_insert_with(|| ANOTHER_CANVAS.to_owned());
    }

    /// In that era, which is this copy's, the log is not so far: the canvas is not the one that was here.
    pub(super) fn begun_anew(&mut self, era: &Arc<str>) {
        self.stale |= self.has_copy() && self.era.as_ref() == Some(era);
    }

    /// Whether what is committed now is what follows from this copy.
    fn takes_commands(&self) -> bool {
        self.damage.is_none() && !self.stale
    }

    fn park(&mut self, mut commands: Vec<Command>) {
        // How much room there is, is asked again.
        commands.retain(|command| !matches!(command, Command::Room { .. }));
        if !commands.is_empty() {
            self.parked.since.get_or_insert_with(Instant::now);
            self.parked.commands.extend(commands);
        }
    }
}
