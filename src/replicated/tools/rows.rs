//! The rows of the work queue, as a tool reads and writes them: one request after the other.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::log::{Changes, Committed, Fault, Log, Reply, RowCommit, RowRange};
use crate::replicated::jobs::store::{Base, Kept, RowStore, Trouble, kept};

/// How long the others wait at most for what this one reads: it says so again with each read.
const HOLD_MS: i64 = 2_000;
/// How long one waits for whoever commits next, and how often.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);
const TRIES: usize = 400;

/// What a tool can't read or write.
pub(crate) type Failed = Trouble<Fault>;

/// The engine, as a tool asks it.
pub(crate) struct ToolBase {
    log: Arc<dyn Log>,
    runtime: Arc<Runtime>,
    /// What is read goes by this commit.
    commit: String,
    /// Nobody else commits while this reads.
    held: bool,
    now_ms: i64,
    /// Goes with the next commit: the version of the hooks.
    hooks: Option<u64>,
}

/// The rows of a log.
pub(crate) type ToolRows = RowStore<ToolBase>;

/// Rows as they are at one moment. `hold`: nobody else commits until [`ToolBase::let_go`], each time for two seconds at most.
pub(crate) fn rows(
    log: Arc<dyn Log>,
    runtime: Arc<Runtime>,
    now_ms: i64,
    hold: bool,
) -> Result<ToolRows, Failed> {
    let mut base = ToolBase {
        log,
        runtime,
        commit: String::new(),
        held: false,
        now_ms,
        hooks: None,
    };
    if hold {
        base.hold()?;
    }
    (base.commit, _) = base.ask(base.log.last_commit())?;
    Ok(RowStore::new(base))
}

impl ToolBase {
    fn ask<T>(&self, reply: Reply<'_, T>) -> Result<T, Failed> {
        self.runtime.block_on(reply).map_err(Trouble::Fault)
    }

    fn hold(&mut self) -> Result<(), Failed> {
        for _ in 0..TRIES {
            if self.ask(self.log.lock_rows(HOLD_MS))? {
                self.held = true;
                return Ok(());
            }
            std::thread::park_timeout(PAUSE);
        }
        Err(Trouble::Locked)
    }

    /// Others may commit again.
    pub(crate) fn let_go(&mut self) {
        if std::mem::take(&mut self.held) {
            // If it fails it ends by itself.
            let _ = self.ask(self.log.lock_rows(0));
        }
    }

    /// What is committed next has that version of the hooks; 0: there are none.
    pub(crate) fn set_hooks(&mut self, version: u64) {
        self.hooks = Some(version);
    }

    fn still_held(&self) -> Result<(), Failed> {
        match !self.held || self.ask(self.log.lock_rows(HOLD_MS))? {
            true => Ok(()),
            false => Err(Trouble::Locked),
        }
    }
}

impl Base for ToolBase {
    type Fault = Fault;

    fn fetch(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let row = self.ask(self.log.row(&self.commit, table, key))?;
        row.ok_or(Trouble::Moved)
    }

    fn range(&self, range: RowRange<'_>) -> Result<Vec<Kept>, Failed> {
        self.still_held()?;
        kept(self.ask(self.log.rows(&self.commit, range))?)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), Failed> {
        let hooks = self.hooks.take();
        if changes.is_empty() && hooks.is_none() {
            return Ok(());
        }
        let commit = RowCommit {
            by: &self.commit,
            at_ms: self.now_ms,
            changes,
            message: &[],
            dispatched: &[],
            hooks,
        };
        self.commit = match self.ask(self.log.commit_rows(commit))? {
            Committed::Done(name) => name,
            Committed::Moved | Committed::DispatchedBefore(..) => return Err(Trouble::Moved),
            Committed::Locked => return Err(Trouble::Locked),
        };
        Ok(())
    }
}

/// What went wrong, for people.
pub(crate) fn words(trouble: &Failed) -> String {
    match trouble {
        Trouble::Moved | Trouble::Locked | Trouble::DispatchedBefore(..) => {
            "the work queue changes faster than it can be read: try again when it is calmer"
                .to_owned()
        }
        Trouble::Damaged(table) => format!("the work queue is damaged: {table}"),
        Trouble::Fault(fault) => fault.to_string(),
    }
}

/// Whether somebody else has committed meanwhile.
pub(crate) fn is_moved(trouble: &Failed) -> bool {
    matches!(trouble, Trouble::Moved)
}
