//! Snapshots, and copies that are dropped. A snapshot is encoded on another thread, from the canvas as it was at one
//! moment, and goes to Redis in parts: each is encoded while the one before is being sent.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;

use super::Shared;
use super::link::Session;
use super::loading::PART;
use super::replica::{Inner, Replica};
use crate::canvas::CanvasState;
use crate::canvas::codec::Frozen;
use crate::log::{Fault, Left, MessageChunk, Parting, StoredSnapshot};
use crate::protocol::ids::Position;
use crate::time;

/// Times that messages are offered that somebody else was faster to keep.
const TRIES: usize = 4;
/// How long hooks may take to be told of what a snapshot has in it that has to be kept now.
const DISPATCH_TIME: Duration = Duration::from_secs(2);

/// A snapshot as it was taken.
pub(super) struct Held {
    n: u64,
    note: Option<String>,
    frozen: Frozen,
    unsaved: usize,
}

impl Shared {
    /// Keeps a snapshot if there is something new.
    pub(super) async fn save(
        &self,
        session: &Session,
        replica: &Replica,
        all: bool,
    ) -> Result<(), Fault> {
        let news = {
            let inner = replica.inner.lock();
            inner.unsaved > 0 || inner.held.is_some()
        };
        if all {
            return self.keep_now(session, replica, true).await;
        }
        match news {
            true => self.keep(session, replica, false).await,
            false => Ok(()),
        }
    }

    /// Keeps a snapshot at once, as soon as hooks were told of what is in it. They are not waited for for ever.
    pub(super) async fn keep_now(
        &self,
        session: &Session,
        replica: &Replica,
        all: bool,
    ) -> Result<(), Fault> {
        let n = replica.inner.lock().n;
        if !self.until_dispatched(replica, n, DISPATCH_TIME).await {
            tracing::warn!(canvas = %replica.id, "the events of a canvas are not queued for hooks yet: if all processes end now, they are lost");
        }
        let held = {
            let mut inner = replica.inner.lock();
            inner.held = None;
            inner.take_snapshot()
        };
        self.keep_held(session, replica, held, all).await
    }

    /// Keeps a snapshot. While hooks were not told of what is in it, it waits.
    async fn keep(&self, session: &Session, replica: &Replica, all: bool) -> Result<(), Fault> {
        let held = {
            let mut inner = replica.inner.lock();
            let all_dispatched = inner.outbox.is_dispatched(u64::MAX);
            let held = inner.held.take();
            // Where everything is told, what is here now is better.
            let held = match held.filter(|_| !inner.stale && !all_dispatched) {
                Some(held) => Some(held),
                None => inner.take_snapshot(),
            };
            match held {
                Some(held) if !inner.outbox.is_dispatched(held.n) => {
                    inner.held = Some(held);
                    None
                }
                held => held,
            }
        };
        self.keep_held(session, replica, held, all).await
    }

    async fn keep_held(
        &self,
        session: &Session,
        replica: &Replica,
        held: Option<Held>,
        all: bool,
    ) -> Result<(), Fault> {
        let Some(held) = held else { return Ok(()) };
        let Held {
            n,
            note,
            frozen,
            unsaved,
        } = held;
        self.keep_messages(session, replica).await?;
        let kept = async {
            let snapshot = self.put(session, replica, n, frozen).await?;
            let note = note.unwrap_or_default();
            session.log.save(&replica.id, &snapshot, &note, all).await
        };
        let kept = kept.await;
        if kept.is_err() {
            replica.inner.lock().unsaved += unsaved.max(1);
        }
        kept
    }

    /// Encodes a snapshot, and stores it part by part if it is large. It is not in force yet.
    pub(super) async fn put(
        &self,
        session: &Session,
        replica: &Replica,
        n: u64,
        frozen: Frozen,
    ) -> Result<StoredSnapshot, Fault> {
        let small = frozen.text_bytes() < PART;
        let parts = stream::try_unfold(frozen.pieces(PART), |mut pieces| async move {
            let next = move || (pieces.next(), pieces);
            let (piece, pieces) = match small {
                true => next(),
                false => elsewhere(next).await?,
            };
            Ok(piece.map(|piece| (piece, pieces)))
        });
        let log = &*session.log;
        let (snapshot, bytes) = self.turns.store(log, &replica.id, n, parts).await?;
        replica.inner.lock().snapshot_bytes = bytes;
        Ok(snapshot)
    }

