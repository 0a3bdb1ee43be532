//! A run of committed messages, framed once for everybody.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::author::client_mark;
use crate::protocol::client_message::{Kind, needs};
use crate::protocol::features::{Feature, Features};
use crate::protocol::ids::{ConnId, Epoch};
use crate::protocol::server_message::durable;

/// One message's place in a [`LogBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The author's own number.
    pub op: u64,
    /// The connection that sent it; it gets an ack instead of the frame.
    pub origin: ConnId,
    /// Its client: see [`super::Author::mark`].
    pub client: u64,
    /// Where its frame ends in the batch's bytes. It begins where the one before ends.
    pub end: usize,
}

/// A contiguous run of committed messages of one canvas, framed once for everybody.
#[derive(Debug, Clone)]
pub struct LogBatch {
    /// The epoch that the numbers belong to.
    pub epoch: Epoch,
    /// The `seq` of the first message; the others follow without a gap.
    pub first_seq: u64,
    /// The frames, back to back.
    pub frames: Bytes,
    /// One mark a message.
    pub marks: Arc<[Mark]>,
    /// When the youngest of them was committed, server clock, ms since the epoch.
    pub at_ms: i64,
    /// What a client must understand to be told all of them as they are; others need [`super::Reader::read_for`].
    pub needs: Features,
}

impl LogBatch {
    /// The `seq` of the last message.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + self.marks.len() as u64 - 1
    }

    /// The same messages in as few runs as can be: those that follow each other are one.
    pub fn join(runs: &[Self]) -> impl Iterator<Item = Self> {
        runs.chunk_by(Self::is_followed_by).map(Self::in_one)
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        self.epoch == next.epoch && self.first_seq + self.marks.len() as u64 == next.first_seq
    }

    /// Of runs that follow each other, at least one.
    fn in_one(runs: &[Self]) -> Self {
        let mut whole = runs[0].clone();
        if runs.len() == 1 {
            return whole;
        }
        let mut frames = Vec::with_capacity(runs.iter().map(|run| run.frames.len()).sum());
        let mut marks = Vec::with_capacity(runs.iter().map(|run| run.marks.len()).sum());
        for run in runs {
            let before = frames.len();
            marks.extend(run.marks.iter().map(|mark| Mark {
                end: before + mark.end,
                ..*mark
            }));
            frames.extend_from_slice(&run.frames);
            whole.at_ms = run.at_ms;
            whole.needs = whole.needs.with(run.needs);
        }
        whole.frames = Bytes::from(frames);
        whole.marks = marks.into();
        whole
    }
}

/// How a durable row is framed for everyone: one place, whatever the backplane.
pub struct LogBuilder {
    epoch: Epoch,
    first_seq: u64,
    frames: Vec<u8>,
    marks: Vec<Mark>,
    at_ms: i64,
    needs: Features,
}

impl LogBuilder {
    /// An empty run that begins at `first_seq`.
    pub fn new(epoch: Epoch, first_seq: u64) -> Self {
        Self {
            epoch,
            first_seq,
            frames: Vec::new(),
            marks: Vec::new(),
            at_ms: 0,
            needs: Features::NONE,
        }
    }

    /// The `seq` that the next message must have.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.marks.len() as u64
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Appends the message numbered [`Self::next_seq`].
    pub fn push(
        &mut self,
        kind: Kind,
        origin: ConnId,
        op: u64,
        client: &str,
        at_ms: i64,
        body: &[u8],
    ) {
        let seq = self.next_seq();
        durable(&mut self.frames, kind, seq, client, at_ms, body);
        self.marks.push(Mark {
            op,
            origin,
            client: client_mark(client),
            end: self.frames.len(),
        });
        self.at_ms = at_ms;
        self.needs = self.needs.with(needs(kind, body));
    }

    /// Appends the message numbered [`Self::next_seq`] as a client understands it that has those features. `object`: the text of an
    /// object as it is now.
    ///
    /// # Errors
    /// What `object` gives.
    pub fn push_for<E>(
        &mut self,
        understood: Features,
        kind: Kind,
        (origin, op): (ConnId, u64),
        (client, at_ms): (&str, i64),
        body: &[u8],
        object: impl FnOnce(&str) -> Result<Option<String>, E>,
    ) -> Result<(), E> {
        let needed = needs(kind, body);
        if understood.has_all(needed) {
            self.push(kind, origin, op, client, at_ms, body);
            return Ok(());
        }
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
        }
        // The parser has read it before.
        let id = serde_json::from_slice(body).map_or(Cow::default(), |Named { id }| id);
        let whole = match needed.has(Feature::Set) {
            true => object(&id)?,
            // A log is nothing to this client, and the number is taken all the same.
            false => None,
        };
        let (kind, body) = match whole {
            Some(text) => (
                Kind::ObjectCreate,
                format!("{{\"op\":{op},\"object\":{text}}}"),
            ),
            None => {
                let id = serde_json::Value::from(&*id);
                let body = format!("{{\"op\":{op},\"id\":{id},\"patch\":{{}}}}");
                (Kind::ObjectUpdate, body)
            }
        };
        self.push(kind, origin, op, client, at_ms, body.as_bytes());
        Ok(())
    }

    /// The run, or `None` if it is empty.
    pub fn finish(self) -> Option<LogBatch> {
        if self.marks.is_empty() {
            return None;
        }
        Some(LogBatch {
            epoch: self.epoch,
            first_seq: self.first_seq,
            frames: Bytes::from(self.frames),
            marks: self.marks.into(),
            at_ms: self.at_ms,
            needs: self.needs,
        })
    }
}
