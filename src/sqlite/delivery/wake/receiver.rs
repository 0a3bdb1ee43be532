//! Receives the wakes of other processes. Rows that came along go straight to their rooms if they directly follow what
//! was delivered. The poller is told of everything else.
//!
//! A relay receives on its event loop: from there to a room is no switch of threads. A tool without an event loop
//! leaves it to the poller.

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::Peers;
use super::datagram::{Datagram, MAX_LEN};
use super::notifier::{Notifier, WakeHint};
use super::waker::Waker;
use crate::jobs::hub::Hub;
use crate::sqlite::delivery::stats::Counters;
use crate::sqlite::delivery::tail::Tail;
use crate::sqlite::storage::clock::Clock;

/// Datagrams read at once from which on some may have found the socket full. Linux queues 10 unless told otherwise.
const FULL: usize = 8;
/// Datagrams read before somebody else has a turn.
const AT_ONCE: usize = 128;

/// What wakes are read with, and whom they concern.
pub(in crate::sqlite) struct Parts {
    pub(in crate::sqlite) clock: Clock,
    pub(in crate::sqlite) peers: Arc<Peers>,
    pub(in crate::sqlite) tail: Arc<Tail>,
    pub(in crate::sqlite) counters: Arc<Counters>,
    pub(in crate::sqlite) jobs: Arc<Hub>,
    pub(in crate::sqlite) waker: Arc<Waker>,
}

/// Reads wakes.
pub(in crate::sqlite) struct WakeReceiver {
    parts: Parts,
    buffer: Vec<u8>,
    /// Nothing was left when it last stopped reading.
    emptied: bool,
}

impl WakeReceiver {
    /// Has received nothing yet.
    pub(in crate::sqlite) fn new(parts: Parts) -> Self {
        Self {
            parts,
            buffer: vec![0; MAX_LEN],
            emptied: false,
        }
    }

    /// Takes what has come; gives what is left for the poller.
    ///
    /// # Errors
    /// When the socket has failed.
    pub(in crate::sqlite) fn receive(&mut self, socket: impl AsFd) -> io::Result<WakeHint> {
        let parts = &self.parts;
        let mut hints = WakeHint::Nothing;
        self.emptied = false;
        for count in 1..=AT_ONCE {
            let len = match recv(&socket, &mut *self.buffer, RecvFlags::DONTWAIT) {
                Ok((len, _)) => len,
                Err(Errno::AGAIN) => {
                    self.emptied = true;
                    break;
                }
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            // A forged one costs a look at the file, as one of a later version does, and is not believed.
            let wake = parts.peers.unseal(&self.buffer[..len]);
            hints.and(take(parts, Datagram::read(wake.unwrap_or_default())));
            if count >= FULL {
                hints.and(WakeHint::Any);
                parts.jobs.wake_all();
            }
        }
        Ok(hints)
    }
}

/// Hears on the event loop of whoever runs this, until the socket fails. What needs the file is left to the poller.
pub(in crate::sqlite) async fn listen(
    socket: std::os::unix::net::UnixDatagram,
    mut receiver: WakeReceiver,
    notifier: Arc<Notifier>,
) -> io::Error {
    let socket = match UnixDatagram::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return error,
    };
    loop {
        if let Err(error) = socket.readable().await {
            return error;
        }
        let mut hints = WakeHint::Nothing;
        let read = socket.try_io(Interest::READABLE, || {
            hints = receiver.receive(&socket)?;
            // Said here, it takes back only the readiness from before: what comes meanwhile is announced anew.
            if receiver.emptied {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        match read {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return error,
            _ if matches!(hints, WakeHint::Nothing | WakeHint::Delivered) => {}
            _ => notifier.notify(hints),
        }
    }
}

/// What one wake leaves for the poller.
fn take(parts: &Parts, datagram: Datagram<'_>) -> WakeHint {
    let wal = |frames: Option<NonZeroU32>| {
        if let Some(frames) = frames {
            let known = &parts.counters.wal_frames;
            known.store(frames.get(), Ordering::Relaxed);
        }
    };
    match datagram {
        Datagram::Carried {
            wal_frames,
            first_id,
            rows,
        } => {
            wal(wal_frames);
            if parts.tail.receive(first_id, &rows, parts.clock.now_ms()) {
                WakeHint::Delivered
            } else {
                WakeHint::Rows(rows.iter().map(|row| row.key).collect())
            }
        }
        Datagram::Rows { wal_frames, keys } => {
            wal(wal_frames);
            keys.map_or(WakeHint::Any, WakeHint::Rows)
        }
        Datagram::Jobs { wal_frames, wakes } => {
            wal(wal_frames);
            parts.jobs.wake(wakes, parts.clock.now_ms());
            WakeHint::Nothing
        }
        Datagram::Hello => {
            parts.peers.mark_stale();
            parts.waker.notify();
            WakeHint::Any
        }
    }
}
