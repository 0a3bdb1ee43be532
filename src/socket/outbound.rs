//! The writing half: whoever has something to say puts it into the outbox and writes what the socket
//! takes at once. Only a full socket wakes the connection's task.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::auth::Denied;
use crate::counts;
use crate::limits::{OUTBOX_BYTES, PROGRESS_BYTES};
use crate::protocol::close_code::CloseCode;
use crate::protocol::encoding::Encoding;
use crate::protocol::frame;
use crate::protocol::server_message::{self as say, ErrorCode};

/// Frames in one system call.
const SLICES: usize = 32;

/// A socket and what waits for it.
pub struct Outbound {
    stream: TcpStream,
    lane: Mutex<Lane>,
    encoding: Encoding,
    /// Wakes the connection's task: something changed that it waits for.
    pub(super) wake: Notify,
    /// The task waits for room in the outbox or for answers before it reads on.
    pub(super) paused: AtomicBool,
}

struct Lane {
    outbox: Outbox,
    /// The socket is full, and has taken little since then.
    blocked: Option<Instant>,
    /// Bytes that it has taken since.
    taken: usize,
    closing: Option<CloseCode>,
    broken: bool,
}

/// How an outbound stands, for the connection's task.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The socket is full, and has taken less than [`PROGRESS_BYTES`] since then.
    pub blocked: Option<Instant>,
    /// A close frame was queued.
    pub closing: Option<CloseCode>,
    /// All that was queued is written.
    pub empty: bool,
    /// Nothing can be written any more.
    pub broken: bool,
    /// Bytes that wait.
    pub bytes: usize,
}

impl Outbound {
    /// An empty outbox for that socket, with so many slots on the latest-wins lane.
    pub fn new(stream: TcpStream, slots: usize, encoding: Encoding) -> Self {
        let outbox = Outbox::new(OUTBOX_BYTES, slots).speaking(encoding);
        let lane = Lane {
            outbox,
            blocked: None,
            taken: 0,
            closing: None,
            broken: false,
        };
        Self {
            stream,
            lane: Mutex::new(lane),
            encoding,
            wake: Notify::new(),
            paused: AtomicBool::new(false),
        }
    }

    /// How messages are written, both ways.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The socket, to read from.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Does something with the outbox, without writing.
    pub fn with<T>(&self, change: impl FnOnce(&mut Outbox) -> T) -> T {
        change(&mut self.lane.lock().outbox)
    }

    /// Answers the client and writes.
    pub fn reply(&self, frame: Bytes) {
        self.with(|outbox| outbox.reply(frame));
        self.flush();
    }

    /// Queues a close frame after what is on its way; nothing is taken afterwards.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let mut lane = self.lane.lock();
        if lane.closing.is_none() {
            lane.closing = Some(code);
            lane.outbox
                .close(Bytes::from(frame::close(code.number(), reason)));
        }
        drop(lane);
        self.flush();
        self.wake.notify_one();
    }

    /// Lets the kernel take more than it has sent: for the last frames of a connection that ends.
    pub fn unbound(&self) {
        // Where it can't, the frames wait for the client as before.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = socket2::SockRef::from(&self.stream).set_tcp_notsent_lowat(u32::MAX);
    }

    /// Says why somebody may not be here, and ends the connection.
    pub fn deny(&self, denied: &Denied) {
        let error = say::error(ErrorCode::Forbidden, &denied.message, None, None);
        self.reply(error);
        self.close(denied.code, &denied.message);
    }

    /// How it stands now.
    pub fn standing(&self) -> Standing {
        let lane = self.lane.lock();
        Standing {
            blocked: lane.blocked,
            closing: lane.closing,
            empty: lane.outbox.is_empty(),
            broken: lane.broken,
            bytes: lane.outbox.bytes(),
        }
    }

    /// Writes what the socket takes. Whoever feeds the outbox asks afterwards whether it was emptied
    /// ([`Outbox::take_drained`]): this is called for many reasons, and must not use up what is said once.
    pub fn flush(&self) {
        let mut lane = self.lane.lock();
        let was_blocked = lane.blocked.is_some();
        while lane.outbox.bytes() > 0 && !lane.broken {
            match self.write(&lane.outbox) {
                Ok(taken) => {
                    counts::BYTES_OUT.add(taken as u64);
                    lane.outbox.advance(taken);
                    lane.taken += taken;
                    if lane.taken >= PROGRESS_BYTES || lane.outbox.bytes() == 0 {
                        (lane.blocked, lane.taken) = (None, 0);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if lane.blocked.is_none() {
                        (lane.blocked, lane.taken) = (Some(Instant::now()), 0);
                    }
                    break;
                }
                Err(_) => lane.broken = true,
            }
        }
        let changed = (lane.blocked.is_some() && !was_blocked) || lane.broken;
        let room = lane.outbox.bytes() < OUTBOX_BYTES / 2;
        drop(lane);
        if changed || (room && self.paused.load(Ordering::Acquire)) {
            self.wake.notify_one();
        }
    }

    fn write(&self, outbox: &Outbox) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = outbox.gather(&mut slices);
        let taken = match &slices[..filled] {
            [one] => self.stream.try_write(one)?,
            many => self.stream.try_write_vectored(many)?,
        };
        if taken == 0 {
            Err(io::ErrorKind::WriteZero.into())
        } else {
            Ok(taken)
        }
    }

    /// Whether the socket took next to nothing for that long.
    pub fn stalled_for(&self, timeout: Duration) -> bool {
        self.standing()
            .blocked
            .is_some_and(|since| since.elapsed() >= timeout)
    }
}
