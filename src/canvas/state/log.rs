//! The log of one canvas: the youngest messages, contiguous up to the head.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::num::NonZeroU64;

use bytestring::ByteString;

use super::sum::{self, Sum};
use crate::backplane::{LogBatch, LogBuilder, Read};
use crate::canvas::RESENT_STEPS;
use crate::limits::{LOG_ROW_BYTES, MEMORY_LOG_BYTES};
use crate::protocol::client_message::Kind;
use crate::protocol::features::Features;
use crate::protocol::ids::{ClientId, ConnId, Epoch, Position};

/// Messages for which there is always room once there was.
const ROOM_KEPT: usize = 256;

/// One committed message.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which of the five.
    pub kind: Kind,
    /// The connection that sent it.
    pub origin: ConnId,
    /// The author's own number.
    pub op: u64,
    /// The author.
    pub client: ClientId,
    /// When it was committed, ms since the epoch.
    pub at_ms: i64,
    /// The sender's fields, a JSON object.
    pub body: ByteString,
}

impl Row {
    fn bytes(&self) -> usize {
        LOG_ROW_BYTES + self.body.len()
    }

    fn sum(&self) -> u64 {
        // Where it stands follows from the head and how many there are; that the order is right, from the times and the ops.
        let numbers = [
            self.kind as u64,
            self.origin.0,
            self.op,
            self.at_ms.cast_unsigned(),
        ];
        sum::row(&numbers, &[self.client.as_str(), &self.body])
    }

    fn push_to(&self, run: &mut LogBuilder) {
        run.push(
            self.kind,
            self.origin,
            self.op,
            self.client.as_str(),
            self.at_ms,
            self.body.as_bytes(),
        );
    }
}

/// The retained messages of a canvas, contiguous up to its head, which outlives them.
#[derive(Debug)]
pub struct Log {
    epoch: Epoch,
    rows: VecDeque<Row>,
    bytes: usize,
    sum: Sum,
}

impl Log {
    /// An empty log.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            rows: VecDeque::new(),
            bytes: 0,
            sum: Sum::default(),
        }
    }

    /// What its numbers belong to.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The retained messages, the oldest first.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Row> + DoubleEndedIterator {
        self.rows.iter()
    }

    /// What they add up to.
    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    /// The log with those [`Self::rows`] up to `head`; `None` if there are more of them than numbers up to the head, or none is left after it.
    pub fn restore(head: Position, rows: VecDeque<Row>) -> Option<Self> {
        if rows.len() as u64 > head.seq || head.seq == u64::MAX {
            return None;
        }
        let mut log = Self::new(head.epoch);
        for row in rows {
            log.keep(row);
        }
        Some(log)
    }

    /// The `seq` of the oldest message; of the next one if there is none.
    pub(super) fn first_seq(&self, head: u64) -> u64 {
        head + 1 - self.rows.len() as u64
    }

    /// When [`Self::pop_expired`] next finds something if a message is kept for `ttl_ms`. Over its bound, a log is due since its
    /// youngest message came.
    pub fn due_at_ms(&self, ttl_ms: i64) -> Option<i64> {
        let oldest = self.rows.front()?;
        let youngest = self.rows.back()?;
        let expires_at_ms = oldest.at_ms.saturating_add(ttl_ms);
        Some(match self.is_over() {
            true => youngest.at_ms.min(expires_at_ms),
            false => expires_at_ms,
        })
    }

    fn is_over(&self) -> bool {
        self.bytes > MEMORY_LOG_BYTES && self.rows.len() > 1
    }

    /// What they are charged with.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages retained.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is retained.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Commits a message as the new head; gives it framed.
    pub fn push(&mut self, seq: u64, row: Row) -> Option<LogBatch> {
        let mut run = LogBuilder::new(self.epoch, seq);
        row.push_to(&mut run);
        self.keep(row);
        run.finish()
    }

    fn keep(&mut self, row: Row) {
        self.bytes += row.bytes();
        self.sum.add(row.sum());
        self.rows.push_back(row);
    }

    /// Forgets all messages; the numbers go on in that epoch.
    pub fn restart(&mut self, epoch: Epoch) {
        *self = Self::new(epoch);
    }

    /// Removes the oldest message if it was committed at or before `until_ms`, or if the log is over
    /// its bound. The youngest message is never too large to keep.
    pub fn pop_expired(&mut self, until_ms: i64) -> Option<Row> {
        let oldest = self.rows.front()?;
        if oldest.at_ms > until_ms && !self.is_over() {
            return None;
        }
        self.bytes -= oldest.bytes();
        self.sum.remove(oldest.sum());
        let oldest = self.rows.pop_front();
        if self.rows.capacity() > ROOM_KEPT && self.rows.len() < self.rows.capacity() / 4 {
            self.rows.shrink_to(self.rows.len() * 2);
        }
        oldest
    }

    /// The place of a client's op among the youngest messages, if it has one there.
    pub fn place_of(&self, head: u64, client: &ClientId, op: u64) -> Option<NonZeroU64> {
        let youngest = self.rows.iter().rev().take(RESENT_STEPS);
        let (seq, _) = (1..=head)
            .rev()
            .zip(youngest)
            .find(|(_, row)| row.op == op && row.client == *client)?;
        NonZeroU64::new(seq)
    }

    /// The messages after a position: see [`crate::backplane::Reader::read`].
    pub fn read(&self, head: u64, after: Position, max_bytes: usize) -> Read {
        self.read_with(head, after, max_bytes, Row::push_to)
    }

    /// The same for a client with those features; `object` gives the text of an object: see [`crate::backplane::Reader::read_for`].
    pub fn read_for(
        &self,
        head: u64,
        (after, understood): (Position, Features),
        max_bytes: usize,
        object: impl Fn(&str) -> Option<String>,
    ) -> Read {
        self.read_with(head, after, max_bytes, |row, run| {
            let by = (row.origin, row.op);
            let when = (row.client.as_str(), row.at_ms);
            let object = |id: &str| Ok::<_, Infallible>(object(id));
            let Ok(()) = run.push_for(understood, row.kind, by, when, row.body.as_bytes(), object);
        })
    }

    fn read_with(
        &self,
        head: u64,
        after: Position,
        max_bytes: usize,
        push: impl Fn(&Row, &mut LogBuilder),
    ) -> Read {
        let before_oldest = self.first_seq(head) - 1;
        if after.epoch != self.epoch || !(before_oldest..=head).contains(&after.seq) {
            return Read::Gone;
        }
        // At most the number of rows, which is a usize.
        let skip = usize::try_from(after.seq - before_oldest).unwrap_or(usize::MAX);
        let mut run = LogBuilder::new(after.epoch, after.seq + 1);
        for row in self.rows.iter().skip(skip) {
            if !run.is_empty() && run.len() + row.bytes() > max_bytes {
                break;
            }
            push(row, &mut run);
        }
        Read::Batch(run.finish())
    }
}