    /// Keeps the messages that may be resumed from, those that nobody has kept yet.
    async fn keep_messages(&self, session: &Session, replica: &Replica) -> Result<(), Fault> {
        let mut tries = 0;
        while tries < TRIES {
            let Some(chunk) = replica.inner.lock().next_messages() else {
                return Ok(());
            };
            let kept = session.log.put_messages(&replica.id, &chunk);
            let kept = self.turns.take(kept).await?;
            if kept != chunk.end() {
                tries += 1;
            }
            replica.inner.lock().messages_end = kept;
        }
        Ok(())
    }

    /// Gives a copy up that nobody uses, if it has not been used for a while. What changed is kept first.
    pub(super) async fn give_up_unused(
        &self,
        session: &Session,
        replica: &Arc<Replica>,
    ) -> Result<(), Fault> {
        let Ok(_loading) = replica.loading.try_lock() else {
            return Ok(());
        };
        if !replica.is_unused() || !replica.inner.lock().outbox.is_dispatched(u64::MAX) {
            return Ok(());
        }
        let nothing = replica.inner.lock().left() == Some(Left::Nothing);
        if !nothing {
            // Others may have the canvas, and lag: what they need stays until nobody has it.
            self.save(session, replica, false).await?;
        }
        self.note_dispatched(session, replica).await?;
        session.log.unsubscribe(&replica.id).await?;
        let (unused, left) = {
            let mut inner = replica.inner.lock();
            let left = inner.parting(self);
            let unused = inner.is_unused() && inner.outbox.is_dispatched(u64::MAX);
            if unused {
                inner.state = None;
            }
            (unused, left)
        };
        if !unused {
            // Whoever came meanwhile found it loaded.
            return self.read(session, replica).await;
        }
        self.canvases.forget(replica);
        session.log.release(&replica.id, left).await
    }
}

/// Does what takes long on another thread.
async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = time::aside(work).await;
    done.map_err(|error| Fault::NotNow(error.to_string()))
}

impl Inner {
    /// The canvas as it is now, to be kept.
    fn take_snapshot(&mut self) -> Option<Held> {
        let state = self.state.as_ref().filter(|_| !self.stale)?;
        let frozen = state.freeze();
        let note = self.note();
        Some(Held {
            n: self.n,
            note,
            frozen,
            unsaved: std::mem::take(&mut self.unsaved),
        })
    }

    /// Whether a snapshot was waiting for hooks, and waits no more.
    pub(super) fn held_is_dispatched(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| self.outbox.is_dispatched(held.n))
    }

    /// What is on the canvas, for those who list canvases: its batch, its head, how many objects and clients.
    pub(super) fn note(&self) -> Option<String> {
        let state = self.state.as_ref()?;
        let Position { epoch, seq } = state.head();
        let objects = state.objects();
        let members = state.members().members.len();
        Some(format!("{} {epoch} {seq} {objects} {members}", self.n))
    }

    /// What is left on it.
    fn left(&self) -> Option<Left> {
        let state = self.state.as_ref()?;
        Some(match () {
            () if state.is_untouched() => Left::Nothing,
            () if state.is_blank() => Left::Deleted,
            () => Left::Much,
        })
    }

    fn parting(&self, shared: &Shared) -> Parting {
        Parting {
            n: self.n,
            left: self.left().unwrap_or(Left::Much),
            away_until_ms: self.away_until_ms(shared),
            log_ends_ms: self.state.as_ref().and_then(CanvasState::log_ends_ms),
            counts: self.counts().unwrap_or_default(),
        }
    }

    /// When the grace of the last one who is away ends.
    fn away_until_ms(&self, shared: &Shared) -> Option<i64> {
        let state = self.state.as_ref()?;
        let away = state.members().members.iter().any(|member| member.away);
        away.then(|| shared.now_ms() + shared.rules.presence_grace_ms)
    }

    /// The next messages to be kept.
    fn next_messages(&self) -> Option<MessageChunk> {
        let state = self.state.as_ref().filter(|_| !self.stale)?;
        let epoch = state.head().epoch;
        let of_this = self.messages_end.strip_prefix(&*epoch.to_string());
        let seq = of_this.and_then(|seq| seq.trim().parse().ok()).unwrap_or(0);
        let (last_seq, bytes) = state.rows_after(seq, PART)?;
        Some(MessageChunk {
            after: self.messages_end.clone(),
            epoch,
            last_seq,
            bytes,
            first_seq: state.first_seq(),
        })
    }
}
