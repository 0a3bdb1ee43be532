//! The requests of the queue to the engine. Each names the commit that it is based on: everything that is read together
//! is of one moment.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::store::{Base, Kept, Trouble, kept};
use crate::jobs::work::Effects;
use crate::limits::PUBLISH_WAIT;
use crate::log::{Changes, Committed, DispatchedUpto, Fault, Reply, RowCommit, RowRange};
use crate::protocol::ids::CanvasId;
use crate::replicated::Shared;
use crate::replicated::link::Session;
use crate::time;

/// How long whoever was overtaken holds the others up at most, in milliseconds.
const LOCK_MS: i64 = 2_000;
/// How long one waits for whoever commits next.
const PAUSE: Duration = Duration::from_millis(2);

/// The engine, and which commit the reads go by.
pub(crate) struct LogBase {
    shared: Arc<Shared>,
    session: Session,
    handle: Handle,
    /// The last commit; `None`: not known.
    commit: RefCell<Option<String>>,
    /// When that was.
    at: i64,
    locked: bool,
    message: Vec<u8>,
    dispatched: Vec<DispatchedUpto>,
    hooks: Option<u64>,
    now: i64,
}

type Failed = Trouble<Fault>;

impl LogBase {
    pub(super) fn new(shared: &Arc<Shared>, session: Session, handle: Handle) -> Self {
        Self {
            shared: shared.clone(),
            session,
            handle,
            commit: RefCell::new(None),
            at: 0,
            locked: false,
            message: Vec::new(),
            dispatched: Vec::new(),
            hooks: None,
            now: 0,
        }
    }

    pub(super) fn session(&self) -> u64 {
        self.session.id
    }

    pub(super) fn is_of(&self, session: &Session) -> bool {
        self.session.id == session.id
    }

    /// Which commit was the last has to be asked.
    pub(super) fn forget(&mut self) {
        *self.commit.borrow_mut() = None;
    }

    /// From here on everything that is read is of one moment.
    pub(super) fn begin(&mut self) -> Result<(), Failed> {
        if self.commit.borrow().is_some() {
            return Ok(());
        }
        let (commit, at) = self.ask(self.session.log.last_commit())?;
        self.at = at;
        *self.commit.borrow_mut() = Some(commit);
        Ok(())
    }

    /// The relay's time, which is never before that of the last commit, of whatever process.
    pub(super) fn now(&self, shared: &Shared) -> i64 {
        shared.now_ms().max(self.at)
    }

    /// What is to be committed beside the rows, and what the others are told then.
    pub(super) fn about_to_commit(&mut self, now: i64, message: Vec<u8>, effects: &Effects) {
        self.now = now;
        self.message = message;
        let dispatched = effects.dispatched.iter().filter_map(|told| {
            let canvas = CanvasId::parse(&told.canvas).ok()?;
            let from = told.from;
            let upto = told.upto;
            Some(DispatchedUpto { canvas, from, upto })
        });
        self.dispatched = dispatched.collect();
        self.hooks = effects.hooks.map(i64::cast_unsigned);
    }

    /// The others wait until this one has committed; `false` if another holds them up already.
    pub(super) fn lock(&mut self) -> Result<bool, Failed> {
        self.locked = self.ask(self.session.log.lock_rows(LOCK_MS))?;
        Ok(self.locked)
    }

    /// Whoever commits next needs a moment.
    pub(super) fn pause(&self) {
        self.handle.block_on(time::sleep(PAUSE));
    }

    /// Nothing is to be committed after all.
    pub(super) fn unlock(&mut self) {
        if std::mem::take(&mut self.locked) {
            // If it fails it ends by itself.
            let _ = self.ask(self.session.log.lock_rows(0));
        }
    }

    fn ask<T>(&self, reply: Reply<'_, T>) -> Result<T, Failed> {
        self.handle.block_on(reply).map_err(Trouble::Fault)
    }

    /// The commit that the reads go by.
    fn known(&self) -> String {
        self.commit.borrow().clone().unwrap_or_default()
    }

    /// Waits until so many replicas have it, as canvases do.
    fn replicated(&self) -> Result<(), Failed> {
        let wanted = self.shared.config.wait_replicas;
        if wanted == 0 {
            return Ok(());
        }
        let deadline = time::now() + PUBLISH_WAIT;
        loop {
            match self.ask(self.session.log.rows_replicated(wanted)) {
                // It is committed, and not as safe as it has to be: nobody is told that it is.
                Err(Trouble::Fault(Fault::NotNow(_))) if time::now() < deadline => {}
                replicated => return replicated,
            }
        }
    }
}

impl Base for LogBase {
    type Fault = Fault;

    fn fetch(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let by = self.known();
        let row = self.ask(self.session.log.row(&by, table, key))?;
        row.ok_or(Trouble::Moved)
    }

    fn range(&self, range: RowRange<'_>) -> Result<Vec<Kept>, Failed> {
        let by = self.known();
        kept(self.ask(self.session.log.rows(&by, range))?)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), Failed> {
        let by = self.known();
        let dispatched = std::mem::take(&mut self.dispatched);
        let hooks = self.hooks.take();
        if changes.is_empty() && dispatched.is_empty() && hooks.is_none() {
            let (last, _) = self.ask(self.session.log.last_commit())?;
            return match last == by {
                true => Ok(()),
                false => Err(Trouble::Moved),
            };
        }
        let commit = RowCommit {
            by: &by,
            at_ms: self.now,
            changes,
            message: &self.message,
            dispatched: &dispatched,
            hooks,
        };
        let name = match self.ask(self.session.log.commit_rows(commit))? {
            Committed::Done(name) => name,
            Committed::Moved => return Err(Trouble::Moved),
            Committed::Locked => return Err(Trouble::Locked),
            Committed::DispatchedBefore(at, upto) => {
                return Err(Trouble::DispatchedBefore(at, upto));
            }
        };
        self.locked = false;
        self.at = self.at.max(self.now);
        *self.commit.borrow_mut() = Some(name);
        self.replicated()
    }
}
