//! The waiting entries, canvas by canvas, and the ways to take them out of turn.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::{Answers, Look, OpEnd, RefusedOps, Waiting, durable_of, overloaded};
use crate::backplane::{Author, CanvasKey, Delivery, Entry, Outcome, Refusal};
use crate::limits;

/// Of one canvas.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) deficit: usize,
}

/// All that waits.
pub(super) struct State<T> {
    pub(super) lanes: HashMap<CanvasKey, Lane>,
    /// Lanes that are not empty, in the order of their turns.
    pub(super) turns: VecDeque<CanvasKey>,
    pub(super) entries: usize,
    pub(super) bytes: usize,
    /// Work that canvases have had done and not paid for yet. Each batch pays a turn's worth, so none stays here for long.
    pub(super) debts: HashMap<CanvasKey, usize>,
    pub(super) jobs: VecDeque<T>,
    /// The writer has taken entries, and it is not known yet what became of them.
    pub(super) in_hand: bool,
    /// There are older entries in the spill file.
    pub(super) spilled: bool,
    /// Nothing is taken any more.
    pub(super) closed: bool,
    /// The writer ends when it has done what is here.
    pub(super) finish: bool,
    /// The writer ends now.
    pub(super) abandon: bool,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            entries: 0,
            bytes: 0,
            debts: HashMap::new(),
            jobs: VecDeque::new(),
            in_hand: false,
            spilled: false,
            closed: false,
            finish: false,
            abandon: false,
        }
    }
}

impl<T> State<T> {
    /// `Ok(false)`: not worth a word. Presence has as much again to itself, and leaves (one a connection) always fit.
    pub(super) fn room_for(&self, key: CanvasKey, entry: &Entry) -> Result<bool, Refusal> {
        let lane = self.lanes.get(&key).map_or(0, |lane| lane.waiting.len());
        let fits = |times: usize| {
            self.entries < times * limits::WRITER_QUEUE_ENTRIES
                && self.bytes + entry.size() <= times * limits::WRITER_QUEUE_BYTES
                && lane < times * limits::CANVAS_QUEUE_ENTRIES
        };
        match entry {
            Entry::Leave { .. } => Ok(!self.abandon),
            Entry::Signal { .. } | Entry::Cursors { .. } => Ok(!self.closed && fits(1)),
            _ if self.closed => Err(overloaded("this instance is stopping")),
            Entry::Join { .. } | Entry::State { .. } if fits(2) => Ok(true),
            Entry::Durable { .. } | Entry::Kick { .. } | Entry::Post { .. } if fits(1) => Ok(true),
            _ => Err(overloaded("the queue is full")),
        }
    }

    /// What there is to do.
    pub(super) fn look(&self) -> Option<Look> {
        if self.abandon {
            return Some(Look::Abandoned);
        }
        if self.entries > 0 || !self.jobs.is_empty() || self.spilled {
            return Some(Look::Work);
        }
        self.finish.then_some(Look::Finished)
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.entries += 1;
        self.bytes += waiting.entry.size();
        let key = waiting.key;
        let lane = self.lanes.entry(key).or_default();
        if lane.waiting.is_empty() {
            self.turns.push_back(key);
        }
        lane.waiting.push_back(waiting);
    }

    /// Every canvas in debt pays what a turn is worth. Takes those out of the turns that are still in debt.
    pub(super) fn pay_debts(&mut self) -> Vec<CanvasKey> {
        if self.debts.is_empty() {
            return Vec::new();
        }
        self.debts.retain(|_, debt| {
            *debt = debt.saturating_sub(limits::CANVAS_QUANTUM_BYTES);
            *debt > 0
        });
        let (indebted, free) = self
            .turns
            .drain(..)
            .partition::<Vec<CanvasKey>, _>(|key| self.debts.contains_key(key));
        self.turns.extend(free);
        indebted
    }

