//! A canvas driven by a log of batches: replicas that run the same batches at the same times are alike.

use super::codec::Batch;
use super::{CanvasState, Sender};
use crate::backplane::{Delivery, Entry, LogBatch};
use crate::canvas::quotas::Spare;
use crate::protocol::ids::{Epoch, InstanceNumber};

/// What is put into a canvas's log for every replica to do.
#[derive(Debug)]
pub enum Command {
    /// A durable message, a join, a state or a leave. The others are told, and do nothing to the state.
    Entry(Entry),
    /// That instance died, or ended in order: everyone whose place it holds turns away. Not gone: back elsewhere within the
    /// grace they have not flickered.
    InstanceGone {
        /// Its number.
        instance: InstanceNumber,
        /// It did not end in order.
        died: bool,
    },
    /// [`CanvasState::restart`].
    Restart {
        /// The new epoch. Whoever sends this draws it: a replica must not.
        epoch: Epoch,
    },
    /// [`CanvasState::renumber`].
    Renumber {
        /// The new epoch, drawn in the same way.
        epoch: Epoch,
    },
    /// Time passes.
    Tick,
    /// Of what all canvases may have together so much is left, as far as the entries of this batch are concerned. Whoever sends this
    /// asked: a replica must not.
    Room {
        /// Bytes; below 0 if they have more.
        left: i64,
        /// What they may have.
        max: u64,
    },
}

impl Command {
    /// The entry, if it is one.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            _ => None,
        }
    }
}

impl CanvasState {
    /// Does what a command of the instance numbered `from` says, at a time (ms since the epoch) that never goes back; appends
    /// what follows to `out`.
    pub fn run(
        &mut self,
        from: InstanceNumber,
        command: Command,
        now_ms: i64,
        out: &mut Vec<Delivery>,
    ) {
        self.run_open(Some(from), command, now_ms, out);
        self.tables.objects.close();
    }

    /// The same, with objects left taken apart for what comes next. What clients did is of an instance; a batch of nobody has no
    /// such command.
    fn run_open(
        &mut self,
        from: Option<InstanceNumber>,
        command: Command,
        now_ms: i64,
        out: &mut Vec<Delivery>,
    ) {
        match command {
            // It lets time pass itself.
            Command::Entry(entry) => {
                if let Some(from) = from {
                    self.apply_open(from, entry, now_ms, out);
                }
            }
            Command::InstanceGone { instance, died } => {
                self.tick(now_ms, out);
                self.lose_instance(instance, died, now_ms, out);
            }
            Command::Restart { epoch } => {
                self.tick(now_ms, out);
                self.restart(epoch, out);
            }
            Command::Renumber { epoch } => {
                self.tick(now_ms, out);
                self.renumber(epoch, out);
            }
            Command::Tick => self.tick(now_ms, out),
            Command::Room { left, max } => self.set_spare(Some(Spare::known(left, max))),
        }
    }

    /// Whether a batch is new. The serials of an instance increase, so one that is not above the last came before: its sender
    /// did not know whether it was committed, and sent it again. What is nobody's is always new.
    pub fn accept(&mut self, from: Option<InstanceNumber>, serial: u64, now_ms: i64) -> bool {
        let Some(from) = from else {
            return true;
        };
        if self
            .senders
            .get(&from)
            .is_some_and(|last| serial <= last.serial)
        {
            return false;
        }
        let used_at_ms = now_ms;
        self.senders.insert(from, Sender { serial, used_at_ms });
        true
    }

    /// Runs a batch if it is new. Messages that follow each other go out in one piece, as they were taken.
    pub fn apply_batch(&mut self, batch: Batch, now_ms: i64) -> Vec<Delivery> {
        let mut out = Vec::new();
        self.set_spare(None);
        if self.accept(batch.from, batch.serial, now_ms) {
            for command in batch.commands {
                self.run_open(batch.from, command, now_ms, &mut out);
            }
            // What several of them have changed is written once.
            self.tables.objects.close();
            self.set_spare(None);
        }
        joined(out)
    }
}

/// The same deliveries in the same order, with runs of the log made one where nothing lies between them.
fn joined(deliveries: Vec<Delivery>) -> Vec<Delivery> {
    let mut out = Vec::with_capacity(deliveries.len());
    let mut runs = Vec::new();
    for delivery in deliveries {
        match delivery {
            Delivery::Log(run) => runs.push(run),
            other => {
                out.extend(LogBatch::join(&runs).map(Delivery::Log));
                runs.clear();
                out.push(other);
            }
        }
    }
    out.extend(LogBatch::join(&runs).map(Delivery::Log));
    out
}
