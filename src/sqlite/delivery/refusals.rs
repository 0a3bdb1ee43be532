//! Entries that were taken, and then had to be refused: their authors are told, and it is counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::stats::Counters;
use super::tail::Tail;
use crate::backplane::Refusal;
use crate::backplane::intake::{Answers, Intake, Waiting};
use crate::sqlite::command::Task;

/// The way from the intake back to the authors.
#[derive(Clone)]
pub(in crate::sqlite) struct Refusals {
    pub(in crate::sqlite) intake: Arc<Intake<Task>>,
    pub(in crate::sqlite) tail: Arc<Tail>,
    pub(in crate::sqlite) counters: Arc<Counters>,
}

impl Refusals {
    /// Refuses entries that were taken, and tells their authors.
    pub(in crate::sqlite) fn refuse(&self, batch: Vec<Waiting>, why: &str) {
        if batch.is_empty() {
            return;
        }
        self.answer(self.intake.refuse(batch, why));
    }

    /// Refuses messages that were taken and that there is no room for, and tells their authors.
    pub(in crate::sqlite) fn refuse_full(&self, batch: &[Waiting], why: &Refusal) {
        let answers = self.intake.refuse_full(batch, why);
        let refused = answers.len() as u64;
        self.counters.full.fetch_add(refused, Ordering::Relaxed);
        self.answer(answers);
    }

    /// Tells authors of refusals.
    pub(in crate::sqlite) fn answer(&self, answers: Answers) {
        let refused = answers.len() as u64;
        self.counters
            .overloaded
            .fetch_add(refused, Ordering::Relaxed);
        self.tail.answer(answers);
    }
}
