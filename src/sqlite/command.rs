//! What the writer is asked to do beside messages.

use std::sync::{Arc, OnceLock};

use crate::backplane::CanvasKey;
use crate::backplane::intake::Intake;
use crate::hooks::Change;
use crate::hooks::file::HookText;
use crate::protocol::ids::{CanvasId, Epoch, InstanceNumber};
use crate::sqlite::storage::samples;

/// A canvas and a client on it.
pub(super) type Place = (CanvasKey, String);

/// Something else that the writer does in its transaction: there is one writer a process, and one place where the
/// turnstile is waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Gives the canvas a key. The answer is the key; `None` if there is no room for another one.
    CreateCanvas {
        id: CanvasId,
        key: Answer<Option<CanvasKey>>,
    },
    /// Says that this instance lives.
    Beat,
    /// Writes how far this instance is: `(canvas, row)`; `None` where it has no room any more.
    Watermarks(Vec<(CanvasKey, Option<i64>)>),
    /// Removes a dead instance, unless another was first.
    Reap {
        number: InstanceNumber,
        /// For one that is silent: only if it has not been heard since.
        silent_since: Option<i64>,
    },
    /// Removes those who were away for too long.
    Sweep,
    /// Deletes expired rows with `after < id <= upto`.
    Clean { after: i64, upto: i64 },
    /// Forgets watermarks that nobody will ask for.
    ForgetWatermarks,
    /// Forgets clients that were used before `old`, of those behind `after` up to `upto`.
    ForgetClients { after: Place, upto: Place, old: i64 },
    /// Empties a canvas and begins this epoch. The answer is the head.
    Delete {
        key: CanvasKey,
        epoch: Epoch,
        head: Answer<u64>,
    },
    /// Removes canvases whose time has come.
    EndCanvases,
    /// Removes a piece of what was on deleted canvases.
    SweepContent,
    /// Empties a canvas if nobody was on it since then.
    EmptyIdle { key: CanvasKey, before: i64 },
    /// Gives pages back to the file system.
    Vacuum,
    /// Keeps what this process did, for the analytics.
    Sample(samples::Rows),
    /// Starts the write-ahead log from its beginning.
    RestartWal,
    /// Does what waits for the work queue.
    Jobs,
    /// Tells hooks of canvases that became quiet, and of gaps.
    FireHooks,
    /// Tells hooks some of what is set aside.
    DispatchAside,
    /// These are the hooks from here on, `over` others if need be.
    StoreHooks {
        texts: Vec<HookText>,
        over: bool,
        change: Answer<Change>,
    },
    /// The hook is told nothing more. The answer is whether it was on.
    TurnOffHook {
        name: String,
        why: String,
        was_on: Answer<bool>,
    },
}

impl Command {
    /// Whether other hooks may be followed from here on.
    pub(super) fn is_of_hooks(&self) -> bool {
        matches!(self, Self::StoreHooks { .. } | Self::TurnOffHook { .. })
    }
}

/// What a command finds within its transaction. Whoever asks reads it once that is committed.
#[derive(Debug)]
pub(super) struct Answer<T>(Arc<OnceLock<T>>);

impl<T> Answer<T> {
    /// That is what was found.
    pub(super) fn is(&self, found: T) {
        // A command is done once.
        let _ = self.0.set(found);
    }
}

impl<T: Clone> Answer<T> {
    /// What was found; `None` if nothing was yet.
    pub(super) fn read(&self) -> Option<T> {
        self.0.get().cloned()
    }
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Two who ask are told each its own.
impl<T> PartialEq for Answer<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for Answer<T> {}

/// Called once a command is committed; dropped if it is not.
pub(super) type Reply = Box<dyn FnOnce() + Send>;

/// A command and who waits for its commit.
pub(super) struct Task {
    pub(super) command: Command,
    pub(super) reply: Option<Reply>,
}

impl Intake<Task> {
    /// Takes a command; `false` if there are too many. One that nobody waits for is taken once, however often it is asked for;
    /// so is a sample, whatever is in it: while nothing can be committed, none but the first waits.
    pub(super) fn submit(&self, command: Command, reply: Option<Reply>) -> bool {
        self.put(Task { command, reply }, |waiting, new| {
            let samples = matches!(waiting.command, Command::Sample(_))
                && matches!(new.command, Command::Sample(_));
            new.reply.is_none() && (samples || waiting.command == new.command)
        })
    }
}