    /// Lanes take turns until the batch is full or they are empty.
    pub(super) fn take_turns(&mut self, batch: &mut Vec<Waiting>) {
        let mut bytes: usize = batch.iter().map(|waiting| waiting.entry.size()).sum();
        while batch.len() < limits::BATCH_ENTRIES && bytes < limits::BATCH_BYTES {
            let Some(key) = self.turns.pop_front() else {
                break;
            };
            let Some(lane) = self.lanes.get_mut(&key) else {
                continue;
            };
            lane.deficit += limits::CANVAS_QUANTUM_BYTES;
            while let Some(size) = lane.waiting.front().map(|w| w.entry.size()) {
                let full = batch.len() >= limits::BATCH_ENTRIES || bytes >= limits::BATCH_BYTES;
                if size > lane.deficit || full {
                    break;
                }
                lane.deficit -= size;
                bytes += size;
                self.bytes -= size;
                self.entries -= 1;
                batch.extend(lane.waiting.pop_front());
            }
            if lane.waiting.is_empty() {
                self.lanes.remove(&key);
            } else {
                self.turns.push_back(key);
            }
        }
    }

    /// Removes the entries of a lane that `which` names.
    pub(super) fn take_out(
        &mut self,
        key: CanvasKey,
        which: impl Fn(&Waiting) -> bool,
    ) -> Vec<Waiting> {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return Vec::new();
        };
        let (out, stay): (Vec<_>, VecDeque<_>) = {
            let mut out = Vec::new();
            let mut stay = VecDeque::new();
            for waiting in lane.waiting.drain(..) {
                if which(&waiting) {
                    out.push(waiting)
                } else {
                    stay.push_back(waiting)
                }
            }
            (out, stay)
        };
        lane.waiting = stay;
        if lane.waiting.is_empty() {
            self.lanes.remove(&key);
            self.turns.retain(|turn| *turn != key);
        }
        self.entries -= out.len();
        self.bytes -= out.iter().map(|w| w.entry.size()).sum::<usize>();
        out
    }

    pub(super) fn refuse(&mut self, batch: Vec<Waiting>, why: &str) -> Answers {
        let mut answers = Vec::new();
        let mut ops = Vec::new();
        let mut back = Vec::new();
        for waiting in batch {
            match &waiting.entry {
                Entry::Durable { author, message } => {
                    ops.push((waiting.key, author.clone(), message.ops().collect()));
                }
                Entry::Join { author } => answers.push((
                    waiting.key,
                    Delivery::Joined {
                        conn: author.conn,
                        acked_op: Err(overloaded(why)),
                    },
                )),
                Entry::State { .. } | Entry::Leave { .. } => back.push(waiting),
                Entry::Signal { .. }
                | Entry::Cursors { .. }
                | Entry::Kick { .. }
                | Entry::Post { .. } => {}
            }
        }
        answers.extend(self.refuse_ops(ops, &overloaded(why)));
        for waiting in back.into_iter().rev() {
            self.push_front(waiting);
        }
        answers
    }

    /// Refuses ops that wait nowhere any more, and all later ones of their authors.
    pub(super) fn refuse_ops(&mut self, ops: Vec<RefusedOps>, why: &Refusal) -> Answers {
        let mut answers = Vec::new();
        let mut authors = Vec::new();
        let mut known = HashSet::new();
        for (key, author, ops) in ops {
            answers.extend(refused(key, &author, &ops, why));
            if known.insert(Arc::as_ptr(&author)) {
                authors.push((key, author));
            }
        }
        for (key, author) in authors {
            let later =
                |w: &Waiting| durable_of(&w.entry).is_some_and(|(a, _)| Arc::ptr_eq(a, &author));
            for waiting in self.take_out(key, later) {
                if let Some((author, message)) = durable_of(&waiting.entry) {
                    let ops: Vec<u64> = message.ops().collect();
                    answers.extend(refused(key, author, &ops, why));
                }
            }
        }
        answers
    }

    pub(super) fn push_front(&mut self, waiting: Waiting) {
        let key = waiting.key;
        self.push(waiting);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.waiting.rotate_right(1);
        }
    }
}

fn refused(key: CanvasKey, author: &Author, ops: &[u64], why: &Refusal) -> Answers {
    // A batch comes again as it was, under its last number.
    if let Some(last) = ops.last() {
        author.ops.ended(*last, OpEnd::Refused(why.code));
    }
    let conn = author.conn;
    let answer = |op: &u64| {
        let op = *op;
        let outcome = Outcome::Refused(why.clone());
        (key, Delivery::Outcome { conn, op, outcome })
    };
    ops.iter().map(answer).collect()
}
