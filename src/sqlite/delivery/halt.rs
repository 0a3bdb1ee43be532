//! Wakes the threads of an instance for their end.

use std::sync::Arc;

use super::wake::notifier::{Notifier, WakeHint};
use super::wake::waker::Waker;
use crate::backplane::intake::Intake;
use crate::sqlite::command::Task;
use crate::sqlite::storage::ending::Ending;

/// Wakes all threads for their end, whatever they wait for.
#[derive(Clone)]
pub(in crate::sqlite) struct Halt {
    pub(in crate::sqlite) ending: Arc<Ending>,
    pub(in crate::sqlite) intake: Arc<Intake<Task>>,
    pub(in crate::sqlite) notifier: Arc<Notifier>,
    pub(in crate::sqlite) waker: Arc<Waker>,
}

impl Halt {
    /// Has all threads end now.
    pub(in crate::sqlite) fn now(&self) {
        self.ending.stop();
        self.intake.abandon();
        self.notifier.notify(WakeHint::Any);
        self.waker.notify();
    }
}
