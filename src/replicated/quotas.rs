//! An instance's part in the quotas of all canvases. The engine counts, and refuses a piece that there is no room for.
//! Then it is decided here, before anything is committed, which messages are refused. So all copies do the same.
//!
//! - **Logs.** Of a piece that does not fit, the messages that fit are committed. The others are refused.
//! - **The total.** A piece that might make the total too large is committed with how much is left ([`Command::Room`]).
//!   So every copy comes to the same refusals.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::replica::{Inner, Replica};
use super::writer::{Pending, Within};
use crate::backplane::intake::{Waiting, durable_of};
use crate::backplane::{CanvasKey, Entry, Refusal, Unavailable};
use crate::canvas::Command;
use crate::canvas::codec::encode_batch;
use crate::canvas::quotas::{Logs, charge_of, growth_of, maybe_new, room_for_canvas, room_in_log};
use crate::log::{Asks, Counts, Fault, Piece};
use crate::protocol::ids::CanvasId;
use crate::time;

/// What the messages among those commands ask for.
pub(super) fn asks_of(commands: &[Command]) -> Asks {
    let mut asks = Asks::default();
    for command in commands {
        let Command::Entry(entry) = command else {
            continue;
        };
        asks.uses = true;
        if let Some((author, message)) = durable_of(entry) {
            asks.last = charge_of(author, message);
            asks.charge += asks.last;
            asks.growth += growth_of(author, message);
        }
    }
    asks
}

impl Inner {
    /// What the canvas takes.
    pub(super) fn counts(&self) -> Option<Counts> {
        let state = self.state.as_ref().filter(|_| !self.stale)?;
        Some(Counts {
            n: self.n,
            log: state.log_bytes(),
            stored: state.stored_bytes(),
            charged: self.charged,
            grown: self.grown,
        })
    }
}

impl Shared {
    /// A batch to be committed. `within`: only if there is room for it.
    pub(super) fn pending(
        &self,
        canvas: CanvasId,
        commands: Vec<Command>,
        within: Within,
    ) -> Pending {
        let replica = self.canvases.named(canvas.as_str());
        let known = replica.map(|replica| {
            let inner = replica.inner.lock();
            let counts = inner.counts();
            let epoch = counts.map(|_| inner.origin.clone());
            (counts, inner.seen(), epoch)
        });
        let (counts, seen, epoch) = known.unwrap_or_default();
        let asks = Asks {
            within_logs: within.logs,
            within_total: within.total,
            counts,
            epoch,
            ..asks_of(&commands)
        };
        let serial = self.next_serial();
        Pending {
            piece: Piece {
                canvas,
                kept: true,
                bytes: encode_batch(Some(self.number()), serial, seen, &commands),
                asks,
            },
            commands,
            serial,
            within,
        }
    }

    /// Whether the canvas takes the client that the entry is of, if that may be a new one, as far as this instance's copy knows.
    pub(super) fn room_for_client(&self, key: CanvasKey, entry: &Entry) -> Result<(), Refusal> {
        let Some(client) = maybe_new(entry) else {
            return Ok(());
        };
        let Some(replica) = self.canvases.get(key) else {
            return Ok(());
        };
        let inner = replica.inner.lock();
        let state = inner.state.as_ref();
        state.map_or(Ok(()), |state| state.room_for_client(client))
    }

    /// Nothing of the piece was done, since there is no room for all of it in the logs, which are so full. What goes again, if anything does.
    pub(super) fn without_room(&self, pending: Pending, mut logs: Logs) -> Option<Pending> {
        let quotas = &self.config.rules.quotas;
        let Pending {
            piece,
            commands,
            within,
            ..
        } = pending;
        let replica = self.canvases.named(piece.canvas.as_str());
        let key = replica.as_ref().map(|replica| replica.key);
        let key = key.unwrap_or_else(|| self.canvases.without_copy(&piece.canvas).key);
        let mut full = None::<Refusal>;
        let mut refused = Vec::new();
        let mut stays = Vec::new();
        for command in commands {
            let Command::Entry(entry @ Entry::Durable { .. }) = command else {
                stays.push(command);
                continue;
            };
            let bytes =
                durable_of(&entry).map_or(0, |(author, message)| charge_of(author, message));
            let room = match &full {
                Some(_) => false,
                None => match room_in_log(quotas, logs, bytes) {
                    Ok(()) => true,
                    Err(refusal) => {
                        full = Some(refusal);
                        false
                    }
                },
            };
            if room {
                logs.canvas += bytes;
                logs.total += bytes;
                stays.push(Command::Entry(entry));
                continue;
            }
            // Who is refused sends again in order, so nothing of its canvas may follow in between.
            refused.push(Waiting {
                key,
                canvas: piece.canvas.clone(),
                entry,
                since: time::now(),
            });
        }
        // Otherwise the engine found room for none of them by the same rule, and is not asked again.
        let logs = full.is_some();
        if let Some(why) = full {
            self.refuse_full(replica, &refused, &why);
        }
        let within = Within { logs, ..within };
        (!stays.is_empty()).then(|| self.pending(piece.canvas, stays, within))
    }

    /// Nothing of the piece was done, since objects and chat might grow by more than is left. It is done with that bound.
    pub(super) fn with_room(&self, pending: Pending, left: i64) -> Pending {
        let Pending {
            piece,
            mut commands,
            within,
            ..
        } = pending;
        let max = self.config.rules.quotas.total_bytes.unwrap_or(u64::MAX);
        commands.insert(0, Command::Room { left, max });
        let within = Within {
            total: false,
            ..within
        };
        self.pending(piece.canvas, commands, within)
    }

    fn refuse_full(&self, replica: Option<Arc<Replica>>, refused: &[Waiting], why: &Refusal) {
        let answers = self.intake.refuse_full(refused, why);
        let count = answers.len() as u64;
        self.counters.full.fetch_add(count, Ordering::Relaxed);
        self.counters.overloaded.fetch_add(count, Ordering::Relaxed);
        for (key, delivery) in answers {
            self.waiters.answered(&delivery);
            let of_it = |replica: &Arc<Replica>| replica.key == key;
            let replica = replica.clone().filter(of_it);
            if let Some(replica) = replica.or_else(|| self.canvases.get(key))
                && let Some(sink) = &replica.inner.lock().sink
            {
                sink.deliver(delivery);
            }
        }
    }

    /// Why a canvas can't be had, for whoever asked for it.
    pub(super) fn without_canvas(&self, fault: &Fault) -> Unavailable {
        match fault {
            Fault::Many(there, _) => match room_for_canvas(&self.config.rules.quotas, *there) {
                Err(refusal) => Unavailable::Full(refusal),
                Ok(()) => self.link.without(fault),
            },
            fault => self.link.without(fault),
        }
    }
}
