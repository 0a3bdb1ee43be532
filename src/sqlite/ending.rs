//! How an instance over the file ends: it is asked to, or a part of it can't go on. All of its threads look here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::commands::Task;
use super::upkeep::Waker;
use super::wake::notifier::{Notifier, WakeHint};
use crate::backplane::intake::Intake;

/// Whether the instance is to end.
#[derive(Debug)]
pub(super) struct Ending {
    /// Somebody asked for it: nothing new is taken, and threads may end.
    asked: AtomicBool,
    /// All threads are to end now.
    stopping: AtomicBool,
    /// Why a part has ended though nobody asked it to.
    failed: watch::Sender<Option<String>>,
}

impl Ending {
    /// It goes on.
    pub(super) fn new() -> Self {
        Self {
            asked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failed: watch::Sender::new(None),
        }
    }

    /// Threads may end from here on.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// Whether they may.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Whether all threads are to end now.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A part can't go on: the process must go down.
    pub(super) fn fail(&self, reason: String) {
        self.failed.send_replace(Some(reason));
    }

    /// Says why, once a part can't go on.
    pub(super) fn failed(&self) -> watch::Receiver<Option<String>> {
        self.failed.subscribe()
    }
}

/// Wakes all threads for their end, whatever they wait for.
#[derive(Clone)]
pub(super) struct Halt {
    pub(super) ending: Arc<Ending>,
    pub(super) intake: Arc<Intake<Task>>,
    pub(super) notifier: Arc<Notifier>,
    pub(super) waker: Arc<Waker>,
}

impl Halt {
    /// Has all threads end now.
    pub(super) fn now(&self) {
        self.ending.stopping.store(true, Ordering::Release);
        self.intake.abandon();
        self.notifier.notify(WakeHint::Any);
        self.waker.notify();
    }
}
