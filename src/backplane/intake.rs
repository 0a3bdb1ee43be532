//! Where entries wait for the writer: bounded, and fair between canvases.
//!
//! Each canvas has a lane. The writer takes from the lanes in turn (deficit round robin), so a canvas that floods
//! delays only itself. Refusals are decided under the same lock as admissions. A refused op holds back its author's
//! later ops, and none of those can slip in between.

mod budget;
mod gate;
mod lanes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{Author, Canvas, Delivery, Entry, Refusal};
use crate::backplane::CanvasKey;
use crate::limits;
use crate::protocol::client_message::Durable;
use crate::protocol::ids::CanvasId;
use crate::protocol::server_message::ErrorCode;
use crate::time;
pub(crate) use budget::Budget;
pub use gate::{OpEnd, OpGate};
use lanes::{Lane, State};

/// A canvas's key, an author, and its ops that are refused as one: several if they are a batch.
pub(crate) type RefusedOps = (CanvasKey, Arc<Author>, Vec<u64>);

/// Jobs that may wait: each kind comes from one thread, or from an `open` that waits for it; this many rooms may open at once,
/// as after the death of another instance.
const MAX_JOBS: usize = 16_384;

/// An entry that waits, or that is being committed.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) key: CanvasKey,
    /// The canvas's name: a spilled entry may find other keys when it comes back.
    pub(crate) canvas: CanvasId,
    pub(crate) entry: Entry,
    /// When it was taken.
    pub(crate) since: Instant,
}

/// What the writer finds when it looks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// There is work.
    Work,
    /// Everything is done, and nothing more will come.
    Finished,
    /// The writer is to end now.
    Abandoned,
}

/// The queue before the writer. `T` is what the writer does beside entries.
pub(crate) struct Intake<T> {
    state: Mutex<State<T>>,
    wakeup: Condvar,
}

impl<T> Default for Intake<T> {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            wakeup: Condvar::new(),
        }
    }
}

/// The refusal that asks for a resend.
pub(crate) fn overloaded(message: &str) -> Refusal {
    Refusal {
        code: ErrorCode::Overloaded,
        message: message.to_owned(),
        retry_after_ms: Some(limits::RETRY_AFTER_MS),
    }
}

/// Answers to be given to sinks once the intake's lock is free.
pub(crate) type Answers = Vec<(CanvasKey, Delivery)>;

impl<T> Intake<T> {
    /// Takes an entry, or says why not. Cursors and signals are dropped without a word when there is no room. The writer is not
    /// woken: whoever has appended rings, once for all.
    pub(crate) fn append(&self, canvas: &Canvas, entry: Entry) -> Result<(), Refusal> {
        let key = canvas.key;
        let mut state = self.state.lock();
        let op = durable_of(&entry).map(|(author, message)| (author.clone(), message.op));
        let take = || {
            if state.room_for(key, &entry)? {
                state.push(Waiting {
                    key,
                    canvas: canvas.id.clone(),
                    entry,
                    since: time::now(),
                });
            }
            Ok(())
        };
        match op {
            Some((author, op)) => author.ops.offer(op, take),
            None => take(),
        }
    }

    /// Wakes the writer, if it sleeps.
    pub(crate) fn notify(&self) {
        self.wakeup.notify_one();
    }

    /// Takes a job; `false` if there are too many. `same` says of one that waits, and
    /// the new one, that one of them is enough.
    pub(crate) fn put(&self, job: T, same: impl Fn(&T, &T) -> bool) -> bool {
        let mut state = self.state.lock();
        if state.jobs.len() >= MAX_JOBS || state.finish || state.abandon {
            return false;
        }
        if state.jobs.iter().any(|waiting| same(waiting, &job)) {
            return true;
        }
        state.jobs.push_back(job);
        drop(state);
        self.wakeup.notify_one();
        true
    }

    /// Waits until there is work.
    pub(crate) fn wait(&self) -> Look {
        let mut state = self.state.lock();
        loop {
            if let Some(look) = state.look() {
                return look;
            }
            self.wakeup.wait(&mut state);
        }
    }

    /// What there is to do now, for a writer that waits elsewhere; `None` if nothing is.
    pub(crate) fn look(&self) -> Option<Look> {
        self.state.lock().look()
    }

