//! The log of one canvas: the youngest messages, contiguous up to the head.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::backplane::{LogBatch, LogBuilder, Read};
use crate::limits::MEMORY_LOG_BYTES;
use crate::protocol::client_message::Kind;
use crate::protocol::ids::{ClientId, ConnId, Epoch, Position};

/// What a row costs beside its body, in bytes, as far as the bound is concerned.
const ROW_BYTES: usize = 160;

/// One committed message.
#[derive(Debug)]
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
    pub body: Bytes,
}

impl Row {
    fn bytes(&self) -> usize {
        ROW_BYTES + self.body.len()
    }

    fn push_to(&self, run: &mut LogBuilder) {
        run.push(
            self.kind,
            self.origin,
            self.op,
            self.client.as_str(),
            self.at_ms,
            &self.body,
        );
    }
}

/// The retained messages of a canvas and its head, which outlives them.
#[derive(Debug)]
pub struct Log {
    head: Position,
    rows: VecDeque<Row>,
    bytes: usize,
}

impl Log {
    /// An empty log; its first message gets `seq` 1.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            head: Position { epoch, seq: 0 },
            rows: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The position of the youngest message ever committed.
    pub fn head(&self) -> Position {
        self.head
    }

    /// The retained messages, the oldest first.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.iter()
    }

    /// The log with that head and those [`Self::rows`]; `None` if there are more of them than numbers up to the head, or none is left after it.
    pub fn restore(head: Position, rows: VecDeque<Row>) -> Option<Self> {
        let bytes = rows.iter().map(Row::bytes).sum();
        let fits = rows.len() as u64 <= head.seq && head.seq < u64::MAX;
        fits.then_some(Self { head, rows, bytes })
    }

    /// The `seq` of the oldest message; of the next one if there is none.
    pub fn first_seq(&self) -> u64 {
        self.head.seq + 1 - self.rows.len() as u64
    }

    /// When [`Self::pop_expired`] next finds something if a message is kept for `ttl_ms`. Over its bound, a log is due since its
    /// youngest message came.
    pub fn due_at_ms(&self, ttl_ms: i64) -> Option<i64> {
        let (oldest, youngest) = (self.rows.front()?, self.rows.back()?);
        let expires_at_ms = oldest.at_ms.saturating_add(ttl_ms);
        Some(match self.is_over() {
            true => youngest.at_ms.min(expires_at_ms),
            false => expires_at_ms,
        })
    }

    fn is_over(&self) -> bool {
        self.bytes > MEMORY_LOG_BYTES && self.rows.len() > 1
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
    pub fn push(&mut self, row: Row) -> Option<LogBatch> {
        let mut run = LogBuilder::new(self.head.epoch, self.head.seq + 1);
        row.push_to(&mut run);
        self.head.seq += 1;
        self.bytes += row.bytes();
        self.rows.push_back(row);
        run.finish()
    }

    /// Forgets all messages; the numbers go on in that epoch.
    pub fn restart(&mut self, epoch: Epoch) {
        self.head.epoch = epoch;
        self.rows.clear();
        self.bytes = 0;
    }

    /// Removes the oldest message if it was committed at or before `until_ms`, or if the log is over
    /// its bound. The youngest message is never too large to keep.
    pub fn pop_expired(&mut self, until_ms: i64) -> Option<Row> {
        let oldest = self.rows.front()?;
        if oldest.at_ms > until_ms && !self.is_over() {
            return None;
        }
        self.bytes -= oldest.bytes();
        self.rows.pop_front()
    }

    /// The messages after a position: see [`crate::backplane::Backplane::read`].
    pub fn read(&self, after: Position, max_bytes: usize) -> Read {
        let before_oldest = self.first_seq() - 1;
        if after.epoch != self.head.epoch || !(before_oldest..=self.head.seq).contains(&after.seq) {
            return Read::Gone;
        }
        // At most the number of rows, which is a usize.
        let skip = usize::try_from(after.seq - before_oldest).unwrap_or(usize::MAX);
        let mut run = LogBuilder::new(after.epoch, after.seq + 1);
        for row in self.rows.iter().skip(skip) {
            if !run.is_empty() && run.len() + row.bytes() > max_bytes {
                break;
            }
            row.push_to(&mut run);
        }
        Read::Batch(run.finish())
    }
}
