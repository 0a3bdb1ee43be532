//! Applying an entry; and what is asked by those who are not in a room: looking canvases up, publishing to them, deleting them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Live, MemoryBackplane};
use crate::backplane::{Author, Canvas, Delivery, Entry, Found, Outcome, Refusal, Unavailable};
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, ConnId, Epoch, Position};
use crate::protocol::server_message::AckStatus;

impl MemoryBackplane {
    pub(super) fn find_canvas(&self, id: &CanvasId) -> Result<Option<Found>, Unavailable> {
        self.check_open()?;
        let key = self.relay.canvases.read().keys.get(id).copied();
        let Some(key) = key else { return Ok(None) };
        let id = id.clone();
        self.look(Canvas { id, key }).map(Some)
    }

    pub(super) fn active_canvases(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Found>, Unavailable> {
        self.check_open()?;
        let canvases = self.relay.canvases.read();
        let named = canvases.keys.iter().filter(|(id, _)| id.as_str() > after);
        let mut all: Vec<Canvas> = named
            .map(|(id, key)| Canvas {
                id: id.clone(),
                key: *key,
            })
            .collect();
        drop(canvases);
        all.sort_by(|a, b| a.id.cmp(&b.id));
        let found = all.into_iter().map(|canvas| self.look(canvas));
        let active = found.filter(|found| found.as_ref().is_ok_and(|found| found.members > 0));
        active.take(limit as usize).collect()
    }

    fn look(&self, canvas: Canvas) -> Result<Found, Unavailable> {
        let cell = self.relay.find(&canvas)?;
        let mut live = cell.lock();
        live.sweep(self.relay.clock.now_ms());
        Ok(Found {
            canvas,
            head: live.state.head(),
            objects: live.state.objects(),
            members: live.state.members().1.len() as u64,
        })
    }

    /// Applies an entry, and delivers what follows; `then` sees it first.
    pub(super) fn apply<T>(
        &self,
        canvas: &Canvas,
        entry: Entry,
        then: impl FnOnce(&[Delivery]) -> T,
    ) -> Result<T, Refusal> {
        let Some(cell) = self.relay.cell(canvas) else {
            return Err(self.relay.overloaded("the canvas is not open"));
        };
        let mut live = cell.lock();
        self.admit(&entry)?;
        let mut out = Vec::new();
        let before = live.state.head().seq;
        live.state
            .apply(self.number, entry, self.relay.clock.now_ms(), &mut out);
        self.relay
            .committed
            .fetch_add(live.state.head().seq - before, Ordering::Relaxed);
        let seen = then(&out);
        live.deliver(out);
        if !live.swept && !live.state.is_settled() {
            live.swept = true;
            self.sweeper.watch(Arc::clone(&cell));
        }
        Ok(seen)
    }

    pub(super) fn publish_message(
        &self,
        canvas: &Canvas,
        author: Arc<Author>,
        message: Durable,
    ) -> Result<Outcome, Unavailable> {
        let conn = author.conn;
        let ended = self.apply(canvas, Entry::Durable { author, message }, |deliveries| {
            deliveries
                .iter()
                .find_map(|delivery| end_of(delivery, conn))
        });
        match ended {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(Unavailable("the message had no end".to_owned())),
            Err(refusal) => Ok(Outcome::Refused(refusal)),
        }
    }

    pub(super) fn delete_canvas(&self, canvas: &Canvas) -> Result<Position, Unavailable> {
        self.check_open()?;
        let cell = self.relay.find(canvas)?;
        let mut live = cell.lock();
        Ok(live.restart())
    }
}

impl Live {
    fn restart(&mut self) -> Position {
        let mut out = Vec::new();
        self.state.restart(Epoch::random(), &mut out);
        self.deliver(out);
        self.state.head()
    }
}

/// How the connection's message ended, if the delivery says so.
fn end_of(delivery: &Delivery, conn: ConnId) -> Option<Outcome> {
    match delivery {
        Delivery::Outcome {
            conn: of, outcome, ..
        } if *of == conn => Some(outcome.clone()),
        Delivery::Log(batch) => {
            let place = batch.marks.iter().position(|mark| mark.origin == conn)?;
            Some(Outcome::Ack {
                seq: batch.first_seq + place as u64,
                status: AckStatus::Ok,
            })
        }
        _ => None,
    }
}
