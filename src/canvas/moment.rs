//! One canvas at one moment. Everything that happens to a canvas is decided here.

use super::bounds::ObjectBounds;
use super::quotas::Spare;
use super::store::{Head, Store};
use crate::backplane::Entry;
use crate::limits::CanvasRules;
use crate::protocol::ids::{Epoch, Position};
use crate::time::millis;

/// What a canvas is held to.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long a message is retained, in milliseconds.
    pub message_ttl_ms: i64,
    /// How long a lost client stays `away`, in milliseconds.
    pub presence_grace_ms: i64,
    /// What its objects are held to.
    pub bounds: ObjectBounds,
}

impl From<&CanvasRules> for Rules {
    fn from(rules: &CanvasRules) -> Self {
        Self {
            message_ttl_ms: millis(rules.message_ttl),
            presence_grace_ms: millis(rules.presence_grace),
            bounds: rules.bounds,
        }
    }
}

/// One canvas at one moment. Its methods say what is to happen; rows and deliveries of it are in the store when they return.
pub struct Moment<'a, S> {
    pub(super) store: S,
    pub(super) rules: &'a Rules,
    pub(super) now_ms: i64,
    pub(super) work: usize,
    pub(super) spare: Option<Spare>,
}

impl<'a, S: Store> Moment<'a, S> {
    /// The canvas whose rows those are, at a time (ms since the epoch) that never goes back.
    pub fn new(store: S, rules: &'a Rules, now_ms: i64) -> Self {
        Self {
            store,
            rules,
            now_ms,
            work: 0,
            spare: None,
        }
    }

    /// The same, with so much room for all that is kept of all canvases.
    #[must_use]
    pub fn with_spare(self, spare: Option<Spare>) -> Self {
        Self { spare, ..self }
    }

    /// What is left of that room.
    pub fn spare(&self) -> Option<Spare> {
        self.spare
    }

    /// What there is once a canvas, as it is now.
    pub fn head(&self) -> Head {
        *self.store.head()
    }

    /// Bytes that were read, taken apart and written beyond those of the entries themselves.
    pub fn work(&self) -> usize {
        self.work
    }

    /// Does what an entry asks for. What is ephemeral does nothing to a canvas: it is told only, by whoever holds the canvas.
    ///
    /// # Errors
    /// The store's.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), S::Error> {
        match entry {
            Entry::Durable { author, message } => self.durable(author, message),
            Entry::Join { author } => self.join(author).map(|_| ()),
            Entry::State { author, state } => self.state(author, state).map(|_| ()),
            Entry::Leave { author, end } => self.leave(author, *end),
            Entry::Signal { .. }
            | Entry::Cursors { .. }
            | Entry::Kick { .. }
            | Entry::Post { .. } => Ok(()),
        }
    }

    /// Empties the canvas and begins a new epoch, in which the numbers go on. Who is here stays, and clients' highest ops are kept.
    ///
    /// # Errors
    /// The store's.
    pub fn restart(&mut self, epoch: Epoch) -> Result<(), S::Error> {
        self.store.clear()?;
        self.store.head_mut().totals = Default::default();
        self.renumber(epoch)
    }

    /// Begins a new epoch, in which the numbers go on, and keeps what is on the canvas: what clients were told may be more
    /// than what is here.
    ///
    /// # Errors
    /// The store's.
    pub fn renumber(&mut self, epoch: Epoch) -> Result<(), S::Error> {
        self.store.renumber(epoch)?;
        let seq = self.store.head().seq;
        self.store.emit_reset(Position { epoch, seq })
    }
}
