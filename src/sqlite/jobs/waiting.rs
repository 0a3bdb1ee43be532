//! The ops that wait for the writer, and which of them a transaction takes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::jobs::op::{Answer, Op};
use crate::limits::{BATCH_BYTES, JOB_LARGE_BYTES};

/// Ops that may wait: each is a request.
const MOST_OPS: usize = 4_096;
/// Bytes of those.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Ops of one transaction.
const TURN_OPS: usize = 512;
/// How long a transaction's share may take, but for its first op: what canvases wait for at most.
const TURN_TIME: Duration = Duration::from_millis(10);

/// An op, and who waits for its answer.
pub(in crate::sqlite) struct Waiting {
    pub(in crate::sqlite) op: Op,
    bytes: usize,
    pub(in crate::sqlite) answer: Option<oneshot::Sender<Answer>>,
}

impl Waiting {
    pub(in crate::sqlite) fn new(op: Op, answer: Option<oneshot::Sender<Answer>>) -> Self {
        let bytes = op.size();
        Self { op, bytes, answer }
    }
}

/// The jobs' share of one transaction, as far as it is used. It may have as many bytes as canvases may: what is
/// committed at once is written at once, and others wait for it. The first op has room whatever it is.
pub(super) struct Turn {
    began: Instant,
    ops: usize,
    bytes: usize,
    /// It may have large ops.
    large: bool,
}

impl Turn {
    pub(super) fn new(large: bool) -> Self {
        Self {
            began: Instant::now(),
            ops: 0,
            bytes: 0,
            large,
        }
    }

    fn is_over(&self) -> bool {
        let over =
            self.ops >= TURN_OPS || self.bytes >= BATCH_BYTES || self.began.elapsed() >= TURN_TIME;
        self.ops > 0 && over
    }
}

/// The ops, each kind in the order in which they came. Requests that wait at the same time have no order among each
/// other.
#[derive(Default)]
pub(super) struct Ops {
    small: VecDeque<Waiting>,
    /// They are behind all small ones, so that an ack or a pop does not wait for somebody's megabytes.
    large: VecDeque<Waiting>,
    bytes: usize,
    /// Small ones filled the last transaction: the next one begins with a large one.
    large_first: bool,
}

impl Ops {
    /// `false` if too many wait.
    pub(super) fn add(&mut self, waiting: Waiting, must: bool) -> bool {
        let count = self.small.len() + self.large.len();
        if !must && (count >= MOST_OPS || self.bytes >= MOST_BYTES) {
            return false;
        }
        self.bytes += waiting.bytes;
        let is_large = waiting.bytes > JOB_LARGE_BYTES;
        let ops = if is_large {
            &mut self.large
        } else {
            &mut self.small
        };
        ops.push_back(waiting);
        true
    }

    pub(super) fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Whether a turn would have something.
    pub(super) fn is_ready(&self, large: bool) -> bool {
        !self.small.is_empty() || (large && self.has_large())
    }

    /// The next op of a transaction.
    pub(super) fn next(&mut self, turn: &mut Turn) -> Option<Waiting> {
        let large = turn.large && self.has_large();
        if turn.is_over() {
            self.large_first = large;
            return None;
        }
        let first = large && std::mem::take(&mut self.large_first);
        let (ops, others) = if first {
            (&mut self.large, &mut self.small)
        } else {
            (&mut self.small, &mut self.large)
        };
        let waiting = ops.pop_front();
        let waiting = waiting.or_else(|| large.then(|| others.pop_front()).flatten())?;
        self.bytes -= waiting.bytes;
        turn.ops += 1;
        turn.bytes += waiting.bytes;
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(ops: &mut Ops, sizes: &[usize]) {
        for bytes in sizes {
            let op = Op::Push(Vec::new());
            let (bytes, answer) = (*bytes, None);
            assert!(ops.add(Waiting { op, bytes, answer }, false));
        }
    }

    /// What a transaction takes, by sizes.
    fn taken(ops: &mut Ops, large: bool) -> Vec<usize> {
        let mut turn = Turn::new(large);
        // However slow the machine is.
        turn.began += Duration::from_secs(60);
        std::iter::from_fn(|| ops.next(&mut turn))
            .map(|waiting| waiting.bytes)
            .collect()
    }

    #[test]
    fn a_transaction_has_no_more_bytes_of_jobs_than_of_canvases() {
        let mut ops = Ops::default();
        let half = BATCH_BYTES / 2;
        add(&mut ops, &[half, half, half, 4 * BATCH_BYTES, half]);
        assert_eq!(taken(&mut ops, true), [half, half]);
        assert_eq!(taken(&mut ops, true), [half, 4 * BATCH_BYTES]);
        assert_eq!(taken(&mut ops, true), [half]);
        assert!(taken(&mut ops, true).is_empty());
        assert_eq!(ops.bytes, 0);
    }

    #[test]
    fn small_ops_do_not_wait_for_large_ones_and_large_ones_get_their_turn() {
        let (small, large) = (JOB_LARGE_BYTES, JOB_LARGE_BYTES + 1);
        let mut ops = Ops::default();
        add(&mut ops, &[large, small]);
        assert_eq!(taken(&mut ops, true), [small, large]);
        // However many small ones there are.
        let many = 3 * TURN_OPS;
        add(&mut ops, &[large, large]);
        add(&mut ops, &vec![1; many]);
        assert_eq!(taken(&mut ops, true), vec![1; TURN_OPS]);
        for _ in 0..2 {
            let turn = taken(&mut ops, true);
            assert_eq!((turn[0], turn.len()), (large, TURN_OPS));
        }
    }

    #[test]
    fn large_ops_wait_while_they_may_not_be_done_and_small_ones_go_on() {
        let (small, large) = (1, JOB_LARGE_BYTES + 1);
        let mut ops = Ops::default();
        add(&mut ops, &[large, small, large]);
        assert!(ops.is_ready(false));
        assert_eq!(taken(&mut ops, false), [small]);
        assert!(ops.has_large() && !ops.is_ready(false) && ops.is_ready(true));
        assert_eq!(taken(&mut ops, true), [large, large]);
        assert!(!ops.has_large());
    }

    #[test]
    fn what_waits_has_a_bound_but_for_what_gives_something_back() {
        let mut ops = Ops::default();
        add(&mut ops, &[MOST_BYTES]);
        let one = || Waiting {
            op: Op::Push(Vec::new()),
            bytes: 1,
            answer: None,
        };
        assert!(!ops.add(one(), false));
        assert!(ops.add(one(), true));
        let mut ops = Ops::default();
        add(&mut ops, &vec![0; MOST_OPS]);
        assert!(!ops.add(one(), false));
    }
}
