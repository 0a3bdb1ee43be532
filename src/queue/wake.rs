//! Datagrams between processes: "there are rows up to here, for these canvases". A lost one costs latency only.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Canvases that one datagram names; with more it names none, which means all.
const MAX_KEYS: usize = 512;
/// Datagrams read at once from which on some may have found the socket full. Linux queues 10 unless told otherwise.
const FULL: usize = 8;

const ROWS: u8 = b'r';
const HELLO: u8 = b'h';

/// Another instance.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) number: i64,
    pub(super) wake: SocketAddr,
    pub(super) lock_path: PathBuf,
    pub(super) wake_path: PathBuf,
    pub(super) heartbeat_at: i64,
}

/// The peers as they were at the last look, and the way to them.
#[derive(Debug)]
pub(super) struct Peers {
    list: RwLock<Vec<Peer>>,
    socket: UnixDatagram,
    own: SocketAddr,
    /// A peer did not answer, or a new one has come: the list has to be looked at.
    stale: AtomicBool,
}

impl Peers {
    /// Nobody yet; `own` is where this instance listens.
    pub(super) fn new(own: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let own = SocketAddr::from_pathname(own)?;
        Ok(Self {
            list: RwLock::default(),
            socket,
            own,
            stale: AtomicBool::new(true),
        })
    }

    /// The list as it was found.
    pub(super) fn set(&self, list: Vec<Peer>) {
        *self.list.write() = list;
    }

    /// The list.
    pub(super) fn list(&self) -> Vec<Peer> {
        self.list.read().clone()
    }

    /// Nobody else is there.
    pub(super) fn is_empty(&self) -> bool {
        self.list.read().is_empty()
    }

    /// Whether the list has to be read again; asked once.
    pub(super) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::AcqRel)
    }

    /// The list has to be read again.
    pub(super) fn mark_stale(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// Tells all peers of rows. `false` if one of them seems dead.
    pub(super) fn ring(&self, keys: &[i64], wal_frames: u32) -> bool {
        let mut datagram = Vec::with_capacity(5 + 8 * keys.len());
        datagram.push(ROWS);
        datagram.extend_from_slice(&wal_frames.to_le_bytes());
        if keys.len() <= MAX_KEYS {
            keys.iter()
                .for_each(|key| datagram.extend_from_slice(&key.to_le_bytes()));
        }
        self.send(&datagram)
    }

    /// Tells all peers that this instance has come, or has gone.
    pub(super) fn hello(&self) {
        self.send(&[HELLO]);
    }

    /// Wakes this instance's own poller.
    pub(super) fn poke(&self) {
        // A full socket is about to be read; no socket means that the poller has ended.
        let _ = self.socket.send_to_addr(&[ROWS, 0, 0, 0, 0], &self.own);
    }

    fn send(&self, datagram: &[u8]) -> bool {
        let mut alive = true;
        for peer in self.list.read().iter() {
            match self.socket.send_to_addr(datagram, &peer.wake) {
                Ok(_) => {}
                // Full: it is awake already.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::debug!(peer = peer.number, %error, "a peer could not be woken");
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

/// What was heard in one go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Nothing at all: the time was up.
    pub(super) nothing: bool,
    /// A peer has come or gone.
    pub(super) hello: bool,
    /// The canvases that have rows; `None` for any.
    pub(super) keys: Option<Vec<i64>>,
    /// The length of the write-ahead log in pages, as its last writer knew it; 0 if nobody said.
    pub(super) wal_frames: u32,
}

/// Waits for datagrams, at most for `limit`, and drains them.
pub(super) fn listen(socket: &UnixDatagram, limit: Duration) -> io::Result<Heard> {
    let timeout = Timespec::try_from(limit).unwrap_or(Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    });
    match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    let mut heard = Heard {
        nothing: true,
        keys: Some(Vec::new()),
        ..Heard::default()
    };
    let mut buffer = [0; 5 + 8 * MAX_KEYS];
    for count in 1_usize.. {
        let len = match socket.recv(&mut buffer) {
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        heard.take(&buffer[..len]);
        if count >= FULL {
            heard.keys = None;
        }
        if count >= 16 * FULL {
            break;
        }
    }
    Ok(heard)
}

impl Heard {
    fn take(&mut self, datagram: &[u8]) {
        self.nothing = false;
        match datagram {
            [ROWS, a, b, c, d, keys @ ..] => {
                self.wal_frames = u32::from_le_bytes([*a, *b, *c, *d]);
                if keys.is_empty() {
                    self.keys = None;
                }
                if let Some(known) = &mut self.keys {
                    let keys = keys.as_chunks::<8>().0;
                    known.extend(keys.iter().map(|key| i64::from_le_bytes(*key)));
                }
            }
            // Whatever a later version says: look.
            _ => (self.hello, self.keys) = (true, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_says_for_whom_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let wake = SocketAddr::from_pathname(&path).unwrap();
        let peers = Peers::new(&path).unwrap();
        let (lock_path, wake_path) = (path.clone(), path.clone());
        peers.set(vec![Peer {
            number: 1,
            wake,
            lock_path,
            wake_path,
            heartbeat_at: 0,
        }]);

        assert!(listen(&socket, Duration::from_millis(1)).unwrap().nothing);
        assert!(peers.ring(&[7, -1], 12));
        let heard = listen(&socket, Duration::from_secs(5)).unwrap();
        let expected = Heard {
            keys: Some(vec![7, -1]),
            wal_frames: 12,
            ..Heard::default()
        };
        assert_eq!(heard, expected);

        for _ in 0..100 {
            assert!(peers.ring(&[7], 0), "a full socket is not a dead one");
        }
        assert_eq!(listen(&socket, Duration::from_secs(5)).unwrap().keys, None);

        drop(socket);
        peers.take_stale();
        assert!(!peers.ring(&[7], 0));
        assert!(peers.take_stale());
    }
}
