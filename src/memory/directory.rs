//! Applies an entry, and answers requests from outside of a room: looking canvases up, publishing to them, deleting
//! them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Live, MemoryBackplane, Relay};
use crate::backplane::intake::overloaded;
use crate::backplane::{
    Author, Canvas, Delivery, Entry, Found, Outcome, Refusal, Unavailable, Usage,
};
use crate::limits::TOMBSTONE;
use crate::protocol::client_message::Durable;
use crate::protocol::ids::{CanvasId, ConnId, Epoch, Position};
use crate::protocol::server_message::AckStatus;
use crate::time::millis;

impl MemoryBackplane {
    pub(super) fn find_canvas(&self, id: &CanvasId) -> Result<Option<Found>, Unavailable> {
        self.check_open()?;
        let key = self.relay.canvases.read().keys.get(id).copied();
        let Some(key) = key else { return Ok(None) };
        let id = id.clone();
        self.look(Canvas { id, key }).map(Some)
    }

    /// Canvases with at least so many people.
    pub(super) fn canvases(
        &self,
        after: &str,
        limit: u32,
        people: u64,
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
        let active =
            found.filter(|found| found.as_ref().is_ok_and(|found| found.members >= people));
        active.take(limit as usize).collect()
    }

    fn look(&self, canvas: Canvas) -> Result<Found, Unavailable> {
        let cell = self.relay.find(&canvas)?;
        let mut live = cell.lock();
        live.sweep(&self.relay, self.relay.clock.now_ms());
        Ok(Found {
            canvas,
            head: live.state.head(),
            objects: live.state.objects(),
            members: live.state.members().members.len() as u64,
            usage: Some(Usage {
                stored_bytes: live.stored,
                log_bytes: live.charged,
                used_at_ms: live.used_at_ms,
            }),
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
            return Err(self.counted(overloaded("the canvas is not open")));
        };
        let mut live = cell.lock();
        let now_ms = self.relay.clock.now_ms();
        if matches!(entry, Entry::Durable { .. }) {
            // What is expired has given its room back.
            live.sweep(&self.relay, now_ms);
        }
        self.admit(&entry, &live, now_ms)
            .map_err(|refusal| self.counted(refusal))?;
        let mut out = Vec::new();
        let before = live.state.head().seq;
        if !matches!(
            entry,
            Entry::Signal { .. } | Entry::Cursors { .. } | Entry::Kick { .. } | Entry::Post { .. }
        ) {
            live.used_at_ms = now_ms;
        }
        live.state.set_spare(self.relay.spare());
        live.listen(&self.relay);
        live.state.apply(self.number, entry, now_ms, &mut out);
        live.dispatch(&self.relay, now_ms);
        if live.state.head().seq > before {
            live.ends_at_ms = None;
        }
        live.account(&self.relay);
        if self.relay.meter.lock().spend(live.state.take_work()) {
            live.worked_at_ms = Some(now_ms);
        }
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
            let ends = deliveries
                .iter()
                .flat_map(|delivery| ends_of(delivery, conn));
            ends.reduce(Outcome::and)
        });
        match ended {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(Unavailable::NotNow("the message had no end".to_owned())),
            Err(refusal) => Ok(Outcome::Refused(refusal)),
        }
    }

    pub(super) fn delete_canvas(&self, canvas: &Canvas) -> Result<Position, Unavailable> {
        self.check_open()?;
        let cell = self.relay.find(canvas)?;
        let mut live = cell.lock();
        live.listen(&self.relay);
        let head = live.restart(&self.relay);
        live.dispatch(&self.relay, self.relay.clock.now_ms());
        Ok(head)
    }
}

impl Live {
    pub(super) fn restart(&mut self, relay: &Relay) -> Position {
        let mut out = Vec::new();
        self.state.restart(Epoch::random(), &mut out);
        self.account(relay);
        self.ends_at_ms = Some(relay.clock.now_ms().saturating_add(millis(TOMBSTONE)));
        self.deliver(out);
        self.state.head()
    }
}

/// How the connection's messages ended, as far as the delivery says so.
fn ends_of(delivery: &Delivery, conn: ConnId) -> Vec<Outcome> {
    match delivery {
        Delivery::Outcome {
            conn: of, outcome, ..
        } if *of == conn => vec![outcome.clone()],
        Delivery::Log(batch) => {
            let places = (batch.first_seq..).zip(&*batch.marks);
            let own = places.filter(|(_, mark)| mark.origin == conn);
            let status = AckStatus::Ok;
            own.map(|(seq, _)| Outcome::Ack { seq, status }).collect()
        }
        _ => Vec::new(),
    }
}
