//! Where this process hears the others' wakes. Rows that came along go straight to their rooms if they follow directly on
//! what was delivered; the poller is told of everything else.
//!
//! A relay hears on its event loop: from there to a room is no switch of threads. Who has no event loop leaves it to the poller.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::bell::Heard;
use super::datagram::{Datagram, MAX_LEN};
use crate::queue::Shared;

/// Datagrams read at once from which on some may have found the socket full. Linux queues 10 unless told otherwise.
const FULL: usize = 8;
/// Datagrams read before somebody else has a turn.
const AT_ONCE: usize = 128;

/// Reads wakes.
#[derive(Debug)]
pub(in crate::queue) struct Ear {
    buffer: Vec<u8>,
    /// Nothing was left when it last stopped reading.
    emptied: bool,
}

impl Ear {
    /// Has heard nothing yet.
    pub(in crate::queue) fn new() -> Self {
        Self {
            buffer: vec![0; MAX_LEN],
            emptied: false,
        }
    }

    /// Takes what has come; gives what is left for the poller.
    ///
    /// # Errors
    /// When the socket has failed.
    pub(in crate::queue) fn hear(
        &mut self,
        socket: impl AsFd,
        shared: &Shared,
    ) -> io::Result<Heard> {
        let mut heard = Heard::Nothing;
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
            heard.and(take(shared, Datagram::read(&self.buffer[..len])));
            if count >= FULL {
                heard.and(Heard::Any);
            }
        }
        Ok(heard)
    }
}

/// Hears on the event loop of whoever runs this, until the socket fails. What needs the file is left to the poller.
pub(in crate::queue) async fn listen(
    socket: std::os::unix::net::UnixDatagram,
    shared: Arc<Shared>,
) -> io::Error {
    let socket = match UnixDatagram::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return error,
    };
    let mut ear = Ear::new();
    loop {
        if let Err(error) = socket.readable().await {
            return error;
        }
        let mut heard = Heard::Nothing;
        let read = socket.try_io(Interest::READABLE, || {
            heard = ear.hear(&socket, &shared)?;
            // Said here, it takes back only the readiness from before: what comes meanwhile is announced anew.
            if ear.emptied {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        match read {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return error,
            _ if matches!(heard, Heard::Nothing | Heard::Told) => {}
            _ => shared.bell.ring(heard),
        }
    }
}

/// What one wake leaves for the poller.
fn take(shared: &Shared, datagram: Datagram<'_>) -> Heard {
    let wal = |frames| {
        if frames > 0 {
            shared.counters.wal_frames.store(frames, Ordering::Relaxed);
        }
    };
    match datagram {
        Datagram::Carried {
            wal_frames,
            first_id,
            rows,
        } => {
            wal(wal_frames);
            if shared.tail.hear(first_id, &rows, shared.clock.now_ms()) {
                Heard::Told
            } else {
                Heard::Rows(rows.iter().map(|row| row.key).collect())
            }
        }
        Datagram::Rows { wal_frames, keys } => {
            wal(wal_frames);
            keys.map_or(Heard::Any, Heard::Rows)
        }
        Datagram::Hello => {
            shared.peers.mark_stale();
            shared.nudge.ring();
            Heard::Any
        }
    }
}
