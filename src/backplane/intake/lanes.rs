//! What waits, canvas by canvas, and what is taken out of it other than by its turn.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::{Answers, Look, Waiting, durable_of, overloaded};
use crate::backplane::{Author, Delivery, Entry, Outcome, Refusal};
use crate::limits;
use crate::protocol::server_message::ErrorCode;

/// Of one canvas.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) deficit: usize,
}

/// All that waits.
pub(super) struct State<T> {
    pub(super) lanes: HashMap<i64, Lane>,
    /// Lanes that are not empty, in the order of their turns.
    pub(super) turns: VecDeque<i64>,
    pub(super) entries: usize,
    pub(super) bytes: usize,
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
    pub(super) fn room_for(&self, key: i64, entry: &Entry) -> Result<bool, Refusal> {
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
            Entry::Durable { .. } | Entry::Kick { .. } if fits(1) => Ok(true),
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

    /// Removes the entries of a lane that `which` names.
    pub(super) fn take_out(&mut self, key: i64, which: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
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
        let (mut answers, mut ops, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for waiting in batch {
            match &waiting.entry {
                Entry::Durable { author, message } => {
                    ops.push((waiting.key, author.clone(), message.op));
                }
                Entry::Join { author } => answers.push((
                    waiting.key,
                    Delivery::Joined {
                        conn: author.conn,
                        acked_op: Err(overloaded(why)),
                    },
                )),
                Entry::State { .. } | Entry::Leave { .. } => back.push(waiting),
                Entry::Signal { .. } | Entry::Cursors { .. } | Entry::Kick { .. } => {}
            }
        }
        answers.extend(self.refuse_ops(ops, why));
        for waiting in back.into_iter().rev() {
            self.push_front(waiting);
        }
        answers
    }

    /// Refuses ops that wait nowhere any more, and all later ones of their authors.
    pub(super) fn refuse_ops(&mut self, ops: Vec<(i64, Arc<Author>, u64)>, why: &str) -> Answers {
        let mut answers = Vec::new();
        let (mut authors, mut known) = (Vec::new(), HashSet::new());
        for (key, author, op) in ops {
            answers.push(refused(key, &author, op, why));
            if known.insert(Arc::as_ptr(&author)) {
                authors.push((key, author));
            }
        }
        for (key, author) in authors {
            let later =
                |w: &Waiting| durable_of(&w.entry).is_some_and(|(a, _)| Arc::ptr_eq(a, &author));
            for waiting in self.take_out(key, later) {
                if let Some((author, message)) = durable_of(&waiting.entry) {
                    answers.push(refused(key, author, message.op, why));
                }
            }
        }
        answers
    }

    fn push_front(&mut self, waiting: Waiting) {
        let key = waiting.key;
        self.push(waiting);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.waiting.rotate_right(1);
        }
    }
}

fn refused(key: i64, author: &Author, op: u64, why: &str) -> (i64, Delivery) {
    author.hold(op, ErrorCode::Overloaded);
    let conn = author.conn;
    let outcome = Outcome::Refused(overloaded(why));
    (key, Delivery::Outcome { conn, op, outcome })
}