    /// Waits for `pause`, less if the writer is to end.
    pub(crate) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state.lock();
        while !state.abandon && !self.wakeup.wait_until(&mut state, until).timed_out() {}
    }

    /// One transaction's worth: the jobs, then entries of the canvases in turn; those last that have more work charged to them than
    /// their turns since have paid.
    pub(crate) fn drain(&self) -> (Vec<T>, Vec<Waiting>) {
        let mut state = self.state.lock();
        state.in_hand = true;
        let jobs = state.jobs.drain(..).collect();
        let mut batch = Vec::with_capacity(state.entries.min(limits::BATCH_ENTRIES));
        let indebted = state.pay_debts();
        state.take_turns(&mut batch);
        // What is left of the batch is theirs.
        state.turns.extend(indebted);
        state.take_turns(&mut batch);
        (jobs, batch)
    }

    /// What was taken and has to wait for another batch: it is at the front again, as if it had not been taken.
    pub(crate) fn give_back(&self, batch: Vec<Waiting>) {
        let mut state = self.state.lock();
        for waiting in batch.into_iter().rev() {
            state.push_front(waiting);
        }
    }

    /// The canvas has had that much work done beyond what its entries are long. Its turns pay for it.
    pub(crate) fn charge(&self, charges: impl Iterator<Item = (CanvasKey, usize)>) {
        let mut state = self.state.lock();
        for (key, work) in charges {
            *state.debts.entry(key).or_default() += work;
        }
    }

    /// The same for a writer that has no jobs.
    pub(crate) fn drain_entries(&self) -> Vec<Waiting> {
        self.drain().1
    }

    /// The jobs only.
    pub(crate) fn drain_jobs(&self) -> Vec<T> {
        self.state.lock().jobs.drain(..).collect()
    }

    /// What became of the entries that the writer took is known.
    pub(crate) fn hands_free(&self) {
        self.state.lock().in_hand = false;
    }

    /// Whether there are older entries in the spill file.
    pub(crate) fn set_spilled(&self, spilled: bool) {
        self.state.lock().spilled = spilled;
        self.wakeup.notify_one();
    }

    /// Takes all messages out, for the spill file, if one of them has waited for so long. Nothing while the writer has
    /// older ones in hand: they must go first, wherever they go.
    pub(crate) fn take_durable(&self, older_than: Duration) -> Vec<Waiting> {
        let mut state = self.state.lock();
        let old =
            |w: &Waiting| durable_of(&w.entry).is_some() && time::since(w.since) >= older_than;
        let due = |lane: &Lane| lane.waiting.iter().any(old);
        if state.in_hand || !state.lanes.values().any(due) {
            return Vec::new();
        }
        let keys: Vec<CanvasKey> = state.lanes.keys().copied().collect();
        let durable = |w: &Waiting| durable_of(&w.entry).is_some();
        let mut taken = Vec::new();
        for key in keys {
            taken.extend(state.take_out(key, durable));
        }
        taken
    }

    /// What could not be committed: refused, with all later ops of the same authors. Changes of presence that
    /// must not be lost go back to the front.
    pub(crate) fn refuse(&self, batch: Vec<Waiting>, why: &str) -> Answers {
        let mut state = self.state.lock();
        state.refuse(batch, why)
    }

    /// What can't be read back from the spill file: refused, with all later ops of the same authors. Decided under this lock like
    /// every refusal: a later op that was admitted meanwhile must not be committed before it.
    pub(crate) fn refuse_spilled(&self, ops: Vec<RefusedOps>) -> Answers {
        let why = overloaded("it could not be kept until the queue commits");
        self.state.lock().refuse_ops(ops, &why)
    }

    /// Messages that the writer has taken and that there is no room for: refused, with all later ops of the same authors.
    pub(crate) fn refuse_full(&self, batch: &[Waiting], why: &Refusal) -> Answers {
        let ops_of = |waiting: &Waiting| {
            let (author, message) = durable_of(&waiting.entry)?;
            Some((waiting.key, author.clone(), message.ops().collect()))
        };
        let ops = batch.iter().filter_map(ops_of).collect();
        let mut answers = self.state.lock().refuse_ops(ops, why);
        answers.extend(batch.iter().filter_map(|waiting| {
            let Entry::Join { author } = &waiting.entry else {
                return None;
            };
            let conn = author.conn;
            let acked_op = Err(why.clone());
            Some((waiting.key, Delivery::Joined { conn, acked_op }))
        }));
        answers
    }

    /// Refuses what has waited too long. It is removed under the lock, so it is surely not committed.
    pub(crate) fn refuse_old(&self, older_than: Duration) -> Answers {
        let Some(cutoff) = time::now().checked_sub(older_than) else {
            return Vec::new();
        };
        let mut state = self.state.lock();
        let old = |waiting: &Waiting| waiting.since <= cutoff && !must_stay(&waiting.entry);
        if !state
            .lanes
            .values()
            .any(|lane| lane.waiting.front().is_some_and(|w| w.since <= cutoff))
        {
            return Vec::new();
        }
        let keys: Vec<CanvasKey> = state.lanes.keys().copied().collect();
        let mut refused = Vec::new();
        for key in keys {
            refused.extend(state.take_out(key, old));
        }
        state.refuse(refused, "the queue did not get to it in time")
    }

    /// Entries that wait.
    pub(crate) fn depth(&self) -> usize {
        self.state.lock().entries
    }

    /// The writer ends when it has committed what is here.
    pub(crate) fn finish(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.finish = true;
        self.wakeup.notify_all();
    }

    /// The writer ends at once.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.abandon = true;
        self.wakeup.notify_all();
    }
}

/// These are committed: each op has been decided.
pub(crate) fn decided<'a>(entries: impl Iterator<Item = &'a Entry>) {
    for (author, message) in entries.filter_map(durable_of) {
        author.ops.ended(message.op, OpEnd::Decided);
    }
}

/// A lost leave would leave a ghost, and a lost state would never be told: both wait for as long as it takes.
fn must_stay(entry: &Entry) -> bool {
    matches!(entry, Entry::Leave { .. } | Entry::State { .. })
}

pub(crate) fn durable_of(entry: &Entry) -> Option<(&Arc<Author>, &Durable)> {
    match entry {
        Entry::Durable { author, message } => Some((author, message)),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
