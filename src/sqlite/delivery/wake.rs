//! Datagrams between processes: "there are rows, for these canvases", or the rows themselves if they are few. A lost
//! one only costs latency.

pub(in crate::sqlite) mod datagram;
pub(in crate::sqlite) mod notifier;
pub(in crate::sqlite) mod receiver;
pub(in crate::sqlite) mod seal;
pub(in crate::sqlite) mod waker;

use std::io;
use std::num::NonZeroU32;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::tail::Committed;
use crate::backplane::SEAL_BYTES;
use crate::protocol::ids::InstanceNumber;
use datagram::Datagram;
use seal::Seal;

/// Another instance.
#[derive(Debug, Clone)]
pub(in crate::sqlite) struct Peer {
    pub(in crate::sqlite) number: InstanceNumber,
    pub(in crate::sqlite) wake: SocketAddr,
    pub(in crate::sqlite) lock_path: PathBuf,
    pub(in crate::sqlite) heartbeat_at: i64,
}

/// The peers as they were at the last look, and the way to them.
#[derive(Debug)]
pub(in crate::sqlite) struct Peers {
    list: RwLock<Vec<Peer>>,
    socket: UnixDatagram,
    seal: Seal,
    /// A peer did not answer, or a new one has come: the list has to be looked at.
    stale: AtomicBool,
}

impl Peers {
    /// Nobody yet; what is sent to them has this seal.
    pub(in crate::sqlite) fn new(seal: Seal) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            list: RwLock::default(),
            socket,
            seal,
            stale: AtomicBool::new(true),
        })
    }

    /// The list as it was found.
    pub(in crate::sqlite) fn set(&self, list: Vec<Peer>) {
        *self.list.write() = list;
    }

    /// The list.
    pub(in crate::sqlite) fn list(&self) -> Vec<Peer> {
        self.list.read().clone()
    }

    /// Nobody else is there.
    pub(in crate::sqlite) fn is_empty(&self) -> bool {
        self.list.read().is_empty()
    }

    /// Whether the list has to be read again; asked once.
    pub(in crate::sqlite) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::AcqRel)
    }

    /// The list has to be read again.
    pub(in crate::sqlite) fn mark_stale(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// Tells all peers of rows. `false` if one of them seems dead.
    pub(in crate::sqlite) fn notify(
        &self,
        committed: &Committed,
        wal_frames: Option<NonZeroU32>,
    ) -> bool {
        self.send(datagram::rows(committed, wal_frames))
    }

    /// Tells all peers of jobs, and how long the write-ahead log is. `false` if one of them seems dead.
    pub(in crate::sqlite) fn notify_jobs(&self, wakes: &[(u64, i64)], wal_frames: u32) -> bool {
        let (first, more) = wakes.split_at(wakes.len().min(datagram::MAX_JOBS));
        let mut alive = self.send(datagram::jobs(first, wal_frames));
        for wakes in more.chunks(datagram::MAX_JOBS) {
            alive &= self.send(datagram::jobs(wakes, wal_frames));
        }
        alive
    }

    /// Tells all peers that this instance has come, or has gone.
    pub(in crate::sqlite) fn hello(&self) {
        self.send(Datagram::HELLO.to_vec());
    }

    /// What all of the file's processes make alike of that, and nobody else.
    pub(in crate::sqlite) fn sealed(&self, what: &[u8]) -> [u8; SEAL_BYTES] {
        self.seal.of_relay(what)
    }

    /// What a peer says; `None` if it is not one of this file's processes that said it.
    pub(in crate::sqlite) fn unseal<'a>(&self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        self.seal.open(sealed)
    }

    fn send(&self, mut datagram: Vec<u8>) -> bool {
        let peers = self.list.read();
        if peers.is_empty() {
            return true;
        }
        self.seal.put(&mut datagram);
        let mut alive = true;
        for peer in peers.iter() {
            match self.socket.send_to_addr(&datagram, &peer.wake) {
                Ok(_) => {}
                // Full: it is awake already.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::debug!(peer = peer.number.0, %error, "a peer could not be woken");
                    alive = false;
                }
            }
        }
        if !alive {
            self.mark_stale();
        }
        alive
    }
}
